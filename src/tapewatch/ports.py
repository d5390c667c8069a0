"""Every contract between the parts. Read this first.

A part is written against these and knows no other part. Each Protocol has two implementations, or
one and a test double that we would miss. Values that cross a border stand beside the border.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from enum import Enum, IntEnum
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import Struct, field

from tapewatch.model.channel import Notice
from tapewatch.model.events import (
    AnyEvent,
    Batch,
    BookSnapshot,
    Candle,
    Coverage,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue, Instrument

Clock: TypeAlias = Callable[[], Micros]
NOT_WANTED = "no longer wanted"  # why a link is closed when all that it carried is
C = TypeVar("C")
S = TypeVar("S")

# --- venues: a conversation without I/O ----------------------------------------------------------


class Subscription(Struct, frozen=True, order=True):
    """One channel of one instrument. `channel` is the venue's own word: `aggTrade`, `depth`."""

    inst: InstrumentId
    channel: str


class Route(Struct, frozen=True):
    """One connection to be made, and what it carries."""

    name: str
    url: str
    subscriptions: tuple[Subscription, ...]


class Limits(Struct, frozen=True):
    """What the venue allows. Budgets belong to the venue, not to one connection."""

    subscriptions: int  # on one connection
    frames_per_sec: float  # that we may send on one connection
    connects: int  # new connections within connects_secs
    connects_secs: float
    weight: int  # of HTTP requests within weight_secs
    weight_secs: float
    idle_secs: float  # silence that means a dead link; heartbeats do not count as data
    max_age_secs: float  # we renew before the venue cuts
    ban_secs: float = 0.0  # so long nothing is asked after a 403 that is no web page; 0: it is none


class Send(Struct, frozen=True):
    """Send this frame on the link."""

    frame: bytes


class Fetch(Struct, frozen=True):
    """Get this by HTTP and bring the body back through `answer`, whatever the status was."""

    key: str  # unique among those under way; the conversation's own note to itself
    url: str
    weight: int = 1


class Accepted(Struct, frozen=True):
    """The venue said yes to these."""

    subscriptions: tuple[Subscription, ...]


class Refused(Struct, frozen=True):
    """The venue said no to these. Report it; do not ask again."""

    subscriptions: tuple[Subscription, ...]
    reason: str


class Renew(Struct, frozen=True):
    """The venue is about to close this link: connect a successor now, then drop this one."""

    reason: str


class Stalled(Struct, frozen=True):
    """These are silent beyond their rhythm; they are subscribed anew. Report it."""

    subscriptions: tuple[Subscription, ...]
    reason: str


class Flowing(Struct, frozen=True):
    """These speak again."""

    subscriptions: tuple[Subscription, ...]


Ask: TypeAlias = Send | Fetch | Accepted | Refused | Renew | Stalled | Flowing
Asks: TypeAlias = Sequence[Ask]  # usually the empty tuple


class Answer(Struct, frozen=True):
    """What came of a Fetch, after the retries. Status 0: unreachable, `body` says why."""

    status: int
    body: bytes


class Streams(Struct):
    """What must outlive a connection: for each subscription its chain of trades or its book.

    All conversations of one feed share one `Streams`. So a renewed connection continues where
    the old one is, duplicates are dropped by id, and an outage shows as a jump of ids.
    """

    catalogue: Catalogue
    resume: dict[Subscription, int] = field(default_factory=dict)  # last id that is stored
    state: dict[Subscription, Any] = field(default_factory=dict)  # made by the venue on first use
    hold_secs: float = 1.0  # live trades wait this long for a repair, in order
    repair_max_ids: int = 50_000  # a longer outage is left to a backfill
    lenient: bool = False  # a recording: pass on what nothing can prove, after a Gap that says so


