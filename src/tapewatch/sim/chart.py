"""Candles of one pair: history, then what was traded, as if it were one.

Minutes are kept for two days and a bit, seconds for about an hour; longer bars are put together
from minutes when asked for. A bar longer than what is known covers what is known.
"""

from collections.abc import Iterator

from msgspec import Struct

from tapewatch.sim.bars import (
    DAY,
    MINUTE,
    SECOND,
    Bar,
    Row,
    flat,
    following,
    merged,
    opened,
)
from tapewatch.sim.decimals import ONE
from tapewatch.sim.history import History

_MINUTES_KEPT = 3_000
_SECONDS_KEPT = 4_000


class Day(Struct, frozen=True):
    """The rolling 24 hours up to `close_ts`."""

    open_ts: int
    close_ts: int
    bar: Bar
    previous_close: int

    @property
    def change(self) -> int:
        """Last price minus first."""
        return self.bar.close - self.bar.open

    @property
    def percent(self) -> float:
        """The change in percent."""
        return self.change * 100 / self.bar.open

    @property
    def average(self) -> int:
        """The price weighted by volume."""
        return self.bar.quote * ONE // self.bar.volume if self.bar.volume else self.bar.close


class Chart:
    """Counts fills into bars and tells them."""

    def __init__(self, history: History, start: int, price: int) -> None:
        self._history = history
        self._minutes = Row(MINUTE, opened(start, "1m"), price, _MINUTES_KEPT)
        self._seconds = Row(SECOND, opened(start, "1s"), price, _SECONDS_KEPT)
        self._closed_day: tuple[int, Bar, int] | None = None

    def record(self, ts: int, price: int, qty: int, trade_id: int, *, buys: bool) -> None:
        """Count one fill; times must not go back."""
        self._seconds.current(ts).record(price, qty, trade_id, buys=buys)
        self._minutes.current(ts).record(price, qty, trade_id, buys=buys)

    def bar(self, interval: str, open_ts: int) -> Bar:
        """The bar that opens at `open_ts`, as far as it has gone."""
        if interval == "1s":
            parts = self._seconds.between(open_ts, open_ts + SECOND)
            return parts[0] if parts else flat(open_ts, self._close_before(open_ts))
        parts = self._between(open_ts, following(open_ts, interval))
        if interval == "1m" and parts:
            return parts[0]
        before = parts[0].open if parts else self._close_before(open_ts)
        return merged(open_ts, parts, before)

    def klines(self, interval: str, start: int | None, end: int, limit: int) -> list[Bar]:
        """At most `limit` bars that open within `start`..`end`, both inclusive, ascending.

        Without `start` the newest, else the oldest.
        """
        first = self._first_open(interval)
        if start is not None:
            open_ts = max(first, opened(max(start, 0), interval))
            return [self.bar(interval, ts) for ts in _opens(interval, open_ts, start, end, limit)]
        bars: list[Bar] = []
        open_ts = opened(end, interval)
        while open_ts >= first and len(bars) < limit:
            bars.append(self.bar(interval, open_ts))
            open_ts = opened(open_ts - 1, interval)
        return bars[::-1]

    def roll(self, now: int) -> None:
        """Let bars that had no trade exist up to `now`."""
        self._seconds.current(now)
        self._minutes.current(now)

    def day(self, now: int) -> Day:
        """The last 24 hours; minutes that are over are summed once a minute."""
        minute = opened(now, "1m")
        if self._closed_day is None or self._closed_day[0] != minute:
            parts = self._between(minute - DAY + MINUTE, minute)
            before = parts[0].open if parts else self._close_before(minute)
            self._closed_day = (minute, merged(minute - DAY, parts, before), before)
        _, closed, before = self._closed_day
        whole = merged(now - DAY, (closed, self._minutes.current(now)), before)
        return Day(now - DAY, now, whole, before)

    def _first_open(self, interval: str) -> int:
        if interval == "1s":
            return self._seconds.first_open
        return opened(min(self._history.start, self._minutes.first_open), interval)

    def _between(self, start: int, end: int) -> list[Bar]:
        """Minutes that open within `start` <= open < `end`."""
        live = self._minutes.between(start, end)
        old = self._history
        if start >= old.end:
            return live
        low = max(0, -(-(start - old.start) // MINUTE))
        high = min(len(old.bars), max(0, -(-(end - old.start) // MINUTE)))
        return old.bars[low:high] + live

    def _close_before(self, open_ts: int) -> int:
        """The last price known before `open_ts`, for a bar of which nothing is known."""
        minutes = self._between(open_ts - DAY, open_ts)
        return minutes[-1].close if minutes else self._minutes.between(0, open_ts + DAY)[0].open


def _opens(interval: str, open_ts: int, start: int, end: int, limit: int) -> Iterator[int]:
    count = 0
    while open_ts <= end and count < limit:
        if open_ts >= start:
            count += 1
            yield open_ts
        open_ts = following(open_ts, interval)
