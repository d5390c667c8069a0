"""A candle in the making, and the row of candles of one interval that can still be corrected.

Sums and extremes only: what a bar means (when it closes, how good it is) is `candles.py`. Trades
of equal time are told apart by id, so that open and close do not depend on who came first.
"""

from itertools import pairwise

from msgspec import Struct, field

from tapewatch.model.events import Candle, InstrumentId, Micros, Quality, Second
from tapewatch.model.times import Interval


class Bar(Struct, array_like=True):
    """Without trades all four prices are the close before it."""

    start: Micros
    open: float
    high: float
    low: float
    close: float
    first: Micros  # time of the first trade; of an empty bar its start, and so is `last`
    last: Micros
    first_id: str = ""
    last_id: str = ""
    volume: float = 0.0
    buy_volume: float = 0.0
    quote_volume: float = 0.0
    trades: int = 0
    prev_close: float | None = None
    revision: int = -1  # of the closed candle as it was given out last
    changed: bool = False  # closed, and not given out as it is now

    def insert(self, part: Second) -> None:
        """Add what was traded in a second, or in part of one; they may come in any order."""
        if not self.trades:
            self.open, self.high, self.low, self.close = part.open, part.high, part.low, part.close
            self.first, self.first_id = part.first, part.first_id
            self.last, self.last_id = part.last, part.last_id
        else:
            self.high = max(self.high, part.high)
            self.low = min(self.low, part.low)
            if part.first > self.last:  # in step, as nearly always
                self.last, self.last_id, self.close = part.last, part.last_id, part.close
            else:
                self._weave(part)
        self.volume += part.size
        self.quote_volume += part.bought + part.sold
        self.trades += part.trades
        self.buy_volume += part.buy_size

    def _weave(self, part: Second) -> None:
        """Find out whose trades were the first and the last."""
        if _precedes(part.first, part.first_id, self.first, self.first_id):
            self.first, self.first_id, self.open = part.first, part.first_id, part.open
        if not _precedes(part.last, part.last_id, self.last, self.last_id):
            self.last, self.last_id, self.close = part.last, part.last_id, part.close

    def absorb(self, part: "Bar") -> None:
        """Add a closed bar of a smaller interval, later than all that is here."""
        if not part.trades:
            if not self.trades:
                self.flatten(part.close)
            return
        if not self.trades:
            self.open, self.high, self.low = part.open, part.high, part.low
            self.first, self.first_id = part.first, part.first_id
        else:
            self.high = max(self.high, part.high)
            self.low = min(self.low, part.low)
        self.close, self.last, self.last_id = part.close, part.last, part.last_id
        self.volume += part.volume
        self.buy_volume += part.buy_volume
        self.quote_volume += part.quote_volume
        self.trades += part.trades

    def flatten(self, price: float) -> None:
        self.open = self.high = self.low = self.close = price

    def follow(self, close: float) -> None:
        """Take over what the bar before it closed at."""
        if self.prev_close == close:
            return
        self.prev_close = close
        self.changed = True
        if not self.trades:
            self.flatten(close)


class Level(Struct, array_like=True):
    """All bars of one interval: one that grows (while `live`), closed ones that can be corrected."""

    interval: Interval
    keep: int  # closed bars
    bar: Bar = field(default_factory=lambda: empty(Micros(0), 0.0, None))
    live: bool = False
    past: list[Bar] = field(default_factory=list)  # ascending
    show_at: Micros = Micros(0)  # the growing bar is not shown before this

    @property
    def oldest(self) -> Micros | None:
        """Since when there are bars that can still change."""
        if self.past:
            return self.past[0].start
        return self.bar.start if self.live else None

    @property
    def end(self) -> Micros:
        return Micros(self.bar.start + self.interval.micros)

    def begin(self, ts: Micros, price: float) -> None:
        """Let a bar grow that `ts` falls into; its neighbour before it tells what it closed at."""
        start = self.interval.floor(ts)
        before = self.past[-1] if self.past else None
        joined = before is not None and before.start + self.interval.micros == start
        self.bar = empty(start, price, before.close if before is not None and joined else None)
        self.live = True

    def close(self) -> Bar:
        bar = self.bar
        bar.revision += 1
        self.live = False
        self.past.append(bar)
        del self.past[: -self.keep]
        return bar

    def correct(self, part: Second, reached: Micros) -> bool:
        """Add what came late to the closed bar it belongs to. False: that one is out of reach.

        A bar that was never given out (its time was a hole) is made now.
        """
        start = self.interval.floor(part.ts)
        if start < self.interval.floor(reached) - self.keep * self.interval.micros:
            return False
        at = len(self.past)
        while at and self.past[at - 1].start > start:
            at -= 1
        if at and self.past[at - 1].start == start:
            bar = self.past[at - 1]
        else:
            bar = empty(start, part.open, None)
            self.past.insert(at, bar)
            del self.past[: -self.keep]
        bar.insert(part)
        bar.changed = True
        return True

    def touch(self, since: Micros, until: Micros) -> bool:
        """Mark the closed bars of a stretch of time to be given out again."""
        micros = self.interval.micros
        touched = [bar for bar in self.past if bar.start <= until and since < bar.start + micros]
        for bar in touched:
            bar.changed = True
        return bool(touched)

    def changed(self) -> list[Bar]:
        """Give the closed bars that must be given out again, each with its revision stepped.

        A corrected close is what the bar after it follows, and so on.
        """
        bars = [*self.past, self.bar] if self.live else self.past
        micros = self.interval.micros
        for before, bar in pairwise(bars):
            if before.start + micros == bar.start:
                bar.follow(before.close)
        if self.live:
            self.bar.changed = False
        found = [bar for bar in self.past if bar.changed]
        for bar in found:
            bar.changed = False
            bar.revision += 1
        return found


def empty(start: Micros, price: float, prev_close: float | None) -> Bar:
    return Bar(start, price, price, price, price, start, start, prev_close=prev_close)


def to_candle(
    inst: InstrumentId, bar: Bar, interval: str, recv: Micros, quality: Quality, *, closed: bool
) -> Candle:
    return Candle(
        bar.start,
        recv,
        inst,
        interval,
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.buy_volume,
        bar.trades,
        closed,
        bar.quote_volume,
        bar.prev_close,
        quality,
        revision=max(bar.revision, 0),
    )


def _precedes(ts: Micros, id_: str, other_ts: Micros, other_id: str) -> bool:
    """Order by time, then by id. A shorter id is a smaller number."""
    return (ts, len(id_), id_) < (other_ts, len(other_id), other_id)
