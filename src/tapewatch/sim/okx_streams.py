"""Which channels the simulated OKX has, and when each sends.

Trades, fills and liquidations are sent as they happen, a trade before the book that contains it.
The rest is sent at fixed times: best prices each 10 ms, books and tickers each 100 ms, always in
the order bbo-tbt, books, books5; the others less often, and most of them only after a change.
A candle comes once a second, 100 ms after it, so that the last frame of a bar is the closed one.
Not offered: candles that open in UTC+8, of 2 or 5 days and 3 months; tick books (for members);
ELP books; options and futures; `instruments`, `price-limit`, `status`.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from tapewatch.sim import okx_frames as frames
from tapewatch.sim.bars import SECOND, opened
from tapewatch.sim.happenings import Aggregate, Happening, Liquidation, Top, Trade
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.messages import Message
from tapewatch.sim.okx_books import BookFeed
from tapewatch.sim.okx_rows import BARS, Rows
from tapewatch.sim.okx_swaps import Swaps

GRID = 10_000  # microseconds
_BOOKS = 100_000
LIQUIDATIONS = "liquidation-orders|SWAP"
PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"
_CANDLE = "candle"
# in the order in which they are sent; microseconds between two looks, and the longest silence
_TIMED = {
    "bbo-tbt": (GRID, None),
    "books": (_BOOKS, None),
    "books5": (_BOOKS, None),
    "tickers": (_BOOKS, None),
    "index-tickers": (_BOOKS, None),
    "mark-price": (200_000, 10 * SECOND),
    "open-interest": (3 * SECOND, None),
    "funding-rate": (60 * SECOND, 60 * SECOND),
    _CANDLE: (SECOND, None),
}
_SLOW = tuple(channel for channel in _TIMED if channel not in {"bbo-tbt", "books"})
_SWAPS_ONLY = {"mark-price", "open-interest", "funding-rate"}
_REAL_TIME = {"trades": PUBLIC, "trades-all": BUSINESS}


class Stream(Struct, frozen=True):
    """A channel of one instrument; `name` is unique in the hub."""

    name: str
    channel: str
    symbol: str  # `instId`, which is an index for `index-tickers`
    interval: str = ""


class Publisher:
    """Moves the market along the grid and sends what the streams show."""

    def __init__(self, market: Market, hub: Hub, *, checksums: bool = False) -> None:
        self._market = market
        self._hub = hub
        self._feeds = {
            symbol: BookFeed(
                market.listing(symbol), market.live_book(symbol), hub, checksums=checksums
            )
            for symbol in market.symbols
        }
        sequences = {symbol: feed.sequence for symbol, feed in self._feeds.items()}
        self._swaps = Swaps(market)
        self.rows = Rows(market, sequences, self._swaps)
        self._present: dict[str, Callable[[str], str]] = {
            "bbo-tbt": self.rows.best,
            "books5": self.rows.top_five,
            "tickers": self.rows.ticker,
            "index-tickers": self.rows.index_ticker,
            "mark-price": self.rows.mark_price,
            "open-interest": self.rows.open_interest,
            "funding-rate": self.rows.funding_rate,
        }
        self._timed: dict[str, dict[str, Stream]] = {channel: {} for channel in _TIMED}
        self._shown: dict[str, tuple[str, int]] = {}  # by stream: what, and when
        self._tops: set[str] = set()  # whose best prices changed since the last bbo-tbt
        self._busy: set[str] = set()  # that traded or changed since the last ticker
        self._liquidated: dict[str, int] = {}

    def parsed(self, path: str, arg: Mapping[str, str]) -> Stream | None:
        """What an `arg` means on this socket; None if there is no such channel."""
        channel = arg.get("channel", "")
        if channel == "liquidation-orders" and path == PUBLIC:
            kind = arg.get("instType", "")
            return Stream(f"{channel}|{kind}", channel, kind) if kind else None
        symbol = arg.get("instId", "")
        interval = BARS.get(channel.removeprefix(_CANDLE), "")
        if channel.startswith(_CANDLE) and interval:
            home, kind = BUSINESS, _CANDLE
        else:
            home, kind = _REAL_TIME.get(channel, PUBLIC), channel
        is_known = kind in _REAL_TIME or (kind in _TIMED and (kind == _CANDLE) == bool(interval))
        if not is_known or home != path or symbol not in self._instruments(kind):
            return None
        return Stream(f"{channel}|{symbol}", kind, symbol, interval)

    def opens(self, stream: Stream) -> str:
        """Prepare to send a stream. The answer is its present as a frame; empty: none yet."""
        if stream.channel not in self._timed or stream.channel == "books":
            return ""
        self._timed[stream.channel][stream.name] = stream
        row = self._row(stream, self._looked_at(stream.channel))
        self._shown.setdefault(stream.name, (_timeless(row), self._market.now))
        return self._frame(stream, row)

    def reset_sequences(self, symbol: str | None = None) -> None:
        """Let `seqId` begin anew, of one instrument or of all, as after maintenance."""
        for name, feed in self._feeds.items():
            if symbol in {None, name}:
                feed.reset()

    def step(self, to: int) -> None:
        """Advance to `to`, which must not lie beyond the next point of the grid."""
        self._publish(self._market.advance(to), to)
        if to % GRID == 0:
            self._best(to)
        if to % _BOOKS == 0:
            for feed in self._feeds.values():
                feed.tick(to)
            for channel in _SLOW:
                self._tick(channel, to)
            self._busy.clear()

    def _instruments(self, channel: str) -> Mapping[str, object] | tuple[str, ...]:
        if channel == "index-tickers":
            return self.rows.indices
        return self._swaps.symbols if channel in _SWAPS_ONLY else self._market.symbols

    def _publish(self, happened: list[Happening], now: int) -> None:
        """A trade has the `seqId` of its order, which the new top tells that comes after it."""
        waiting: dict[str, list[Aggregate]] = {}
        for each in happened:
            if isinstance(each, Trade):
                self._fill(each, now)
            elif isinstance(each, Aggregate):
                waiting.setdefault(each.symbol, []).append(each)
                self._swaps.count(each)
            elif isinstance(each, Top):
                self._tops.add(each.symbol)
                self._trades(waiting.pop(each.symbol, []), each.update_id, now)
            else:
                self._liquidation(each, now)
            self._busy.add(each.symbol)
        for symbol, rest in waiting.items():
            self._trades(rest, self._market.live_book(symbol).update_id, now)

    def _fill(self, trade: Trade, now: int) -> None:
        name = f"trades-all|{trade.symbol}"
        if self._hub.wants(name):
            row = frames.fill(self._market.listing(trade.symbol), trade)
            self._send(name, frames.pushed("trades-all", trade.symbol, row), now)

    def _trades(self, orders: list[Aggregate], update_id: int, now: int) -> None:
        for order in orders:
            name = f"trades|{order.symbol}"
            if self._hub.wants(name):
                seq = self.rows.seq(order.symbol, update_id)
                row = frames.trade(self._market.listing(order.symbol), order, seq)
                self._send(name, frames.pushed("trades", order.symbol, row), now)

    def _liquidation(self, told: Liquidation, now: int) -> None:
        """At most one a second of an instrument; the others are never told."""
        last = self._liquidated.get(told.symbol)
        if last is not None and told.ts - last < SECOND:
            return
        self._liquidated[told.symbol] = told.ts
        if self._hub.wants(LIQUIDATIONS):
            text = frames.liquidation(self._market.listing(told.symbol), told)
            self._send(LIQUIDATIONS, text, now)

    def _best(self, now: int) -> None:
        for stream in self._wanted("bbo-tbt"):
            if stream.symbol in self._tops:
                self._send(stream.name, self._frame(stream, self.rows.best(stream.symbol)), now)
        self._tops.clear()

    def _tick(self, channel: str, now: int) -> None:
        every, longest = _TIMED[channel]
        at = self._looked_at(channel)
        if at % every:
            return
        for stream in self._wanted(channel):
            if channel == "tickers" and stream.symbol not in self._busy:
                continue
            row = self._row(stream, at)
            what, when = self._shown.get(stream.name, ("", 0))
            essence = _timeless(row)
            if essence != what or (longest is not None and now - when >= longest):
                self._shown[stream.name] = (essence, now)
                self._send(stream.name, self._frame(stream, row), now)

    def _looked_at(self, channel: str) -> int:
        """Candles look back: what happened just before the end of a bar must be known."""
        return self._market.now - _BOOKS if channel == _CANDLE else self._market.now

    def _wanted(self, channel: str) -> list[Stream]:
        """Those with listeners; the others are forgotten."""
        streams = self._timed[channel]
        for name in [name for name in streams if not self._hub.wants(name)]:
            del streams[name]
            self._shown.pop(name, None)
        return list(streams.values())

    def _row(self, stream: Stream, at: int) -> str:
        """What the channel says now; a candle is that which contains or ends at `at`."""
        if stream.channel != _CANDLE:
            return self._present[stream.channel](stream.symbol)
        open_ts = opened(at - 1, stream.interval)
        bar = self._market.bar(stream.symbol, stream.interval, open_ts)
        return self.rows.candle(stream.symbol, bar, stream.interval)

    def _frame(self, stream: Stream, row: str) -> str:
        return frames.pushed(stream.name.partition("|")[0], stream.symbol, row)

    def _send(self, name: str, text: str, now: int) -> None:
        self._hub.send(Message(name, lambda _: text), now)


def _timeless(row: str) -> str:
    """A row without its time and number, to see whether anything changed."""
    return row.partition('"ts":"')[0]
