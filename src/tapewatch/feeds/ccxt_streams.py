"""One stream of one instrument through CCXT: asked for again and again, with patience.

    CONNECTING ──asked──> SUBSCRIBING ──first data──> STREAMING
        ^                                               | error, or its connection is lost
        +──────── BACKOFF or BLOCKED <──────── Gap <────+
    CLOSED: given up, in words (it has no such symbol, it needs a key)

What CCXT gives has no proof: it keeps its own books and numbers no trades. So each loss is a Gap,
even if perhaps nothing was missed; trades are told once, by id; and a book is passed on a moment
after it was read, unless an error came in between, because CCXT shows a book before it says that
the checksum was wrong.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tapewatch.feeds.ccxt_config import BOOK, TICKER, TRADES
from tapewatch.feeds.ccxt_desk import Desk
from tapewatch.feeds.ccxt_errors import FINAL, Reaction, Verdict, judge
from tapewatch.feeds.ccxt_events import (
    Levels,
    Row,
    Units,
    book_seq,
    book_time,
    to_levels,
    to_quote,
    to_ticker,
    to_trades,
)
from tapewatch.model.errors import BadFrame
from tapewatch.model.events import AnyEvent, BookSnapshot, Gap, Micros
from tapewatch.model.instrument import split_id
from tapewatch.model.times import SECOND
from tapewatch.ports import LinkState, Subscription
from tapewatch.wire.backoff import Backoff

# CCXT remembers so many trades of an instrument; when more come at once the first are gone.
TRADES_LIMIT = 1_000
_KNOWN_IDS = 5_000
_GOOD_SECS = 60.0  # of streaming, after which a failure is a new one
_METHODS = {  # in the words of `exchange.has`: of one instrument, of many
    TRADES: ("watchTrades", "watchTradesForSymbols"),
    BOOK: ("watchOrderBook", "watchOrderBookForSymbols"),
    TICKER: ("watchTicker", "watchTickers"),
}
_UNWATCH = {
    TRADES: ("un_watch_trades", "un_watch_trades_for_symbols"),
    BOOK: ("un_watch_order_book", "un_watch_order_book_for_symbols"),
    TICKER: ("un_watch_ticker", "un_watch_tickers"),
}


def can_stream(exchange: Any, channel: str) -> bool:
    return any(exchange.has.get(method) for method in _METHODS[channel])


class Stream:
    """`run` never ends by itself, unless the stream is given up."""

    def __init__(self, subscription: Subscription, desk: Desk) -> None:
        self.subscription = subscription
        self.symbol = split_id(subscription.inst)[1]
        self.state = LinkState.CONNECTING
        self.since = desk.clock()
        self.url = ""
        self.error = ""
        self.retry_at: Micros | None = None
        self.last_data = Micros(0)
        self.latency_ms: float | None = None
        self.place = 0  # moves with all that comes
        self._desk = desk
        config = desk.config
        self._backoff = Backoff(config.reconnect_delay, config.max_reconnect_delay, desk.rng)
        self._units = Units.of(desk.venue, desk.exchange.markets[self.symbol])
        self._ids: dict[str, None] = {}
        self._copy: tuple[Levels, Micros, int] | None = None
        self._shown: Levels | None = None
        self._shown_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._live_since = 0.0

    async def run(self) -> None:
        desk = self._desk
        while True:
            verdict = await attempt(self._follow, desk.venue)
            self.lost(verdict.reason)
            desk.failed(self.subscription, verdict)
            if verdict.reaction in FINAL:
                self.give_up(verdict.reason)
                return
            self.error = verdict.reason
            delay = desk.patience(verdict, self._backoff)
            blocked = verdict.reaction is Reaction.BLOCKED
            self._enter(LinkState.BLOCKED if blocked else LinkState.BACKOFF)
            self.retry_at = Micros(desk.clock() + int(delay * SECOND))
            await asyncio.sleep(delay)

    def lost(self, reason: str) -> None:
        """What comes next does not join what came before."""
        self._forget_book()
        if self.state is not LinkState.STREAMING:
            return
        self._enter(LinkState.CONNECTING)
        self.error = reason
        if self.subscription.channel == TICKER:
            return
        recv = self._desk.now()
        inst, channel = self.subscription.inst, self.subscription.channel
        self._desk.say([Gap(recv, recv, inst, channel, reason)])

    def give_up(self, reason: str) -> None:
        """It will not be asked for again."""
        self.error, self.retry_at = reason, None
        self._enter(LinkState.CLOSED)

    def end(self) -> None:
        """No longer wanted."""
        self._forget_book()

    def unwatch(self, exchange: Any) -> Callable[[], Awaitable[Any]] | None:
        """How to tell the venue that it is no longer wanted; None if CCXT cannot."""
        names = _METHODS[self.subscription.channel]
        one, many = (exchange.has.get(f"un{name[0].upper()}{name[1:]}") for name in names)
        of_one, of_many = _UNWATCH[self.subscription.channel]
        if one:
            return lambda: getattr(exchange, of_one)(self.symbol)
        return (lambda: getattr(exchange, of_many)([self.symbol])) if many else None

    async def _follow(self) -> None:
        """Await the stream for ever; raises what CCXT raises."""
        desk, exchange, symbol = self._desk, self._desk.exchange, self.symbol
        take, call = self._way(exchange, symbol)
        while True:
            await desk.calm()
            if self.state is not LinkState.STREAMING:
                self._enter(LinkState.SUBSCRIBING)
                self.retry_at = None
            take(await call())

    def _way(
        self, exchange: Any, symbol: str
    ) -> tuple[Callable[[Any], None], Callable[[], Awaitable[Any]]]:
        """How to take what comes, and how to ask. One symbol a call: calls for many come late."""
        has = exchange.has
        match self.subscription.channel:
            case "trades" if has.get("watchTrades"):
                return self._take_trades, lambda: exchange.watch_trades(symbol)
            case "trades":
                return self._take_trades, lambda: exchange.watch_trades_for_symbols([symbol])
            case "orderbook" if has.get("watchOrderBook"):
                return self._take_book, lambda: exchange.watch_order_book(symbol)
            case "orderbook":
                return self._take_book, lambda: exchange.watch_order_book_for_symbols([symbol])
            case _ if has.get("watchTicker"):
                return self._take_ticker, lambda: exchange.watch_ticker(symbol)
        return self._take_tickers, lambda: exchange.watch_tickers([symbol])

    def _take_trades(self, rows: list[Row]) -> None:
        recv = self._desk.now()
        trades, strange = to_trades(rows, self._units, recv)
        fresh: list[AnyEvent] = [trade for trade in trades if self._is_fresh(trade.id)]
        was_live = self.state is LinkState.STREAMING
        self._came(recv, trades[-1].ts if trades else recv)
        if was_live and len(rows) >= TRADES_LIMIT:
            reason = f"{TRADES_LIMIT} trades at once: CCXT keeps no more, older ones are lost"
            gap = Gap(recv, recv, self.subscription.inst, TRADES, reason)
            fresh.insert(0, gap)
        if strange:
            why = "a trade without price, amount or side"
            self._desk.letter(why, msgspec.json.encode(strange, enc_hook=str))
        self._desk.say(fresh, self.url)

    def _is_fresh(self, id_: str) -> bool:
        if id_ in self._ids:
            return False
        self._ids[id_] = None
        if len(self._ids) > _KNOWN_IDS:
            del self._ids[next(iter(self._ids))]
        return True

    def _take_tickers(self, rows: dict[str, Row]) -> None:
        row = rows.get(self.symbol)
        if row is not None:
            self._take_ticker(row)

    def _take_ticker(self, row: Row) -> None:
        recv = self._desk.now()
        found = (to_ticker(row, self._units, recv), to_quote(row, self._units, recv))
        events: list[AnyEvent] = [event for event in found if event is not None]
        self._came(recv, events[0].ts if events else recv)
        self._desk.say(events, self.url)

    def _take_book(self, book: Row) -> None:
        """Copy the book now, give it out later: see the top of the file."""
        recv = self._desk.now()
        try:
            levels = to_levels(book, self._units, self._desk.config.book_levels)
        except (BadFrame, TypeError, KeyError, IndexError) as error:
            raise BadFrame(f"CCXT gave no order book: {error}") from error
        ts = book_time(book, recv)
        self._came(recv, ts)
        self._copy = (levels, ts, book_seq(book))
        if self._timer is None:
            loop = asyncio.get_running_loop()
            due = self._shown_at + 1.0 / self._desk.config.books_per_sec
            self._timer = loop.call_later(max(0.0, due - loop.time()), self._show)

    def _show(self) -> None:
        self._timer = None
        copy, self._copy = self._copy, None
        if copy is None or copy[0] == self._shown:
            return
        (bids, asks), ts, seq = copy
        self._shown = (bids, asks)
        self._shown_at = asyncio.get_running_loop().time()
        recv = self._desk.now()
        inst = self.subscription.inst
        self._desk.say([BookSnapshot(ts, recv, inst, seq, bids, asks)], self.url)

    def _forget_book(self) -> None:
        """Neither we nor CCXT may build on the old one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._copy = self._shown = None
        if self.subscription.channel == BOOK:
            (self._desk.exchange.orderbooks or {}).pop(self.symbol, None)

    def _came(self, recv: Micros, ts: Micros) -> None:
        self.place += 1
        self.last_data = recv
        if ts != recv:
            self.latency_ms = (recv - ts) / 1000
        now = asyncio.get_running_loop().time()
        if self.state is not LinkState.STREAMING:
            self._live_since = now
            self._enter(LinkState.STREAMING)
            self.error, self.retry_at = "", None
        elif now - self._live_since > _GOOD_SECS:
            self._backoff.reset()

    def _enter(self, state: LinkState) -> None:
        if self.state is not state:
            self.state, self.since = state, self._desk.clock()


async def attempt(work: Callable[[], Awaitable[None]], section: str) -> Verdict:
    """Do something that CCXT may interrupt by anything. None of it is ours; cancelling us is."""
    task = asyncio.current_task()
    assert task is not None
    try:
        await work()
    except asyncio.CancelledError:
        if task.cancelling():
            raise
        # CCXT cancels what others await when it drops a connection.
        return Verdict(Reaction.RETRY, "CCXT dropped the connection", "Cancelled")
    except BadFrame as error:
        return Verdict(Reaction.RETRY, str(error), "BadFrame")
    except Exception as error:  # noqa: BLE001 - CCXT decodes a venue's answers here
        return judge(error, section)
    return Verdict(Reaction.RETRY, "it ended", "Ended")
