"""Closed one-minute candles of one instrument in compact arrays: 83 bytes a minute.

A day of one instrument is 120 kB this way; as objects it would be five times that.
"""

from array import array
from bisect import bisect_left
from math import isnan, nan

from tapewatch.model.events import Candle, InstrumentId, Micros, Origin, Quality

INTERVAL = "1m"
_SPARE = 60  # old rows are let go an hour at a time, not one by one
_QUALITIES = tuple(Quality)
_ORIGINS = tuple(Origin)
_WIDTH = 10


class Window:
    """Ascending by `ts`, one candle a minute: the one with the highest revision."""

    __slots__ = ("_marks", "_rows", "_ts", "_values")

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._ts = array("q")
        self._values = array("d")  # _WIDTH a row
        self._marks = array("H")  # quality and origin

    def __len__(self) -> int:
        return len(self._ts)

    def put(self, candle: Candle) -> None:
        """Add a candle, or replace the one of the same minute if this one is not older."""
        times = self._ts
        if not times or candle.ts > times[-1]:
            times.append(candle.ts)
            self._values.extend(_numbers(candle))
            self._marks.append(_mark(candle))
            if len(times) > self._rows + _SPARE:
                self._let_go(len(times) - self._rows)
            return
        row = bisect_left(times, candle.ts)
        if times[row] != candle.ts:
            times.insert(row, candle.ts)
            self._marks.insert(row, _mark(candle))
            self._values[row * _WIDTH : row * _WIDTH] = array("d", _numbers(candle))
        elif candle.revision >= self._values[row * _WIDTH + _WIDTH - 1]:
            self._marks[row] = _mark(candle)
            self._values[row * _WIDTH : (row + 1) * _WIDTH] = array("d", _numbers(candle))

    def candles(self, inst: InstrumentId, since: Micros, until: Micros) -> list[Candle]:
        first, end = bisect_left(self._ts, since), bisect_left(self._ts, until)
        return [self._candle(inst, row) for row in range(max(first, len(self) - self._rows), end)]

    def _let_go(self, count: int) -> None:
        del self._ts[:count]
        del self._marks[:count]
        del self._values[: count * _WIDTH]

    def _candle(self, inst: InstrumentId, row: int) -> Candle:
        open_, high, low, close, volume, buy, quote, trades, before, revision = self._values[
            row * _WIDTH : (row + 1) * _WIDTH
        ]
        ts = Micros(self._ts[row])
        origin, quality = divmod(self._marks[row], len(_QUALITIES))
        return Candle(
            ts,
            ts,
            inst,
            INTERVAL,
            open_,
            high,
            low,
            close,
            volume,
            buy,
            int(trades),
            closed=True,
            quote_volume=quote,
            prev_close=None if isnan(before) else before,
            quality=_QUALITIES[quality],
            origin=_ORIGINS[origin],
            revision=int(revision),
        )


def _numbers(candle: Candle) -> tuple[float, ...]:
    return (
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.buy_volume,
        candle.quote_volume,
        candle.trades,
        nan if candle.prev_close is None else candle.prev_close,
        candle.revision,
    )


def _mark(candle: Candle) -> int:
    return _ORIGINS.index(candle.origin) * len(_QUALITIES) + _QUALITIES.index(candle.quality)
