"""Which channels the Advanced Trade feed has, and when each sends.

Books in batches on a grid of 50 ms, sometimes empty ones; trades and tickers in batches each
100 ms, when there was a trade; candles of five minutes and heartbeats each second; tickers in
batches and the status each 5 s. A stream is a channel with a product (`level2|BTC-USD`);
heartbeats and the status have none.
"""

from collections.abc import Iterator
from zlib import crc32

from tapewatch.sim import coinbase_advanced_frames as frames
from tapewatch.sim.bars import opened
from tapewatch.sim.book import Changes
from tapewatch.sim.coinbase_floor import GRID, STATUS_EVERY, TICKER_EVERY, Floor, newest
from tapewatch.sim.coinbase_products import status_product
from tapewatch.sim.coinbase_texts import SECOND, batch_ts, places
from tapewatch.sim.happenings import Trade
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import Market

HEARTBEATS, STATUS = "heartbeats", "status"
_TRADES_EVERY = 100_000
_FIRST_TRADES = 100
_FIRST_CANDLES = 100
_EMPTY = 4  # each fourth batch of a book that did not change is sent, empty
_DELIVERED = {"level2": "l2_data"}  # the name in frames, where it is another one


def stream_of(channel: str, symbol: str) -> str:
    """The name of a stream."""
    return channel if channel in {HEARTBEATS, STATUS} else f"{channel}|{symbol}"


class Publisher:
    """Moves the market along the grid and sends what the streams show."""

    def __init__(self, market: Market, hub: Hub, *, has_client_id: bool) -> None:
        self.floor = Floor(market)
        self._market = market
        self._hub = hub
        self._has_client_id = has_client_id
        self._start = market.now
        self._sent = 0
        self._decimals = {s: places(market.listing(s).tick) for s in market.symbols}
        self._waiting: dict[str, list[Trade]] = {s: [] for s in market.symbols}
        self._batched: dict[str, int] = {}  # the last trade that a `ticker_batch` showed

    def tell(self, link: Link, channel: str, event: str) -> None:
        """Send one client a frame that nobody else gets."""
        link.push(frames.numbered(self._text(channel, event, self._market.now), link.state.take()))

    def first(self, channel: str, symbol: str) -> Iterator[str]:
        """The events with which a subscription begins; a book also has an empty update."""
        market, now = self._market, self._market.now
        match channel:
            case "level2":
                view = market.book(symbol)
                yield frames.book("snapshot", symbol, view.bids, view.asks, now)
                yield frames.book("update", symbol, (), (), now)
            case "market_trades":
                yield frames.trades("snapshot", newest(market, symbol, _FIRST_TRADES))
            case "ticker" | "ticker_batch":
                yield frames.ticker("snapshot", self.floor.ticker(symbol))
            case "candles":
                bars = market.klines(symbol, "5m", None, None, _FIRST_CANDLES)
                traded = [bar for bar in reversed(bars) if bar.trades]
                yield frames.candles("snapshot", symbol, traded, self._decimals[symbol])
            case "status":
                yield self._status("snapshot")
            case _:
                return

    def step(self, to: int) -> None:
        """Advance to `to`, which must not lie beyond the next point of the grid."""
        for order in self.floor.advance(to):
            self._waiting[order[-1].symbol] += order
        if to % GRID:
            return
        for symbol, changes in self.floor.collect().items():
            self._book(symbol, changes, to)
            if to % _TRADES_EVERY == 0:
                self._trades(symbol, to)
            if to % SECOND == 0:
                self._each_second(symbol, to)
        if to % SECOND == 0:
            self._send(HEARTBEATS, "", frames.heartbeat(to, to - self._start), to)
        if to % STATUS_EVERY == 0 and self._hub.wants(STATUS):
            self._send(STATUS, "", self._status("update"), to)

    def _book(self, symbol: str, changes: Changes | None, now: int) -> None:
        if not self._hub.wants(stream_of("level2", symbol)):
            return
        if changes is not None:
            bids = sorted(changes.bids.items(), reverse=True)
            offers = sorted(changes.asks.items())
            event = frames.book("update", symbol, bids, offers, batch_ts(symbol, now))
            self._send("level2", symbol, event, now)
        elif (now // GRID + crc32(symbol.encode())) % _EMPTY == 0:
            self._send("level2", symbol, frames.book("update", symbol, (), (), now), now)

    def _trades(self, symbol: str, now: int) -> None:
        waiting = self._waiting[symbol]
        if not waiting:
            return
        if self._hub.wants(stream_of("market_trades", symbol)):
            self._send("market_trades", symbol, frames.trades("update", waiting[::-1]), now)
        waiting.clear()
        if self._hub.wants(stream_of("ticker", symbol)):
            event = frames.ticker("update", self.floor.ticker(symbol))
            self._send("ticker", symbol, event, now)

    def _each_second(self, symbol: str, now: int) -> None:
        """At the end of a candle its last frame comes; the next one follows a second later."""
        if self._hub.wants(stream_of("candles", symbol)):
            bar = self._market.bar(symbol, "5m", opened(now - 1, "5m"))
            if bar.trades:
                event = frames.candles("update", symbol, (bar,), self._decimals[symbol])
                self._send("candles", symbol, event, now)
        if now % TICKER_EVERY == 0 and self._hub.wants(stream_of("ticker_batch", symbol)):
            last = self.floor.ticker(symbol)
            if self._batched.get(symbol) != last.trade.id:
                self._batched[symbol] = last.trade.id
                self._send("ticker_batch", symbol, frames.ticker("update", last), now)

    def _send(self, channel: str, symbol: str, event: str, now: int) -> None:
        stream = stream_of(channel, symbol)
        links = self._hub.listeners(stream)
        if links:
            text = self._text(channel, event, now)
            self._hub.send(frames.Numbered(stream, text, links), now)

    def _text(self, channel: str, event: str, ts: int) -> str:
        self._sent += 1
        delivered = _DELIVERED.get(channel, channel)
        return frames.envelope(delivered, event, ts, self._sent, has_client_id=self._has_client_id)

    def _status(self, kind: str) -> str:
        market = self._market
        return frames.status(kind, [status_product(market.listing(s)) for s in market.symbols])
