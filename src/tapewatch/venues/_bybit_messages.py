"""What Bybit v5 says, spot and linear: one Struct per message with the fields we use, its event.

Numbers come as decimal strings, times as integer milliseconds. Keys come in another order in each
topic and category, so nothing is read by its place but the topic, which is always first. Sizes are
base units in both categories.

https://bybit-exchange.github.io/docs/v5/websocket/public/trade and its neighbours.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert
from msgspec.json import Decoder
from msgspec.structs import fields

from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    InstrumentId,
    Liquidation,
    MarkPrice,
    Micros,
    Origin,
    Quality,
    Quote,
    Side,
    Ticker,
    Trade,
)

Positive: TypeAlias = Annotated[float, Meta(gt=0, lt=1e300)]
NotNegative: TypeAlias = Annotated[float, Meta(ge=0, lt=1e300)]
Finite: TypeAlias = Annotated[float, Meta(gt=-1e300, lt=1e300)]
Number: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]
Time: TypeAlias = Annotated[int, Meta(ge=1_230_768_000_000, lt=4_102_444_800_000)]  # 2009 to 2100
Levels: TypeAlias = tuple[tuple[Positive, NotNegative], ...]

_BUY, _SELL = Side.BUY, Side.SELL


class TradeRow(Struct, gc=False):
    """One fill. `S` is the taker's side; `i` is a UUID on linear, digits with holes on spot.

    {"i":"2100000000188691533","T":1789299670888,"p":"77140.5","v":"0.000078","S":"Sell",
     "seq":2189232212,"s":"BTCUSDT","BT":false,"RPI":false}
    """

    i: Annotated[str, Meta(min_length=1, max_length=128)]
    T: Time
    p: Positive
    v: Positive
    S: Literal["Buy", "Sell"]


class TradeFrame(Struct, gc=False):
    """Oldest first. `type` is always "snapshot" and means nothing.

    {"topic":"publicTrade.BTCUSDT","ts":1789299670925,"type":"snapshot","data":[..]}
    """

    data: list[TradeRow]


class BookData(Struct, gc=False):
    """`u` counts +1 in each depth for itself; `seq` is common to all depths and trades."""

    b: Levels
    a: Levels
    u: Number
    seq: Number = 0


class BookFrame(Struct, gc=False):
    """Size 0 removes a level. `cts` is the engine's time, that of the trades of this `seq`.

    {"topic":"orderbook.50.BTCUSDT","ts":1787612486116,"type":"delta","data":{"s":"BTCUSDT",
     "b":[],"a":[["78716.8","0.027559"],["78748.5","0"]],"u":217107085,"seq":113099229629},
     "cts":1787612486108}
    """

    ts: Time
    type: Literal["snapshot", "delta"]
    data: BookData
    cts: Time | None = None  # since 2023


class TickerData(Struct, gc=False):
    """The whole on spot and in a linear snapshot; in a linear delta what has changed.

    {"symbol":"BTCUSDT","price24hPcnt":"-0.01229","lastPrice":"83024.60",
     "prevPrice24h":"84057.70","highPrice24h":"84556.00","lowPrice24h":"82813.80",
     "markPrice":"83024.70","indexPrice":"83074.01","turnover24h":"3734121786.2434",
     "volume24h":"44701.1000","nextFundingTime":"1790784000000","fundingRate":"-0.00007774",
     "bid1Price":"83024.60","bid1Size":"3.871","ask1Price":"83024.70","ask1Size":"2.935"}
    """

    lastPrice: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    prevPrice24h: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    highPrice24h: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    lowPrice24h: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    volume24h: NotNegative | UnsetType = UNSET
    turnover24h: NotNegative | UnsetType = UNSET
    price24hPcnt: Finite | UnsetType = UNSET  # noqa: N815 - the venue's word
    bid1Price: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    ask1Price: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    markPrice: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    indexPrice: NotNegative | UnsetType = UNSET  # noqa: N815 - the venue's word
    fundingRate: Finite | UnsetType = UNSET  # noqa: N815 - the venue's word
    nextFundingTime: Number | UnsetType = UNSET  # noqa: N815 - the venue's word


class TickerFrame(Struct, gc=False):
    """{"topic":"tickers.BTCUSDT","type":"delta","data":{..},"cs":818232112716,"ts":1790757082383}."""

    ts: Time
    type: Literal["snapshot", "delta"]
    data: TickerData


class _BlankTickerFrame(Struct, gc=False):
    """As above, with empty texts among the numbers, for what does not apply or is not there."""

    ts: Time
    type: Literal["snapshot", "delta"]
    data: dict[str, Any]


class KlineRow(Struct, gc=False):
    """A bar. `confirm`: it is closed. Nothing is said of takers or of the number of trades.

    {"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":"16677",
     "high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":false,
     "timestamp":1672324988882}
    """

    start: Time
    interval: str
    open: Positive
    close: Positive
    high: Positive
    low: Positive
    volume: NotNegative
    turnover: NotNegative
    confirm: bool


class KlineFrame(Struct, gc=False):
    """{"topic":"kline.5.BTCUSDT","data":[..],"ts":1672324988882,"type":"snapshot"}."""

    ts: Time
    data: list[KlineRow]


class LiquidationRow(Struct, frozen=True, gc=False):
    """`S` is the side of the POSITION: Buy means that a long was liquidated, by a sell order.

    {"T":1791565600992,"s":"BTCUSDT","S":"Buy","v":"0.006","p":"82396.90"}
    """

    T: Time
    S: Literal["Buy", "Sell"]
    v: Positive
    p: Positive  # bankruptcy price


class LiquidationFrame(Struct, gc=False):
    """All of half a second.

    {"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1791565601482,"data":[..]}
    """

    ts: Time
    data: list[LiquidationRow]


class Head(Struct, gc=False):
    """What tells frames apart: the answers to our requests have no topic.

    {"success":false,"ret_msg":"Invalid symbol :[orderbook.50.NOSUCHSYM]","conn_id":"d96",
     "req_id":"3","op":"subscribe"}
    """

    topic: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""
    op: str = ""


_NAMES = tuple(field.name for field in fields(TickerData))
TICKER_NAMES = _NAMES.index("markPrice")  # so many belong to a ticker, the others to a mark price

decode_trades = Decoder(TradeFrame, strict=False).decode
decode_book = Decoder(BookFrame, strict=False).decode
decode_klines = Decoder(KlineFrame, strict=False).decode
decode_liquidations = Decoder(LiquidationFrame, strict=False).decode
decode_head = Decoder(Head).decode
_decode_ticker = Decoder(TickerFrame, strict=False).decode
_decode_blank_ticker = Decoder(_BlankTickerFrame, strict=False).decode


def decode_ticker(frame: bytes) -> TickerFrame:
    try:
        return _decode_ticker(frame)
    except ValidationError:
        blank = _decode_blank_ticker(frame)
        known = {name: value for name, value in blank.data.items() if value != ""}
        return TickerFrame(blank.ts, blank.type, convert(known, TickerData, strict=False))


def merge(held: TickerData, values: tuple[float | UnsetType, ...]) -> None:
    """Take over what has changed."""
    for name, value in zip(_NAMES, values, strict=True):
        if value is not UNSET:
            setattr(held, name, value)


def micros(ms: int) -> Micros:
    return Micros(ms * 1000)


def to_trades(frame: TradeFrame, recv: Micros, inst: InstrumentId) -> list[Trade]:
    return [
        Trade(
            Micros(row.T * 1000),
            recv,
            inst,
            row.i,
            _BUY if row.S == "Buy" else _SELL,
            row.p,
            row.v,
            "publicTrade",
        )
        for row in frame.data
    ]


def to_snapshot(frame: BookFrame, recv: Micros, inst: InstrumentId) -> BookSnapshot:
    data = frame.data
    return BookSnapshot(
        micros(frame.cts or frame.ts), recv, inst, data.u, _present(data.b), _present(data.a)
    )


def to_delta(frame: BookFrame, recv: Micros, inst: InstrumentId) -> BookDelta:
    data = frame.data
    return BookDelta(micros(frame.cts or frame.ts), recv, inst, data.u, data.u, data.b, data.a)


def to_quote(frame: BookFrame, recv: Micros, inst: InstrumentId) -> Quote:
    """Make a quote of the book of depth 1. A side may be empty: zeros."""
    data = frame.data
    bid, bid_size = data.b[0] if data.b else (0.0, 0.0)
    ask, ask_size = data.a[0] if data.a else (0.0, 0.0)
    ts = micros(frame.cts or frame.ts)
    return Quote(ts, recv, inst, bid, bid_size, ask, ask_size, data.seq)


def to_ticker(now: TickerData, ts: Micros, recv: Micros, inst: InstrumentId) -> Ticker | None:
    """None: something that a ticker must have is not known yet."""
    last, before = now.lastPrice, now.prevPrice24h
    high, low = now.highPrice24h, now.lowPrice24h
    volume, turnover = now.volume24h, now.turnover24h
    if (
        last is UNSET
        or before is UNSET
        or high is UNSET
        or low is UNSET
        or volume is UNSET
        or turnover is UNSET
    ):
        return None
    change = last - before
    part = now.price24hPcnt
    if part is UNSET:
        part = change / before if before else 0.0
    bid = None if now.bid1Price is UNSET else now.bid1Price
    ask = None if now.ask1Price is UNSET else now.ask1Price
    return Ticker(ts, recv, inst, last, before, high, low, volume, turnover, change, part, bid, ask)


def to_mark(now: TickerData, ts: Micros, recv: Micros, inst: InstrumentId) -> MarkPrice | None:
    if now.markPrice is UNSET or not now.markPrice:
        return None
    index = None if now.indexPrice is UNSET else now.indexPrice
    rate = None if now.fundingRate is UNSET else now.fundingRate
    due = None if now.nextFundingTime is UNSET else now.nextFundingTime
    return MarkPrice(ts, recv, inst, now.markPrice, index, rate, micros(due) if due else None)


def to_candle(row: KlineRow, recv: Micros, inst: InstrumentId, interval: str) -> Candle:
    return Candle(
        micros(row.start), recv, inst, interval, row.open, row.high, row.low, row.close,
        row.volume, 0.0, 0, row.confirm, row.turnover,
        quality=Quality.COMPLETE if row.confirm else Quality.PARTIAL, origin=Origin.VENUE,
    )  # fmt: skip


def to_liquidation(row: LiquidationRow, recv: Micros, inst: InstrumentId) -> Liquidation:
    side = _SELL if row.S == "Buy" else _BUY
    return Liquidation(micros(row.T), recv, inst, side, row.p, row.v, Quality.COMPLETE)


def _present(levels: Levels) -> Levels:
    """A snapshot has no removed levels; if one had, it would not be a level."""
    return levels if all(size for _, size in levels) else tuple(x for x in levels if x[1])