class Conversation(Protocol):
    """One per connection; dies with it. No I/O, no clock: time and bytes are arguments.

    Events are appended to `out`, in order; what the conversation wants from outside comes back.
    """

    def open(self, now: Micros) -> Asks:
        """Begin: the link is up. Usually the frames that subscribe."""
        ...

    def want(self, subscriptions: frozenset[Subscription], now: Micros, out: Batch) -> Asks:
        """Change what this connection carries to exactly these."""
        ...

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        """Read one frame. Raises anything on a bad one: the caller makes the dead letter.

        The levels of a BookDelta must be proven possible here, all of them (price above 0, size
        not below 0, both finite): let msgspec do it with `Meta(gt=0, lt=1e300)`. The gate behind
        looks at both ends of a side only.
        """
        ...

    def answer(self, fetch: Fetch, answer: Answer, recv: Micros, out: Batch) -> Asks:
        """Take the body that a Fetch asked for, or the failure."""
        ...

    def tick(self, now: Micros, out: Batch) -> Asks:
        """Time passed (called about four times a second): heartbeats, deadlines, `Tick` events."""
        ...

    def resync(self, subscription: Subscription, reason: str, now: Micros, out: Batch) -> Asks:
        """Somebody found this book impossible (crossed): void it and build it anew."""
        ...

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        """The link is gone, for good if NOT_WANTED. Books that no other carries are void: `Gap`."""
        ...


class Dialect(Protocol):
    """A venue: constants, addresses, and how to begin a conversation. Holds no state."""

    name: str
    limits: Limits
    numbered: bool  # its trade ids ascend without holes, so that they can prove completeness

    def channel(self, text: str) -> str:
        """Give the canonical channel name. Raises NotFound with the nearest valid ones."""
        ...

    def catalogue(self) -> list[Fetch]:
        """Tell what to fetch to learn all instruments."""
        ...

    def instruments(self, body: bytes) -> list[Instrument]:
        """Read one body that `catalogue` asked for."""
        ...

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        """Share subscriptions out over connections, by the venue's limits."""
        ...

    def converse(self, route: Route, streams: Streams) -> Conversation: ...

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:
        """For recordings: the pending Fetch that this line answers; None if it is a frame."""
        ...


@runtime_checkable
class Paged(Protocol):
    """A Dialect whose listing comes in pages."""

    def next_page(self, body: bytes) -> Fetch | None:
        """Tell what to fetch after this body; None if it was the last one."""
        ...


# --- feeds and the bus ---------------------------------------------------------------------------


class Outlet(Protocol):
    """Where a feed puts its batches: all events that one wake-up of the loop brought, in order."""

    def offer(self, events: Batch) -> bool:
        """Hand over without waiting. False: somebody is full and nothing was taken."""
        ...

    async def publish(self, events: Batch) -> None:
        """Hand over, waiting for room."""
        ...


class LinkState(Enum):
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    STREAMING = "live"
    STALE = "stale"
    BACKOFF = "backing-off"
    BLOCKED = "blocked"  # 451 or 403: asking again in a hurry will not help
    CLOSED = "closed"


class LinkStatus(Struct):
    """Facts about one connection, for health and for people."""

    venue: str
    route: str
    state: LinkState = LinkState.CONNECTING
    since: Micros = Micros(0)
    url: str = ""
    subscriptions: int = 0
    accepted: int = 0
    frames: int = 0
    last_data: Micros = Micros(0)  # receive time of the last frame that carried data
    latency_ms: float | None = None  # recv - ts of a recent event; includes the clocks' difference
    reconnects: int = 0
    error: str = ""  # the last one, in words
    retry_at: Micros | None = None
    stalled: tuple[str, ...] = ()  # streams that are silent beyond their rhythm, in words


class FeedConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every section under `exchanges:` may say; a venue's own config extends it."""

    enabled: bool = True
    symbols: tuple[str, ...] = ()  # any spelling
    streams: tuple[str, ...] = ("ticker",)
    reconnect_delay: float = 5.0  # first delay of the backoff, seconds
    max_reconnect_delay: float = 60.0
    idle_secs: float | None = None  # None: the venue's usual value (see its Limits)
    max_age_secs: float | None = None
    hold_secs: float = 1.0  # how long live trades wait for a repair
    repair_max_ids: int = 50_000


class Feed(Protocol):
    """A source of events. CCXT and news enter here; native venues through `wire.session`."""

    name: str
    counters: "Counters"

    async def run(self, outlet: Outlet) -> None: ...

    async def want(self, subscriptions: frozenset[Subscription]) -> None:
        """Carry exactly these. Other streams are not disturbed."""
        ...

    async def resync(self, inst: InstrumentId, reason: str) -> None:
        """Build the books of this instrument anew."""
        ...

    def status(self) -> list[LinkStatus]: ...


