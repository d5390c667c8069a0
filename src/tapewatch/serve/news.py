"""`GET /news`: what is stored of the news, and how the sources are.

Asked of the store, not of a window in memory: so news are there after a restart, and an hour is as
near as a year.
"""

import re
from datetime import datetime
from typing import Any

from msgspec import Struct

from tapewatch.model.events import Micros
from tapewatch.model.times import DAY, SECOND, iso
from tapewatch.serve import health
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context

MAX_ITEMS = 500
_USUAL_SPAN = 7 * DAY
_ASSET = re.compile(r"[A-Za-z0-9]{1,15}")
_SOURCE = re.compile(r"[\w.-]{1,80}", re.ASCII)  # as `news.sources` allows: no quote is in it
_COLUMNS = "ts, recv, id, source, title, url, assets, summary, published"


class Article(Struct, kw_only=True):
    """One article; `timestamp` is when it was published, or read if that is not known."""

    timestamp: str
    ts: Micros
    received: str
    id: str
    source: str
    title: str
    url: str
    assets: list[str]
    summary: str
    published: str | None


class News(Struct, kw_only=True):
    count: int
    items: list[Article]
    sources: list[health.LinkView]


async def get_news(context: Context, ask: Ask) -> News:
    limit = ask.whole("limit", 50, 1, MAX_ITEMS)
    start, end = ask.span(_USUAL_SPAN)
    asset, source = ask.text("asset").upper(), ask.text("source")
    if asset and not _ASSET.fullmatch(asset):
        ask.fault("asset", "is no ticker", "write BTC")
    if source and not _SOURCE.fullmatch(source):
        ask.fault("source", "is no name of a source", "see `sources` of this address")
    ask.done()
    columns, rows = await context.query.sql(_statement(start, end, asset, source, limit))
    now = context.clock()
    return News(
        count=len(rows),
        items=[_article(dict(zip(columns, row, strict=True))) for row in rows],
        sources=[health.link_view(each, each.state.value, now) for each in context.news()],
    )


def _statement(start: Micros, end: Micros, asset: str, source: str, limit: int) -> str:
    """Write the question. What a person wrote stands in it only after `fullmatch`."""
    where = [f"ts >= TIMESTAMPTZ '{iso(start)}'", f"ts < TIMESTAMPTZ '{iso(end)}'"]
    where += [f"list_contains(assets, '{asset}')"] if asset else []
    where += [f"source = '{source}'"] if source else []
    return (
        f"SELECT {_COLUMNS} FROM news WHERE {' AND '.join(where)}"  # noqa: S608 - see above
        f" ORDER BY ts DESC, id LIMIT {limit:d}"
    )


def _article(row: dict[str, Any]) -> Article:
    return Article(
        timestamp=iso(_micros(row["ts"])),
        ts=_micros(row["ts"]),
        received=iso(_micros(row["recv"])),
        id=row["id"],
        source=row["source"],
        title=row["title"],
        url=row["url"],
        assets=row["assets"] or [],
        summary=row["summary"] or "",
        published=iso(_micros(row["published"])) if row["published"] else None,
    )


def _micros(moment: datetime) -> Micros:
    """Not `timestamp() * 10**6`, which rounds."""
    return Micros(int(moment.timestamp()) * SECOND + moment.microsecond)
