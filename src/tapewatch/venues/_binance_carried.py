"""Carried: the streams of one connection, each with its handler and what it shares with others.

What must outlive the connection (chains of trades, books, newest ids) lives in `Streams`; here
are the handlers by stream name and the Fetches this connection asked for. A connection *carries*
a stream once the venue accepted it or a good frame came; only when nobody carries a stream any
more is its book void.
"""

from collections.abc import Iterable
from typing import TypeAlias

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, InstrumentId, Micros
from tapewatch.model.instrument import guess
from tapewatch.model.times import SECOND
from tapewatch.ports import Answer, Asks, Fetch, Streams, Subscription
from tapewatch.venues import _binance_handlers as handlers
from tapewatch.venues import _binance_streams as names
from tapewatch.venues._acks import Acks
from tapewatch.venues._binance_handlers import Handler, Newest
from tapewatch.venues._binance_messages import decode_book, decode_head, to_snapshot
from tapewatch.venues._book import BookSync
from tapewatch.venues._pulse import Pulse
from tapewatch.venues._recording import Orphans
from tapewatch.venues._trades import UNREADABLE, TradeChain, problem_of

_MAX_ADOPTED = 10_000  # streams of one recording; the venue has fewer

Flow: TypeAlias = TradeChain | BookSync


class Carried:
    def __init__(
        self, venue: str, rest_url: str, depth_limit: int, streams: Streams, acks: Acks
    ) -> None:
        self.handlers: dict[bytes, Handler] = {}  # by `names.frame_key`
        self.wanted: set[Subscription] = set()
        self.flows: dict[Subscription, Flow] = {}
        self.pulse = Pulse()
        self.acks = acks
        self._venue = venue
        self._rest_url = rest_url
        self._depth_limit = depth_limit
        self._streams = streams
        self._asked: set[str] = set()  # keys of our Fetches under way
        self._orphans = Orphans()

    def begin(self, sub: Subscription, native: str) -> str:
        """Make the stream's handler and give its name on the wire."""
        handle = self._handler(sub, native)
        stream = names.stream_name(native, sub.channel)
        name = names.frame_key(stream)

        def first(data: bytes, recv: Micros, out: Batch) -> Asks:
            asks = handle(data, recv, out)
            self.handlers[name] = handle
            self.acks.heard(sub)
            self.carry(sub)
            return asks

        self.handlers[name] = first
        self.wanted.add(sub)
        self._wanted_changed(sub.inst)
        return stream

    def end(self, sub: Subscription, native: str, now: Micros, out: Batch) -> str:
        """Drop what still comes of it; gives its name on the wire."""
        stream = names.stream_name(native, sub.channel)
        self.handlers[names.frame_key(stream)] = handlers.ignore
        self.wanted.discard(sub)
        self.acks.heard(sub)
        flow = self.flows.pop(sub, None)
        if flow is not None:
            self._leave(flow, "unsubscribed", now, out)
        self._wanted_changed(sub.inst)
        return stream

    def end_all(self, reason: str, now: Micros, out: Batch) -> None:
        for flow in self.flows.values():
            self._leave(flow, reason, now, out)
        self.flows.clear()
        self.handlers.clear()

    def carry(self, sub: Subscription) -> None:
        flow = self.flows.get(sub)
        if flow is not None:
            flow.carriers.add(self)

    def note(self, asks: Asks) -> Asks:
        """Remember the Fetches: their answers come to this connection or not at all."""
        self._asked.update(ask.key for ask in asks if isinstance(ask, Fetch))
        return asks

    def answer(self, fetch: Fetch, answer: Answer, recv: Micros, out: Batch) -> Asks:
        self._asked.discard(fetch.key)
        for sub, flow in self.flows.items():
            if flow.key == fetch.key:
                if isinstance(flow, TradeChain):
                    return flow.answer(answer, recv, out)
                return _answer_book(sub, flow, answer, recv, out)
        return ()

    def held(self) -> Iterable[Micros]:
        """Event times beyond which trades wait, of all connections."""
        flows = self._streams.state.values()
        since = (flow.held_since() for flow in flows if isinstance(flow, TradeChain))
        return (ts for ts in since if ts is not None)

    def deliver(self, native: str, channel: str, data: bytes, recv: Micros, out: Batch) -> Asks:
        """Give data to a stream that was found by other ways than its name in the frame."""
        name = names.stream_name(native, channel)
        handle = self.handlers.get(names.frame_key(name))
        if handle is not None:
            return handle(data, recv, out)
        if not self._streams.lenient:
            raise BadFrame(f"a frame of {name}, which was not asked for")
        return self._adopt(native, channel, data, recv, out)

    def orphan(self, data: bytes, recv: Micros, out: Batch) -> Asks:
        """Keep a snapshot of a recording until a book proves to be its own."""
        self._orphans.add(to_snapshot(decode_book(data), recv, ""))
        for sub, flow in self.flows.items():
            if isinstance(flow, BookSync):
                self._orphans.offer(flow, sub.inst, recv, out)
        return ()

    # --- how a stream begins ---

    def _handler(self, sub: Subscription, native: str) -> Handler:
        inst, channel = sub.inst, sub.channel
        if channel == "trade":
            return handlers.trades(inst, self._chain(sub, native), self.pulse)
        if channel == "aggTrade":
            return handlers.agg_trades(inst, self._chain(sub, native), self.pulse)
        if channel == "depth":
            return self._book_handler(sub, native)
        newest = self._streams.state.setdefault(sub, Newest())
        if channel == "bookTicker":
            return handlers.quotes(inst, newest)
        return self._timed_handler(sub, newest)

    def _timed_handler(self, sub: Subscription, newest: Newest) -> Handler:
        inst, channel = sub.inst, sub.channel
        if channel == "ticker":
            return handlers.tickers(inst, newest, self.pulse)
        if channel == "miniTicker":
            return handlers.mini_tickers(inst, newest, self.pulse)
        if channel.startswith("depth"):
            book = Subscription(inst, "depth")
            return handlers.book_tops(inst, newest, lambda: self._is_carried(book))
        return handlers.klines(inst, channel.removeprefix("kline_"), newest, self.pulse)

    def _chain(self, sub: Subscription, native: str) -> TradeChain:
        chain = self._streams.state.get(sub)
        if not isinstance(chain, TradeChain):
            make = names.trade_history if sub.channel == "trade" else names.agg_trade_history
            chain = TradeChain(
                sub.inst,
                sub.channel,
                make(self._rest_url, native, sub.inst),
                resume=self._streams.resume.get(sub),
                hold=Micros(int(self._streams.hold_secs * SECOND)),
                repair_max_ids=self._streams.repair_max_ids,
                lenient=self._streams.lenient,
            )
            self._streams.state[sub] = chain
        self.flows[sub] = chain
        return chain

    def _book_handler(self, sub: Subscription, native: str) -> Handler:
        known = self._streams.state.get(sub)
        lenient = self._streams.lenient
        if isinstance(known, BookSync):
            book = known
        else:
            source = names.book_source(self._rest_url, native, self._depth_limit)
            book = BookSync(sub.inst, sub.channel, source, lenient=lenient)
            self._streams.state[sub] = book
        self.flows[sub] = book
        handle = handlers.book_changes(sub.inst, book, self.pulse)

        def with_orphans(data: bytes, recv: Micros, out: Batch) -> Asks:
            asks = handle(data, recv, out)
            self._orphans.offer(book, sub.inst, recv, out)
            return asks

        return with_orphans if lenient else handle

    def _adopt(self, native: str, channel: str, data: bytes, recv: Micros, out: Batch) -> Asks:
        """Begin a stream of a recording, unless its first frame turns out to be bad."""
        symbol = decode_head(data).s
        instrument = self._streams.catalogue.native(self._venue, native)
        instrument = instrument or guess(self._venue, native.upper())
        if instrument is None:
            raise BadFrame(f"no known quote currency ends {native!r}: a catalogue would tell")
        if symbol and symbol.lower() != native:
            raise BadFrame(f"a frame of {symbol} in a stream of {native}")
        if len(self.handlers) >= _MAX_ADOPTED:
            raise BadFrame(f"more than {_MAX_ADOPTED} streams in one recording")
        sub = Subscription(instrument.id, channel)
        is_new = sub not in self._streams.state
        name = names.frame_key(self.begin(sub, native.upper()))
        is_good = False
        try:
            asks = self.handlers[name](data, recv, out)
            is_good = True
        finally:
            if not is_good:
                self._disown(sub, name, is_new=is_new)
        return asks

    def _disown(self, sub: Subscription, name: bytes, *, is_new: bool) -> None:
        del self.handlers[name]
        self.wanted.discard(sub)
        self._wanted_changed(sub.inst)
        if is_new:
            self.flows.pop(sub, None)
            self._streams.state.pop(sub, None)

    def _wanted_changed(self, inst: InstrumentId) -> None:
        """Where single fills are carried too, aggregates tell the same again."""
        self.pulse.never_rests = any(names.never_rests(sub.channel) for sub in self.wanted)
        chain = self.flows.get(Subscription(inst, "aggTrade"))
        if isinstance(chain, TradeChain):
            chain.echo = Subscription(inst, "trade") in self.wanted

    def _is_carried(self, sub: Subscription) -> bool:
        flow = self._streams.state.get(sub)
        return isinstance(flow, BookSync) and bool(flow.carriers)

    def _leave(self, flow: Flow, reason: str, now: Micros, out: Batch) -> None:
        if flow.key in self._asked:
            self._asked.discard(flow.key)
            flow.abandon()
        flow.carriers.discard(self)
        if not flow.carriers:
            flow.lost(reason, now, out)


def _answer_book(
    sub: Subscription, book: BookSync, answer: Answer, recv: Micros, out: Batch
) -> Asks:
    problem = problem_of(answer)
    if problem:
        return book.answer(None, problem, recv, out)
    try:
        snapshot = to_snapshot(decode_book(answer.body), recv, sub.inst)
    except UNREADABLE as error:
        return book.answer(None, f"it cannot be read: {error}", recv, out)
    return book.answer(snapshot, "", recv, out)
