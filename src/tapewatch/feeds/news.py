"""News from RSS and Atom feeds: each source is asked again and again, each article given once.

    ask ──> 304 ........................... nothing new
     ^      200 ──> read (in a thread) ──> what was not seen ──> outlet ──> seen, a moment later
     |      else: in words, in the status, and patience (see `news.schedule`)
     +──── wait

An article counts as seen only when the stores have had time to write it, and the version of the
feed is kept in the same turn. So a process that is killed in between asks for it again and gives it
again, and the stores know it by its id; the other order would lose it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from tapewatch.model.address import shown
from tapewatch.model.codec import dead_letter
from tapewatch.model.errors import BadFrame, Unavailable
from tapewatch.model.events import Batch, DeadLetter, InstrumentId, Micros
from tapewatch.model.times import SECOND
from tapewatch.news.items import item, key
from tapewatch.news.parser import Document, Entry, WebPage, read
from tapewatch.news.schedule import Hours, Outcome, delay, outcome_of
from tapewatch.news.sources import Source
from tapewatch.ports import Clock, Counters, LinkState, LinkStatus, Outlet, Subscription
from tapewatch.wire.crew import Crew
from tapewatch.wire.pages import Page, Pages, Version

NAME = "news"
_HINT = "; name other sources in news.sources, or set news.user_agent"
_STATES = {
    Outcome.OK: LinkState.STREAMING,
    Outcome.SAME: LinkState.STREAMING,
    Outcome.BLOCKED: LinkState.BLOCKED,
}

log = logging.getLogger("tapewatch.feeds.news")


class Seen(Protocol):
    """What was given already. `stores.seen` keeps it over restarts."""

    counters: Counters

    async def recall(self, source: str, url: str) -> tuple[str, str]: ...

    def has(self, source: str, key: bytes) -> bool: ...

    async def mark(
        self, source: str, keys: Iterable[bytes], url: str, version: tuple[str, str]
    ) -> None: ...


class _Followed:
    """One source: which version of it we have, how it is, how often it failed in a row."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.status = LinkStatus(NAME, source.name, url=shown(source.url))
        self.version: Version | None = None  # None: what was seen is not known yet
        self.failures = 0
        self.is_broken = False


