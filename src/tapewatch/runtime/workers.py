"""The small workers that join the parts: a feed to the gate, the bus to the hot window."""

import logging
from collections.abc import Mapping

from tapewatch.model.codec import to_builtins
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Event,
    Gap,
    Metric,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import split_id
from tapewatch.ports import Counters, Feed, Hot, Outlet, Reader

log = logging.getLogger("tapewatch.runtime.workers")


class FeedWorker:
    """Runs one feed into the gate."""

    def __init__(self, feed: Feed, outlet: Outlet) -> None:
        self.name = f"feed-{feed.name}"
        self.counters = feed.counters
        self.feed = feed
        self._outlet = outlet

    async def run(self) -> None:
        await self.feed.run(self._outlet)


class HotWorker:
    """Keeps the hot window up to date."""

    wants: frozenset[type[Event]] = frozenset(
        {Trade, Quote, Ticker, BookSnapshot, BookDelta, Candle, Metric, Gap}
    )

    def __init__(self, hot: Hot, reader: Reader) -> None:
        self.name = "hot"
        self.counters = Counters()
        self._hot = hot
        self._reader = reader

    async def run(self) -> None:
        aloud = log.isEnabledFor(logging.DEBUG)
        async for batch in self._reader:
            self._hot.update(batch)
            self.counters.received += len(batch)
            if aloud:
                for event in batch:
                    log.debug("stored", extra={"fields": to_builtins(event)})


class ResyncWorker:
    """Asks the feed for a new book when a processor found one impossible."""

    wants: frozenset[type[Event]] = frozenset({Gap})

    def __init__(self, feeds: Mapping[str, Feed], reader: Reader) -> None:
        self.name = "resync"
        self.counters = Counters()
        self._feeds = feeds
        self._reader = reader

    async def run(self) -> None:
        async for batch in self._reader:
            for event in batch:
                if isinstance(event, Gap) and event.reason.startswith("crossed"):
                    await self._feeds[split_id(event.inst)[0]].resync(event.inst, event.reason)
                    self.counters.sent += 1
