"""Which topics Bybit has, and when each sends.

Trades come as they happen, one frame for a taker order; books, tickers and liquidations on a grid
of 10 ms at the pace of their topic; candles every second, a closed one at its end.
Not offered: `orderbook.rpi`, `orderbook.full`, insurance, ADL and price limit.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

from tapewatch.sim import bybit_frames as frames
from tapewatch.sim import bybit_tickers as tickers
from tapewatch.sim.bars import SECOND, opened
from tapewatch.sim.bybit_books import EVERY, Depth
from tapewatch.sim.bybit_desk import Desk
from tapewatch.sim.bybit_frames import INTERVALS, MILLI, Fill
from tapewatch.sim.bybit_funding import Fundings
from tapewatch.sim.bybit_listing import LINEAR, SPOT
from tapewatch.sim.happenings import Liquidation, Top, Trade
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.messages import Message

GRID = 10_000  # microseconds
MOST_ROWS = 1_024  # trades in a frame
_TICKERS = {SPOT: 50_000, LINEAR: 100_000}
_LIQUIDATIONS = 500_000
_MOST_WAITING = 10_000  # liquidations of half a second


class Topic(Struct, frozen=True):
    """A topic of one category taken apart. `every` is 0 for what is sent in real time."""

    stream: str  # `linear/orderbook.50.BTCUSDT`: our name, which faults see
    text: str
    symbol: str
    kind: str
    every: int
    levels: int = 0
    interval: str = ""


def parsed(category: str, text: str, symbols: Iterable[str]) -> Topic | None:
    """What `text` means on the socket of this category; None if there is no such topic."""
    kind, _, rest = text.partition(".")
    detail, _, name = rest.rpartition(".")
    symbol, stream = f"{category}/{name}", f"{category}/{text}"
    pace = _pace(category, kind, detail)
    if symbol not in symbols or pace is None:
        return None
    levels = int(detail) if kind == "orderbook" else 0
    return Topic(stream, text, symbol, kind, pace, levels, INTERVALS.get(detail, ""))


def _pace(category: str, kind: str, detail: str) -> int | None:
    """How often a topic sends (0: in real time); None if there is no such topic."""
    match kind:
        case "publicTrade" if not detail:
            return 0
        case "tickers" if not detail:
            return _TICKERS[category]
        case "allLiquidation" if not detail and category == LINEAR:
            return _LIQUIDATIONS
        case "orderbook" if detail.isdecimal():
            return EVERY.get(int(detail))
        case "kline" if detail in INTERVALS:
            return SECOND
    return None


class Publisher:
    """Moves the market along the grid and sends what the topics show."""

    def __init__(self, market: Market, hub: Hub) -> None:
        self.desks = {
            symbol: Desk(market.listing(symbol), market.live_book(symbol).update_id, market.now)
            for symbol in market.symbols
        }
        self.fundings = Fundings()
        self._market = market
        self._hub = hub
        self._timed: dict[str, Topic] = {}
        self._depths: dict[tuple[str, int], Depth] = {}
        self._rows: dict[str, tickers.Row] = {}  # of linear tickers, as last sent
        self._orders: dict[str, list[Trade]] = {}  # taker orders of which the end is not seen yet
        self._closed: dict[str, list[Liquidation]] = {}
        self._matched: dict[str, int] = {}  # by kline topic: the last match that was told

    def find(self, category: str, text: str) -> Topic | None:
        """The topic of this text, if there is one."""
        return parsed(category, text, self.desks)

    def open(self, topic: Topic) -> str | None:
        """Prepare to send a topic; the first frame for who begins to listen, if it has one."""
        if topic.every:
            self._timed[topic.stream] = topic
        desk, now = self.desks[topic.symbol], self._market.now
        if topic.kind == "orderbook":
            return self.depth(topic.symbol, topic.levels).snapshot()
        if topic.kind == "tickers":
            if desk.is_spot:
                row = tickers.spot_row(self._market, desk)
                return frames.spot_ticker(desk.name, row, desk.seq, now)
            if not self._hub.wants(topic.stream):
                self._rows[topic.symbol] = tickers.linear_row(self._market, desk)
            row = self._rows[topic.symbol]
            return frames.linear_ticker(desk.name, "snapshot", row, desk.seq, now)
        return None

    def is_silent(self, topic: Topic) -> bool:
        """Whether a stall holds this topic: its first frame is lost then too."""
        return self._hub.is_silent(topic.stream, self._market.now)

    def depth(self, symbol: str, levels: int) -> Depth:
        """A book topic; up to date if nobody listens to it."""
        desk, now = self.desks[symbol], self._market.now
        found = self._depths.get((symbol, levels))
        if found is None:
            live = self._market.live_book(symbol)
            found = self._depths[symbol, levels] = Depth(desk, live, levels, now)
        elif not self._hub.wants(f"{desk.category}/{found.topic}"):
            found.renew(now)
        return found

    def restart(self, streams: str = "*", kind: str = "snapshot") -> int:
        """As after a restart of the venue: the whole book under `u` 1. How many topics sent it.

        `kind` "delta" gives the frames the wrong type, which the venue warns of.
        """
        count = 0
        for topic in self._timed.values():
            wanted = topic.kind == "orderbook" and fnmatchcase(topic.stream, streams)
            if wanted and self._hub.wants(topic.stream):
                count += 1
                depth = self.depth(topic.symbol, topic.levels)
                self._send(topic.stream, depth.restart(self._market.now, kind), self._market.now)
        return count

    def step(self, to: int) -> None:
        """Advance to `to`, which must not lie beyond the next point of the grid."""
        for happening in self._market.advance(to):
            match happening:
                case Trade():
                    self._take(happening, to)
                case Top():
                    self._end_order(happening.symbol, happening.update_id, to)
                case Liquidation():
                    self._closed.setdefault(happening.symbol, []).append(happening)
                    del self._closed[happening.symbol][:-_MOST_WAITING]
        for symbol, desk in self.desks.items():
            live = self._market.live_book(symbol)
            self._end_order(symbol, live.update_id, to)
            desk.settle(live.update_id, to)
        if to % GRID == 0:
            if to % SECOND == 0:
                self._tidy()
            for topic in list(self._timed.values()):
                self._tick(topic, to)

    def _take(self, trade: Trade, now: int) -> None:
        """One more fill; fills of one moment and side are of one taker order."""
        order = self._orders.setdefault(trade.symbol, [])
        last = order[-1] if order else trade
        if (last.ts, last.buyer_is_maker) != (trade.ts, trade.buyer_is_maker):
            self._end_order(trade.symbol, 0, now)
            order = self._orders[trade.symbol] = []
        order.append(trade)

    def _end_order(self, symbol: str, seq: int, now: int) -> None:
        order = self._orders.pop(symbol, None)
        if not order:
            return
        desk = self.desks[symbol]
        fills = desk.filled(order, seq)
        stream = f"{desk.category}/publicTrade.{desk.name}"
        if self._hub.wants(stream):
            for text in trade_texts(desk, fills):
                self._send(stream, text, now)

    def _tidy(self) -> None:
        """Changes pile up in a book until somebody takes them; here nobody needs them."""
        for symbol, desk in self.desks.items():
            self._market.live_book(symbol).take_changes()
            if not desk.is_spot:
                self.fundings.see(symbol, self._market.mark(symbol))
        heard = {t.symbol for t in self._timed.values() if t.kind == "allLiquidation"}
        self._closed = {symbol: rows for symbol, rows in self._closed.items() if symbol in heard}

    def _tick(self, topic: Topic, now: int) -> None:
        if not self._hub.wants(topic.stream):
            del self._timed[topic.stream]
            self._matched.pop(topic.stream, None)
            return
        if now % topic.every:
            return
        text = self._text(topic, now)
        if text is not None:
            self._send(topic.stream, text, now)

    def _text(self, topic: Topic, now: int) -> str | None:
        match topic.kind:
            case "orderbook":
                return self._depths[topic.symbol, topic.levels].tick(now)
            case "tickers":
                return self._ticker(topic, now)
            case "kline":
                return self._kline(topic, now)
            case _:
                return self._liquidations(topic, now)

    def _ticker(self, topic: Topic, now: int) -> str | None:
        desk = self.desks[topic.symbol]
        if desk.is_spot:
            row, before = tickers.spot_row(self._market, desk), self._rows.get(topic.symbol)
            self._rows[topic.symbol] = row
            return None if row == before else frames.spot_ticker(desk.name, row, desk.seq, now)
        row = tickers.linear_row(self._market, desk)
        delta = tickers.changed(self._rows[topic.symbol], row)
        self._rows[topic.symbol] = row
        if delta is None:
            return None
        return frames.linear_ticker(desk.name, "delta", delta, desk.seq, now)

    def _kline(self, topic: Topic, now: int) -> str | None:
        desk, interval = self.desks[topic.symbol], topic.interval
        open_ts = opened(now, interval)
        closed = open_ts == now
        if closed:
            open_ts = opened(now - 1, interval)
        elif self._matched.get(topic.stream) == desk.matched:
            return None  # nothing was traded since the last frame
        # a bar that begins is told even if nothing is traded in it
        self._matched[topic.stream] = -1 if closed else desk.matched
        bar = self._market.bar(topic.symbol, interval, open_ts)
        return frames.kline(topic.text, bar, desk.numbers, now, desk.matched, closed=closed)

    def _liquidations(self, topic: Topic, now: int) -> str | None:
        desk, rows = self.desks[topic.symbol], self._closed.pop(topic.symbol, None)
        return frames.liquidations(desk.name, rows, now, desk.numbers) if rows else None

    def _send(self, stream: str, text: str, now: int) -> None:
        self._hub.send(Message(stream, lambda _: text), now)


def trade_texts(desk: Desk, fills: list[Fill], most: int = MOST_ROWS) -> list[str]:
    """The frames of one taker order; what does not fit into one goes into more, with equal `seq`."""
    render = frames.spot_trades if desk.is_spot else frames.linear_trades
    sent = fills[0].trade.ts + 2 * MILLI
    parts = (fills[at : at + most] for at in range(0, len(fills), most))
    return [render(desk.name, part, sent, desk.numbers) for part in parts]
