"""The bodies of the answers: names that people's scripts rely on, made from our values.

`symbol`, `price`, `open`, `high`, `low`, `close`, `volume`, `price_change`,
`price_change_percent`, `trade_count`, `timestamp` are S2's, letter by letter; a per cent is a per
cent there, not a fraction. What stands beside them is ours: which instrument, what the numbers
cover, and how complete they are.
"""

import math
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import (
    BookSnapshot,
    Candle,
    Coverage,
    Holding,
    InstrumentId,
    Level,
    Micros,
)
from tapewatch.model.times import iso
from tapewatch.ports import Latest

BASE_INTERVAL = "1m"  # what open to volume of a price cover, when we have candles


class Price(Struct, kw_only=True):
    """The newest of one instrument; on `/ws/price` with `type` before it."""

    symbol: str
    inst: str
    price: float
    timestamp: str
    ts: Micros
    covers: str  # what open to trade_count are of: "1m", "24h", or "" if there is nothing yet
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    volume: float | None = None
    price_change: float | None = None
    price_change_percent: float | None = None
    trade_count: int | None = None
    change_percent_24h: float | None = None
    bid: float | None = None
    ask: float | None = None
    quality: str = "partial"
    age_ms: int | None = None  # since the last event of any kind, when this was written


class PriceUpdate(Price, kw_only=True, tag_field="type", tag="price_update"):
    """A `Price` as `/ws/price` sends it."""


class Bar(Struct, kw_only=True):
    """One stored candle."""

    symbol: str
    timestamp: str  # open time
    ts: Micros
    price: float  # the close, as S2 has it
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    price_change: float | None
    price_change_percent: float | None
    trade_count: int
    quality: str
    origin: str
    closed: bool


class History(Struct, kw_only=True):
    symbol: str
    inst: str
    interval: str
    start: str | None  # None: the newest before `end` were asked for
    end: str
    limit: int
    offset: int
    count: int
    has_more: bool
    next_offset: int | None
    data: list[Bar]


class Book(Struct, kw_only=True):
    """A book that is proven in step with the venue; or, live, the news that there is none now."""

    symbol: str
    inst: str
    timestamp: str
    ts: Micros
    seq: int
    proven: bool
    bids: list[Level]
    asks: list[Level]
    reason: str = ""  # why it is not proven


class Covered(Struct, kw_only=True):
    """One range of ids of one stream, and what is known of it."""

    inst: str
    channel: str
    first: int
    last: int
    ids: int
    holding: str
    reason: str
    timestamp: str


class StreamCoverage(Struct, kw_only=True):
    """One numbered stream in sum. `proven_percent`: of the ids from the first to the last seen."""

    inst: str
    channel: str
    first: int
    last: int
    have: int = 0
    repaired: int = 0
    missing: int = 0
    lost: int = 0
    proven_percent: float = 0.0


class CoverageReport(Struct, kw_only=True):
    streams: list[StreamCoverage]
    ranges: list[Covered]
    ranges_total: int


class Changed(Struct, kw_only=True):
    """What a change of subscriptions did."""

    status: str
    message: str
    timestamp: str
    symbol: str
    inst: str
    streams: list[str]


class Symbols(Struct, kw_only=True):
    """`symbols` in S4's words, the streams in S2's."""

    symbols: list[str]
    subscribed_streams: list[str]
    cached_symbols: list[str]
    instruments: list["SymbolState"]
    timestamp: str


class SymbolState(Struct, kw_only=True):
    symbol: str
    inst: str
    streams: list[str]
    price: float | None
    has_book: bool
    updated: str | None


class Exchange(Struct, kw_only=True):
    name: str
    enabled: bool
    state: str  # live, degraded, down, or off
    links: int
    links_live: int
    subscriptions: int
    instruments: int


class Exchanges(Struct):
    exchanges: list[Exchange]


class SelfTest(Struct, kw_only=True):
    """What came of letting a detector show at start that it can fire, and keep quiet."""

    outcome: str  # proven, settings, broken; pending: not tried yet; none: it judges nothing
    words: str


class MeasureView(Struct, kw_only=True):
    """A number that a processor gives."""

    name: str
    windows: list[str]
    words: list[str]  # as rules call it
    unit: str
    text: str
    sparse: bool  # told only when there is something to tell


class Detector(Struct, kw_only=True):
    """A processor: what it reads and what it makes of it."""

    name: str
    wants: list[str]
    gives: list[str]
    text: str  # what it is and how it judges, as its author wrote it
    measures: list[MeasureView]
    settings: dict[str, Any]  # in force
    self_test: SelfTest


class Detectors(Struct):
    detectors: list[Detector]


class Store(Struct, kw_only=True):
    name: str
    state: str
    written: int
    waiting: int
    dropped: dict[str, int]
    errors: dict[str, int]
    error: str


