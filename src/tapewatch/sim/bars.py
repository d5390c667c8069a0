"""Candles of the truth: intervals, one bar, and an unbroken row of equal bars.

Volumes are exact: the quote volume is kept in units of 10^-16 and rounded once, when it is told.
"""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec import Struct

from tapewatch.sim.decimals import ONE

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
_MONDAY = 4 * DAY  # 1970-01-05

LENGTHS = {
    "1s": SECOND, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE,
    "30m": 30 * MINUTE, "1h": HOUR, "2h": 2 * HOUR, "4h": 4 * HOUR, "6h": 6 * HOUR,
    "8h": 8 * HOUR, "12h": 12 * HOUR, "1d": DAY, "3d": 3 * DAY, "1w": WEEK,
}  # fmt: skip
INTERVALS = (*LENGTHS, "1M")


def opened(ts: int, interval: str) -> int:
    """When the bar that contains `ts` opened (UTC)."""
    if interval == "1M":
        day = datetime.fromtimestamp(ts // SECOND, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * SECOND
    shift = _MONDAY if interval == "1w" else 0
    return ts - (ts - shift) % LENGTHS[interval]


def following(open_ts: int, interval: str) -> int:
    """When the next bar opens."""
    if interval == "1M":
        return opened(open_ts + 32 * DAY, interval)
    return open_ts + LENGTHS[interval]


class Bar(Struct):
    """One candle. `first` is -1 and `trades` 0 while nothing was traded; then prices are flat."""

    open_ts: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote_e16: int = 0
    trades: int = 0
    first: int = -1
    last: int = -1
    buy_volume: int = 0
    buy_quote_e16: int = 0

    @property
    def quote(self) -> int:
        """Quote volume in units of 10^-8."""
        return self.quote_e16 // ONE

    @property
    def buy_quote(self) -> int:
        """Quote volume of taker buys in units of 10^-8."""
        return self.buy_quote_e16 // ONE

    def record(self, price: int, qty: int, trade_id: int, *, buys: bool) -> None:
        """Count one fill."""
        if not self.trades:
            self.open = self.high = self.low = price
            self.first = trade_id
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close, self.last = price, trade_id
        self.trades += 1
        self.volume += qty
        worth = price * qty
        self.quote_e16 += worth
        if buys:
            self.buy_volume += qty
            self.buy_quote_e16 += worth


def flat(open_ts: int, price: int) -> Bar:
    """A bar in which nothing was traded yet."""
    return Bar(open_ts, price, price, price, price)


def merged(open_ts: int, parts: Iterable[Bar], price_before: int) -> Bar:
    """One bar out of shorter ones, in order; flat at `price_before` if nothing was traded."""
    whole = flat(open_ts, price_before)
    for part in parts:
        if not part.trades:
            continue
        if not whole.trades:
            whole.open, whole.high, whole.low, whole.first = (
                part.open, part.high, part.low, part.first,
            )  # fmt: skip
        whole.high = max(whole.high, part.high)
        whole.low = min(whole.low, part.low)
        whole.close, whole.last = part.close, part.last
        whole.volume += part.volume
        whole.quote_e16 += part.quote_e16
        whole.trades += part.trades
        whole.buy_volume += part.buy_volume
        whole.buy_quote_e16 += part.buy_quote_e16
    return whole


class Row:
    """Bars of one length without holes, the newest `keep` of them."""

    def __init__(self, length: int, open_ts: int, price: int, keep: int) -> None:
        self._length = length
        self._bars: deque[Bar] = deque([flat(open_ts, price)], maxlen=keep)

    @property
    def first_open(self) -> int:
        """When the oldest bar that is kept opened."""
        return self._bars[0].open_ts

    def current(self, ts: int) -> Bar:
        """The bar that contains `ts`; those between it and the newest so far become flat."""
        newest = self._bars[-1]
        if ts - newest.open_ts < self._length:
            return newest
        target = ts - (ts - newest.open_ts) % self._length
        open_ts = newest.open_ts + self._length
        # after a long sleep the first of these would fall out again
        open_ts = max(open_ts, target - self._length * ((self._bars.maxlen or 1) - 1))
        while open_ts <= target:
            self._bars.append(flat(open_ts, newest.close))
            open_ts += self._length
        return self._bars[-1]

    def between(self, start: int, end: int) -> list[Bar]:
        """Bars that open within `start` <= open < `end`, as far as they are kept."""
        base = self.first_open
        low = max(0, -(-(start - base) // self._length))
        high = min(len(self._bars), max(0, -(-(end - base) // self._length)))
        if high - low <= 2:
            return [self._bars[i] for i in range(low, high)]
        return list(self._bars)[low:high]
