"""What came since the last flush: gathered by the batch, sorted out when somebody looks.

A batch costs one append, however many trades it holds. Once a flush, all of one type are dealt with
together: of an event the newest MAX_EVENTS of its kind are kept, the others counted; of what only
changes a state, its instruments are marked. What waits is bounded, flush or no flush.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from tapewatch.model.events import (
    Alert,
    AnyEvent,
    Batch,
    BookDelta,
    BookSnapshot,
    Candle,
    Event,
    Gap,
    InstrumentId,
    Liquidation,
    Metric,
    NewsItem,
    Ticker,
    Trade,
)
from tapewatch.serve.client import BOOK, PRICE
from tapewatch.serve.views import BASE_INTERVAL

MAX_EVENTS = 5_000  # of one type between two flushes
_MAX_UNSORTED = 4 * MAX_EVENTS
_inst: Callable[[Any], InstrumentId] = attrgetter("inst")


WANTS: frozenset[type[Event]] = frozenset(
    {Trade, Ticker, Candle, BookSnapshot, BookDelta, Gap, Liquidation, NewsItem, Alert, Metric}
)


class Gathered:
    def __init__(self) -> None:
        self.events: dict[str, list[AnyEvent]] = {}
        self.states: dict[tuple[str, InstrumentId], None] = {}  # changed, in this order
        self.overflow: Counter[str] = Counter()
        self._batches: list[Batch] = []
        self._unsorted = 0
        self._sorters: dict[type[Event], Callable[[Sequence[Any], frozenset[str]], None]] = {
            Trade: self._trades,
            Ticker: self._tickers,
            Candle: self._candles,
            BookSnapshot: self._books,
            BookDelta: self._books,
            Gap: self._books,
            Liquidation: lambda events, wanted: self._keep("liquidation", events, wanted),
            NewsItem: lambda events, wanted: self._keep("news", events, wanted),
            Alert: lambda events, wanted: self._keep("alert", events, wanted),
            Metric: lambda events, wanted: self._keep("metric", events, wanted),
        }

    def add(self, batch: Batch, wanted: frozenset[str]) -> None:
        self._batches.append(batch)
        self._unsorted += len(batch)
        if self._unsorted > _MAX_UNSORTED:
            self.sort(wanted)

    def sort(self, wanted: frozenset[str]) -> None:
        """Sort out what came; of events only what is wanted. Order holds within one type."""
        events = list(chain.from_iterable(self._batches))
        self._batches, self._unsorted = [], 0
        for kind in dict.fromkeys(map(type, events)):
            self._sorters[kind]([event for event in events if type(event) is kind], wanted)

    def _trades(self, trades: Sequence[Trade], wanted: frozenset[str]) -> None:
        told = [trade for trade in trades if not trade.echo]  # another channel tells the same fill
        self._mark(PRICE, told)
        self._keep("trade", told, wanted)

    def _tickers(self, tickers: Sequence[Ticker], _wanted: frozenset[str]) -> None:
        self._mark(PRICE, tickers)
        self._mark("ticker", tickers)

    def _candles(self, candles: Sequence[Candle], wanted: frozenset[str]) -> None:
        self._mark(PRICE, [candle for candle in candles if candle.interval == BASE_INTERVAL])
        self._keep("candle", candles, wanted)

    def _books(self, changes: Sequence[AnyEvent], _wanted: frozenset[str]) -> None:
        self._mark(BOOK, changes)

    def _mark(self, state: str, events: Sequence[AnyEvent]) -> None:
        for inst in dict.fromkeys(map(_inst, events)):
            self.states[state, inst] = None

    def _keep(self, kind: str, events: Sequence[AnyEvent], wanted: frozenset[str]) -> None:
        if kind not in wanted or not events:
            return
        kept = self.events.setdefault(kind, [])
        kept += events
        surplus = len(kept) - MAX_EVENTS
        if surplus > 0:
            del kept[:surplus]
            self.overflow[kind] += surplus
