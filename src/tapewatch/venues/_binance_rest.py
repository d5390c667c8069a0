"""What Binance spot answers by HTTP: past trades and the listing, and what we make of them.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api

A snapshot of a book has the same form as a partial book of a stream: see `BookMessage`.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from tapewatch.model.events import InstrumentId, Micros, Side, Trade
from tapewatch.model.instrument import Instrument
from tapewatch.venues._binance_messages import NotNegative, Number, Time, micros

_BUY, _SELL = Side.BUY, Side.SELL


class RawRow(Struct, gc=False):
    """A row of /api/v3/historicalTrades.

    {"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",
     "time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}
    """

    id: Number
    price: NotNegative
    qty: NotNegative
    time: Time
    isBuyerMaker: bool  # noqa: N815 - the venue's word


class AggRow(Struct, gc=False):
    """A row of /api/v3/aggTrades. A trade that was withdrawn has price 0 and f = l = -1.

    {"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,
     "m":true,"M":true}
    """

    a: Number
    p: NotNegative
    q: NotNegative
    f: int
    l: int  # noqa: E741 - the venue's letter
    T: Time
    m: bool


class _Filter(Struct, gc=False):
    filterType: str  # noqa: N815 - the venue's word
    tickSize: float | None = None  # noqa: N815 - the venue's word
    stepSize: float | None = None  # noqa: N815 - the venue's word


class _Symbol(Struct, gc=False):
    symbol: str
    status: str
    baseAsset: str  # noqa: N815 - the venue's word
    quoteAsset: str  # noqa: N815 - the venue's word
    filters: list[_Filter] = []
    # USD-M only:
    marginAsset: str = ""  # noqa: N815 - the venue's word


class _Listing(Struct, gc=False):
    """The body of /api/v3/exchangeInfo.

    {"timezone":"UTC","serverTime":1633998511098,"symbols":[{"symbol":"ETHBTC",
     "status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC","filters":[
     {"filterType":"PRICE_FILTER","tickSize":"0.00000100"},
     {"filterType":"LOT_SIZE","stepSize":"0.00010000"}]}]}
    """

    symbols: list[_Symbol]


decode_raw_rows = Decoder(list[RawRow], strict=False).decode
decode_agg_rows = Decoder(list[AggRow], strict=False).decode
_decode_listing = Decoder(_Listing, strict=False).decode


def to_raw_rows(
    rows: Sequence[RawRow], recv: Micros, inst: InstrumentId
) -> list[tuple[int, Trade]]:
    return [
        (r.id, Trade(micros(r.time), recv, inst, str(r.id), _SELL if r.isBuyerMaker else _BUY,
                     r.price, r.qty, repaired=True))
        for r in rows
        if r.price and r.qty
    ]  # fmt: skip


def to_agg_rows(
    rows: Sequence[AggRow], recv: Micros, inst: InstrumentId, *, echo: bool
) -> list[tuple[int, Trade]]:
    return [
        (r.a, Trade(micros(r.T), recv, inst, str(r.a), _SELL if r.m else _BUY, r.p, r.q,
                    "aggTrade", r.l - r.f + 1, repaired=True, echo=echo))
        for r in rows
        if r.p and r.q and r.l >= r.f >= 0
    ]  # fmt: skip


def to_instruments(body: bytes, venue: str) -> list[Instrument]:
    """Read a listing of spot pairs."""
    return _once(_instrument(s, venue) for s in _decode_listing(body).symbols)


def to_contracts(body: bytes, venue: str) -> list[Instrument]:
    """Read a listing of USD-M: perpetuals of any kind, and dated ones, whose names end so."""
    return _once(
        replace(
            _instrument(s, venue),
            settle=s.marginAsset or s.quoteAsset,
            expiry=s.symbol.partition("_")[2],
        )
        for s in _decode_listing(body).symbols
        if s.marginAsset != s.baseAsset  # such are COIN-M's: sized in contracts
    )


def _instrument(s: _Symbol, venue: str) -> Instrument:
    steps = {f.filterType: f.tickSize or f.stepSize for f in s.filters}
    return Instrument(
        venue, s.baseAsset, s.quoteAsset, s.symbol,
        tick=steps.get("PRICE_FILTER"), step=steps.get("LOT_SIZE"),
        active=s.status == "TRADING", status=s.status,
    )  # fmt: skip


def _once(instruments: Iterable[Instrument]) -> list[Instrument]:
    """One pair listed twice: the one that trades wins, else the first."""
    found: dict[str, Instrument] = {}
    for instrument in instruments:
        known = found.get(instrument.id)
        if known is None or (instrument.active and not known.active):
            found[instrument.id] = instrument
    return list(found.values())