class Storage(Struct, kw_only=True):
    stores: list[Store]
    settings: dict[str, Any] = field(default_factory=dict)


class Alive(Struct, kw_only=True):
    status: str
    timestamp: str


class Configuration(Struct):
    """The settings as they are in force, secrets as `***`."""

    settings: dict[str, Any]


def price_fields(latest: Latest, symbol: str, now: Micros) -> dict[str, Any] | None:
    """Take the newest of an instrument together. None while there is no price."""
    price = latest.price
    if price is None:
        return None
    ticker, candle, quote = latest.ticker, latest.candles.get(BASE_INTERVAL), latest.quote
    source = latest.trade or ticker
    assert source is not None  # there is a price, so one of them is there
    fields: dict[str, Any] = {
        "symbol": symbol,
        "inst": latest.inst,
        "price": price,
        "timestamp": iso(source.ts),
        "ts": source.ts,
        "covers": "",
        "age_ms": max(0, now - latest.updated) // 1000,
    }
    if ticker is not None:
        fields["change_percent_24h"] = ticker.change_pct * 100
        fields.update(bid=ticker.bid, ask=ticker.ask)
    if quote is not None:
        fields.update(bid=quote.bid, ask=quote.ask)
    if candle is not None:
        fields.update(_of_candle(candle), covers=candle.interval)
    elif ticker is not None:
        fields.update(
            covers="24h",
            open=ticker.open,
            high=ticker.high,
            low=ticker.low,
            close=ticker.last,
            volume=ticker.volume,
            price_change=ticker.change,
            price_change_percent=ticker.change_pct * 100,
            trade_count=ticker.trades,
        )
    return fields


def bar(candle: Candle, symbol: str) -> Bar:
    return Bar(
        symbol=symbol,
        timestamp=iso(candle.ts),
        ts=candle.ts,
        price=candle.close,
        buy_volume=candle.buy_volume,
        origin=candle.origin.value,
        closed=candle.closed,
        **_of_candle(candle),
    )


def book(snapshot: BookSnapshot, symbol: str) -> Book:
    return Book(
        symbol=symbol,
        inst=snapshot.inst,
        timestamp=iso(snapshot.ts),
        ts=snapshot.ts,
        seq=snapshot.seq,
        proven=True,
        bids=list(snapshot.bids),
        asks=list(snapshot.asks),
    )


def no_book(inst: InstrumentId, symbol: str, now: Micros, reason: str) -> Book:
    return Book(
        symbol=symbol,
        inst=inst,
        timestamp=iso(now),
        ts=now,
        seq=0,
        proven=False,
        bids=[],
        asks=[],
        reason=reason,
    )


def coverage(entries: list[Coverage], limit: int) -> CoverageReport:
    """Sum up each stream, and list the ranges: what is missing or lost before what is in hand."""
    streams: dict[tuple[str, str], StreamCoverage] = {}
    for entry in entries:
        key = (entry.inst, entry.channel)
        stream = streams.get(key)
        if stream is None:
            stream = streams[key] = StreamCoverage(
                inst=entry.inst, channel=entry.channel, first=entry.first, last=entry.last
            )
        stream.first = min(stream.first, entry.first)
        stream.last = max(stream.last, entry.last)
        word = entry.holding.value
        setattr(stream, word, getattr(stream, word) + entry.last - entry.first + 1)
    for stream in streams.values():
        known = stream.have + stream.repaired
        share = known / (stream.last - stream.first + 1)
        stream.proven_percent = math.floor(share * 1e8) / 1e6  # never rounded up to 100
    in_hand = (Holding.HAVE, Holding.REPAIRED)
    ranked = sorted(entries, key=lambda e: (e.holding in in_hand, e.inst, e.channel, -e.first))
    return CoverageReport(
        streams=sorted(streams.values(), key=lambda s: (s.inst, s.channel)),
        ranges=[_covered(entry) for entry in ranked[:limit]],
        ranges_total=len(ranked),
    )


def names(types: Iterable[type[Any]]) -> list[str]:
    return sorted(kind.__struct_config__.tag or kind.__name__.lower() for kind in types)


def _of_candle(candle: Candle) -> dict[str, Any]:
    change = None if candle.prev_close is None else candle.close - candle.prev_close
    return {
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "volume": candle.volume,
        "price_change": change,
        "price_change_percent": (
            None if change is None or not candle.prev_close else 100 * change / candle.prev_close
        ),
        "trade_count": candle.trades,
        "quality": candle.quality.value,
    }


def _covered(entry: Coverage) -> Covered:
    return Covered(
        inst=entry.inst,
        channel=entry.channel,
        first=entry.first,
        last=entry.last,
        ids=entry.last - entry.first + 1,
        holding=entry.holding.value,
        reason=entry.reason,
        timestamp=iso(entry.ts),
    )
