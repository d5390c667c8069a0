"""The hot window: the newest of everything, and a day of one-minute candles, in RAM.

A trade costs a look-up and an assignment; what a reader sees is put together when it asks. It
keeps no order books (see `ports.Books`), nothing on disk, and knows no clock: old is what is older
than newer.

It is also the example of a backend of one's own: a file with the methods of `ports.Hot`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tapewatch.model.events import (
    AnyEvent,
    Candle,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Origin,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.ports import Latest, Plugin
from tapewatch.stores._window import INTERVAL, Window


class MemoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `storage:` with `backend: memory`."""

    hot_window_hours: float = 24.0


class _Cell:
    """What is known of one instrument."""

    __slots__ = ("candles", "metrics", "quote", "ticker", "trade", "window")

    def __init__(self) -> None:
        self.trade: Trade | None = None
        self.quote: Quote | None = None
        self.ticker: Ticker | None = None
        self.candles: dict[str, Candle] = {}
        self.metrics: dict[str, Metric] = {}
        self.window: Window | None = None


class Memory:
    """A `Hot`. `candles` gives the hot window besides."""

    wants: frozenset[type[Event]] = frozenset({Trade, Quote, Ticker, Candle, Metric})

    def __init__(self, *, hot_window_hours: float = 24.0) -> None:
        self._minutes = max(1, round(hot_window_hours * 60))
        self._cells: dict[InstrumentId, _Cell] = {}
        self._rare: dict[type[Any], Callable[[_Cell, Any], None]] = {
            Ticker: _ticker,
            Candle: self._candle,
            Metric: _metric,
        }

    def update(self, events: Sequence[AnyEvent]) -> None:
        """Take a batch. The two most frequent types are dealt with in place."""
        cells, rare = self._cells, self._rare
        for event in events:
            if type(event) is Trade:
                cell = cells.get(event.inst) or self._new(event.inst)
                if not event.repaired or cell.trade is None or event.ts >= cell.trade.ts:
                    cell.trade = event
            elif type(event) is Quote:
                cell = cells.get(event.inst) or self._new(event.inst)
                cell.quote = event
            elif (take := rare.get(type(event))) is not None:
                seldom: Any = event  # one that has `inst`: all in the table do
                take(cells.get(seldom.inst) or self._new(seldom.inst), seldom)

    def get_latest(self, inst: InstrumentId) -> Latest | None:
        cell = self._cells.get(inst)
        return None if cell is None else self._latest(inst, cell)

    def get_all(self) -> dict[InstrumentId, Latest]:
        return {inst: self._latest(inst, cell) for inst, cell in self._cells.items()}

    def candles(self, inst: InstrumentId, since: Micros, until: Micros) -> list[Candle]:
        """Give the closed one-minute candles of the hot window, ascending, half-open."""
        cell = self._cells.get(inst)
        if cell is None or cell.window is None:
            return []
        return cell.window.candles(inst, since, until)

    def _new(self, inst: InstrumentId) -> _Cell:
        cell = self._cells[inst] = _Cell()
        return cell

    def _latest(self, inst: InstrumentId, cell: _Cell) -> Latest:
        newest = (cell.trade, cell.quote, cell.ticker, *cell.candles.values())
        recv = max((event.recv for event in newest if event is not None), default=Micros(0))
        return Latest(
            inst=inst,
            trade=cell.trade,
            quote=cell.quote,
            ticker=cell.ticker,
            candles=dict(cell.candles),
            metrics=dict(cell.metrics),
            updated=recv,
        )

    def _candle(self, cell: _Cell, candle: Candle) -> None:
        """Ours goes before the venue's of the same time; a reissue of an old one is no news."""
        known = cell.candles.get(candle.interval)
        if (
            known is None
            or candle.ts > known.ts
            or (
                candle.ts == known.ts
                and (candle.origin is Origin.OWN or known.origin is not Origin.OWN)
            )
        ):
            cell.candles[candle.interval] = candle
        if candle.closed and candle.interval == INTERVAL:
            if cell.window is None:
                cell.window = Window(self._minutes)
            cell.window.put(candle)


def _ticker(cell: _Cell, ticker: Ticker) -> None:
    cell.ticker = ticker


def _metric(cell: _Cell, metric: Metric) -> None:
    cell.metrics[f"{metric.name} {metric.window}"] = metric


def build(name: str, config: MemoryConfig) -> Memory:  # noqa: ARG001
    return Memory(hot_window_hours=config.hot_window_hours)


PLUGIN = Plugin(config=MemoryConfig, build=build)
