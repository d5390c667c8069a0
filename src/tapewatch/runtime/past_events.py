"""Stored events of many kinds as one stream in order of time, a page at a time, with ticks.

Made for millions of trades: columns become lists at once, and a trade is made of one row without
anything in between. The next page is read while this one is worked on.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from tapewatch.model.events import (
    AnyEvent,
    Batch,
    Candle,
    Event,
    Gap,
    InstrumentId,
    Liquidation,
    MarkPrice,
    Micros,
    Quote,
    Side,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import HOUR, MINUTE, SECOND
from tapewatch.stores.duckdb import DuckDb

if TYPE_CHECKING:  # 40 MB, wanted only with the first page
    import pyarrow as pa

# What is read of each kind; order books are too much for this, and are not.
KINDS: dict[type[Event], tuple[str, str]] = {
    Trade: ("trades", "NOT coalesce(echo, false)"),
    Gap: ("gaps", "true"),
    Liquidation: ("liquidations", "true"),
    Ticker: ("tickers", "true"),
    Quote: ("quotes", "true"),
    MarkPrice: ("mark_prices", "true"),
    Candle: ("candles", "\"interval\" = '1m' AND closed"),
}
_PAGE = HOUR
_SIDES = {side.value: side for side in Side}
_TRADE = (
    "ts, recv, inst, id, side, price, size, coalesce(channel, 'trade') AS channel,"
    " coalesce(count, 1) AS count, coalesce(repaired, false) AS repaired,"
    " try_cast(id AS BIGINT) AS number"
)


class PastEvents:
    """Of these instruments; candles and tickers come of all, for rates."""

    def __init__(
        self, store: DuckDb, kinds: Iterable[type[Event]], insts: Sequence[InstrumentId]
    ) -> None:
        self._store = store
        self._kinds = sorted(kinds, key=lambda kind: kind.__name__)
        self._only = _in(insts)
        self._next_tick = Micros(0)
        self._met: set[InstrumentId] = set()
        self._venues: dict[str, None] = {}

    async def batches(self, since: Micros, until: Micros) -> AsyncIterator[Batch]:
        """Give all events of `[since, until)`, each second of each venue closed by a tick."""
        self._next_tick = Micros(since - since % SECOND + SECOND)
        coming = asyncio.ensure_future(self._page(since, until))
        try:
            while since < until:
                events = await coming
                since = Micros(since - since % _PAGE + _PAGE)
                if since < until:
                    coming = asyncio.ensure_future(self._page(since, until))
                yield self._ticked(events, min(since, until))
        finally:
            coming.cancel()

    async def _page(self, since: Micros, until: Micros) -> list[Any]:
        end = min(Micros(since - since % _PAGE + _PAGE), until)
        runs = [run for kind in self._kinds if (run := await self._read(kind, since, end))]
        if len(runs) == 1 and type(runs[0][0]) is Trade:
            return runs[0]  # in order
        return sorted(chain(*runs), key=_when)  # several sorted runs, which this is quick with

    async def _read(self, kind: type[Event], since: Micros, until: Micros) -> list[Any]:
        name, where = KINDS[kind]
        if kind not in (Candle, Ticker):
            where = f"{where} AND {self._only}"
        if kind is Trade:
            table = await self._store.between(name, _TRADE, where, since, until)
            return await asyncio.to_thread(self._trades, table)
        shift = MINUTE if kind is Candle else 0
        since, until = Micros(since - shift), Micros(until - shift)
        table = await self._store.between(name, "*", where, since, until)
        return _events(kind, table)

    def _trades(self, table: "pa.Table") -> list[Trade]:
        import pyarrow as pa

        if not table.num_rows:
            return []
        # An open hour comes in no order; trades of one moment are one order's, and ids count them.
        table = table.sort_by([(name, "ascending") for name in ("ts", "number", "id")])
        columns = {name: table.column(name).combine_chunks() for name in table.column_names}
        times = [_numbers(columns[name].cast(pa.int64()), "q") for name in ("ts", "recv")]
        words = [_words(columns[name]) for name in ("inst", "side", "channel")]
        values = [_numbers(columns[name], "d") for name in ("price", "size")]
        counts = _numbers(columns["count"].cast(pa.int64()), "q")
        ids, repaired = columns["id"].to_pylist(), columns["repaired"].to_pylist()
        return [
            Trade(ts, recv, inst, id_, _SIDES[side], price, size, channel, count, mended)
            for ts, recv, inst, id_, side, price, size, channel, count, mended in zip(
                *times, words[0], ids, words[1], *values, words[2], counts, repaired, strict=True
            )
        ]

    def _ticked(self, events: Sequence[Any], until: Micros) -> Batch:
        """Put the ticks between: a second is over when something later came, of whatever venue."""
        batch: list[AnyEvent] = []
        at = self._next_tick
        for event in events:
            when = event.ts if type(event) is not Candle else _when(event)
            if when >= at:
                at = self._tick(batch, at, when)
            if event.inst not in self._met:
                self._met.add(event.inst)
                self._venues[split_id(event.inst)[0]] = None
            batch.append(event)
        self._next_tick = self._tick(batch, at, until)
        return batch

    def _tick(self, batch: list[AnyEvent], at: Micros, until: Micros) -> Micros:
        """Tell each whole second up to there; what is silent for long is told once."""
        last = Micros(until - until % SECOND)
        for second in range(max(at, last - 59 * SECOND), last + 1, SECOND):
            ts = Micros(second)
            batch += [Tick(ts, ts, venue) for venue in self._venues]
        return Micros(last + SECOND)


def _numbers(array: "pa.Array", code: str) -> list[Any]:
    """Give the numbers of an array without nulls: thrice as quick as `to_pylist`, without numpy."""
    view = memoryview(array.buffers()[1]).cast(code)  # type: ignore[call-overload]
    found: list[Any] = view[array.offset : array.offset + len(array)].tolist()
    return found


def _words(array: "pa.Array") -> list[str]:
    """A column of few different words: looked up, not made anew for each row."""
    encoded = array.dictionary_encode()
    known: list[str] = encoded.dictionary.to_pylist()
    return [known[index] for index in _numbers(encoded.indices, "i")]


def _when(event: Any) -> Micros:
    """A candle is told when it ends."""
    ts: Micros = event.ts
    return Micros(ts + MINUTE) if type(event) is Candle else ts


def _in(insts: Sequence[InstrumentId]) -> str:
    """A quote in a name is doubled."""
    names = ", ".join("'" + inst.replace("'", "''") + "'" for inst in insts)
    return f"inst IN ({names})" if names else "false"


def _events(kind: type[Event], table: "pa.Table") -> list[Any]:
    from tapewatch.stores._arrow import from_table

    return from_table(kind, table)
