"""BinanceTalk: what Binance's sockets say, on spot and on USD-M alike. No I/O, no clock.

We connect to `/stream` and subscribe by frames, so that each stream is acknowledged and each frame
carries its stream's name. Raw frames are read as well, told apart by `e` and `s`.

    open --SUBSCRIBE--> ack: Accepted | error, or nothing for 10 s: Refused
    frame --name--> handler --> event           serverShutdown --> Renew
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import UNSET
from msgspec.json import encode

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import Instrument, guess
from tapewatch.ports import Ask, Asks, Fetch, Route, Streams, Subscription
from tapewatch.venues._binance_messages import (
    Failure,
    Head,
    decode_book,
    decode_head,
    decode_list,
    to_snapshot,
)
from tapewatch.venues._binance_streams import Vocabulary, frame_key
from tapewatch.venues._book import BookSync, Source
from tapewatch.venues._recording import Orphans
from tapewatch.venues._talk import Handler, Named, Talk
from tapewatch.venues._trades import TradeChain

CATALOGUE = "catalogue"
_NAMES_PER_FRAME = 200
_BRACE = ord("}")
_NAME_AT = len(b'{"stream":"')


class BinanceTalk(Talk):
    names: Vocabulary

    def __init__(self, venue: str, route: Route, streams: Streams) -> None:
        super().__init__(venue, route, streams)
        self._orphans = Orphans()

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        end = frame.find(b'"', _NAME_AT)
        handle = self.handlers.get(frame[_NAME_AT : end + 9])
        if handle is None or frame[-1] != _BRACE:
            return self.noted(self._other(frame, recv, out))
        asks = handle(frame[end + 9 : -1], recv, out)
        return self.noted(asks) if asks else ()

    def guessed(self, native: str) -> Instrument | None:
        """Make an instrument of a name in a recording that came without a listing."""
        return guess(self.venue, native)

    def is_foreign(self, symbol: str, head: Head) -> bool:  # noqa: ARG002 - for those who override it
        """Say whether it is another market's frame, which this one sends along."""
        return False

    def key(self, sub: Subscription, instrument: Instrument) -> bytes:
        return frame_key(self.names.stream_name(instrument.native, sub.channel))

    def booked(
        self, sub: Subscription, source: Source, read: Callable[[BookSync], Handler]
    ) -> Handler:
        """The handler of a book; in a recording it takes snapshots that nobody asked for too."""
        book = self.book(sub, source)
        handle = read(book)

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
        return sub.channel.startswith(self.names.speak)

    def never_rests(self, sub: Subscription) -> bool:
        return sub.channel.startswith(self.names.never_rest)

    def say(self, named: Sequence[Named], now: Micros, *, subscribe: bool) -> Iterable[bytes]:
        method = "SUBSCRIBE" if subscribe else "UNSUBSCRIBE"
        for at in range(0, len(named), _NAMES_PER_FRAME):
            some = named[at : at + _NAMES_PER_FRAME]
            number = self.acks.ask(tuple(each.sub for each in some) if subscribe else (), now)
            params = [
                self.names.stream_name(each.instrument.native, each.sub.channel) for each in some
            ]
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
        if self.names.is_skipped(kind or symbol):
            return ()
        channel = self.names.channel_of_stream(kind)
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
        if head.e in self.names.skipped_events:
            return ()
        if head.e == "serverShutdown":
            return self.renew("the venue announced that it shuts this connection down")
        if head.lastUpdateId is not None and self.streams.lenient:
            return self._orphan(data, recv, out)
        event = head.e
        if not event and head.u is not None and head.B is not None:
            event = "bookTicker"  # the one kind of message without `e` that names its symbol
        channel = self.names.channel_of_event(event, head.k.i if head.k is not UNSET else "")
        if not (channel and head.symbol):
            raise BadFrame(f"a frame of no stream that was asked for (event {head.e!r})")
        return self._pass_on(head.symbol, channel, data, recv, out)

    def _pass_on(self, symbol: str, channel: str, data: bytes, recv: Micros, out: Batch) -> Asks:
        head = decode_head(data)
        if self.is_foreign(symbol, head):
            return ()
        instrument = self.streams.catalogue.native(self.venue, symbol)
        instrument = instrument or self.guessed(symbol.upper())
        if instrument is None:
            raise BadFrame(f"no known quote currency ends {symbol!r}: a catalogue would tell")
        if head.symbol and head.symbol.upper() != symbol.upper():
            raise BadFrame(f"a frame of {head.symbol} in a stream of {symbol}")
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


def recognised(frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:
    """See `Dialect.recognise`: the listing by its words, a snapshot by its id."""
    if frame.startswith(b'{"stream"'):
        return None
    by_key = {fetch.key: fetch for fetch in pending}
    if frame.startswith(b"{") and b'"symbols"' in frame[:16_384]:
        return by_key.get(CATALOGUE)
    if b'"lastUpdateId"' in frame[:64]:
        seq = decode_book(frame).lastUpdateId
        books = (flow for flow in streams.state.values() if isinstance(flow, BookSync))
        near = [(far, b.key) for b in books if (far := b.distance(seq)) is not None]
        return by_key.get(min(near)[1]) if near else None
    return None
