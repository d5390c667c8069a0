"""Which streams Binance spot has, and when each sends.

Real-time streams send as things happen; the others at fixed times, on a grid of 100 ms. A closed
candle comes 100 ms after its end, the running one in between at odd seconds, so that the last
frame of a bar is always the closed one.
Not offered: rolling windows, averages, candles shifted to UTC+8, block trades, arrays of all.
"""

import copy
import re
from collections.abc import Callable

from msgspec import Struct

from tapewatch.sim import binance_frames as frames
from tapewatch.sim.bars import INTERVALS, SECOND, following, opened
from tapewatch.sim.book import Changes
from tapewatch.sim.happenings import Aggregate, Happening, Top, Trade
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.messages import Message

GRID = 100_000  # microseconds
_SIMPLE = {
    "trade": ("trade", 0),
    "aggTrade": ("aggTrade", 0),
    "bookTicker": ("bookTicker", 0),
    "ticker": ("ticker", SECOND),
    "miniTicker": ("miniTicker", SECOND),
    "depth": ("slow_depth", SECOND),
    "depth@1000ms": ("slow_depth", SECOND),
    "depth@100ms": ("depth", GRID),
}
_PARTIAL = re.compile(r"depth(5|10|20)(@100ms|@1000ms)?")


class Stream(Struct, frozen=True):
    """A stream name taken apart. `every` is 0 for those in real time."""

    name: str
    symbol: str
    kind: str
    every: int = 0
    interval: str = ""
    levels: int = 0


def parsed(name: str, symbols: dict[str, str]) -> Stream | None:
    """What `name` means; None if there is no such stream. `symbols`: lower case to true name."""
    pair, _, kind = name.partition("@")
    symbol = symbols.get(pair)
    if symbol is None:
        return None
    if kind in _SIMPLE:
        return Stream(name, symbol, *_SIMPLE[kind])
    if partial := _PARTIAL.fullmatch(kind):
        every = GRID if partial[2] == "@100ms" else SECOND
        return Stream(name, symbol, "partial", every, levels=int(partial[1]))
    interval = kind.removeprefix("kline_")
    if kind.startswith("kline_") and interval in INTERVALS:
        return Stream(name, symbol, "kline", GRID, interval=interval)
    return None


class _Differences:
    """Changes of one book, of the last 100 ms and of the second so far."""

    def __init__(self) -> None:
        self.fast: Changes | None = None
        self.slow: Changes | None = None

    def take(self, changes: Changes | None, *, new_second: bool) -> None:
        self.fast = changes
        if new_second:
            self.slow = None
        if changes is None:
            return
        if self.slow is None:
            self.slow = changes
        else:
            # a new object: the old one may still wait in a delayed message
            self.slow = Changes(
                self.slow.first,
                changes.last,
                self.slow.bids | changes.bids,
                self.slow.asks | changes.asks,
            )


class Publisher:
    """Moves the market along the grid and sends what the streams show."""

    def __init__(self, market: Market, hub: Hub) -> None:
        self._market = market
        self._hub = hub
        self._symbols = {symbol.lower(): symbol for symbol in market.symbols}
        self._timed: dict[str, Stream] = {}
        self._partial_sent: dict[str, int] = {}
        self._differences = {symbol: _Differences() for symbol in market.symbols}
        self._names = {
            symbol: (f"{low}@trade", f"{low}@aggTrade", f"{low}@bookTicker")
            for low, symbol in self._symbols.items()
        }

    def opens(self, name: str) -> bool:
        """Prepare to send a stream; False if there is none of this name."""
        stream = parsed(name, self._symbols)
        if stream is None:
            return False
        if stream.every:
            self._timed[name] = stream
        return True

    def step(self, to: int) -> None:
        """Advance to `to`, which must not lie beyond the next point of the grid."""
        for happening in self._market.advance(to):
            self._publish(happening, to)
        if to % GRID == 0:
            self._collect(to)
            for stream in list(self._timed.values()):
                self._tick(stream, to)

    def _publish(self, happening: Happening, now: int) -> None:
        trade, aggregate, top = self._names[happening.symbol]
        hub = self._hub
        if isinstance(happening, Trade):
            fill = happening
            if hub.wants(trade):
                hub.send(Message(trade, lambda unit: frames.trade(fill, unit)), now)
        elif isinstance(happening, Aggregate):
            whole = happening
            if hub.wants(aggregate):
                hub.send(Message(aggregate, lambda unit: frames.aggregate(whole, unit)), now)
        elif isinstance(happening, Top) and hub.wants(top):
            text = frames.book_ticker(happening)
            hub.send(Message(top, lambda _: text), now)

    def _collect(self, now: int) -> None:
        """Take the changes of every book: nothing may pile up where nobody listens."""
        new_second = now % SECOND == GRID
        for symbol, differences in self._differences.items():
            changes = self._market.live_book(symbol).take_changes()
            differences.take(changes, new_second=new_second)

    def _tick(self, stream: Stream, now: int) -> None:
        if not self._hub.wants(stream.name):
            del self._timed[stream.name]
            self._partial_sent.pop(stream.name, None)
            return
        if now % stream.every:
            return
        render = self._render(stream, now)
        if render is not None:
            self._hub.send(Message(stream.name, render), now)

    def _render(self, stream: Stream, now: int) -> Callable[[int], str] | None:
        market, symbol = self._market, stream.symbol
        match stream.kind:
            case "depth":
                return _depth(symbol, self._differences[symbol].fast, now)
            case "slow_depth":
                return _depth(symbol, self._differences[symbol].slow, now)
            case "partial":
                return self._partial(stream)
            case "kline":
                return self._kline(stream, now)
            case "miniTicker":
                day = market.day(symbol)
                return lambda unit: frames.mini_ticker(symbol, day, unit)
            case _:
                day, top = market.day(symbol), market.live_book(symbol).top()
                trades = market.trades(symbol)
                last_qty = trades[-1].qty if trades else market.listing(symbol).lot
                return lambda unit: frames.ticker(symbol, day, top, last_qty, unit)

    def _partial(self, stream: Stream) -> Callable[[int], str] | None:
        view = self._market.book(stream.symbol, stream.levels)
        if self._partial_sent.get(stream.name) == view.update_id:
            return None
        self._partial_sent[stream.name] = view.update_id
        text = frames.partial_depth(view)
        return lambda _: text

    def _kline(self, stream: Stream, now: int) -> Callable[[int], str] | None:
        symbol, interval = stream.symbol, stream.interval
        if opened(now - GRID, interval) == now - GRID:
            open_ts, closed = opened(now - GRID - 1, interval), True
        elif interval != "1s" and now % (2 * SECOND) == SECOND:
            open_ts, closed = opened(now, interval), False
        else:
            return None
        bar = copy.copy(self._market.bar(symbol, interval, open_ts))
        closed = closed and following(bar.open_ts, interval) <= now
        return lambda unit: frames.kline(symbol, interval, bar, now, unit, closed=closed)


def _depth(symbol: str, changes: Changes | None, now: int) -> Callable[[int], str] | None:
    if changes is None:
        return None
    return lambda unit: frames.depth_update(symbol, changes, now, unit)
