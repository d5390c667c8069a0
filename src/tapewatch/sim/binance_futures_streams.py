"""Which streams Binance USD-M has, on which path each is served, and when it sends.

A stream asked for on the wrong path is acknowledged and stays silent; the paths without a category
serve what is public. All timed streams keep to a grid of 50 ms. A candle that is over comes 250 ms
after its end. Of liquidations only the newest of each second and instrument is told.
Not offered: RPI books, index and composite streams, contract notices, COIN-M streams by symbol.
"""

import copy
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from tapewatch.sim import binance_futures_frames as frames
from tapewatch.sim.bars import INTERVALS, SECOND, following, opened
from tapewatch.sim.binance_futures_all import AllMarkets
from tapewatch.sim.binance_futures_batches import Batches, Told, Windows, told_id
from tapewatch.sim.binance_futures_listing import Spelling, spelling
from tapewatch.sim.happenings import Aggregate, Happening, Liquidation, Top, Trade
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.messages import Message

MILLI = 1_000
GRID = 50 * MILLI
BATCH = 100 * MILLI
PUBLIC, MARKET = "public", "market"
_QUARTER = 250 * MILLI
_SPEEDS = {"": _QUARTER, "@100ms": 100 * MILLI, "@250ms": _QUARTER, "@500ms": 500 * MILLI}
_DEPTH = re.compile(r"depth(5|10|20)?(@100ms|@250ms|@500ms)?")
_CANDLE = re.compile(r"(kline|continuousKline)_(\w+)")
# name behind the symbol: category, kind, cadence (0: at once)
_OF_SYMBOL = {
    "trade": (PUBLIC, "trade", 0),
    "bookTicker": (PUBLIC, "bookTicker", 0),
    "aggTrade": (MARKET, "aggTrade", 0),
    "markPrice": (MARKET, "markPrice", 3 * SECOND),
    "markPrice@1s": (MARKET, "markPrice", SECOND),
    "ticker": (MARKET, "ticker", 2 * SECOND),
    "miniTicker": (MARKET, "miniTicker", 2 * SECOND),
    "forceOrder": (MARKET, "forceOrder", 0),
}
_OF_ALL = {
    "!bookTicker": (PUBLIC, "allBookTickers", 5 * SECOND),
    "!markPrice@arr": (MARKET, "allMarks", 3 * SECOND),
    "!markPrice@arr@1s": (MARKET, "allMarks", SECOND),
    "!ticker@arr": (MARKET, "allTickers", SECOND),
    "!miniTicker@arr": (MARKET, "allMiniTickers", SECOND),
    "!forceOrder@arr": (MARKET, "allForceOrders", 0),
}
_INTERVALS = frozenset(INTERVALS) - {"1s"}


class Stream(Struct, frozen=True):
    """A stream name taken apart. `every` is 0 for those that send when something happens."""

    name: str
    category: str
    kind: str
    every: int = 0
    symbol: str = ""
    interval: str = ""
    levels: int = 0


def parsed(name: str, symbols: dict[str, str]) -> Stream | None:
    """What `name` means; None if there is no such stream. `symbols`: lower case to true name."""
    if name in _OF_ALL:
        return Stream(name, *_OF_ALL[name])
    first, _, rest = name.partition("@")
    if (candle := _CANDLE.fullmatch(rest)) and candle[2] in _INTERVALS:
        ending = "_perpetual" if candle[1] == "continuousKline" else ""
        symbol = symbols.get(first.removesuffix(ending))
        found = Stream(name, MARKET, candle[1], _QUARTER, symbol or "", candle[2])
        return found if symbol and first.endswith(ending) else None
    symbol = symbols.get(first)
    if symbol is None:
        return None
    if rest in _OF_SYMBOL:
        return Stream(name, *_OF_SYMBOL[rest], symbol)
    depth = _DEPTH.fullmatch(rest)
    return None if depth is None else _of_book(name, symbol, depth)


def _of_book(name: str, symbol: str, depth: re.Match[str]) -> Stream:
    every, levels = _SPEEDS[depth[2] or ""], int(depth[1] or 0)
    return Stream(name, PUBLIC, "partial" if levels else "depth", every, symbol, levels=levels)


class _Instrument:
    """What is remembered of one symbol between two frames."""

    def __init__(self, market: Market, symbol: str) -> None:
        low, book = symbol.lower(), market.live_book(symbol)
        self.spelling: Spelling = spelling(market.listing(symbol))
        self.lot = market.listing(symbol).lot
        self.batches = Batches(market.newest_ids(symbol)[1] + 1)
        self.windows = Windows(sorted(set(_SPEEDS.values())), book.update_id)
        self.liquidation: Liquidation | None = None  # the newest of this second
        self.names = (f"{low}@trade", f"{low}@bookTicker", f"{low}@aggTrade", f"{low}@forceOrder")


