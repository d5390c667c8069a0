"""Talk: what all conversations have in common. A venue's file says the rest, in its own words.

    open ──say──> the venue ──> accept(subs) | refuse(subs, why) | nothing for 10 s: Refused
                                   └─ nothing came for a minute: Stalled ──speaks──> Flowing
    frame ──decode (the venue's)──> handlers[key] ──> events
    tick ──> deadlines, repairs, heartbeats, books to subscribe anew, `Tick`

What must outlive the connection (chains of trades, books, newest ids) lives in `Streams`; here
are the handlers by key, and the Fetches this connection asked for. A key is what a frame's stream
is found by; some venues send many instruments under one key. A connection *carries* a stream once
the venue accepted it or a good frame came; only when nobody carries a stream any more is its book
void. Of a recording (`streams.lenient`) nobody subscribed: a stream begins with its first good
frame.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import Instrument, split_id
from tapewatch.model.times import SECOND
from tapewatch.ports import (
    Accepted,
    Answer,
    Ask,
    Asks,
    Fetch,
    Flowing,
    Refused,
    Renew,
    Route,
    Send,
    Stalled,
    Streams,
    Subscription,
)
from tapewatch.venues._acks import ANSWER_SECS, SPEAK_SECS, Acks
from tapewatch.venues._book import BookSync, Sequencing, Source
from tapewatch.venues._newest import Newest
from tapewatch.venues._pulse import Pulse, Watermark
from tapewatch.venues._pushed import PushedBook
from tapewatch.venues._rhythm import Rhythm
from tapewatch.venues._trades import History, TradeChain
from tapewatch.venues._unnumbered import Unnumbered

Data: TypeAlias = Any  # bytes of a frame, or what the venue's `decode` has read already
Handler: TypeAlias = Callable[[Data, Micros, Batch], Asks]
_MAX_ADOPTED = 10_000  # streams of one recording; the venue has fewer


class Flow(Protocol):
    """What of a stream outlives its connections and may ask for something."""

    carriers: set[object]  # live conversations that carry it

    @property
    def key(self) -> str:
        """Of the Fetch under way; empty if there is none."""
        ...

    @property
    def place(self) -> int:
        """Moves with every message, so that silence can be seen."""
        ...

    def answer(self, answer: Answer, now: Micros, out: Batch) -> Asks: ...
    def tick(self, now: Micros, out: Batch) -> Asks: ...
    def abandon(self) -> None: ...
    def left(self, by: object, reason: str, now: Micros, out: Batch) -> None: ...


class Named(Struct, frozen=True):
    """A stream as the wire knows it; `sub` stands for all that share its key."""

    key: bytes
    sub: Subscription
    instrument: Instrument


class Talk(ABC):
    beat = b""  # the heartbeat that the client must send; empty: none
    beat_secs = 20.0

    def __init__(self, venue: str, route: Route, streams: Streams) -> None:
        self.venue = venue
        self.streams = streams
        self.handlers: dict[bytes, Handler] = {}
        self.flows: dict[Subscription, Flow] = {}
        self.wanted: set[Subscription] = set()
        self.pulse = Pulse()
        self.acks = Acks()
        self._route = route
        self._sharing: dict[bytes, list[Subscription]] = {}  # all that are found by this key
        self._asked: set[str] = set()  # keys of our Fetches under way
        self._accepted: set[Subscription] = set()
        self._spoken: set[Subscription] = set()  # something came
        self._mute: set[Subscription] = set()  # nothing came, and that was said
        self._beat_at = Micros(0)
        self._rhythm: Rhythm[Subscription] = Rhythm()
        self._renewing = False
        everything = Subscription(f"{venue}:*", "tick")
        self._mark: Watermark = streams.state.setdefault(everything, Watermark(venue))

    # --- what a venue says ---

    @abstractmethod
    def key(self, sub: Subscription, instrument: Instrument) -> bytes:
        """What the frames of this stream are found by."""

    @abstractmethod
    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        """Make what reads the frames of this stream: `chain`, `book`, `pushed`, `newest` help."""

    @abstractmethod
    def say(self, named: Sequence[Named], now: Micros, *, subscribe: bool) -> Iterable[bytes]:
        """Give the frames that subscribe to these or unsubscribe, each noted by `acks.ask`."""

    @abstractmethod
    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        """See `ports.Conversation`. Ends with `noted`."""

    def speaks_always(self, sub: Subscription) -> bool:  # noqa: ARG002 - for those who override it
        """Say whether it speaks within a minute if the symbol trades at all."""
        return False

    def never_rests(self, sub: Subscription) -> bool:  # noqa: ARG002 - for those who override it
        """Say whether it speaks every second or two, with or without trades."""
        return False

    def changed(self, sub: Subscription) -> None:  # noqa: B027 - most venues need not know
        """What is wanted of this instrument has changed."""

    # --- the conversation ---

    def open(self, now: Micros) -> Asks:
        self._mark.pulses.add(self.pulse)
        self._beat_at = now
        return self._subscribe(self._route.subscriptions, now)

    def want(self, subscriptions: frozenset[Subscription], now: Micros, out: Batch) -> Asks:
        wanted = frozenset(self.wanted)
        asks = self._unsubscribe(sorted(wanted - subscriptions), now, out)
        return [*asks, *self._subscribe(sorted(subscriptions - wanted), now)]

    def answer(self, fetch: Fetch, answer: Answer, recv: Micros, out: Batch) -> Asks:
        self._asked.discard(fetch.key)
        for flow in self.flows.values():
            if flow.key == fetch.key:
                return self.noted(flow.answer(answer, recv, out))
        return ()

    def tick(self, now: Micros, out: Batch) -> Asks:
        asks: list[Ask] = []
        for subs in self.acks.overdue(now):
            asks.extend(self._unanswered(subs, now))
        asks.extend(self._unheard(self.acks.silent(now)))
        if self.beat and not 0 <= now - self._beat_at < self.beat_secs * SECOND:
            self._beat_at = now
            asks.append(Send(self.beat))
        for flow in self.flows.values():
            asks.extend(flow.tick(now, out))
        asks.extend(self.again([sub for sub in self.flows if self._is_due(sub, now)], now))
        asks.extend(self._listen_for_silence(now, out))
        if self._mark.due(now):
            tick = self._mark.tick(self._held(), now)
            if tick is not None:
                out.append(tick)
        return self.noted(asks)

    def resync(self, subscription: Subscription, reason: str, now: Micros, out: Batch) -> Asks:
        flow = self.flows.get(subscription)
        if isinstance(flow, BookSync | PushedBook):
            return self.noted(flow.resync(reason, now, out))
        return ()

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        self._mark.pulses.discard(self.pulse)
        for flow in self.flows.values():
            self._leave(flow, reason, now, out)
        self.flows.clear()
        self.handlers.clear()

    # --- for the venue's file ---

    def accept(self, subscriptions: Iterable[Subscription], now: Micros) -> Asks:
        """The venue said yes to these, or to keys that these stand for."""
        accepted = tuple(sub for each in subscriptions for sub in self._all_of(each))
        for sub in accepted:
            self._carry(sub)
        self._accepted.update(accepted)
        self.acks.expect((sub for sub in accepted if self._will_speak(sub)), now)
        return (Accepted(accepted),) if accepted else ()

    def refuse(self, subscriptions: Iterable[Subscription], reason: str) -> Asks:
        """The venue said no. Of what is not wanted any more nobody needs to know."""
        every = tuple(sub for each in subscriptions for sub in self._all_of(each))
        refused = tuple(sub for sub in every if sub in self.wanted)
        return (Refused(refused, reason),) if refused else ()

    def noted(self, asks: Asks) -> Asks:
        """Remember the Fetches: their answers come to this connection or not at all."""
        self._asked.update(ask.key for ask in asks if isinstance(ask, Fetch))
        return asks

    def sharing(self, key: bytes) -> Sequence[Subscription]:
        """All subscriptions that are found by this key, in the order in which they came."""
        return self._sharing.get(key, ())

    def chain(self, sub: Subscription, history: History) -> TradeChain:
        """The stream's chain of trades, by ids that have no holes."""
        chain = self.streams.state.get(sub)
        if not isinstance(chain, TradeChain):
            chain = TradeChain(
                sub.inst,
                sub.channel,
                history,
                resume=self.streams.resume.get(sub),
                hold=Micros(int(self.streams.hold_secs * SECOND)),
                repair_max_ids=self.streams.repair_max_ids,
                lenient=self.streams.lenient,
            )
            self.streams.state[sub] = chain
        self.flows[sub] = chain
        return chain

    def book(self, sub: Subscription, source: Source) -> BookSync:
        """The stream's book, with snapshots by HTTP."""
        book = self.streams.state.get(sub)
        if not isinstance(book, BookSync):
            book = BookSync(sub.inst, sub.channel, source, lenient=self.streams.lenient)
            self.streams.state[sub] = book
        self.flows[sub] = book
        return book

    def pushed(self, sub: Subscription, rule: Sequencing) -> PushedBook:
        """The stream's book, with snapshots in the stream."""
        book = self.streams.state.get(sub)
        if not isinstance(book, PushedBook):
            book = PushedBook(sub.inst, sub.channel, rule, lenient=self.streams.lenient)
            self.streams.state[sub] = book
        self.flows[sub] = book
        return book

    def newest(self, sub: Subscription) -> Newest:
        """What a stream without ids passed on last."""
        newest: Newest = self.streams.state.setdefault(sub, Newest())
        return newest

    def deliver(
        self, sub: Subscription, instrument: Instrument, data: Data, recv: Micros, out: Batch
    ) -> Asks:
        """Give data to a stream that was found by other ways than its key.

        Of a recording, begin the stream, unless its first frame turns out to be bad.
        """
        key = self.key(sub, instrument)
        handle = self.handlers.get(key)
        if handle is not None:
            return handle(data, recv, out)
        if not self.streams.lenient:
            raise BadFrame(f"a frame of {sub.channel} {sub.inst}, which was not asked for")
        if len(self.handlers) >= _MAX_ADOPTED:
            raise BadFrame(f"more than {_MAX_ADOPTED} streams in one recording")
        is_new = sub not in self.streams.state
        self._begin(sub, instrument)
        is_good = False
        try:
            asks = self.handlers[key](data, recv, out)
            is_good = True
        finally:
            if not is_good:
                self._disown(sub, key, is_new=is_new)
        return asks

    def is_carried(self, sub: Subscription) -> bool:
        """Say whether any connection carries this stream, which has a book or a chain."""
        flow: Flow | None = self.streams.state.get(sub)
        return flow is not None and bool(flow.carriers)

    def renew(self, reason: str) -> Asks:
        """A successor is wanted; said once."""
        if self._renewing:
            return ()
        self._renewing = True
        return (Renew(reason),)

    # --- silence ---

    def _unanswered(self, subs: Sequence[Subscription], now: Micros) -> Asks:
        """Nobody answered a request in time. What is asked anew, or speaks, stays accepted.

        Where nothing was ever answered it is the connection that is sick, and no name is wrong:
        the link has a deadline for that, and connects anew.
        """
        if not (self._accepted or self._spoken):
            return ()
        known = [sub for sub in subs if sub in self._accepted or sub in self._spoken]
        others = [sub for sub in subs if sub not in known]
        late = f"no answer to the subscription within {ANSWER_SECS} s"
        return [*self.accept(known, now), *self.refuse(others, late)]

    def _unheard(self, subs: Sequence[Subscription]) -> Asks:
        """These were accepted and never spoke: a wrong name, a wrong path, or a venue in trouble.

        Nobody can tell which, so they are named and stay subscribed.
        """
        self._mute.update(subs)
        reason = f"accepted, but nothing came within {SPEAK_SECS} s: does this stream exist?"
        return (Stalled(tuple(subs), reason),) if subs else ()

    def _listen_for_silence(self, now: Micros, out: Batch) -> Asks:
        """Subscribe anew to what is silent beyond its rhythm; if all is silent, connect anew."""
        if self.streams.lenient:
            return ()
        state = self.streams.state
        before = frozenset(self._rhythm.stalled)
        places = ((sub, state[sub].place) for sub in self.wanted if sub in state)
        asks: list[Ask] = []
        for silence in self._rhythm.look(places, now):
            sub = silence.key
            usual = max(silence.usual_secs, 0.1)
            reason = f"silent for {silence.silent_secs:.1f} s, of late never for {usual:.1f} s"
            asks.append(Stalled((sub,), reason))
            asks.extend(self.resync(sub, reason, now, out))
            asks.extend(self.again((sub,), now))
        flowing = before - self._rhythm.stalled
        if flowing:
            asks.append(Flowing(tuple(sorted(flowing))))
        if self._rhythm.all_stalled():
            asks.extend(self.renew("all its streams are silent beyond their rhythm"))
        return asks

    # --- how streams begin and end ---

    def _subscribe(self, subscriptions: Iterable[Subscription], now: Micros) -> Asks:
        asks: list[Ask] = []
        named: list[Named] = []
        joined: list[Subscription] = []
        for sub in subscriptions:
            instrument = self.streams.catalogue.get(sub.inst)
            if instrument is None:
                venue, symbol = split_id(sub.inst)
                asks.append(Refused((sub,), f"{venue} does not list {symbol}"))
            elif self._begin(sub, instrument):
                named.append(Named(self.key(sub, instrument), sub, instrument))
            else:
                joined.append(sub)  # of a key that is subscribed to already
        waiting = frozenset(self.acks.waiting()) | {each.sub for each in named}
        answered = tuple(sub for sub in joined if waiting.isdisjoint(self._all_of(sub)))
        asks.extend(map(Send, self.say(named, now, subscribe=True) if named else ()))
        if answered:
            for sub in answered:
                self._carry(sub)
            self._accepted.update(answered)
            asks.append(Accepted(answered))
        return asks

    def _unsubscribe(self, subscriptions: Iterable[Subscription], now: Micros, out: Batch) -> Asks:
        named = []
        for sub in subscriptions:
            instrument = self.streams.catalogue.get(sub.inst)
            if instrument is not None and self._end(sub, instrument, now, out):
                named.append(Named(self.key(sub, instrument), sub, instrument))
        return [Send(frame) for frame in self.say(named, now, subscribe=False)] if named else ()

    def again(self, subscriptions: Iterable[Subscription], now: Micros) -> Asks:
        """Subscribe anew, for new snapshots."""
        found = ((sub, self.streams.catalogue.get(sub.inst)) for sub in subscriptions)
        named = [Named(self.key(s, each), s, each) for s, each in found if each is not None]
        if not named:
            return ()
        frames = [*self.say(named, now, subscribe=False), *self.say(named, now, subscribe=True)]
        return [Send(frame) for frame in frames]

    def _is_due(self, sub: Subscription, now: Micros) -> bool:
        flow = self.flows[sub]
        return isinstance(flow, PushedBook) and flow.due(self, now)

    def _begin(self, sub: Subscription, instrument: Instrument) -> bool:
        """Make the stream's handler. False: its key is in use by others already."""
        key = self.key(sub, instrument)
        sharing = self._sharing.setdefault(key, [])
        sharing.append(sub)
        self.wanted.add(sub)
        self._accepted.discard(sub)
        self._spoken.discard(sub)
        if len(sharing) == 1:
            self._listen(key, sub, instrument)
        self._wanted_changed(sub)
        return len(sharing) == 1

    def _listen(self, key: bytes, sub: Subscription, instrument: Instrument) -> None:
        handle = self.handler(sub, instrument)

        def first(data: Data, recv: Micros, out: Batch) -> Asks:
            asks = handle(data, recv, out)
            self.handlers[key] = handle
            every = self._all_of(sub)
            for each in every:
                self.acks.heard(each)
                self._spoken.add(each)
                self._carry(each)
            mute = self._mute.intersection(every)
            self._mute -= mute
            return [*asks, Flowing(tuple(sorted(mute)))] if mute else asks

        self.handlers[key] = first

    def _end(self, sub: Subscription, instrument: Instrument, now: Micros, out: Batch) -> bool:
        """Drop what still comes of it. False: others still use its key."""
        key = self.key(sub, instrument)
        self.wanted.discard(sub)
        self._rhythm.forget(sub)
        self._mute.discard(sub)
        self.acks.heard(sub)
        flow = self.flows.pop(sub, None)
        if flow is not None:
            self._leave(flow, "unsubscribed", now, out)
        self._wanted_changed(sub)
        sharing = self._sharing.get(key, [])
        if sub in sharing:
            sharing.remove(sub)
        if sharing:
            return False
        self._sharing.pop(key, None)
        self.handlers[key] = _ignore
        return True

    def _disown(self, sub: Subscription, key: bytes, *, is_new: bool) -> None:
        del self.handlers[key]
        self._sharing.pop(key, None)
        self.wanted.discard(sub)
        self._wanted_changed(sub)
        if is_new:
            self.flows.pop(sub, None)
            self.streams.state.pop(sub, None)

    def _wanted_changed(self, sub: Subscription) -> None:
        self.pulse.never_rests = any(self.never_rests(each) for each in self.wanted)
        self.changed(sub)

    def _leave(self, flow: Flow, reason: str, now: Micros, out: Batch) -> None:
        if flow.key in self._asked:
            self._asked.discard(flow.key)
            flow.abandon()
        flow.left(self, reason, now, out)

    def _carry(self, sub: Subscription) -> None:
        flow = self.flows.get(sub)
        if flow is not None:
            flow.carriers.add(self)

    def _all_of(self, sub: Subscription) -> Sequence[Subscription]:
        """All that share the key of this one."""
        instrument = self.streams.catalogue.get(sub.inst)
        if instrument is None:
            return (sub,)
        return tuple(self._sharing.get(self.key(sub, instrument), ())) or (sub,)

    def _will_speak(self, sub: Subscription) -> bool:
        instrument = self.streams.catalogue.get(sub.inst)
        is_trading = instrument is not None and instrument.active
        is_quiet = sub in self.wanted and sub not in self._spoken  # data may be before the answer
        return is_trading and is_quiet and self.speaks_always(sub)

    def _held(self) -> Iterable[Micros]:
        """Event times beyond which trades wait, of all connections."""
        flows = self.streams.state.values()
        chains = (flow for flow in flows if isinstance(flow, TradeChain | Unnumbered))
        since = (flow.held_since() for flow in chains)
        return (ts for ts in since if ts is not None)


def _ignore(_data: Data, _recv: Micros, _out: Batch) -> Asks:
    """Drop what still comes after unsubscribing."""
    return ()
