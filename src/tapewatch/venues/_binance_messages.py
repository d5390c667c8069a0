"""What Binance spot says: one Struct per message with the fields we use, and its event.

Numbers come as decimal strings; `strict=False` turns them into floats in C. The bounds of the
types refuse NaN, infinity and negative prices there, at no measurable cost. Times are
milliseconds, or microseconds if the connection asked for them: told apart by magnitude.

Streams: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
REST:    https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, ValidationError
from msgspec.json import Decoder

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    InstrumentId,
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
LATEST = 4_102_444_800_000_000  # the year 2100 in microseconds
Time: TypeAlias = Annotated[int, Meta(ge=1_230_768_000_000, lt=LATEST)]  # from 2009 in milliseconds
Levels: TypeAlias = tuple[tuple[Positive, NotNegative], ...]

MICROS_FROM = 10**14  # smaller times are milliseconds (good until the year 5138)
BUY, SELL = Side.BUY, Side.SELL


def micros(time: int) -> Micros:
    return Micros(time * 1000 if time < MICROS_FROM else time)


class TradeMessage(Struct, gc=False):
    """One fill.

    {"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000",
     "q":"0.02000000","T":1723161255342,"m":true,"M":true}
    """

    t: Number  # trade id, +1 per symbol
    p: Positive
    q: Positive
    T: Time  # of the trade
    m: bool  # the buyer was the maker: the taker sold


class AggTradeMessage(Struct, gc=False):
    """The fills of one taker order at one price.

    {"e":"aggTrade","E":1633998523963,"s":"NKNUSDT","a":15683430,"p":"0.35280000",
     "q":"58.00000000","f":19862790,"l":19862790,"T":1633998523963,"m":false,"M":true}
    """

    a: Number  # aggregate id, +1 per symbol
    p: Positive
    q: Positive
    f: Number  # first and last trade id inside
    l: Number  # noqa: E741 - the venue's letter
    T: Time
    m: bool


class QuoteMessage(Struct, gc=False):
    """Best bid and offer, without any time. A side may be empty (zeros).

    {"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",
     "a":"61837.64000000","A":"1.54698000"}
    """

    u: Number  # update id, of the same counter as the book's
    b: NotNegative
    B: NotNegative
    a: NotNegative
    A: NotNegative


class DepthMessage(Struct, gc=False):
    """Changed levels with absolute sizes; size 0 removes.

    {"e":"depthUpdate","E":1789295138745,"s":"BTCUSDT","U":1801518,"u":1801518,"b":[],
     "a":[["76745.19000000","12.06151000"]]}
    """

    E: Time
    U: Number  # first and last update id inside
    u: Number
    b: Levels
    a: Levels


class OldDepthMessage(Struct, gc=False):
    """As above, with the third, empty element that levels had until 2019.

    {"e":"depthUpdate","E":1509505690000,"s":"BTCUSDT","U":7,"u":8,"b":[["1.0","2.0",[]]],"a":[]}
    """

    E: Time
    U: Number
    u: Number
    b: tuple[tuple[Positive, NotNegative, list[Any]], ...]
    a: tuple[tuple[Positive, NotNegative, list[Any]], ...]


class BookMessage(Struct, gc=False):
    """A whole book: a REST snapshot, or the top levels of a partial depth stream.

    {"lastUpdateId":17044571457,"bids":[["1782.00000000","6.48300000"]],
     "asks":[["1782.01000000","15.46080000"]]}
    """

    lastUpdateId: Number  # noqa: N815 - the venue's word
    bids: Levels
    asks: Levels


class TickerMessage(Struct, gc=False):
    """Rolling 24 hours.

    {"e":"24hrTicker","E":1653812650349,"s":"ETHUSDT","p":"28.23000000","P":"1.600",
     "w":"1781.16275609","x":"1764.61000000","c":"1792.84000000","Q":"0.55720000",
     "b":"1792.83000000","B":"1.62740000","a":"1792.84000000","A":"20.29140000",
     "o":"1764.61000000","h":"1808.98000000","l":"1748.94000000","v":"471703.53110000",
     "q":"840180761.51358100","O":1653726250344,"C":1653812650344,"F":841094172,
     "L":841646650,"n":552479}
    """

    E: Time
    p: Finite  # change
    P: Finite  # change in per cent
    c: NotNegative
    o: NotNegative
    h: NotNegative
    l: NotNegative  # noqa: E741 - the venue's letter
    v: NotNegative
    q: NotNegative
    b: NotNegative | None = None
    a: NotNegative | None = None
    n: Number | None = None


class MiniTickerMessage(Struct, gc=False):
    """The same in short.

    {"e":"24hrMiniTicker","E":1672515782136,"s":"BNBBTC","c":"0.0025","o":"0.0010",
     "h":"0.0025","l":"0.0010","v":"10000","q":"18"}
    """

    E: Time
    c: NotNegative
    o: NotNegative
    h: NotNegative
    l: NotNegative  # noqa: E741 - the venue's letter
    v: NotNegative
    q: NotNegative


class Bar(Struct, gc=False):
    t: Time  # open time
    i: str  # interval
    o: NotNegative
    c: NotNegative
    h: NotNegative
    l: NotNegative  # noqa: E741 - the venue's letter
    v: NotNegative  # base volume
    n: Number  # trades
    x: bool  # closed
    q: NotNegative  # quote volume
    V: NotNegative  # base volume of taker buys


class KlineMessage(Struct, gc=False):
    """A bar, open or closed.

    {"e":"kline","E":1633998523963,"s":"NKNUSDT","k":{"t":1633998480000,"T":1633998539999,
     "s":"NKNUSDT","i":"1m","f":19862761,"L":19862790,"o":"0.35270000","c":"0.35280000",
     "h":"0.35280000","l":"0.35220000","v":"25877.00000000","n":30,"x":false,
     "q":"9116.04600000","V":"58.00000000","Q":"20.46240000","B":"0"}}
    """

    E: Time
    k: Bar


class Failure(Struct):
    code: int | None = None
    msg: str = ""


class _Of(Struct):
    i: str = ""


class Head(Struct):
    """Enough of any frame to tell what it is: wrapped, raw, an answer, or an error.

    {"stream":"btcusdt@trade","data":{...}}
    {"result":null,"id":1}
    {"code":2,"msg":"Invalid request: ...","id":1}
    {"error":{"code":2,"msg":"Invalid request: ..."},"id":1}
    {"e":"serverShutdown","E":1770123456789}
    """

    stream: str = ""
    data: Raw | UnsetType = UNSET
    e: str = ""
    s: str = ""
    k: _Of | UnsetType = UNSET
    o: Any = None  # a forced order of USD-M keeps its symbol and `st` in here
    st: Any = None  # of USD-M: whose contract it is, 1 or 2
    u: Any = None
    B: Any = None
    lastUpdateId: Any = None  # noqa: N815 - the venue's word
    result: Any = UNSET
    id: Any = None
    code: int | UnsetType = UNSET
    msg: str = ""
    error: Failure | UnsetType = UNSET

    @property
    def symbol(self) -> str:
        return self.s or (str(self.o.get("s", "")) if isinstance(self.o, dict) else "")

    @property
    def universe(self) -> object:
        return self.o.get("st") if isinstance(self.o, dict) else self.st


decode_trade = Decoder(TradeMessage, strict=False).decode
decode_agg_trade = Decoder(AggTradeMessage, strict=False).decode
decode_quote = Decoder(QuoteMessage, strict=False).decode
decode_book = Decoder(BookMessage, strict=False).decode
decode_ticker = Decoder(TickerMessage, strict=False).decode
decode_mini_ticker = Decoder(MiniTickerMessage, strict=False).decode
decode_kline = Decoder(KlineMessage, strict=False).decode
decode_head = Decoder(Head).decode
decode_list = Decoder(list[Raw]).decode
_decode_new_depth = Decoder(DepthMessage, strict=False).decode
_decode_old_depth = Decoder(OldDepthMessage, strict=False).decode


def decode_depth(data: bytes) -> DepthMessage:
    try:
        return _decode_new_depth(data)
    except ValidationError as error:
        try:
            old = _decode_old_depth(data)
        except ValidationError:
            raise error from None
    bids = tuple((price, size) for price, size, _ in old.b)
    asks = tuple((price, size) for price, size, _ in old.a)
    return DepthMessage(old.E, old.U, old.u, bids, asks)


def to_trade(m: TradeMessage, recv: Micros, inst: InstrumentId) -> Trade:
    time = m.T
    ts = Micros(time * 1000 if time < MICROS_FROM else time)
    return Trade(ts, recv, inst, str(m.t), SELL if m.m else BUY, m.p, m.q)


def to_quote(m: QuoteMessage, recv: Micros, inst: InstrumentId) -> Quote:
    return Quote(recv, recv, inst, m.b, m.B, m.a, m.A, m.u)


def to_delta(m: DepthMessage, recv: Micros, inst: InstrumentId) -> BookDelta:
    if m.u < m.U:
        raise BadFrame(f"book update ends with id {m.u} before it begins with {m.U}")
    return BookDelta(micros(m.E), recv, inst, m.U, m.u, m.b, m.a)


def to_snapshot(m: BookMessage, recv: Micros, inst: InstrumentId) -> BookSnapshot:
    return BookSnapshot(recv, recv, inst, m.lastUpdateId, m.bids, m.asks)


def to_ticker(m: TickerMessage, recv: Micros, inst: InstrumentId) -> Ticker:
    return Ticker(
        ts=micros(m.E), recv=recv, inst=inst,
        last=m.c, open=m.o, high=m.h, low=m.l, volume=m.v, quote_volume=m.q,
        change=m.p, change_pct=m.P / 100, bid=m.b, ask=m.a, trades=m.n,
    )  # fmt: skip


def to_mini_ticker(m: MiniTickerMessage, recv: Micros, inst: InstrumentId) -> Ticker:
    change = m.c - m.o
    change_pct = change / m.o if m.o else 0.0
    if not -1e300 < change_pct < 1e300:
        raise BadFrame(f"the price cannot have gone from {m.o} to {m.c}")
    return Ticker(
        ts=micros(m.E), recv=recv, inst=inst,
        last=m.c, open=m.o, high=m.h, low=m.l, volume=m.v, quote_volume=m.q,
        change=change, change_pct=change_pct,
    )  # fmt: skip


def to_candle(m: KlineMessage, recv: Micros, inst: InstrumentId) -> Candle:
    k = m.k
    return Candle(
        ts=micros(k.t), recv=recv, inst=inst, interval=k.i,
        open=k.o, high=k.h, low=k.l, close=k.c, volume=k.v, buy_volume=k.V, trades=k.n,
        closed=k.x, quote_volume=k.q, origin=Origin.VENUE,
        quality=Quality.COMPLETE if k.x else Quality.PARTIAL,
    )  # fmt: skip