class Publisher:
    """Moves the market along the grid and sends what the streams show."""

    def __init__(self, market: Market, hub: Hub, *, merged: bool = True) -> None:
        self.instruments = {symbol: _Instrument(market, symbol) for symbol in market.symbols}
        self._market = market
        self._hub = hub
        self._merged = merged
        self._all = AllMarkets(market, merged=merged)
        self._symbols = {symbol.lower(): symbol for symbol in market.symbols}
        self._timed: dict[str, Stream] = {}
        self._sent: dict[str, int] = {}  # how far a stream has told: an update or trade id

    def opens(self, name: str, category: str) -> bool:
        """Prepare to send a stream; False if a client on this path cannot have it."""
        stream = parsed(name, self._symbols)
        if stream is None or stream.category != (category or PUBLIC):
            return False
        if stream.every:
            self._timed[name] = stream
        return True

    def step(self, to: int) -> None:
        """Advance to `to`, which must not lie beyond the next point of the grid."""
        for happening in self._market.advance(to):
            self._publish(happening, to)
        if to % GRID:
            return
        for symbol, instrument in self.instruments.items():
            instrument.windows.add(self._market.live_book(symbol).take_changes(), to)
            if to % BATCH == 0:
                self._close_batch(instrument, to)
            if to % SECOND == 0 and instrument.liquidation is not None:
                self._tell_liquidation(instrument, instrument.liquidation, to)
                instrument.liquidation = None
        for stream in list(self._timed.values()):
            self._tick(stream, to)

    def _publish(self, happening: Happening, now: int) -> None:
        instrument = self.instruments[happening.symbol]
        trade, top, _, _ = instrument.names
        match happening:
            case Trade() if self._hub.wants(trade):
                self._send(trade, frames.trade(instrument.spelling, happening), now)
            case Top() if self._hub.wants(top):
                self._send(top, frames.book_ticker(instrument.spelling, happening), now)
            case Aggregate():
                instrument.batches.add(happening)
            case Liquidation():
                instrument.liquidation = happening
            case _:
                pass

    def _close_batch(self, instrument: _Instrument, now: int) -> None:
        name = instrument.names[2]
        closed = instrument.batches.close()
        if self._hub.wants(name):
            for each in closed:
                text = frames.aggregate(instrument.spelling, each, instrument.lot, now)
                self._send(name, text, now)

    def _tell_liquidation(self, instrument: _Instrument, told: Liquidation, now: int) -> None:
        parts = told.qty // instrument.lot
        last_fill = max(1, parts - parts // 3) * instrument.lot
        text = frames.force_order(instrument.spelling, told, last_fill, now)
        self._send(instrument.names[3], text, now)
        self._send("!forceOrder@arr", text, now)
        for shadowed in self._all.force_orders(told, now):
            self._send("!forceOrder@arr", shadowed, now)

    def _tick(self, stream: Stream, now: int) -> None:
        if not self._hub.wants(stream.name):
            del self._timed[stream.name]
            self._sent.pop(stream.name, None)
            return
        if now % stream.every == 0:
            for text in self._texts(stream, now):
                self._send(stream.name, text, now)

    def _send(self, name: str, text: str, now: int) -> None:
        if self._hub.wants(name):
            told = text if self._merged else frames.before_merge(text)
            self._hub.send(Message(name, lambda _: told), now)

    def _texts(self, stream: Stream, now: int) -> Iterable[str]:
        match stream.kind:
            case "depth":
                return self._depth(stream, now)
            case "partial":
                return self._partial(stream, now)
            case "kline" | "continuousKline":
                return self._candle(stream, now)
            case "markPrice" | "ticker" | "miniTicker":
                return self._of_symbol(stream, now)
            case _:
                return self._all.texts(stream.kind, now)

    def _depth(self, stream: Stream, now: int) -> Iterator[str]:
        instrument = self.instruments[stream.symbol]
        told = instrument.windows.told(stream.every)
        if told is not None:
            yield frames.depth(instrument.spelling, told, now)

    def _partial(self, stream: Stream, now: int) -> Iterator[str]:
        view = self._market.book(stream.symbol, stream.levels)
        previous = self._sent.get(stream.name, view.update_id - 1)
        if previous == view.update_id:
            return
        self._sent[stream.name] = view.update_id
        told = Told(
            told_id(previous + 1), told_id(view.update_id), told_id(previous),
            dict(view.bids), dict(view.asks),
        )  # fmt: skip
        yield frames.depth(self.instruments[stream.symbol].spelling, told, now)

    def _of_symbol(self, stream: Stream, now: int) -> Iterator[str]:
        market, symbol = self._market, stream.symbol
        written = self.instruments[symbol].spelling
        if stream.kind == "markPrice":
            yield frames.mark_price(written, market.mark(symbol), now)
            return
        day = market.day(symbol)
        if stream.kind == "miniTicker":
            yield frames.mini_ticker(written, day)
        else:
            trades = market.trades(symbol)
            last_qty = trades[-1].qty if trades else market.listing(symbol).lot
            yield frames.ticker(written, day, day.average, last_qty)

    def _candle(self, stream: Stream, now: int) -> Iterator[str]:
        """The last frame of a bar is the closed one; the running one only if it changed."""
        symbol, interval = stream.symbol, stream.interval
        open_ts = opened(now, interval)
        if open_ts == now:
            return  # of the bar before, the closed frame is still to come
        closed = open_ts == now - _QUARTER
        if closed:
            open_ts = opened(now - _QUARTER - 1, interval)
        bar = copy.copy(self._market.bar(symbol, interval, open_ts))
        if not closed and self._sent.get(stream.name) == bar.last:
            return
        self._sent[stream.name] = bar.last
        render = frames.kline if stream.kind == "kline" else frames.continuous_kline
        over = closed and following(bar.open_ts, interval) <= now
        yield render(self.instruments[symbol].spelling, interval, bar, now, closed=over)
