"""Binance spot: the conversation and the dialect. No I/O, no clock.

Streams:   https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
REST:      https://developers.binance.com/docs/binance-spot-api-docs/rest-api
Changes:   https://developers.binance.com/docs/binance-spot-api-docs/changelog

The messages stand in `_binance_messages`, their way to events in `_binance_handlers`. We connect
to `/stream` and subscribe by frames, so that each stream is acknowledged and each frame carries
its stream's name. Raw frames are read as well, told apart by `e` and `s`.

    open --SUBSCRIBE--> ack: Accepted | error, or nothing for 10 s: Refused
    frame --name--> handler --> event           serverShutdown --> Renew

Of a recording (`streams.lenient`) nobody subscribed: a stream begins with its first good frame.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import UNSET, Meta
from msgspec.json import encode

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import Instrument, guess
from tapewatch.ports import (
    Ask,
    Asks,
    FeedConfig,
    Fetch,
    Limits,
    Plugin,
    Renew,
    Route,
    Streams,
    Subscription,
)
from tapewatch.venues import _binance_handlers as handlers
from tapewatch.venues import _binance_streams as names
from tapewatch.venues._binance_messages import (
    Failure,
    Head,
    decode_book,
    decode_head,
    decode_list,
    to_snapshot,
)
from tapewatch.venues._binance_rest import to_instruments
from tapewatch.venues._book import BookSync
from tapewatch.venues._newest import Newest
from tapewatch.venues._recording import Orphans
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler, Named, Talk
from tapewatch.venues._trades import TradeChain

LIMITS = Limits(
    subscriptions=1024,
    frames_per_sec=4,  # the venue allows 5 and counts our pongs among them
    connects=300,
    connects_secs=300,
    weight=6000,
    weight_secs=60,
    idle_secs=60,
    max_age_secs=23.5 * 3600,  # cut at 24 h
)
STREAMS_PER_LINK = 200  # far below the limit: one slow link then delays few
_NAMES_PER_FRAME = 200
_CATALOGUE = "catalogue"
_BRACE = ord("}")
_NAME_AT = len(b'{"stream":"')


class BinanceConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://data-stream.binance.vision"
    rest_url: str = "https://data-api.binance.vision"
    # Levels a side in a snapshot: 5000 costs five times the weight.
    depth_limit: Annotated[int, Meta(ge=5, le=5000)] = 1000


class BinanceConversation(Talk):
    def __init__(
        self, venue: str, route: Route, streams: Streams, rest_url: str, depth_limit: int
    ) -> None:
        super().__init__(venue, route, streams)
        self._rest_url = rest_url
        self._depth_limit = depth_limit
        self._orphans = Orphans()
        self._renewing = False

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        end = frame.find(b'"', _NAME_AT)
        handle = self.handlers.get(frame[_NAME_AT : end + 9])
        if handle is None or frame[-1] != _BRACE:
            return self.noted(self._other(frame, recv, out))
        asks = handle(frame[end + 9 : -1], recv, out)
        return self.noted(asks) if asks else ()

    # --- streams ---

    def key(self, sub: Subscription, instrument: Instrument) -> bytes:
        return names.frame_key(names.stream_name(instrument.native, sub.channel))

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        inst, channel, native = sub.inst, sub.channel, instrument.native
        if channel == "trade":
            history = names.trade_history(self._rest_url, native, inst)
            return handlers.trades(inst, self.chain(sub, history), self.pulse)
        if channel == "aggTrade":
            history = names.agg_trade_history(self._rest_url, native, inst)
            return handlers.agg_trades(inst, self.chain(sub, history), self.pulse)
        if channel == "depth":
            return self._book_handler(sub, native)
        return self._timed_handler(sub, self.newest(sub))

    def _timed_handler(self, sub: Subscription, newest: Newest) -> Handler:
        inst, channel = sub.inst, sub.channel
        if channel == "bookTicker":
            return handlers.quotes(inst, newest)
        if channel == "ticker":
            return handlers.tickers(inst, newest, self.pulse)
        if channel == "miniTicker":
            return handlers.mini_tickers(inst, newest, self.pulse)
        if channel.startswith("depth"):
            whole = Subscription(inst, "depth")
            return handlers.book_tops(inst, newest, lambda: self.is_carried(whole))
        return handlers.klines(inst, channel.removeprefix("kline_"), newest, self.pulse)

    def _book_handler(self, sub: Subscription, native: str) -> Handler:
        source = names.book_source(self._rest_url, native, self._depth_limit, sub.inst)
        book = self.book(sub, source)
        handle = handlers.book_changes(sub.inst, book, self.pulse)

        def with_orphans(data: bytes, recv: Micros, out: Batch) -> Asks:
            asks = handle(data, recv, out)
            self._orphans.offer(book, sub.inst, recv, out)
            return asks

        return with_orphans if self.streams.lenient else handle

    def changed(self, sub: Subscription) -> None:
        """Where single fills are carried too, aggregates tell the same again."""
        chain = self.flows.get(Subscription(sub.inst, "aggTrade"))
        if isinstance(chain, TradeChain):
            chain.echo = Subscription(sub.inst, "trade") in self.wanted

    def speaks_always(self, sub: Subscription) -> bool:
        return names.speaks_always(sub.channel)

    def never_rests(self, sub: Subscription) -> bool:
        return names.never_rests(sub.channel)

    def say(self, named: Sequence[Named], now: Micros, *, subscribe: bool) -> Iterable[bytes]:
        method = "SUBSCRIBE" if subscribe else "UNSUBSCRIBE"
        for at in range(0, len(named), _NAMES_PER_FRAME):
            some = named[at : at + _NAMES_PER_FRAME]
            number = self.acks.ask(tuple(each.sub for each in some) if subscribe else (), now)
            params = [names.stream_name(each.instrument.native, each.sub.channel) for each in some]
            yield encode({"method": method, "params": params, "id": number})

    # --- frames that the short way does not know ---

    def _other(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        if frame.lstrip()[:1] == b"[":
            return self._rows(frame, recv, out)
        head = decode_head(frame)
        if head.stream:
            return self._wrapped(head, recv, out)
        if head.result is not UNSET or head.code is not UNSET or head.error is not UNSET:
            return self._control(head, recv)
        return self._raw(head, frame, recv, out)

    def _wrapped(self, head: Head, recv: Micros, out: Batch) -> Asks:
        if head.data is UNSET:
            raise BadFrame(f"the frame of {head.stream!r} has no data")
        data = bytes(head.data)
        symbol, _, kind = head.stream.partition("@")
        if symbol.startswith("!"):
            return self._other(data, recv, out)
        if names.is_skipped(kind):
            return ()
        channel = names.channel_of_stream(kind)
        if not channel:
            raise BadFrame(f"unknown stream {head.stream!r}")
        return self._pass_on(symbol, channel, data, recv, out)

    def _rows(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        """All symbols in one frame. A bad row costs none of the others."""
        asks: list[Ask] = []
        problem = None
        for row in decode_list(frame):
            data = bytes(row)
            try:
                asks.extend(self._raw(decode_head(data), data, recv, out))
            except (BadFrame, ValueError) as error:
                problem = problem or error
        if problem is not None:
            raise problem
        return asks

    def _raw(self, head: Head, data: bytes, recv: Micros, out: Batch) -> Asks:
        if head.e in names.SKIPPED_EVENTS:
            return ()
        if head.e == "serverShutdown":
            return self._renew()
        if head.lastUpdateId is not None and self.streams.lenient:
            return self._orphan(data, recv, out)
        event = head.e
        if not event and head.u is not None and head.B is not None:
            event = "bookTicker"  # the one kind of message without `e` that names its symbol
        channel = names.channel_of_event(event, head.k.i if head.k is not UNSET else "")
        if not (channel and head.s):
            raise BadFrame(f"a frame of no stream that was asked for (event {head.e!r})")
        return self._pass_on(head.s, channel, data, recv, out)

    def _pass_on(self, symbol: str, channel: str, data: bytes, recv: Micros, out: Batch) -> Asks:
        instrument = self.streams.catalogue.native(self.venue, symbol)
        instrument = instrument or guess(self.venue, symbol.upper())
        if instrument is None:
            raise BadFrame(f"no known quote currency ends {symbol!r}: a catalogue would tell")
        inside = decode_head(data).s
        if inside and inside.upper() != symbol.upper():
            raise BadFrame(f"a frame of {inside} in a stream of {symbol}")
        return self.deliver(Subscription(instrument.id, channel), instrument, data, recv, out)

    def _orphan(self, data: bytes, recv: Micros, out: Batch) -> Asks:
        """Keep a snapshot of a recording until a book proves to be its own."""
        self._orphans.add(to_snapshot(decode_book(data), recv, ""))
        for sub, flow in self.flows.items():
            if isinstance(flow, BookSync):
                self._orphans.offer(flow, sub.inst, recv, out)
        return ()

    def _control(self, head: Head, recv: Micros) -> Asks:
        if head.result is not UNSET:
            return self.accept(self.acks.answered(head.id), recv)
        failure = head.error if isinstance(head.error, Failure) else head
        reason = f"code {failure.code}: {failure.msg}"
        refused = self.acks.answered(self.acks.only() if head.id is None else head.id)
        if refused or self.streams.lenient:
            return self.refuse(refused, reason)
        raise BadFrame(f"the venue reports {reason}")

    def _renew(self) -> Asks:
        if self._renewing:
            return ()
        self._renewing = True
        return (Renew("the venue announced that it shuts this connection down"),)


class Binance:
    def __init__(self, name: str, config: BinanceConfig) -> None:
        self.name = name
        self.limits = LIMITS
        self._config = config
        self._rest_url = config.rest_url.rstrip("/")

    def channel(self, text: str) -> str:
        return names.channel_of_text(text)

    def catalogue(self) -> list[Fetch]:
        return [Fetch(_CATALOGUE, f"{self._rest_url}/api/v3/exchangeInfo", weight=20)]

    def instruments(self, body: bytes) -> list[Instrument]:
        return to_instruments(body, self.name)

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        url = f"{self._config.ws_url.rstrip('/')}/stream"
        return share_out(
            self.name, url, wanted, per_link=STREAMS_PER_LINK, most=LIMITS.subscriptions
        )

    def converse(self, route: Route, streams: Streams) -> BinanceConversation:
        depth_limit = self._config.depth_limit
        return BinanceConversation(self.name, route, streams, self._rest_url, depth_limit)

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:
        if frame.startswith(b'{"stream"'):
            return None
        by_key = {fetch.key: fetch for fetch in pending}
        if frame.startswith(b"{") and b'"symbols"' in frame[:16_384]:
            return by_key.get(_CATALOGUE)
        if b'"lastUpdateId"' in frame[:64]:
            seq = decode_book(frame).lastUpdateId
            books = (flow for flow in streams.state.values() if isinstance(flow, BookSync))
            near = [(far, b.key) for b in books if (far := b.distance(seq)) is not None]
            return by_key.get(min(near)[1]) if near else None
        return None


PLUGIN = Plugin(config=BinanceConfig, build=Binance)
