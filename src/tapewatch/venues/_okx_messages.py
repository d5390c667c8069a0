"""What OKX says: one Struct per message with the fields we use, and its event.

All numbers are strings but for `seqId`, `prevSeqId`, `checksum`; `strict=False` reads them in C. The
bounds leave room for what is computed of them: contracts of an inverse swap are divided by a price.

https://www.okx.com/docs-v5/en/#public-data-websocket
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.json import Decoder

from tapewatch.model.errors import BadFrame
from tapewatch.model.events import (
    Candle,
    InstrumentId,
    Level,
    Liquidation,
    Micros,
    Origin,
    Quality,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Instrument

Price: TypeAlias = Annotated[float, Meta(ge=1e-18, lt=1e18)]
Size: TypeAlias = Annotated[float, Meta(ge=0, lt=1e24)]
Traded: TypeAlias = Annotated[float, Meta(ge=1e-24, lt=1e24)]
Rate: TypeAlias = Annotated[float, Meta(gt=-1e3, lt=1e3)]
Number: TypeAlias = Annotated[int, Meta(ge=0, lt=2**62)]
Time: TypeAlias = Annotated[int, Meta(ge=0, lt=10**14)]  # milliseconds
Fills: TypeAlias = Annotated[int, Meta(ge=1, le=10_000)]


class Units(Struct, frozen=True, gc=False):
    """From the venue's sizes to base units: as they are for spot, of contracts for the rest.

    All that is told of one size is the same float, so a book's top equals the quote.
    """

    contract: float
    is_inverse: bool  # a contract is so much of the quote

    def base(self, size: float, price: float) -> float:
        size *= self.contract
        return size / price if self.is_inverse else size

    def levels(self, rows: "tuple[Row, ...]") -> tuple[Level, ...]:
        contract = self.contract
        if self.is_inverse:
            return tuple([(row.price, row.size * contract / row.price) for row in rows])
        if contract == 1.0:
            return tuple([(row.price, row.size) for row in rows])
        return tuple([(row.price, row.size * contract) for row in rows])


def units_of(instrument: Instrument) -> Units:
    is_inverse = bool(instrument.settle) and instrument.settle == instrument.base
    return Units(instrument.contract_size, is_inverse)


class TradeRow(Struct, gc=False):
    """Of `trades`: the fills of one taker order at one price. The id is that of the last fill.

    {"arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP",
     "tradeId":"2953620280","px":"84093.5","sz":"24.31","side":"buy","ts":"1790439596521",
     "count":"59","source":"0","seqId":342177339042}]}

    Of `trades-all` and /api/v5/market/history-trades: one fill.

    {"instId":"BSV-USDT","tradeId":"84834539","px":"42.52","sz":"3.75","side":"buy",
     "ts":"1697760012017"}
    """

    tradeId: Number  # noqa: N815 - the venue's word
    px: Price
    sz: Traded
    side: Side  # of the taker
    ts: Time
    count: Fills = 1


class Row(Struct, array_like=True, gc=False):
    """A level: ["84093.5","667.19","0","70"], the last two are a dead field and a count."""

    price: Price
    size: Size


class BookRow(Struct, gc=False):
    """The whole book (400 levels a side) or what changed.

    {"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":"update","data":[{
     "asks":[["84093.5","667.16","0","70"]],"bids":[["84093.4","569.75","0","83"]],
     "ts":"1790439595900","checksum":0,"seqId":342177337872,"prevSeqId":342177337822}]}

    Frames of before 2023 have no ids; those of before June 2026 have a checksum.
    """

    asks: tuple[Row, ...]
    bids: tuple[Row, ...]
    ts: Time
    checksum: int = 0
    seqId: int = -1  # noqa: N815 - the venue's word
    prevSeqId: int = -1  # noqa: N815 - the venue's word


class Book(Struct, gc=False):
    action: Literal["snapshot", "update"]
    data: Annotated[tuple[BookRow, ...], Meta(min_length=1)]


class TopRow(Struct, gc=False):
    """Of bbo-tbt, one level a side, and books5, five. A side may be empty.

    {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{
     "asks":[["84093.5","667.19","0","70"]],"bids":[["84093.4","570.27","0","83"]],
     "ts":"1790439594900","seqId":342177336945}]}
    """

    asks: tuple[Row, ...]
    bids: tuple[Row, ...]
    ts: Time
    seqId: Number = 0  # noqa: N815 - the venue's word


class TickerRow(Struct, gc=False):
    """Rolling 24 hours. Contracts: `vol24h` counts them, `volCcy24h` is base; spot: base, quote.

    {"arg":{"channel":"tickers","instId":"BTC-USD-220527"},"data":[{"instType":"FUTURES",
     "instId":"BTC-USD-220527","last":"30218.8","lastSz":"1","askPx":"30220.1","askSz":"3",
     "bidPx":"30210.4","bidSz":"4","open24h":"29571.4","high24h":"31003.3","low24h":"27930.8",
     "sodUtc0":"28935.3","sodUtc8":"30320.5","volCcy24h":"2620.289","vol24h":"779573",
     "ts":"1652459223003"}]}
    """

    last: Size
    open24h: Size
    high24h: Size
    low24h: Size
    vol24h: Size
    volCcy24h: Size  # noqa: N815 - the venue's word
    ts: Time
    bidPx: Size = 0.0  # noqa: N815 - the venue's word
    askPx: Size = 0.0  # noqa: N815 - the venue's word


class CandleRow(Struct, array_like=True, gc=False):
    """["1789470120000","77082.7","77116.6","77082.6","77116.6","1.57","121697.29","121697.29","0"].

    Before 2023 without the last two.
    """

    ts: Time  # it opens
    open: Price
    high: Price
    low: Price
    close: Price
    vol: Size  # contracts; spot: base
    vol_ccy: Size  # base; spot: quote
    vol_ccy_quote: Size = 0.0
    confirm: int = 0  # 1: closed


class MarkRow(Struct, gc=False):
    """{"instId":"BTC-USDT-SWAP","instType":"SWAP","markPx":"83003.8","ts":"1790757203016"}."""

    markPx: Price  # noqa: N815 - the venue's word
    ts: Time


class IndexRow(Struct, gc=False):
    """{"instId":"BTC-USDT","idxPx":"83043.9","open24h":"83990.9",...,"ts":"1790757203066"}."""

    idxPx: Price  # noqa: N815 - the venue's word
    ts: Time


class FundingRow(Struct, gc=False):
    """The running estimate for the period that ends at `fundingTime`.

    {"formulaType":"withRate","fundingRate":"0.0000252378080097","fundingTime":"1790784000000",
     "instId":"BTC-USDT-SWAP",...,"nextFundingRate":"","nextFundingTime":"1790812800000",
     "ts":"1790757122992"}

    Before 2023 without `ts`.
    """

    fundingTime: Time  # noqa: N815 - the venue's word
    fundingRate: Rate | Literal[""] = ""  # noqa: N815 - the venue's word
    ts: Time = 0


class InterestRow(Struct, gc=False):
    """{"instId":"BTC-USDT-SWAP","oi":"2874486.99","oiCcy":"28744.8699",...,"ts":"1790757195759"}."""

    oiCcy: Size  # noqa: N815 - the venue's word; base units
    ts: Time


class Detail(Struct, frozen=True, gc=False):
    side: Side  # of the closing order
    bkPx: Price  # noqa: N815 - the venue's word; of bankruptcy, not the market's
    sz: Traded
    ts: Time


class LiquidationRow(Struct, gc=False):
    """All instruments of the type come, each at most once a second.

    {"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0",
     "bkPx":"82655.7","ccy":"","posSide":"long","side":"sell","sz":"8.55","ts":"1791565600771"}],
     "instFamily":"BTC-USDT","instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}]}
    """

    instId: str  # noqa: N815 - the venue's word
    details: tuple[Detail, ...]


class Arg(Struct, gc=False):
    channel: str = ""
    instId: str = ""  # noqa: N815 - the venue's word
    instType: str = ""  # noqa: N815 - the venue's word


class Head(Struct, gc=False):
    """Enough of any frame to tell what it is: data, an answer, a notice, an error.

    {"id":"1","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}
    {"event":"error","msg":"Subscribe failed, wrong URL or channel:candle1m,instId:BTC-USDT doesn't
     exist. ...","code":"60018","connId":"25ebf8bb"}
    {"event":"notice","code":"64008","msg":"The connection will soon be closed ...","connId":"..."}
    """

    event: str = ""
    op: str = ""  # of what a client said
    arg: Arg | None = None
    data: Raw | UnsetType = UNSET
    id: Any = None
    code: str = ""
    msg: str = ""


class _Trades(Struct, gc=False):
    data: tuple[TradeRow, ...]


class _Tops(Struct, gc=False):
    data: tuple[TopRow, ...]


class _Tickers(Struct, gc=False):
    data: tuple[TickerRow, ...]


class _Candles(Struct, gc=False):
    data: tuple[CandleRow, ...]


class _Marks(Struct, gc=False):
    data: tuple[MarkRow, ...]


class _Indexes(Struct, gc=False):
    data: tuple[IndexRow, ...]


class _Fundings(Struct, gc=False):
    data: tuple[FundingRow, ...]


class _Interests(Struct, gc=False):
    data: tuple[InterestRow, ...]


class _Liquidations(Struct, gc=False):
    data: tuple[LiquidationRow, ...]


decode_trades = Decoder(_Trades, strict=False).decode
decode_book = Decoder(Book, strict=False).decode
decode_tops = Decoder(_Tops, strict=False).decode
decode_candles = Decoder(_Candles, strict=False).decode
decode_marks = Decoder(_Marks, strict=False).decode
decode_indexes = Decoder(_Indexes, strict=False).decode
decode_fundings = Decoder(_Fundings, strict=False).decode
decode_interests = Decoder(_Interests, strict=False).decode
decode_liquidations = Decoder(_Liquidations, strict=False).decode
decode_head = Decoder(Head, strict=False).decode
_decode_tickers = Decoder(_Tickers, strict=False).decode


def decode_tickers(frame: bytes) -> _Tickers:
    """What never traded has empty texts for numbers."""
    return _decode_tickers(frame.replace(b'""', b'"0"') if b'""' in frame else frame)


def to_ticker(
    row: TickerRow, recv: Micros, inst: InstrumentId, units: Units, *, is_spot: bool
) -> Ticker:
    """What contracts traded in the quote is told of inverse ones only, by their number."""
    base, quote = row.volCcy24h, row.vol24h * units.contract if units.is_inverse else 0.0
    if is_spot:
        base, quote = row.vol24h, row.volCcy24h
    change = row.last - row.open24h
    change_pct = change / row.open24h if row.open24h else 0.0
    if not -1e300 < change_pct < 1e300:
        raise BadFrame(f"the price cannot have gone from {row.open24h} to {row.last}")
    return Ticker(
        ts=Micros(row.ts * 1000), recv=recv, inst=inst,
        last=row.last, open=row.open24h, high=row.high24h, low=row.low24h,
        volume=base, quote_volume=quote, change=change, change_pct=change_pct,
        bid=row.bidPx or None, ask=row.askPx or None,
    )  # fmt: skip


def to_quote(row: TopRow, recv: Micros, inst: InstrumentId, units: Units) -> Quote:
    ((bid, bid_size),) = units.levels(row.bids[:1]) or ((0.0, 0.0),)
    ((ask, ask_size),) = units.levels(row.asks[:1]) or ((0.0, 0.0),)
    return Quote(Micros(row.ts * 1000), recv, inst, bid, bid_size, ask, ask_size, row.seqId)


def to_candle(
    row: CandleRow, recv: Micros, inst: InstrumentId, interval: str, *, is_spot: bool
) -> Candle:
    """The venue tells neither the number of trades nor what buyers took."""
    quote = row.vol_ccy if is_spot else row.vol_ccy_quote
    return Candle(
        ts=Micros(row.ts * 1000), recv=recv, inst=inst, interval=interval,
        open=row.open, high=row.high, low=row.low, close=row.close,
        volume=row.vol if is_spot else row.vol_ccy, buy_volume=0.0, trades=0,
        closed=row.confirm == 1, quote_volume=quote, origin=Origin.VENUE,
        quality=Quality.COMPLETE if row.confirm == 1 else Quality.PARTIAL,
    )  # fmt: skip


def to_fill(
    row: TradeRow, recv: Micros, inst: InstrumentId, channel: str, units: Units, *, echo: bool
) -> Trade:
    """A row of the history."""
    size = units.base(row.sz, row.px)
    return Trade(
        Micros(row.ts * 1000), recv, inst, str(row.tradeId), row.side, row.px, size, channel,
        repaired=True, echo=echo,
    )  # fmt: skip


def to_liquidation(detail: Detail, recv: Micros, inst: InstrumentId, units: Units) -> Liquidation:
    size = units.base(detail.sz, detail.bkPx)
    return Liquidation(Micros(detail.ts * 1000), recv, inst, detail.side, detail.bkPx, size)
