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

import zlib
from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import UNSET, Meta
from msgspec.json import encode

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import Instrument, split_id
from tapewatch.ports import (
    Accepted,
    Answer,
    Ask,
    Asks,
    FeedConfig,
    Fetch,
    Limits,
    Plugin,
    Refused,
    Renew,
    Route,
    Send,
    Streams,
    Subscription,
)
from tapewatch.venues import _binance_streams as names
from tapewatch.venues._acks import ANSWER_SECS, SPEAK_SECS, Acks
from tapewatch.venues._binance_carried import Carried
from tapewatch.venues._binance_messages import Failure, Head, decode_book, decode_head, decode_list
from tapewatch.venues._binance_rest import to_instruments
from tapewatch.venues._book import BookSync
from tapewatch.venues._pulse import Watermark

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


class BinanceConversation:
    def __init__(self, route: Route, carried: Carried, streams: Streams, mark: Watermark) -> None:
        self._route = route
        self._carried = carried
        self._handlers = carried.handlers
        self._streams = streams
        self._mark = mark
        self._acks = carried.acks
        self._renewing = False

    def open(self, now: Micros) -> Asks:
        self._mark.pulses.add(self._carried.pulse)
        return self._subscribe(self._route.subscriptions, now)

    def want(self, subscriptions: frozenset[Subscription], now: Micros, out: Batch) -> Asks:
        wanted = frozenset(self._carried.wanted)
        asks = self._unsubscribe(sorted(wanted - subscriptions), now, out)
        return [*asks, *self._subscribe(sorted(subscriptions - wanted), now)]

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        end = frame.find(b'"', _NAME_AT)
        handle = self._handlers.get(frame[_NAME_AT : end + 9])
        if handle is None or frame[-1] != _BRACE:
            return self._carried.note(self._other(frame, recv, out))
        asks = handle(frame[end + 9 : -1], recv, out)
        return self._carried.note(asks) if asks else ()

    def answer(self, fetch: Fetch, answer: Answer, recv: Micros, out: Batch) -> Asks:
        return self._carried.note(self._carried.answer(fetch, answer, recv, out))

    def tick(self, now: Micros, out: Batch) -> Asks:
        late = f"no answer to SUBSCRIBE within {ANSWER_SECS} s"
        asks: list[Ask] = [Refused(subs, late) for subs in self._acks.overdue(now) if subs]
        silent = self._acks.silent(now)
        if silent:
            reason = f"accepted, but nothing came within {SPEAK_SECS} s: does this stream exist?"
            asks.append(Refused(silent, reason))
        for flow in self._carried.flows.values():
            asks.extend(flow.tick(now, out))
        if self._mark.due(now):
            tick = self._mark.tick(self._carried.held(), now)
            if tick is not None:
                out.append(tick)
        return self._carried.note(asks)

    def resync(self, subscription: Subscription, reason: str, now: Micros, out: Batch) -> Asks:
        flow = self._carried.flows.get(subscription)
        if not isinstance(flow, BookSync):
            return ()
        return self._carried.note(flow.resync(reason, now, out))

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        self._mark.pulses.discard(self._carried.pulse)
        self._carried.end_all(reason, now, out)

    # --- subscribing ---

    def _subscribe(self, subscriptions: Iterable[Subscription], now: Micros) -> Asks:
        asks: list[Ask] = []
        named: dict[str, Subscription] = {}
        for sub in subscriptions:
            instrument = self._streams.catalogue.get(sub.inst)
            if instrument is None:
                venue, symbol = split_id(sub.inst)
                asks.append(Refused((sub,), f"{venue} does not list {symbol}"))
            else:
                named[self._carried.begin(sub, instrument.native)] = sub
        for batch in _batches(list(named)):
            number = self._acks.ask(tuple(named[name] for name in batch), now)
            asks.append(_request("SUBSCRIBE", batch, number))
        return asks

    def _unsubscribe(self, subscriptions: Iterable[Subscription], now: Micros, out: Batch) -> Asks:
        found = ((sub, self._streams.catalogue.get(sub.inst)) for sub in subscriptions)
        gone = [self._carried.end(sub, i.native, now, out) for sub, i in found if i is not None]
        return [_request("UNSUBSCRIBE", batch, self._acks.ask((), now)) for batch in _batches(gone)]

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
        return self._carried.deliver(symbol.lower(), channel, data, recv, out)

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
        if head.lastUpdateId is not None and self._streams.lenient:
            return self._carried.orphan(data, recv, out)
        event = head.e
        if not event and head.u is not None and head.B is not None:
            event = "bookTicker"  # the one kind of message without `e` that names its symbol
        channel = names.channel_of_event(event, head.k.i if head.k is not UNSET else "")
        if not (channel and head.s):
            raise BadFrame(f"a frame of no stream that was asked for (event {head.e!r})")
        return self._carried.deliver(head.s.lower(), channel, data, recv, out)

    def _control(self, head: Head, recv: Micros) -> Asks:
        if head.result is not UNSET:
            accepted = self._acks.answered(head.id)
            if not accepted:
                return ()
            for sub in accepted:
                self._carried.carry(sub)
            self._acks.expect((sub for sub in accepted if self._will_speak(sub)), recv)
            return (Accepted(accepted),)
        failure = head.error if isinstance(head.error, Failure) else head
        reason = f"code {failure.code}: {failure.msg}"
        refused = self._acks.answered(self._acks.only() if head.id is None else head.id)
        if refused:
            return (Refused(refused, reason),)
        if self._streams.lenient:
            return ()
        raise BadFrame(f"the venue reports {reason}")

    def _will_speak(self, sub: Subscription) -> bool:
        instrument = self._streams.catalogue.get(sub.inst)
        is_trading = instrument is not None and instrument.active
        return is_trading and sub in self._carried.wanted and names.speaks_always(sub.channel)

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
        """Share out by instrument, so that one more subscription moves few others."""
        subscriptions = sorted(set(wanted))
        links = -(-len(subscriptions) // STREAMS_PER_LINK)
        while links:
            shards: dict[int, list[Subscription]] = {}
            for sub in subscriptions:
                shards.setdefault(_shard(sub.inst, links), []).append(sub)
            if all(len(shard) <= LIMITS.subscriptions for shard in shards.values()):
                url = f"{self._config.ws_url.rstrip('/')}/stream"
                return [
                    Route(f"{self.name}-{number}", url, tuple(shard))
                    for number, shard in sorted(shards.items())
                ]
            links += 1
        return []

    def converse(self, route: Route, streams: Streams) -> BinanceConversation:
        everything = Subscription(f"{self.name}:*", "tick")
        watermark = streams.state.setdefault(everything, Watermark(self.name))
        depth_limit = self._config.depth_limit
        carried = Carried(self.name, self._rest_url, depth_limit, streams, Acks())
        return BinanceConversation(route, carried, streams, watermark)

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


def _request(method: str, stream_names: list[str], number: int) -> Send:
    return Send(encode({"method": method, "params": stream_names, "id": number}))


def _batches(stream_names: list[str]) -> list[list[str]]:
    step = _NAMES_PER_FRAME
    return [stream_names[i : i + step] for i in range(0, len(stream_names), step)]


def _shard(inst: str, links: int) -> int:
    """Jump consistent hash (Lamping, Veach 2014): one more link moves only its fair share."""
    key = zlib.crc32(inst.encode())
    shard, jump = -1, 0
    while jump < links:
        shard = jump
        key = (key * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        jump = int((shard + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return shard


PLUGIN = Plugin(config=BinanceConfig, build=Binance)
