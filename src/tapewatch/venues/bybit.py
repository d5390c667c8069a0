"""Bybit v5, spot; `bybit_linear` is the same with other words. No I/O, no clock.

Streams:   https://bybit-exchange.github.io/docs/v5/ws/connect
REST:      https://bybit-exchange.github.io/docs/v5/market/instrument
Changes:   https://bybit-exchange.github.io/docs/changelog/v5

The messages stand in `_bybit_messages`, what HTTP gives in `_bybit_rest`. One socket serves one
category: BTCUSDT is another thing on /spot than on /linear, and no frame says which it is.

Traps:
- Trade ids have holes (spot) or no order (linear: UUIDs). See `_unnumbered`.
- `u` of a book counts for each depth apart; `seq` is common to all depths and trades.
- A snapshot comes whenever the venue likes; `u` = 1 is one, whatever its type says.
- The book of depth 1 is repeated after 3 s without a change; a side of it may be empty.
- A linear ticker is a snapshot and then changes; a key that is not there has not changed.
- `S` of a liquidation is the side of the position, not of the order that closes it.
- One answer for a whole request, and one bad topic in it refuses all of them.
- Data comes before the answer. A pong says "op":"ping".
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import UNSET
from msgspec.json import encode
from msgspec.structs import astuple

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, BookDelta, Micros
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import (
    Ask,
    Asks,
    FeedConfig,
    Fetch,
    Limits,
    Plugin,
    Route,
    Send,
    Streams,
    Subscription,
)
from tapewatch.venues import _bybit_messages as wire
from tapewatch.venues import _bybit_rest as rest
from tapewatch.venues._batches import Batches
from tapewatch.venues._book import Step
from tapewatch.venues._bybit_messages import Head, TickerData
from tapewatch.venues._bybit_past import BybitPast
from tapewatch.venues._bybit_topics import (
    INTERVALS,
    LIQUIDATIONS,
    QUOTES,
    TICKERS,
    TRADES,
    Category,
    channel_of_text,
    channel_of_topic,
    instrument_of,
    one_book,
)
from tapewatch.venues._newest import Newest
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler, Named, Talk
from tapewatch.venues._unnumbered import Unnumbered

LIMITS = Limits(
    subscriptions=500,  # the venue counts characters: 21,000 in all names, of 40 each at most
    frames_per_sec=10,  # no limit is told
    connects=400,  # 500 in five minutes
    connects_secs=300,
    weight=500,  # 600 in five seconds; beyond that nothing is answered for ten minutes
    weight_secs=5,
    idle_secs=120,
    max_age_secs=24 * 3600,  # no limit is told
    ban_secs=600,  # "access too frequent"
)
STREAMS_PER_LINK = 200
_ARGS_PER_FRAME = {"spot": 10, "linear": 100}  # spot takes no more
_CATALOGUE = "catalogue"
_TOPIC_AT = len(b'{"topic":"')
_LAG = SECOND  # other topics may run ahead of the trades by less than this

_TOPIC = re.compile(r"[\w.\-]+")  # in the words of a refusal
_STALE = 1_000  # updates further back than this are no repetition


class BybitConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://stream.bybit.com"
    rest_url: str = "https://api.bybit.com"
    depth: Literal[1, 50, 200, 1000] = 50  # levels a side that `book` means


def sequence(seq: int, delta: BookDelta) -> Step:
    """`u` is the one before plus 1, without exception."""
    if delta.seq == seq + 1:
        return Step.NEXT
    return Step.STALE if 0 <= seq - delta.seq < _STALE else Step.GAP


class BybitConversation(Talk):
    beat = b'{"op":"ping"}'
    beat_secs = 20.0

    def __init__(
        self, venue: str, route: Route, streams: Streams, category: Category, rest_url: str
    ) -> None:
        super().__init__(venue, route, streams)
        self._category = category
        self._rest_url = rest_url

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        handle = self.handlers.get(frame[_TOPIC_AT : frame.find(b'"', _TOPIC_AT)])
        asks = handle(frame, recv, out) if handle is not None else self._other(frame, recv, out)
        return self.noted(asks) if asks else ()

    # --- streams ---

    def key(self, sub: Subscription, instrument: Instrument) -> bytes:
        return f"{sub.channel}.{instrument.native}".encode()

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        channel = sub.channel
        if channel == TRADES:
            return self._trades(sub, instrument.native)
        if channel == QUOTES:
            return self._quotes(sub)
        if channel == TICKERS:
            return self._tickers(sub)
        if channel == LIQUIDATIONS:
            return self._liquidations(sub)
        if channel.startswith("kline"):
            return self._klines(sub)
        return self._books(sub)

    def _trades(self, sub: Subscription, native: str) -> Handler:
        inst, pulse = sub.inst, self.pulse
        flow = self._unnumbered(sub, native)
        decode, to_trades = wire.decode_trades, wire.to_trades

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            trades = to_trades(decode(data), recv, inst)
            if not trades:
                return ()
            pulse.ts = trades[-1].ts
            pulse.recv = recv
            return flow.take(trades, self, recv, out)

        return handle

    def _unnumbered(self, sub: Subscription, native: str) -> Unnumbered:
        flow = self.streams.state.get(sub)
        if not isinstance(flow, Unnumbered):
            recent = rest.recent_trades(self._rest_url, self._category, native, sub.inst)
            hold = Micros(int(self.streams.hold_secs * SECOND))
            lenient = self.streams.lenient
            flow = Unnumbered(sub.inst, sub.channel, recent, hold=hold, lenient=lenient)
            self.streams.state[sub] = flow
        self.flows[sub] = flow
        return flow

    def _books(self, sub: Subscription) -> Handler:
        inst, pulse = sub.inst, self.pulse
        book = self.pushed(sub, sequence)
        decode = wire.decode_book

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            frame = decode(data)
            if frame.type == "snapshot" or frame.data.u == 1:
                snapshot = wire.to_snapshot(frame, recv, inst)
                book.snapshot(snapshot, self, recv or snapshot.ts, out)
                pulse.ts = snapshot.ts
            else:
                delta = wire.to_delta(frame, recv, inst)
                book.take(delta, self, recv or delta.ts, out)
                pulse.ts = delta.ts
            pulse.recv = recv
            return ()

        return handle

    def _quotes(self, sub: Subscription) -> Handler:
        inst, newest, pulse = sub.inst, self.newest(sub), self.pulse

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            frame = wire.decode_book(data)
            quote, update = wire.to_quote(frame, recv, inst), frame.data.u
            if _is_repeated(newest, update, quote.ts):
                return ()
            newest.seq, newest.ts = update, quote.ts
            pulse.ts, pulse.recv = quote.ts, recv
            out.append(quote)
            return ()

        return handle

    def _tickers(self, sub: Subscription) -> Handler:
        inst, newest, pulse = sub.inst, self.newest(sub), self.pulse
        held = TickerData()  # each connection has a snapshot of its own

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            nonlocal held
            frame = wire.decode_ticker(data)
            values = astuple(frame.data)
            if frame.type == "delta":
                wire.merge(held, values)
            else:
                held = frame.data
            ts = wire.micros(frame.ts)
            if newest.repeats(ts):
                return ()
            pulse.ts, pulse.recv = Micros(ts - _LAG), recv
            if any(value is not UNSET for value in values[: wire.TICKER_NAMES]):
                ticker = wire.to_ticker(held, ts, recv, inst)
                out.extend(() if ticker is None else (ticker,))
            if any(value is not UNSET for value in values[wire.TICKER_NAMES :]):
                mark = wire.to_mark(held, ts, recv, inst)
                out.extend(() if mark is None else (mark,))
            return ()

        return handle

    def _klines(self, sub: Subscription) -> Handler:
        inst, newest, pulse = sub.inst, self.newest(sub), self.pulse
        code = sub.channel.removeprefix("kline.")
        interval = INTERVALS[code]

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            frame = wire.decode_klines(data)
            for row in frame.data:
                if row.interval != code:
                    raise BadFrame(f"a bar of {row.interval!r} in the stream of {code!r}")
            ts = wire.micros(frame.ts)
            if not newest.repeats(ts):
                pulse.ts, pulse.recv = Micros(ts - _LAG), recv
                out.extend(wire.to_candle(row, recv, inst, interval) for row in frame.data)
            return ()

        return handle

    def _liquidations(self, sub: Subscription) -> Handler:
        inst, pulse = sub.inst, self.pulse
        flow = self.streams.state.get(sub)
        if not isinstance(flow, Batches):
            flow = Batches(inst, sub.channel, lenient=self.streams.lenient)
            self.streams.state[sub] = flow
        self.flows[sub] = flow

        def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
            frame = wire.decode_liquidations(data)
            pulse.ts, pulse.recv = Micros(wire.micros(frame.ts) - _LAG), recv
            fresh = flow.fresh(frame.data)
            flow.ts = max(flow.ts, *(wire.micros(row.T) for row in frame.data), Micros(0))
            out.extend(wire.to_liquidation(row, recv, inst) for row in fresh)
            return ()

        return handle

    def speaks_always(self, sub: Subscription) -> bool:
        return sub.channel == TICKERS or sub.channel.startswith("orderbook")

    def never_rests(self, sub: Subscription) -> bool:
        return sub.channel == TICKERS and self._category == "linear"

    # --- requests and their answers ---

    def open(self, now: Micros) -> Asks:
        wanted, second = one_book(self._route.subscriptions, ())
        self._route = Route(self._route.name, self._route.url, wanted)
        return [*second, *super().open(now)]

    def want(self, subscriptions: frozenset[Subscription], now: Micros, out: Batch) -> Asks:
        wanted, second = one_book(sorted(subscriptions), self.wanted)
        return [*second, *super().want(frozenset(wanted), now, out)]

    def again(self, subscriptions: Iterable[Subscription], now: Micros) -> Asks:
        subscriptions = tuple(subscriptions)
        for sub in subscriptions:
            flow = self.flows.get(sub)
            if isinstance(flow, Unnumbered):
                flow.doubt("subscribed anew", now)
        return super().again(subscriptions, now)

    def say(self, named: Sequence[Named], now: Micros, *, subscribe: bool) -> Iterable[bytes]:
        size = _ARGS_PER_FRAME[self._category]
        for at in range(0, len(named), size):
            some = named[at : at + size]
            topics = [each.key.decode() for each in some]
            if subscribe:
                number = str(self.acks.ask(tuple(each.sub for each in some), now))
                yield encode({"req_id": number, "op": "subscribe", "args": topics})
            else:  # nothing depends on the answer
                yield encode({"op": "unsubscribe", "args": topics})

    def _other(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        head = wire.decode_head(frame)
        if head.topic:
            channel, symbol = channel_of_topic(head.topic)
            if not channel:
                return ()
            instrument = self.streams.catalogue.native(self.venue, symbol)
            instrument = instrument or instrument_of(symbol, self.venue, self._category)
            return self.deliver(Subscription(instrument.id, channel), instrument, frame, recv, out)
        if head.success is None and not head.op:
            raise BadFrame("neither a topic nor an answer")
        return self._control(head, recv)

    def _control(self, head: Head, now: Micros) -> Asks:
        is_pong = head.ret_msg == "pong" or head.op in ("ping", "pong")
        if is_pong or head.op == "unsubscribe" or self.streams.lenient:
            return ()
        asked = self._asked_for(head)
        if head.success:
            return self.accept(asked, now)
        if not asked:
            raise BadFrame(f"the venue reports {head.ret_msg!r}")
        return self._isolate(asked, head.ret_msg, now)

    def _asked_for(self, head: Head) -> tuple[Subscription, ...]:
        """Find the request by its number, which some answers lack; they come in order."""
        if head.req_id:
            return self.acks.answered(int(head.req_id) if head.req_id.isdecimal() else None)
        found = frozenset(_TOPIC.findall(head.ret_msg))
        waiting = self._named(self.acks.waiting()) if found else ()
        return self.acks.oldest([each.sub for each in waiting if each.key.decode() in found])

    def _isolate(self, asked: Sequence[Subscription], words: str, now: Micros) -> Asks:
        """A request was refused as a whole: refuse what the words name, ask for the rest again.

        If they name nothing, both halves are asked for, until one is left alone.
        """
        found = frozenset(_TOPIC.findall(words))
        named = self._named(asked)
        bad = [each.sub for each in named if each.key.decode() in found] or list(asked)
        good = [each for each in named if each.sub not in bad]
        if len(bad) == len(asked) > 1:
            half = len(named) // 2
            return [*self._ask_for(named[:half], now), *self._ask_for(named[half:], now)]
        if "already subscribed" in words.lower():
            return [*self.accept(bad, now), *self._ask_for(good, now)]
        return [*self.refuse(bad, words), *self._ask_for(good, now)]

    def _ask_for(self, named: Sequence[Named], now: Micros) -> list[Ask]:
        return [Send(frame) for frame in self.say(named, now, subscribe=True)]

    def _named(self, subscriptions: Sequence[Subscription]) -> list[Named]:
        known = ((sub, self.streams.catalogue.get(sub.inst)) for sub in subscriptions)
        return [Named(self.key(sub, found), sub, found) for sub, found in known if found]


class Bybit:
    """`category` is the venue's word for what one socket serves."""

    category: Category = "spot"

    def __init__(self, name: str, config: BybitConfig) -> None:
        self.name = name
        self.limits, self.numbered = LIMITS, False
        self._config = config
        self._rest_url = config.rest_url.rstrip("/")
        self.past = BybitPast(self._rest_url, self.category)

    def channel(self, text: str) -> str:
        return channel_of_text(text, self.category, self._config.depth)

    def catalogue(self) -> list[Fetch]:
        return [Fetch(_CATALOGUE, rest.listing_url(self._rest_url, self.category))]

    def instruments(self, body: bytes) -> list[Instrument]:
        return rest.to_instruments(body, self.name, self.category)

    def next_page(self, body: bytes) -> Fetch | None:
        """See `ports.Paged`."""
        cursor = rest.next_cursor(body)
        url = rest.listing_url(self._rest_url, self.category, cursor)
        return Fetch(_CATALOGUE, url) if cursor else None

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        url = f"{self._config.ws_url.rstrip('/')}/v5/public/{self.category}"
        most = LIMITS.subscriptions
        return share_out(self.name, url, wanted, per_link=STREAMS_PER_LINK, most=most)

    def converse(self, route: Route, streams: Streams) -> BybitConversation:
        return BybitConversation(self.name, route, streams, self.category, self._rest_url)

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:  # noqa: ARG002 - the port has it
        if frame.startswith(b'{"topic"') or b'"baseCoin"' not in frame[:4096]:
            return None
        return next((fetch for fetch in pending if fetch.key == _CATALOGUE), None)


def _is_repeated(newest: Newest, update: int, ts: Micros) -> bool:
    """Say whether this one came already, or is behind. Much older: another session."""
    if newest.seq == update:
        return True
    return 0 <= newest.ts - ts < MINUTE and (ts < newest.ts or update < newest.seq)


PLUGIN = Plugin(config=BybitConfig, build=Bybit)
