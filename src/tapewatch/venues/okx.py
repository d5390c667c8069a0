"""OKX v5, public market data: spot, swaps, dated contracts. No I/O, no clock.

Streams:   https://www.okx.com/docs-v5/en/#overview-websocket
REST:      https://www.okx.com/docs-v5/en/#overview-rest-authentication
Changes:   https://www.okx.com/docs-v5/log_en/

The messages stand in `_okx_messages`, their way to events in `_okx_handlers`. In the EEA the hosts
are `wss://wseea.okx.com:8443` and `https://eea.okx.com`; they list other instruments.

    open --subscribe--> one ack each: Accepted | an error whose words name one: Refused
                      | an error that names none: halves are asked for until one is left alone
    notice 64008 --> Renew          we: "ping" --> "pong"

Traps:
- Two sockets: candles and `trades-all` are on /business, the rest on /public. Else error 60018.
- Sizes of contracts are contracts; of inverse ones (settled in the base) amounts of the quote.
- A row of `trades` is `count` fills; its id is the last one's. History gives single fills.
- Candles of six hours and more begin in UTC+8 without `utc`.
- `liquidation-orders` is subscribed to by type and brings all instruments; an index belongs to
  all instruments of its pair. So one stream of the wire is shared by many of ours.
- 480 requests an hour on one connection: a connection that has used up its share is renewed.
- Errors of HTTP have status 200 and a `code` that is not "0".
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import UNSET
from msgspec.json import encode

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Batch, InstrumentId, Micros
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import HOUR, SECOND
from tapewatch.ports import (
    NOT_WANTED,
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
from tapewatch.venues import _okx_handlers as handlers
from tapewatch.venues import _okx_messages as wire
from tapewatch.venues import _okx_rest as rest
from tapewatch.venues import _okx_streams as names
from tapewatch.venues._batches import Batches
from tapewatch.venues._okx_messages import Arg, Head
from tapewatch.venues._okx_past import OkxPast
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import _MAX_ADOPTED as MAX_ADOPTED
from tapewatch.venues._talk import Handler, Named, Talk
from tapewatch.venues._trades import TradeChain

LIMITS = Limits(
    subscriptions=240,  # no limit is told
    frames_per_sec=10,  # no limit is told; the 480 requests an hour are counted in `say`
    connects=2,  # the venue allows 3: its second is not ours
    connects_secs=1,
    weight=16,  # the venue allows 20, for each end point
    weight_secs=2,
    idle_secs=90,
    max_age_secs=24 * 3600,  # no limit is told
)
STREAMS_PER_LINK = 100
BOOKS_PER_LINK, MOST_BOOKS = 20, 29  # the venue advises below 30
REQUESTS = 230  # of a clock hour of the connection: no hour between two such has more than 480
_ARGS_PER_FRAME = 200  # 64 KB are allowed
_CHANNEL_AT = len(b'{"arg":{"channel":"')
_LAG = SECOND  # other channels may run ahead of the trades by less than this
_NAMED = re.compile(r"channel:\s*([\w-]+),\s*(inst\w+):\s*([\w.-]+)")  # in the words of an error
# Unavailable, timed out, busy, system error; too many requests; internal.
_PASSING = frozenset(("50001", "50004", "50013", "50026", "60014", "64007"))
_UPGRADE = "64008"
_TRIES = 3
_QUIET_EVENTS = ("unsubscribe", "login", "channel-conn-count")
_CATALOGUE = "catalogue"


class OkxConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://ws.okx.com:8443"
    rest_url: str = "https://www.okx.com"
    kinds: tuple[Literal["SPOT", "SWAP", "FUTURES"], ...] = ("SPOT", "SWAP", "FUTURES")  # to list


class OkxConversation(Talk):
    beat = b"ping"

    def __init__(self, venue: str, route: Route, streams: Streams, rest_url: str) -> None:
        super().__init__(venue, route, streams)
        self.pulse.lag = _LAG
        self._rest_url = rest_url
        self._said: dict[bytes, Subscription] = {}  # what a key was subscribed for
        self._later: list[tuple[Micros, Subscription]] = []  # to be asked for again
        self._tries: dict[Subscription, int] = {}
        self._hour = Micros(0)
        self._requests = 0  # in this hour
        # Of all connections of this venue: where single fills are carried, aggregates are echoes.
        singles = Subscription(f"{venue}:*", "trades-all")
        self._singles: set[InstrumentId] = streams.state.setdefault(singles, set())

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        handle = self.handlers.get(frame[_CHANNEL_AT : frame.find(b"}", _CHANNEL_AT)])
        asks = handle(frame, recv, out) if handle is not None else self._other(frame, recv, out)
        return self.noted(asks) if asks else ()

    # --- streams ---

    def key(self, sub: Subscription, instrument: Instrument) -> bytes:
        return names.frame_key(sub.channel, *names.target(sub.channel, instrument))

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        inst, channel, pulse = sub.inst, sub.channel, self.pulse
        units = wire.units_of(instrument)
        if channel in ("trades", "trades-all"):
            native = instrument.native
            history = rest.trade_history(self._rest_url, native, inst, channel, units)
            chain = self.chain(sub, history)
            chain.echo = channel == "trades" and inst in self._singles
            return handlers.trades(inst, channel, chain, units, pulse)
        if channel in names.BOOKS:
            book = self.pushed(sub, handlers.follows)
            lenient = self.streams.lenient
            return handlers.BookReader(inst, book, units, pulse, self, lenient=lenient).handle
        if channel == "liquidation-orders":
            return self._liquidations
        if channel == "index-tickers":
            return self._indexes(self.key(sub, instrument))
        if channel in names.INTERVALS:
            bar = self.streams.state.setdefault(sub, handlers.Bar())
            interval = names.INTERVALS[channel]
            return handlers.candles(inst, interval, bar, is_spot=not instrument.settle)
        return self._plain(sub, instrument)

    def _plain(self, sub: Subscription, instrument: Instrument) -> Handler:
        """A stream of its own, with neither a chain nor a book."""
        inst, pulse, newest = sub.inst, self.pulse, self.newest(sub)
        units = wire.units_of(instrument)
        match sub.channel:
            case "bbo-tbt":
                return handlers.quotes(inst, newest, units, pulse)
            case "books5":
                whole = Subscription(inst, "books")
                return handlers.tops(inst, newest, units, pulse, lambda: self.is_carried(whole))
            case "tickers":
                is_spot = not instrument.settle
                return handlers.tickers(inst, newest, units, pulse, is_spot=is_spot)
            case "mark-price":
                return handlers.mark_prices(inst, newest, self._mark_of(inst), pulse)
            case "funding-rate":
                return handlers.funding_rates(inst, newest, self._mark_of(inst), pulse)
        return handlers.interests(inst, newest, pulse)

    def _mark_of(self, inst: InstrumentId) -> handlers.Mark:
        mark: handlers.Mark = self.streams.state.setdefault(
            Subscription(inst, "mark, index and funding"), handlers.Mark()
        )
        return mark

    def _indexes(self, key: bytes) -> Handler:
        def handle(frame: bytes, recv: Micros, out: Batch) -> Asks:
            for row in wire.decode_indexes(frame).data:
                self.pulse.ts, self.pulse.recv = Micros(row.ts * 1000), recv
                for sub in self.sharing(key):
                    newest, mark = self.newest(sub), self._mark_of(sub.inst)
                    handlers.index_price(sub.inst, newest, mark, row, recv, out)
            return ()

        return handle

    def _liquidations(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        for row in wire.decode_liquidations(frame).data:
            instrument = self._instrument(row.instId)
            sub = Subscription(instrument.id, "liquidation-orders")
            if sub not in self.wanted and not self.streams.lenient:
                continue
            flow = self._batches(sub)
            flow.carriers.add(self)
            units = wire.units_of(instrument)
            for detail in flow.fresh(row.details):
                event = wire.to_liquidation(detail, recv, sub.inst, units)
                flow.ts = max(flow.ts, event.ts)
                out.append(event)
        return ()

    def _batches(self, sub: Subscription) -> Batches:
        flow = self.streams.state.get(sub)
        if not isinstance(flow, Batches):
            if len(self.streams.state) >= MAX_ADOPTED:
                raise BadFrame(f"more than {MAX_ADOPTED} streams")
            flow = Batches(sub.inst, sub.channel, lenient=self.streams.lenient)
            self.streams.state[sub] = flow
        self.flows[sub] = flow
        return flow

    def changed(self, sub: Subscription) -> None:
        is_wanted = sub in self.wanted
        if sub.channel == "liquidation-orders" and is_wanted:
            self._batches(sub)  # the handler is made for the first of many only
        if sub.channel == "trades-all":
            (self._singles.add if is_wanted else self._singles.discard)(sub.inst)
            chain = self.streams.state.get(Subscription(sub.inst, "trades"))
            if isinstance(chain, TradeChain):
                chain.echo = is_wanted

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        super().lost(reason, now, out)
        if reason == NOT_WANTED:
            ended, self.wanted = self.wanted, set()
            for sub in ended:
                self.changed(sub)

    def speaks_always(self, sub: Subscription) -> bool:
        return names.speaks_always(sub.channel)

    # --- requests and their answers ---

    def say(self, named: Sequence[Named], now: Micros, *, subscribe: bool) -> Iterable[bytes]:
        if not 0 <= now - self._hour < HOUR:
            self._hour, self._requests = now, 0
        for at in range(0, len(named), _ARGS_PER_FRAME):
            some = named[at : at + _ARGS_PER_FRAME]
            args = [_arg(each) for each in some]
            self._requests += 1
            if subscribe:
                self._said.update((each.key, each.sub) for each in some)
                number = self.acks.ask(tuple(each.sub for each in some), now)
                yield encode({"id": str(number), "op": "subscribe", "args": args})
            else:  # nothing depends on the answer
                yield encode({"op": "unsubscribe", "args": args})

    def tick(self, now: Micros, out: Batch) -> Asks:
        asks = [*super().tick(now, out)]
        due = [sub for at, sub in self._later if not now < at < now + HOUR]
        if due:
            self._later = [(at, sub) for at, sub in self._later if sub not in due]
            asks.extend(self._ask_for([sub for sub in due if sub in self.wanted], now))
        if self._requests >= REQUESTS:
            asks.extend(self.renew(f"{self._requests} requests within an hour, of 480 allowed"))
        return asks

    def _other(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        if frame == b"pong":
            return ()
        head = wire.decode_head(frame)
        if head.event:
            return self._control(head, recv)
        if head.arg is not None and head.data is not UNSET:
            return self._data(head.arg, bytes(head.data), frame, recv, out)
        if self.streams.lenient and (head.op or (head.code and head.data is not UNSET)):
            return ()  # what a recorder has said or fetched
        raise BadFrame("neither data nor an answer")

    def _data(self, arg: Arg, data: bytes, frame: bytes, recv: Micros, out: Batch) -> Asks:
        if not names.is_channel(arg.channel):
            if names.is_skipped(arg.channel):
                return ()
            raise BadFrame(f"unknown channel {arg.channel!r}")
        if data == b"[]":
            return ()  # a sign of life
        native = arg.instId or wire.decode_liquidations(frame).data[0].instId
        instrument = self._instrument(native)
        return self.deliver(Subscription(instrument.id, arg.channel), instrument, frame, recv, out)

    def _instrument(self, native: str) -> Instrument:
        found = self.streams.catalogue.native(self.venue, native)
        found = found or rest.guess(native, self.venue)
        if found is None:
            raise BadFrame(f"{native!r} is no instrument")
        return found

    def _control(self, head: Head, now: Micros) -> Asks:
        match head.event:
            case "subscribe":
                return self.accept(self.acks.settled(self._subs_of(head.arg)), now)
            case "error" | "channel-conn-count-error":
                return self._error(head, now)
            case "notice" if head.code == _UPGRADE:
                return self.renew(f"the venue announced an upgrade: {head.msg}")
        if head.event in _QUIET_EVENTS:
            return ()
        raise BadFrame(f"the venue says {head.event!r}: code {head.code} {head.msg}")

    def _subs_of(self, arg: Arg | None) -> tuple[Subscription, ...]:
        if arg is None:
            return ()
        name, value = ("instType", arg.instType) if arg.instType else ("instId", arg.instId)
        sub = self._said.get(names.frame_key(arg.channel, name, value))
        return () if sub is None else (sub,)

    def _error(self, head: Head, now: Micros) -> Asks:
        """Refuse what the words name; else what the request's number stands for."""
        reason = f"code {head.code}: {head.msg}"
        asked: tuple[Subscription, ...] = ()
        if words := _NAMED.search(head.msg):
            sub = self._said.get(names.frame_key(*words.groups()))
            asked = () if sub is None else self.acks.settled((sub,))
        if not asked:
            number = int(head.id) if str(head.id).isdecimal() else self.acks.only()
            asked = self.acks.answered(number)
        if asked:
            return self._retry_or_refuse(asked, head.code, reason, now)
        if self.streams.lenient:
            return ()
        raise BadFrame(f"the venue reports {reason}")

    def _retry_or_refuse(
        self, asked: tuple[Subscription, ...], code: str, reason: str, now: Micros
    ) -> Asks:
        tries = max(self._tries.get(sub, 0) for sub in asked)
        if code in _PASSING and tries < _TRIES:
            self._tries.update(dict.fromkeys(asked, tries + 1))
            at = Micros(now + (2 << tries) * SECOND)
            self._later.extend((at, sub) for sub in asked)
            return ()
        if len(asked) == 1 or code in _PASSING:
            return self.refuse(asked, reason)
        half = len(asked) // 2
        return [*self._ask_for(asked[:half], now), *self._ask_for(asked[half:], now)]

    def _ask_for(self, subscriptions: Iterable[Subscription], now: Micros) -> list[Ask]:
        found = ((sub, self.streams.catalogue.get(sub.inst)) for sub in subscriptions)
        named = [Named(self.key(sub, inst), sub, inst) for sub, inst in found if inst]
        return [Send(frame) for frame in self.say(named, now, subscribe=True)]


