"""What `tapewatch doctor` says of the sources of news: each is asked once, as the feed would."""

import asyncio

from tapewatch.model.errors import BadFrame
from tapewatch.news.parser import WebPage, read
from tapewatch.news.schedule import Outcome, outcome_of
from tapewatch.news.sources import Source
from tapewatch.runtime.finding import BAD, GOOD, WARNING, Finding
from tapewatch.runtime.plan import News
from tapewatch.wire.pages import Pages, Version

_ADVICE = "name others in news.sources, or set news.user_agent"


async def sources(news: News) -> list[Finding]:
    pages = Pages(news.user_agent)
    try:
        return await asyncio.gather(*(_look_at(source, pages) for source in news.sources))
    finally:
        await pages.close()


async def _look_at(source: Source, pages: Pages) -> Finding:
    """A source that is blocked is no fault of this machine: a warning."""
    what = f"news {source.name}"
    page = await pages.get(source.url, Version())
    outcome = outcome_of(page.status, page.retry_after)
    if outcome is not Outcome.OK:
        verdict = BAD if outcome is Outcome.UNREACHABLE else WARNING
        return Finding(verdict, what, f"{outcome.value}: {page.reason}", _ADVICE)
    try:
        document = await asyncio.to_thread(read, page.body, page.charset)
    except WebPage as error:
        return Finding(WARNING, what, f"blocked: {error}", _ADVICE)
    except BadFrame as error:
        return Finding(BAD, what, str(error), _ADVICE)
    if document.error:
        return Finding(WARNING, what, f"it breaks off: {document.error}")
    return Finding(GOOD, what, f"{len(document.entries)} articles")
