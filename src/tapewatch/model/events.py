"""Every event type. Events are immutable; who needs something else makes a new one.

Times are `Micros`: integer microseconds since the epoch, UTC. That is exact in Python, Parquet
and PostgreSQL, and stays below 2**53, so it is exact in a browser as well. Prices are floats:
this is observation, not bookkeeping.

Rules for change: a new field is appended and has a default, so that old journals, tapes and
checkpoints stay readable. `gc=False` keeps the collector from visiting millions of events; it is
safe because no event can be part of a cycle.

Holes and silence are events too: `Gap` voids what was built on an instrument, `Tick` says that
nothing happened, `Coverage` says which ids are in hand, `DeadLetter` keeps what nobody understood.
"""

from enum import Enum
from typing import NewType, TypeAlias

from msgspec import Struct

Micros = NewType("Micros", int)
InstrumentId: TypeAlias = str  # "okx:BTC/USDT:USDT", see model.instrument
Level: TypeAlias = tuple[float, float]  # price, size; size 0 removes the level


class Side(Enum):
    """Of the taker in a trade; of the closing order in a liquidation (SELL: a long was closed)."""

    BUY = "buy"
    SELL = "sell"


class Quality(Enum):
    """How much of the input a result rests on."""

    COMPLETE = "complete"  # every id of the interval was seen
    REPAIRED = "repaired"  # complete, but some of it came later by REST
    PARTIAL = "partial"  # something is known to be missing, or nothing proves the contrary
    SAMPLED = "sampled"  # the venue itself publishes only a part: a lower bound


class Origin(Enum):
    """Who computed a candle."""

    OWN = "own"
    VENUE = "venue"


class Holding(Enum):
    """What the ledger says of a range of ids."""

    HAVE = "have"
    REPAIRED = "repaired"
    MISSING = "missing"  # known to be missing, a repair is under way or was not tried yet
    LOST = "lost"  # cannot be had any more; the reason stands beside it


class AlertState(Enum):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"  # after it fired
    WITHDRAWN = "withdrawn"  # it was pending only: nobody was to be told


class Event(Struct, frozen=True, gc=False, tag_field="type"):
    """`ts`: when it happened, by the source's clock. `recv`: when our read returned."""

    ts: Micros
    recv: Micros


class MarketEvent(Event, frozen=True, gc=False):
    inst: InstrumentId


class Trade(MarketEvent, frozen=True, gc=False, tag="trade"):
    """A fill, or an aggregate of `count` fills of one taker order at one price."""

    id: str
    side: Side
    price: float
    size: float  # base units, never contracts
    channel: str = "trade"  # the stream that numbered it: `id` is unique within inst and channel
    count: int = 1
    repaired: bool = False  # came later by REST
    echo: bool = False  # another channel tells the same fills: stored, never summed


class Quote(MarketEvent, frozen=True, gc=False, tag="quote"):
    """Best bid and offer. `ts` equals `recv` where the venue sends no time."""

    bid: float
    bid_size: float
    ask: float
    ask_size: float
    seq: int = 0


class Ticker(MarketEvent, frozen=True, gc=False, tag="ticker"):
    """The venue's own summary of the last 24 hours, rolling, not a UTC day."""

    last: float
    open: float
    high: float
    low: float
    volume: float  # base units
    quote_volume: float
    change: float  # last minus open
    change_pct: float  # a fraction: 0.01 is one per cent
    bid: float | None = None
    ask: float | None = None
    trades: int | None = None


class BookSnapshot(MarketEvent, frozen=True, gc=False, tag="book_snapshot"):
    """The whole book as far as `depth` goes; replaces what was there. Best level first."""

    seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class BookDelta(MarketEvent, frozen=True, gc=False, tag="book_delta"):
    """Changed levels with their new absolute sizes. In step with what came before it."""

    first_seq: int
    seq: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class Candle(MarketEvent, frozen=True, gc=False, tag="candle"):
    """`ts` is the open time; the candle covers `[ts, ts + interval)`."""

    interval: str
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    trades: int
    closed: bool
    quote_volume: float = 0.0
    prev_close: float | None = None  # of the candle before, for price_change
    quality: Quality = Quality.PARTIAL
    origin: Origin = Origin.OWN
    revision: int = 0  # counts reissues after a repair; stores keep the highest


class Liquidation(MarketEvent, frozen=True, gc=False, tag="liquidation"):
    """A forced close. SELL: a long was closed."""

    side: Side
    price: float
    size: float
    coverage: Quality = Quality.SAMPLED


