"""What Binance USD-M says where it differs from spot: one Struct per message, and its event.

Quantities are in the base asset. Frames without `st` are from before June 2026.
Streams: https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import (
    BookDelta,
    InstrumentId,
    Liquidation,
    MarkPrice,
    Micros,
    Side,
    Ticker,
    Trade,
)
from tapewatch.venues._binance_messages import (
    LATEST,
    Finite,
    Levels,
    NotNegative,
    Number,
    Positive,
    Time,
    micros,
)

_BUY, _SELL = Side.BUY, Side.SELL


class TradeMessage(Struct, gc=False):
    """One fill; undocumented. Some ids are no trades of the market: see `X`.

    {"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,
     "p":"61800.30","q":"0.006","X":"MARKET","m":false}
    """

    t: Number
    p: NotNegative  # 0 where `X` is NA
    q: NotNegative
    T: Time
    m: bool
    X: str = "MARKET"  # also INSURANCE_FUND, ADL, NA


class QuoteMessage(Struct, gc=False):
    """Best bid and offer, with the time of the match.

    {"e":"bookTicker","u":11730346419457,"s":"BTCUSDT","ps":"BTCUSDT","b":"84788.20","B":"5.923",
     "a":"84788.30","A":"2.824","T":1791091007473,"E":1791091007473,"st":1}
    """

    u: Number
    b: NotNegative
    B: NotNegative
    a: NotNegative
    A: NotNegative
    T: Time | None = None  # not in frames of 2020


class DepthMessage(Struct, gc=False):
    """Changed levels, or all of the top levels: the same form, told apart by the stream's name.

    {"e":"depthUpdate","E":1789469122060,"T":1789469122045,"s":"BTCUSDT","ps":"BTCUSDT",
     "U":429012276615,"u":429012277528,"pu":429012275789,"b":[],"a":[["76968.30","1191.33"]],"st":1}
    """

    E: Time
    u: Number
    pu: Number
    b: Levels
    a: Levels
    T: Time = 0  # of the match; not in the first frames of 2019

    @property
    def ts(self) -> Micros:
        return micros(self.T or self.E)


class TickerMessage(Struct, gc=False):
    """Rolling 24 hours; no bid and ask.

    {"e":"24hrTicker","E":1653815205866,"s":"ETHUSDT","p":"24.69","P":"1.405","w":"1782.01",
     "c":"1782.02","Q":"0.003","o":"1757.33","h":"1809.33","l":"1750.45","v":"1678290.411",
     "q":"2990736920.72","O":1653728760000,"C":1653815205856,"F":1689354205,"L":1691266554,"n":9}
    """

    E: Time
    p: Finite
    P: Finite
    c: NotNegative
    o: NotNegative
    h: NotNegative
    l: NotNegative  # noqa: E741 - the venue's letter
    v: NotNegative
    q: NotNegative
    n: Number


class MarkMessage(Struct, gc=False):
    """Mark and index price; `r` is the running estimate for the period that ends at `T`.

    {"e":"markPriceUpdate","E":1790757177003,"s":"BTCUSDT","p":"83003.0","ap":"83003.0",
     "P":"83198.5","i":"83047.03","r":"-0.00001012","T":1790784000000,"st":1}
    """

    E: Time
    p: Positive
    i: NotNegative | None = None
    r: Finite | Literal[""] = ""  # empty for dated contracts
    T: Annotated[int, Meta(ge=0, lt=LATEST)] = 0  # of the next funding; 0 for dated contracts


class ForceOrder(Struct, frozen=True, gc=False):
    S: Literal["BUY", "SELL"]
    ap: NotNegative  # average price of the fills; `p` is only the limit
    z: NotNegative  # filled so far; 0 while `X` is NEW
    T: Time


class ForceOrderMessage(Struct, gc=False):
    """A forced order. The all-market stream sends one object a frame, despite its name.

    {"e":"forceOrder","E":1791565603055,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC",
     "q":"0.190","p":"82338.30","ap":"82651.90","X":"FILLED","l":"0.155","z":"0.190",
     "T":1791565602120,"ps":"BTCUSDT","st":1}}
    """

    E: Time  # about a second behind `T`
    o: ForceOrder


decode_trade = Decoder(TradeMessage, strict=False).decode
decode_quote = Decoder(QuoteMessage, strict=False).decode
decode_depth = Decoder(DepthMessage, strict=False).decode
decode_ticker = Decoder(TickerMessage, strict=False).decode
decode_mark = Decoder(MarkMessage, strict=False).decode
decode_force = Decoder(ForceOrderMessage, strict=False).decode


def to_trade(m: TradeMessage, recv: Micros, inst: InstrumentId) -> Trade:
    if not (m.p and m.q):
        raise BadFrame(f"trade {m.t} of the market has price {m.p} and size {m.q}")
    return Trade(micros(m.T), recv, inst, str(m.t), _SELL if m.m else _BUY, m.p, m.q)


def to_delta(m: DepthMessage, recv: Micros, inst: InstrumentId) -> BookDelta:
    if m.u <= m.pu:
        raise BadFrame(f"book update {m.u} says that it follows {m.pu}")
    return BookDelta(m.ts, recv, inst, m.pu + 1, m.u, m.b, m.a)


def to_ticker(m: TickerMessage, recv: Micros, inst: InstrumentId) -> Ticker:
    return Ticker(
        ts=micros(m.E), recv=recv, inst=inst,
        last=m.c, open=m.o, high=m.h, low=m.l, volume=m.v, quote_volume=m.q,
        change=m.p, change_pct=m.P / 100, trades=m.n,
    )  # fmt: skip


def to_mark(m: MarkMessage, recv: Micros, inst: InstrumentId) -> MarkPrice:
    is_dated = not m.T
    rate = None if is_dated or m.r == "" else m.r
    next_funding = None if is_dated else micros(m.T)
    return MarkPrice(micros(m.E), recv, inst, m.p, m.i, rate, next_funding)


def to_liquidation(order: ForceOrder, recv: Micros, inst: InstrumentId) -> Liquidation:
    if not order.ap:
        raise BadFrame(f"a forced order has filled {order.z} at no price")
    side = _SELL if order.S == "SELL" else _BUY
    return Liquidation(micros(order.T), recv, inst, side, order.ap, order.z)
