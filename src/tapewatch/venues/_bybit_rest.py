"""What Bybit v5 answers by HTTP: the newest trades, and the listing of one category.

https://bybit-exchange.github.io/docs/v5/market/recent-trade
https://bybit-exchange.github.io/docs/v5/market/instrument

An error has HTTP 200 as well: `retCode` is not 0 then.
"""

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from tapewatch.model.events import InstrumentId, Micros, Side, Trade
from tapewatch.model.instrument import Instrument
from tapewatch.ports import Fetch
from tapewatch.venues._bybit_messages import Positive, Time, micros
from tapewatch.venues._bybit_topics import TRADES, Category
from tapewatch.venues._unnumbered import Recent

_BUY, _SELL = Side.BUY, Side.SELL
_RECENT_ROWS = {"spot": 60, "linear": 1000}  # at most, and there are no further pages


class _Envelope(Struct, gc=False):
    """The form of every answer.

    {"retCode":0,"retMsg":"OK","result":{},"retExtInfo":{},"time":1672053054358}
    """

    retCode: int  # noqa: N815 - the venue's word
    retMsg: str = ""  # noqa: N815 - the venue's word


class _RecentRow(Struct, gc=False):
    """A row of /v5/market/recent-trade. `execId` is the `i` of the stream.

    {"execId":"2100000000007764263","symbol":"BTCUSDT","price":"16618.49","size":"0.00012",
     "side":"Buy","time":"1672052955758","isBlockTrade":false,"isRPITrade":false,"seq":"123"}
    """

    execId: Annotated[str, Meta(min_length=1, max_length=128)]  # noqa: N815 - the venue's word
    price: Positive
    size: Positive
    side: Literal["Buy", "Sell"]
    time: Time


class _RecentList(Struct, gc=False):
    rows: list[_RecentRow] = field(name="list")


class _RecentBody(Struct, gc=False):
    result: _RecentList


class _PriceFilter(Struct, frozen=True, gc=False):
    tickSize: float | None = None  # noqa: N815 - the venue's word


class _SizeFilter(Struct, frozen=True, gc=False):
    qtyStep: float | None = None  # noqa: N815 - the venue's word; linear
    basePrecision: float | None = None  # noqa: N815 - the venue's word; spot


class _Symbol(Struct, gc=False):
    """A row of /v5/market/instruments-info.

    {"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC",
     "quoteCoin":"USDT","settleCoin":"USDT","priceFilter":{"tickSize":"0.10"},
     "lotSizeFilter":{"qtyStep":"0.001"}}
    """

    symbol: str
    baseCoin: str  # noqa: N815 - the venue's word
    quoteCoin: str  # noqa: N815 - the venue's word
    status: str = "Trading"
    contractType: str = ""  # noqa: N815 - the venue's word
    settleCoin: str = ""  # noqa: N815 - the venue's word
    priceFilter: _PriceFilter = _PriceFilter()  # noqa: N815 - the venue's word
    lotSizeFilter: _SizeFilter = _SizeFilter()  # noqa: N815 - the venue's word


class _SymbolList(Struct, gc=False):
    rows: list[_Symbol] = field(name="list")
    category: str = ""
    nextPageCursor: str = ""  # noqa: N815 - the venue's word


class _SymbolBody(Struct, gc=False):
    result: _SymbolList


_decode_envelope = Decoder(_Envelope).decode
_decode_recent = Decoder(_RecentBody, strict=False).decode
_decode_symbols = Decoder(_SymbolBody, strict=False).decode


def recent_trades(rest_url: str, category: Category, native: str, inst: InstrumentId) -> Recent:
    """Where the newest trades of one symbol are, and how to read them."""
    rows = _RECENT_ROWS[category]
    query = f"category={category}&symbol={quote(native)}&limit={rows}"
    url = f"{rest_url}/v5/market/recent-trade?{query}"

    def fetch(key: str) -> Fetch:
        return Fetch(key, url)

    return Recent(rows, fetch, lambda body, recv: _read_recent(body, recv, inst))


def listing_url(rest_url: str, category: Category, cursor: str = "") -> str:
    """Linear has more symbols than the 500 that come unasked; spot ignores both and gives all."""
    more = f"&cursor={quote(cursor, safe='')}" if cursor else ""
    return f"{rest_url}/v5/market/instruments-info?category={category}&limit=1000{more}"


def next_cursor(body: bytes) -> str:
    return _decode_symbols(body).result.nextPageCursor


def to_instruments(body: bytes, venue: str, category: str) -> list[Instrument]:
    """Read a page of the listing. Futures with an end date have no symbol of ours: left out."""
    _check(body)
    result = _decode_symbols(body).result
    if result.category and result.category != category:
        raise ValueError(f"a listing of {result.category}, not of {category}")
    return [
        Instrument(
            venue, s.baseCoin, s.quoteCoin, s.symbol,
            settle=s.settleCoin if category == "linear" else "",
            tick=s.priceFilter.tickSize,
            step=s.lotSizeFilter.qtyStep or s.lotSizeFilter.basePrecision,
            active=s.status == "Trading", status=s.status,
        )
        for s in result.rows
        if s.contractType in ("", "LinearPerpetual")
    ]  # fmt: skip


def _read_recent(body: bytes, recv: Micros, inst: InstrumentId) -> Sequence[Trade]:
    """Oldest first; the venue gives the newest first."""
    _check(body)
    return [
        Trade(
            micros(row.time), recv, inst, row.execId, _BUY if row.side == "Buy" else _SELL,
            row.price, row.size, TRADES, repaired=True,
        )
        for row in reversed(_decode_recent(body).result.rows)
    ]  # fmt: skip


def _check(body: bytes) -> None:
    """Raise ValueError with the venue's words if it refused."""
    envelope = _decode_envelope(body)
    if envelope.retCode:
        raise ValueError(f"retCode {envelope.retCode}: {envelope.retMsg}")
