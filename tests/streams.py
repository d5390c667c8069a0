"""Builders of events, and streams of events as a market might send them, for tests of processors.

`streams()` is a Hypothesis strategy: lists of small moves that are acted out by `play`, so that a
failing example shrinks to a few moves. Times jump over the ends of seconds, minutes and hours;
trades come late, twice, repaired; there are gaps, ledger entries, ticks and impossible books.
"""

from hypothesis import strategies as st

from tapewatch.model.events import (
    AnyEvent,
    Batch,
    BookDelta,
    BookSnapshot,
    Candle,
    Coverage,
    Gap,
    Holding,
    Liquidation,
    MarkPrice,
    Micros,
    NewsItem,
    Origin,
    Quote,
    Side,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.times import HOUR, MINUTE, SECOND

BEGIN = Micros(1_699_999_200 * SECOND)  # a whole hour: 2023-11-14 22:00:00
INSTS = ("binance:BTC/USDT", "binance:ETH/USDT", "okx:BTC/USDT:USDT")
CHANNEL = "aggTrade"


def trade(secs=0.0, price=100.0, size=1.0, id_=1, inst=INSTS[0], **more):
    """Make a trade so many seconds after BEGIN."""
    ts = at(secs)
    more = {"side": Side.BUY, "channel": CHANNEL, **more}
    return Trade(ts, ts, inst, str(id_), price=price, size=size, **more)


def gap(secs=0.0, first=0, last=-1, channel=CHANNEL, inst=INSTS[0]):
    return Gap(at(secs), at(secs), inst, channel, "test", first, last)


def coverage(secs=0.0, first=1, last=1, holding=Holding.HAVE, channel=CHANNEL, inst=INSTS[0]):
    return Coverage(at(secs), at(secs), inst, channel, first, last, holding)


def tick(secs=0.0, source="binance"):
    return Tick(at(secs), at(secs), source)


def at(secs):
    return Micros(BEGIN + round(secs * SECOND))


_STEPS = (0, 1_000, 250_000, SECOND, 17 * SECOND, MINUTE, 7 * MINUTE, 2 * HOUR, -5 * SECOND)
_LATE = (1_000, SECOND, 40 * SECOND, 3 * MINUTE, 30 * MINUTE, 5 * HOUR)


class _Market:
    """Acts out moves. What it knows is only what makes the next event plausible."""

    def __init__(self):
        self.now = BEGIN
        self.ids = dict.fromkeys(INSTS, 100)
        self.price = dict.fromkeys(INSTS, 100.0)

    def act(self, move, inst, step, size) -> list[AnyEvent]:
        self.now = max(BEGIN, Micros(self.now + _STEPS[step % len(_STEPS)]))
        self.price[inst] = max(10.0, self.price[inst] + (size - 5) / 4)
        return getattr(self, move)(inst, size)

    def trade(self, inst, size, ago=0, **more):
        self.ids[inst] += 1
        side = Side.BUY if size % 2 else Side.SELL
        id_ = str(self.ids[inst])
        price = self.price[inst]
        ts = Micros(self.now - ago)
        return [Trade(ts, self.now, inst, id_, side, price, size + 0.1, CHANNEL, size + 1, **more)]

    def late(self, inst, size):
        return self.trade(inst, size, _LATE[size % len(_LATE)])

    def repaired(self, inst, size):
        return self.trade(inst, size, _LATE[size % len(_LATE)] * (size > 5), repaired=True)

    def twice(self, inst, size):
        return self.trade(inst, size) * 2

    def echo(self, inst, size):
        return self.trade(inst, size, echo=True)

    def other_channel(self, inst, size):
        return [
            Trade(self.now, self.now, inst, str(size), Side.BUY, self.price[inst], 1.0, "trade")
        ]

    def gap(self, inst, size):
        first = self.ids[inst] + 1
        self.ids[inst] += size
        channel = "depth" if size == 0 else CHANNEL
        last = self.ids[inst] if size % 3 else -1
        return [Gap(self.now, self.now, inst, channel, "test", first, last)]

    def have(self, inst, size):
        return [
            Coverage(self.now, self.now, inst, CHANNEL, 1, self.ids[inst], Holding.HAVE),
        ]

    def mended(self, inst, size):
        first = self.ids[inst] - 3 * size
        return [
            Coverage(self.now, self.now, inst, CHANNEL, first, self.ids[inst], Holding.REPAIRED)
        ]

    def tick(self, inst, size):
        source = inst.partition(":")[0]
        return [Tick(Micros(self.now - SECOND * (size % 3)), self.now, source)]

    def quote(self, inst, size):
        price = self.price[inst]
        return [Quote(self.now, self.now, inst, price, 1.0, price + size / 10, 2.0, size)]

    def ticker(self, inst, size):
        p = self.price[inst]
        return [Ticker(self.now, self.now, inst, p, p, p, p, 1.0, 1.0, 0.0, 0.0)]

    def snapshot(self, inst, size):
        mid = self.price[inst]
        bids = tuple((mid - 0.5 * n, 1.0 + n) for n in range(1, size + 2))
        asks = tuple((mid + 0.5 * n, 1.0 + n) for n in range(1, size + 2))
        return [BookSnapshot(self.now, self.now, inst, size, bids, asks)]

    def delta(self, inst, size):
        mid = self.price[inst]
        bids = tuple((mid - 0.5 * n, float(n * size % 4)) for n in range(-1, size))
        asks = tuple((mid + 0.5 * n, float(n * size % 3)) for n in range(1, size))
        return [BookDelta(self.now, self.now, inst, size, size, bids, asks)]

    def venue_candle(self, inst, size):
        start = Micros(self.now - self.now % MINUTE)
        p = self.price[inst]
        interval = "5m" if size == 9 else "1m"
        return [
            Candle(
                start, self.now, inst, interval, p, p + size, p, p, 1.5, 1.0, size,
                closed=size % 4 > 0, origin=Origin.VENUE,
            )
        ]  # fmt: skip

    def other(self, inst, size):
        return [
            Liquidation(self.now, self.now, inst, Side.SELL, self.price[inst], 1.0),
            MarkPrice(self.now, self.now, inst, self.price[inst]),
            NewsItem(self.now, self.now, str(size), "test", "title", "https://example.org"),
        ]


_MOVES = (
    "trade", "trade", "trade", "late", "repaired", "twice", "echo", "other_channel", "gap", "have",
    "have", "mended", "tick", "tick", "quote", "ticker", "snapshot", "delta", "delta",
    "venue_candle", "other",
)  # fmt: skip


def streams():
    """Give lists of moves, for `play`: short ones that are read easily, and long ones."""
    move = st.tuples(
        st.sampled_from(_MOVES),
        st.sampled_from(INSTS),
        st.integers(0, len(_STEPS) - 1),
        st.integers(0, 9),
    )
    # Without a least size Hypothesis makes lists of five.
    return st.lists(move, max_size=20) | st.lists(move, min_size=40, max_size=100)


def play(moves) -> Batch:
    market = _Market()
    return [event for move in moves for event in market.act(*move)]


def random_moves(random, count):
    """Give many moves without Hypothesis, time going on by some 10 s a move."""
    quick = [0, 1, 2, 3, 4, 4]
    for _ in range(count):
        yield (
            random.choice(_MOVES),
            random.choice(INSTS),
            random.choice(quick),
            random.randrange(10),
        )