def _arg(named: Named) -> dict[str, str]:
    name, value = names.target(named.sub.channel, named.instrument)
    return {"channel": named.sub.channel, name: value}


class Okx:
    def __init__(self, name: str, config: OkxConfig) -> None:
        self.name = name
        self.limits = LIMITS
        self.numbered = True
        self._config = config
        self._rest_url = config.rest_url.rstrip("/")
        self.past = OkxPast(self._rest_url)

    def channel(self, text: str) -> str:
        return names.channel_of_text(text)

    def catalogue(self) -> list[Fetch]:
        url = f"{self._rest_url}/api/v5/public/instruments?instType="
        return [Fetch(f"{_CATALOGUE} {kind}", f"{url}{kind}") for kind in self._config.kinds]

    def instruments(self, body: bytes) -> list[Instrument]:
        return rest.to_instruments(body, self.name)

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        """Books on links of their own: the venue wants few of them on one."""
        shares: dict[str, list[Subscription]] = {"public": [], "books": [], "business": []}
        for sub in wanted:
            share = "business" if names.is_business(sub.channel) else "public"
            shares["books" if sub.channel in names.BOOKS else share].append(sub)
        routes: list[Route] = []
        for share, subs in shares.items():
            is_books = share == "books"
            socket = "public" if is_books else share
            routes += share_out(
                f"{self.name}-{share}",
                f"{self._config.ws_url.rstrip('/')}/ws/v5/{socket}",
                subs,
                per_link=BOOKS_PER_LINK if is_books else STREAMS_PER_LINK,
                most=MOST_BOOKS if is_books else LIMITS.subscriptions,
            )
        return routes

    def converse(self, route: Route, streams: Streams) -> OkxConversation:
        return OkxConversation(self.name, route, streams, self._rest_url)

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:  # noqa: ARG002 - the port has it
        if frame.startswith(b'{"arg"') or b'"tickSz"' not in frame[:4096]:
            return None
        return next((fetch for fetch in pending if fetch.key.startswith(_CATALOGUE)), None)


PLUGIN = Plugin(config=OkxConfig, build=Okx)