class WhenFull(Enum):
    BLOCK = "block"  # the producer waits: processors and pumps, which must see all
    DROP_OLDEST = "drop_oldest"  # counted; browsers' event channels
    CONFLATE = "conflate"  # the newest of each type and instrument stays; browsers' prices


class Buffer(Struct, frozen=True):
    max_events: int = 65_536
    when_full: WhenFull = WhenFull.BLOCK


class Reader(Protocol):
    """Iterate to read batches; the end of the stream ends the loop."""

    counters: "Counters"

    def __aiter__(self) -> AsyncIterator[Batch]: ...

    async def commit(self) -> None:
        """All that was read is dealt with. Until then it is delivered again after a crash."""
        ...

    def end(self) -> None:
        """Nothing more will come: iteration ends after what is buffered."""
        ...

    async def close(self) -> None:
        """Stop reading; what waits is dropped."""
        ...


class Bus(Outlet, Protocol):
    async def publish(self, events: Batch, skip: Reader | None = None) -> None:
        """Hand over, waiting for room. `skip` is the reader that made these: it knows them."""
        ...

    def subscribe(self, name: str, wants: frozenset[type[Event]], buffer: Buffer) -> Reader: ...

    async def close(self) -> None:
        """End the stream: readers see the end after the last event."""
        ...


# --- processors ----------------------------------------------------------------------------------


class State(Protocol):
    """A msgspec Struct, one per key: all that must survive an event is a field of it."""

    def on_event(self, event: Any) -> Sequence[AnyEvent]:
        """Constant work; an empty tuple when there is nothing to say."""
        ...

    def on_timer(self, at: Micros) -> Sequence[AnyEvent]:
        """Called with `at` = what `next_timer` gave, once a Tick has shown that it has passed."""
        ...

    def next_timer(self) -> Micros | None: ...


class Measure(Struct, frozen=True):
    """A number that a processor gives: so rules can be checked before they run.

    In rules it is called `name` where it has one window or its name says it (`change_24h`), else
    `name_window` (`volatility_5m`).
    """

    name: str  # `Metric.name`
    windows: tuple[str, ...]  # every `Metric.window` that may come
    unit: str  # "fraction", "usd", "bps", "ratio", "sigma", "count", "quote", "secs" ...
    text: str  # one line for people
    sparse: bool = False  # told only when there is something to tell: silence means nothing did

    def words(self) -> dict[str, str]:
        """What rules may say, and the window it means."""
        if len(self.windows) == 1:
            return {self.name: self.windows[0]}
        return {f"{self.name}_{window}": window for window in self.windows}


class Proof(Struct, frozen=True):
    """How a detector proves at start that it can fire, and that it keeps quiet."""

    metric: str  # the Metric that must reach `level` on the first stream and not on the second
    level: float
    positive: Callable[[], Iterable[AnyEvent]]
    quiet: Callable[[], Iterable[AnyEvent]]


class Processor(Protocol[S]):
    """What a file in `process/` declares, as `PLUGIN`. A detector declares a `PROOF` too.

    It may have `notes` too: which of `wants` it never answers, so that these do not order it.
    """

    name: str
    wants: frozenset[type[Event]]
    gives: frozenset[type[Event]]
    state: type[S]
    measures: tuple[Measure, ...]  # of the Metrics it gives

    def key(self, event: Any) -> str:
        """Usually the instrument id. Depends on the event's type and instrument only."""
        ...

    def fresh(self, key: str) -> S: ...

    def adopt(self, state: S) -> S:
        """Give a restored state today's settings."""
        ...


# --- stores and channels -------------------------------------------------------------------------


class Sink(Protocol):
    """Writes one batch once, idempotently by natural key. Retry and spill are the pump's."""

    name: str
    wants: frozenset[type[Event]]

    async def open(self) -> None: ...

    async def write(self, batch: Batch) -> None:
        """Raise Unavailable to get the batch again, Rejected for rows that can never be stored."""
        ...

    async def close(self) -> None: ...


class Notifier(Protocol):
    """Sends one notice once. Queue, retry and log are the courier's."""

    name: str

    async def send(self, notice: Notice) -> str:
        """Give the channel's word. Raise Unavailable or Rejected, with no secret in the text."""

    async def close(self) -> None: ...


