"""Which channels the Exchange feed has, and when each sends.

Matches and tickers go out as things happen, a ticker once for each taker order; books in batches
on a grid of 50 ms; heartbeats at whole seconds; tickers in batches and the status each 5 s.
A stream is a channel with a product (`matches|BTC-USD`); the status has no product.
"""

import msgspec

from tapewatch.sim import coinbase_frames as frames
from tapewatch.sim.book import Changes
from tapewatch.sim.coinbase_floor import GRID, STATUS_EVERY, TICKER_EVERY, Floor
from tapewatch.sim.coinbase_products import currencies, exchange_products
from tapewatch.sim.coinbase_texts import SECOND, batch_ts, places
from tapewatch.sim.happenings import Trade
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.messages import Message

STATUS = "status"


def stream_of(channel: str, symbol: str) -> str:
    """The name of a stream."""
    return STATUS if channel == STATUS else f"{channel}|{symbol}"


class Publisher:
    """Moves the market along the grid and sends what the streams show."""

    def __init__(self, market: Market, hub: Hub) -> None:
        self.floor = Floor(market)
        self._market = market
        self._hub = hub
        self._decimals = {s: places(market.listing(s).tick) for s in market.symbols}
        self._names = {
            s: tuple(
                stream_of(channel, s)
                for channel in ("matches", "ticker", "level2_batch", "heartbeat", "ticker_batch")
            )
            for s in market.symbols
        }
        self._batched: dict[str, int] = {}  # the last trade that a `ticker_batch` showed

    def first(self, channel: str, symbol: str) -> str | None:
        """The frame with which a subscription begins, if it begins with one."""
        floor = self.floor
        match channel:
            case "matches":
                last = floor.newest(symbol)
                sequence, decimals = floor.sequence_of(last), self._decimals[symbol]
                return frames.match(last, sequence, decimals, kind="last_match")
            case "level2_batch":
                view, now = self._market.book(symbol), self._market.now
                return frames.snapshot(symbol, view.bids, view.asks, now, self._decimals[symbol])
            case "ticker" | "ticker_batch":
                return self._ticker(symbol)
            case "status":
                return self._status()
            case _:
                return None

    def step(self, to: int) -> None:
        """Advance to `to`, which must not lie beyond the next point of the grid."""
        for order in self.floor.advance(to):
            self._publish(order, to)
        if to % GRID:
            return
        for symbol, changes in self.floor.collect().items():
            self._tick(symbol, changes, to)
        if to % STATUS_EVERY == 0 and self._hub.wants(STATUS):
            self._text(STATUS, self._status(), to)

    def _publish(self, order: list[Trade], now: int) -> None:
        symbol = order[-1].symbol
        matches, ticker, *_ = self._names[symbol]
        if self._hub.wants(matches):
            for fill in order:
                sequence = self.floor.sequence_of(fill)
                self._text(matches, frames.match(fill, sequence, self._decimals[symbol]), now)
        if self._hub.wants(ticker):
            self._text(ticker, self._ticker(symbol), now)

    def _tick(self, symbol: str, changes: Changes | None, now: int) -> None:
        _, _, book, heartbeat, batch = self._names[symbol]
        hub, floor = self._hub, self.floor
        if changes is not None and hub.wants(book):
            ts, decimals = batch_ts(symbol, now), self._decimals[symbol]
            self._text(book, frames.update(symbol, changes, ts, decimals), now)
        if now % SECOND == 0 and hub.wants(heartbeat):
            last = self._market.newest_ids(symbol)[0]
            beat = frames.heartbeat(symbol, last, floor.sequence(symbol), now)
            self._text(heartbeat, beat, now)
        if now % TICKER_EVERY == 0 and hub.wants(batch):
            last = floor.newest(symbol).id
            if self._batched.get(symbol) != last:
                self._batched[symbol] = last
                self._text(batch, self._ticker(symbol), now)

    def _text(self, stream: str, text: str, now: int) -> None:
        self._hub.send(Message(stream, lambda _: text), now)

    def _ticker(self, symbol: str) -> str:
        last = self.floor.ticker(symbol)
        sequence = self.floor.sequence_of(last.trade)
        return frames.ticker(last, sequence, self._decimals[symbol])

    def _status(self) -> str:
        rows = {
            "type": "status",
            "products": exchange_products(self._market),
            "currencies": currencies(self._market),
        }
        return msgspec.json.encode(rows).decode()
