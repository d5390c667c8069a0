"""Plug-ins as somebody outside would write them. Nothing runs: `mypy --strict` must accept it.

It is the compatibility test for outside authors: what breaks here breaks their code.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tapewatch.model.channel import ChannelConfig, Notice
from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import (
    AnyEvent,
    Batch,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Trade,
)
from tapewatch.model.instrument import Instrument
from tapewatch.ports import (
    Answer,
    Asks,
    Conversation,
    Dialect,
    FeedConfig,
    Fetch,
    Hot,
    Latest,
    Limits,
    Measure,
    Notifier,
    Plugin,
    Processor,
    Route,
    Send,
    Sink,
    State,
    Streams,
    Subscription,
)


class Store:
    name = "mine"
    wants: frozenset[type[Event]] = frozenset({Trade})

    async def open(self) -> None:
        pass

    async def write(self, batch: Batch) -> None:
        if not batch:
            raise Unavailable("nothing to write", retry_after=1.0)

    async def close(self) -> None:
        pass


class PagerConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    number: str


class Pager:
    def __init__(self, name: str, config: PagerConfig) -> None:
        self.name = name
        self._number = config.number

    async def send(self, notice: Notice) -> str:
        if len(notice.alerts) > 100:
            raise Unavailable("too much at once", retry_after=60.0)
        return f"{self._number} rang"

    async def close(self) -> None:
        pass


class Counting(Struct):
    inst: InstrumentId
    seen: int = 0

    def on_event(self, event: Any) -> Sequence[AnyEvent]:
        self.seen += 1
        return (Metric(event.ts, event.recv, self.inst, "seen", float(self.seen), ""),)

    def on_timer(self, at: Micros) -> Sequence[AnyEvent]:
        return ()

    def next_timer(self) -> Micros | None:
        return None


class Detector:
    name = "counting"
    wants: frozenset[type[Event]] = frozenset({Trade})
    gives: frozenset[type[Event]] = frozenset({Metric})
    state = Counting
    measures: tuple[Measure, ...] = (Measure("count", ("1s",), "count", "events seen"),)

    def key(self, event: Any) -> str:
        return str(event.inst)

    def fresh(self, key: str) -> Counting:
        return Counting(key)

    def adopt(self, state: Counting) -> Counting:
        return state


class Talk:
    def open(self, now: Micros) -> Asks:
        return (Send(b"hello"), Fetch("book", "https://example.org/book"))

    def want(self, subscriptions: frozenset[Subscription], now: Micros, out: Batch) -> Asks:
        return ()

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        return ()

    def answer(self, fetch: Fetch, answer: Answer, recv: Micros, out: Batch) -> Asks:
        return ()

    def tick(self, now: Micros, out: Batch) -> Asks:
        return ()

    def resync(self, subscription: Subscription, reason: str, now: Micros, out: Batch) -> Asks:
        return ()

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        pass


class Venue:
    name = "mine"
    limits = Limits(100, 5.0, 10, 60.0, 1_000, 60.0, 30.0, 86_000.0)
    numbered = True

    def channel(self, text: str) -> str:
        if text != "trades":
            raise NotFound("stream", text, ("trades",))
        return text

    def catalogue(self) -> list[Fetch]:
        return [Fetch("listing", "https://example.org/symbols")]

    def instruments(self, body: bytes) -> list[Instrument]:
        return [Instrument(self.name, "BTC", "USDT", "BTCUSDT")]

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        return [Route("mine-0", "wss://example.org", tuple(wanted))]

    def converse(self, route: Route, streams: Streams) -> Conversation:
        return Talk()

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:
        return None


class Config(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://example.org"


class Window:
    def update(self, events: Sequence[AnyEvent]) -> None:
        pass

    def get_latest(self, inst: InstrumentId) -> Latest | None:
        return Latest(inst)

    def get_all(self) -> dict[InstrumentId, Latest]:
        return {}


def build(name: str, config: Config) -> Venue:
    return Venue()


PLUGIN = Plugin(config=Config, build=build)
sink: Sink = Store()
notifier: Notifier = Pager("desk", PagerConfig(number="110"))
state: State = Counting("v:A/B")
processor: Processor[Counting] = Detector()
dialect: Dialect = Venue()
backend: Hot = Window()