class Query(Protocol):
    """Read what is stored: half-open time ranges, ascending, at most `limit` rows after `offset`.

    `newest` takes the rows nearest to `until` instead of those nearest to `since`. Raises
    ValueError for a question that cannot be asked, Unavailable when a time or memory limit ends it.
    """

    async def candles(
        self,
        inst: InstrumentId,
        interval: str,
        since: Micros,
        until: Micros,
        limit: int,
        *,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Candle]: ...

    async def trades(
        self,
        inst: InstrumentId,
        since: Micros,
        until: Micros,
        limit: int,
        *,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Trade]: ...

    async def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run one read-only statement over everything stored: column names and rows."""
        ...

    def close(self) -> None:
        """Let go of threads, files, processes."""
        ...


class Latest(Struct):
    """The newest of each thing about one instrument, but for its book: see `Books`."""

    inst: InstrumentId
    trade: Trade | None = None
    quote: Quote | None = None
    ticker: Ticker | None = None
    candles: dict[str, Candle] = field(default_factory=dict)  # by interval, open or closed
    metrics: dict[str, Metric] = field(default_factory=dict)  # "name window"
    updated: Micros = Micros(0)

    @property
    def price(self) -> float | None:
        if self.trade is not None:
            return self.trade.price
        return self.ticker.last if self.ticker is not None else None

    def measured(self, name: str) -> float | None:
        """Give a metric's value by "name window"."""
        metric = self.metrics.get(name)
        return None if metric is None else metric.value


class Hot(Protocol):
    """The hot window. A backend of one's own is one file with these methods, named in YAML."""

    def update(self, events: Sequence[AnyEvent]) -> None: ...

    def get_latest(self, inst: InstrumentId) -> Latest | None: ...

    def get_all(self) -> dict[InstrumentId, Latest]: ...


class Books(Protocol):
    """The order books as they stand. Read from the processors, which keep the one copy."""

    def book(self, inst: InstrumentId, levels: int) -> BookSnapshot | None:
        """Give the best `levels` of each side, only while the book is proven in step."""
        ...

    def gap(self, inst: InstrumentId) -> str:
        """Say why there is no book now; empty if there is one, or if nobody spoke of one."""
        ...


class Ledger(Protocol):
    """What is known of the ids of each numbered stream; fed by `Coverage` events."""

    async def resume(self) -> dict[Subscription, int]:
        """Give the last stored id of each stream."""
        ...

    async def coverage(
        self, inst: InstrumentId | None = None, channel: str | None = None
    ) -> list[Coverage]: ...


class Registry(Protocol):
    """Subscriptions made at run time; kept, and loaded again at start."""

    async def load(self) -> list[tuple[Subscription, bool]]:
        """Pairs of subscription and whether it is wanted (False: unsubscribed by hand)."""
        ...

    async def save(self, subscriptions: Iterable[Subscription], *, wanted: bool) -> None: ...


# --- the runtime ---------------------------------------------------------------------------------


class Counters(Struct):
    """The same for each worker; read by telemetry at scrape time. Moved once a batch."""

    received: int = 0
    sent: int = 0
    buffered: int = 0
    last_ts: Micros = Micros(0)  # event time of the last event that went through
    dropped: dict[str, int] = field(default_factory=dict)  # by reason
    errors: dict[str, int] = field(default_factory=dict)  # by kind
    trouble: str = ""  # what keeps it from its work now, in words; health tells it

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def error(self, kind: str, count: int = 1) -> None:
        self.errors[kind] = self.errors.get(kind, 0) + count


class Stage(IntEnum):
    """Order of draining: a stage stops when the one before it has ended."""

    INGEST = 0
    PROCESS = 1
    STORE = 2
    SERVE = 3


class Worker(Protocol):
    """Runs until its work is done. Cancelled when it is asked to stop and does not end."""

    name: str

    async def run(self) -> None: ...


class WorkerHealth(Struct):
    """What the supervisor knows of one worker."""

    name: str
    stage: Stage
    state: str  # running, restarting, failed, ended
    since: Micros
    restarts: int = 0
    error: str = ""


class Plugin(Struct, Generic[C], frozen=True):
    """What a plug-in file declares as `PLUGIN`: its settings' type, and how it is built."""

    config: type[C]
    build: Callable[..., Any]  # (instance name, its section), and what the folder's kind adds