class NewsFeed:
    """A Feed. One source that fails disturbs no other."""

    def __init__(
        self,
        sources: Iterable[Source],
        hours: Hours,
        *,
        clock: Clock,
        seen: Seen,
        user_agent: str = "",
        settle_secs: float = 2.0,  # the stores write at least twice a second
    ) -> None:
        self.name = NAME
        self.counters = seen.counters  # what the memory suffers is told as the feed's
        self.fetches: Counter[str] = Counter({outcome.value: 0 for outcome in Outcome})
        self._hours = hours
        self._clock = clock
        self._seen = seen
        self._user_agent = user_agent
        self._settle_secs = settle_secs
        self._followed = [_Followed(source) for source in sources]

    async def run(self, outlet: Outlet) -> None:
        pages = Pages(self._user_agent)
        crew = Crew()
        try:
            for each in self._followed:
                each.status.since = self._clock()
                crew.spawn(self._follow(each, pages, outlet))
            await crew.wait()
        finally:
            await crew.disband()
            await pages.close()

    async def want(self, subscriptions: frozenset[Subscription]) -> None:
        """News are not asked for by instrument."""

    async def resync(self, inst: InstrumentId, reason: str) -> None:
        """There are no books here."""

    def status(self) -> list[LinkStatus]:
        return [each.status for each in self._followed]

    async def _follow(self, each: _Followed, pages: Pages, outlet: Outlet) -> None:
        while True:
            wait_secs = await self._turn(each, pages, outlet)
            await asyncio.sleep(wait_secs)

    async def _turn(self, each: _Followed, pages: Pages, outlet: Outlet) -> float:
        """Ask once and deal with the answer. Give the seconds until the next time."""
        source = each.source
        usual_secs = self._hours.delay(self._clock())
        if each.version is None:
            try:
                each.version = Version(*await self._seen.recall(source.name, source.url))
            except Unavailable as error:
                each.status.error = f"what was seen cannot be read: {error.reason}"
                self._warn(each, "news_not_asked")
                return usual_secs
        page = await pages.get(source.url, each.version)
        answer = await _understand(page, self._clock())
        self.fetches[answer.outcome.value] += 1
        wait_secs = self._note(each, answer, usual_secs)
        if answer.outcome is Outcome.BROKEN and not each.is_broken:
            each.is_broken = True  # the first of a row is kept: the others are like it
            await outlet.publish([_letter(source, answer)])
        if answer.document is not None:
            await self._deliver(each, answer, answer.document.entries, outlet)
        return wait_secs

    def _note(self, each: _Followed, answer: "_Answer", usual_secs: float) -> float:
        """Bring the status up to date; log what has changed. Give the seconds to wait."""
        status, outcome = each.status, answer.outcome
        each.failures = 0 if outcome.good else each.failures + 1
        wait_secs = delay(outcome, usual_secs, each.failures, answer.page.retry_after)
        before, state = status.state, _STATES.get(outcome, LinkState.BACKOFF)
        if before is not state:
            status.state, status.since = state, answer.recv
        status.frames += 1
        if outcome.good:
            each.is_broken = False
            status.last_data, status.error, status.retry_at = answer.recv, "", None
            if before not in {LinkState.CONNECTING, LinkState.STREAMING}:
                log.warning("news_back", extra={"fields": {"source": each.source.name}})
            return wait_secs
        status.reconnects += 1
        self.counters.error(outcome.value)
        status.error = answer.reason + (_HINT if outcome is Outcome.BLOCKED else "")
        status.retry_at = Micros(answer.recv + round(wait_secs * SECOND))
        if each.failures == 1 or before is not state:
            self._warn(each, f"news_{outcome.value}")
        return wait_secs

    async def _deliver(
        self, each: _Followed, answer: "_Answer", entries: list[Entry], outlet: Outlet
    ) -> None:
        source, page = each.source, answer.page
        self.counters.received += len(entries)
        keys = [key(entry, page.url) for entry in entries]
        if nameless := keys.count(b""):
            self.counters.drop("nothing to know it by", nameless)
        listed = {known: entry for known, entry in zip(keys, entries, strict=True) if known}
        fresh = [known for known in listed if not self._seen.has(source.name, known)]
        items: Batch = [item(listed[known], source.name, page.url, answer.recv) for known in fresh]
        items.sort(key=lambda event: event.ts)
        if items:
            await outlet.publish(items)
            self.counters.sent += len(items)
            self.counters.last_ts = items[-1].ts
        try:
            await asyncio.sleep(self._settle_secs if items else 0)
        finally:
            # Half a feed must come again whole: its version is not kept.
            each.version = page.version if answer.outcome is Outcome.OK else Version()
            version = (each.version.etag, each.version.modified)
            await self._seen.mark(source.name, listed, source.url, version)

    def _warn(self, each: _Followed, event: str) -> None:
        fields = {"source": each.source.name, "reason": each.status.error}
        log.warning(event, extra={"fields": fields})


class _Answer(Struct, frozen=True):
    """What came, what could be read of it, and what is wrong with it."""

    page: Page
    recv: Micros
    outcome: Outcome
    reason: str = ""
    document: Document | None = None


async def _understand(page: Page, recv: Micros) -> _Answer:
    outcome = outcome_of(page.status, page.retry_after)
    if outcome is not Outcome.OK:
        return _Answer(page, recv, outcome, page.reason)
    try:
        document = await asyncio.to_thread(read, page.body, page.charset)
    except WebPage as error:
        return _Answer(page, recv, Outcome.BLOCKED, str(error))
    except BadFrame as error:
        return _Answer(page, recv, Outcome.BROKEN, str(error))
    if document.error:
        reason = f"the feed breaks off after {len(document.entries)} articles: {document.error}"
        return _Answer(page, recv, Outcome.BROKEN, reason, document)
    return _Answer(page, recv, outcome, "", document)


def _letter(source: Source, answer: _Answer) -> DeadLetter:
    return dead_letter(
        f"{NAME}:{source.name}", "decode", answer.reason, answer.page.body, answer.recv
    )
