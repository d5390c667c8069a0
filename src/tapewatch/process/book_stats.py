"""Spread, depth and imbalance near the price; and a watch over books that cannot be true.

    VOID --snapshot--> LIVE --Gap of a book channel--> VOID
                         |----crossed----------------> VOID, says Gap once

A Gap from here asks the runtime to build that book anew: the venue proves that no change is
missing, this finds what is wrong all the same. A snapshot is looked at when it comes, changes once
a second of event time, when the book is read for its numbers: what crossed and is over by then has
left nothing in the book, and is not told. Where depth reaches beyond what the snapshot
covered, levels that never changed since may be missing, and the number is PARTIAL.

Numbers are told at most once a second of event time. Sizes are worth price times size (quote
units). The spread comes from best quotes where there are any, else from the book.
"""

from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import (
    AnyEvent,
    BookDelta,
    BookSnapshot,
    Event,
    Gap,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Quote,
)
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin
from tapewatch.stream.book import Book, is_book_channel

_NEVER = Micros(0)
_BPS = 10_000.0


class BookStatsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reach_bps: float = 10.0  # depth is what lies within this of the middle price


class BookStatsState(Struct):
    """The book and the best quote of one instrument."""

    inst: InstrumentId
    reach: float  # as a fraction
    book: Book = field(default_factory=Book)
    quote_edge: Micros = _NEVER  # quotes before this are of a second that was spoken for
    book_edge: Micros = _NEVER
    gap: str = ""  # why there is no book; empty while there is one, or if nobody spoke of one

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        kind = type(event)
        if kind is BookDelta:
            # The common case: this is the cost of a change. A clock that went back by more than a
            # minute is followed, not waited for.
            if self.book.live:
                self.book.change(event)
                if not self.book_edge - MINUTE < event.ts < self.book_edge:
                    return self._look(event)
            return ()
        if kind is Quote:
            if self.quote_edge - MINUTE < event.ts < self.quote_edge:
                return ()
            self.quote_edge = _second_after(event.ts)
            return self._tell_spread(event, event.bid, event.ask)
        if kind is BookSnapshot:
            self.book.apply(event)
            self.gap = ""
            return self._look(event)
        if is_book_channel(event.channel):
            self.book.void()
            self.gap = event.reason
        return ()

    def next_timer(self) -> Micros | None:
        return None

    def on_timer(self, at: Micros) -> tuple[()]:  # noqa: ARG002 - the port has it
        return ()

    def _look(self, event: BookSnapshot | BookDelta) -> list[AnyEvent] | tuple[()]:
        """Read the book: tell what is there, or that it cannot be."""
        bid, ask = self.book.best()
        if bid is not None and ask is not None and bid >= ask:
            self.book.void()
            self.gap = f"crossed book: bid {bid}, ask {ask}"
            return [Gap(event.ts, event.recv, self.inst, "depth", self.gap)]
        if self.book_edge - MINUTE < event.ts < self.book_edge:
            return ()  # a snapshot in a second that was spoken for
        self.book_edge = _second_after(event.ts)
        return () if bid is None or ask is None else self._tell_book(event, bid, ask)

    def _tell_spread(self, event: Any, bid: float, ask: float) -> list[AnyEvent] | tuple[()]:
        if not bid or not ask:
            return ()
        spread = (ask - bid) / (ask + bid) * 2.0 * _BPS
        return [self._metric(event, "spread_bps", spread, "1s", Quality.COMPLETE)]

    def _tell_book(self, event: BookSnapshot | BookDelta, bid: float, ask: float) -> list[AnyEvent]:
        book = self.book
        middle = (bid + ask) / 2.0
        low, high = middle * (1.0 - self.reach), middle * (1.0 + self.reach)
        bids, asks = book.within(low, high)
        known_low, known_high = book.known
        whole = known_low <= low and high <= known_high
        quality = Quality.COMPLETE if whole else Quality.PARTIAL
        label = f"{self.reach * _BPS:g}bps"
        total = bids + asks
        said = [
            self._metric(event, "depth_bid", bids, label, quality),
            self._metric(event, "depth_ask", asks, label, quality),
            self._metric(
                event, "imbalance", (bids - asks) / total if total else 0.0, label, quality
            ),
        ]
        if self.quote_edge < event.ts - MINUTE:
            said += self._tell_spread(event, bid, ask)
        return said

    def _metric(
        self, event: Any, name: str, value: float, window: str, quality: Quality
    ) -> AnyEvent:
        return Metric(event.ts, event.recv, self.inst, name, value, window, quality)


class BookStats:
    """The processor."""

    def __init__(self, name: str, config: BookStatsConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Quote, BookSnapshot, BookDelta, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric, Gap})
        self.state = BookStatsState
        self._reach = config.reach_bps / _BPS
        near = (f"{config.reach_bps:g}bps",)
        self.measures = (
            Measure("spread_bps", ("1s",), "bps", "between best bid and best ask"),
            Measure("depth_bid", near, "quote", "worth of the bids near the middle price"),
            Measure("depth_ask", near, "quote", "worth of the asks near the middle price"),
            Measure("imbalance", near, "ratio", "bids less asks near the price, -1 to 1"),
        )

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> BookStatsState:
        return BookStatsState(key, self._reach)

    def adopt(self, state: BookStatsState) -> BookStatsState:
        state.reach = self._reach
        return state


def _second_after(ts: Micros) -> Micros:
    return Micros(ts - ts % SECOND + SECOND)


PLUGIN = Plugin(config=BookStatsConfig, build=BookStats)