class MarkPrice(MarketEvent, frozen=True, gc=False, tag="mark_price"):
    """Mark price of a derivative with its funding, where the venue tells it."""

    mark: float
    index: float | None = None
    funding_rate: float | None = None
    next_funding: Micros | None = None


class Second(MarketEvent, frozen=True, gc=False, tag="second"):
    """What was traded in the second that begins at `ts`; only of seconds with trades.

    What breaks a second (a gap, another channel) gives it in parts. A trade that comes when its
    second is over, or by REST, is one of its own: `late`.
    """

    open: float
    high: float
    low: float
    close: float
    bought: float  # by takers, in units of quote
    sold: float
    size: float  # base units
    buy_size: float
    trades: int
    first: Micros  # time of the first trade
    last: Micros
    first_id: str = ""
    last_id: str = ""
    channel: str = "trade"
    reached: Micros = Micros(0)  # event time that had come when this was told
    late: bool = False
    repaired: bool = False
    orders: tuple[float, ...] = ()  # worths, in quote, of the taker orders completed since the last


class TakerOrder(MarketEvent, frozen=True, gc=False, tag="taker_order"):
    """Trades of one moment and side, one after the other: one order that took them all.

    Told from a size on that somebody asked for, and again as it grows.
    """

    side: Side
    worth: float  # in units of quote
    size: float  # base units
    first: str  # its first trade


class Rate(MarketEvent, frozen=True, gc=False, tag="rate"):
    """What one unit of the quote asset of `inst` is worth in dollars, by our own cross prices."""

    usd: float
    quality: Quality = Quality.PARTIAL  # COMPLETE: measured, and not a minute old


class Metric(MarketEvent, frozen=True, gc=False, tag="metric"):
    """One number about an instrument. `inst` is `venue:*` for a number about a whole source."""

    name: str
    value: float
    window: str
    quality: Quality = Quality.PARTIAL
    baseline: float | None = None  # what is usual, where the value is judged against something
    evidence: tuple[str, ...] = ()  # what it rests on: "trade 4711 3.2 @ 61837.63", a few at most


class Alert(MarketEvent, frozen=True, gc=False, tag="alert"):
    """A change in the life of one alert. `id` is the same from pending to its end.

    Its numbers and its evidence are those of when it began to be told: an end repeats what it was
    when it fired, and has the number of now beside it.
    """

    id: str
    rule: str
    state: AlertState
    severity: str
    value: float
    text: str
    quality: Quality = Quality.PARTIAL
    threshold: float | None = None  # that `value` was compared with
    baseline: float | None = None
    window: str = ""
    since: Micros = Micros(0)  # event time when the condition began to hold
    labels: tuple[str, ...] = ()  # "key=value", sorted
    notify: tuple[str, ...] = ()  # channels
    evidence: tuple[str, ...] = ()
    value_now: float | None = None  # at the end; None before it, and where nothing is known


class NewsItem(Event, frozen=True, gc=False, tag="news"):
    id: str
    source: str
    title: str
    url: str
    assets: tuple[str, ...] = ()
    summary: str = ""
    published: Micros | None = None  # as the source claims; `ts` is never after `recv`


class Gap(MarketEvent, frozen=True, gc=False, tag="gap"):
    """Something is missing from `channel`; state built on it is void.

    For a stream with ids `first` and `last` are the missing ones (inclusive). Without ids
    (`first > last`) the loss is between the last event before it and the first one after.
    """

    channel: str
    reason: str
    first: int = 0
    last: int = -1


class Coverage(MarketEvent, frozen=True, gc=False, tag="coverage"):
    """A ledger entry: what is known of the ids `first..last` (inclusive) of one channel."""

    channel: str
    first: int
    last: int
    holding: Holding
    reason: str = ""


class Tick(Event, frozen=True, gc=False, tag="tick"):
    """Nothing that has not been emitted happened at `source` up to `ts`: candles may close."""

    source: str


class DeadLetter(Event, frozen=True, gc=False, tag="dead_letter"):
    """What could not be read, whole. `raw` is text; `encoding` is base64 if it was not UTF-8."""

    source: str
    stage: str
    error: str
    raw: str
    encoding: str = "utf-8"


AnyEvent: TypeAlias = (
    Trade
    | Quote
    | Ticker
    | BookSnapshot
    | BookDelta
    | Candle
    | Liquidation
    | MarkPrice
    | Second
    | TakerOrder
    | Rate
    | Metric
    | Alert
    | NewsItem
    | Gap
    | Coverage
    | Tick
    | DeadLetter
)
Batch: TypeAlias = list[AnyEvent]
