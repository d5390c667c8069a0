"""What both feeds of Coinbase ask by HTTP: trades that are missing, and the listings.

Trades:   https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducttrades
Listings: https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducts
          https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/list-public-products

Trades are asked of the Exchange for both feeds: the ids are the same, and only there can one ask
by id. `after` asks for older trades; pages come newest first; `side` is the maker's.
"""

from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.json import Decoder

from tapewatch.model.events import InstrumentId, Micros, Trade
from tapewatch.model.instrument import Instrument
from tapewatch.ports import Fetch
from tapewatch.venues._coinbase import TAKER, Number, Positive, Time, micros
from tapewatch.venues._trades import History

EXCHANGE_REST = "https://api.exchange.coinbase.com"
CATALOGUE = "catalogue"
TWIN = "traded in the book of "
_PAGE = 1000


class _PastTrade(Struct, gc=False):
    """A row of /products/{id}/trades, newest first.

    {"trade_id":74,"side":"buy","size":"0.01000000","price":"10.00000000",
     "time":"2014-11-07T22:19:28.578544Z"}
    """

    trade_id: Number
    side: Literal["buy", "sell"]  # of the maker
    size: Positive
    price: Positive
    time: Time


_decode_past = Decoder(list[_PastTrade], strict=False).decode


def trade_history(rest_url: str, native: str, inst: InstrumentId, channel: str) -> History:
    """A page of ids below the one after the last that we want: exactly those, as ids are +1."""
    path = f"{rest_url}/products/{quote(native)}/trades"

    def fetch(key: str, first: int, count: int) -> Fetch:
        return Fetch(key, f"{path}?limit={count}&after={first + count}")

    def rows(body: bytes, recv: Micros, _echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        return [
            (r.trade_id, Trade(micros(r.time), recv, inst, str(r.trade_id), TAKER[r.side],
                               r.price, r.size, channel, repaired=True))
            for r in reversed(_decode_past(body))
        ]  # fmt: skip

    return History(_PAGE, fetch, rows)


class _ExchangeProduct(Struct):
    """A row of /products; tick and lot are decimal strings.

    {"id":"BTC-GBP","base_currency":"BTC","quote_currency":"GBP","quote_increment":"0.01",
     "base_increment":"0.00000001","status":"online","trading_disabled":false}
    """

    id: str
    base_currency: str
    quote_currency: str
    quote_increment: Positive | None = None
    base_increment: Positive | None = None
    status: str = ""
    trading_disabled: bool = False


class _AdvancedProduct(Struct):
    """A row of /api/v3/brokerage/market/products.

    {"product_id":"BTC-USDC","base_currency_id":"BTC","quote_currency_id":"USDC",
     "product_type":"SPOT","status":"online","alias":"BTC-USD","alias_to":[],
     "is_disabled":false,"price_increment":"0.01","base_increment":"0.00000001"}
    """

    product_id: str
    base_currency_id: str
    quote_currency_id: str
    product_type: str = "SPOT"
    status: str = ""
    alias: str = ""  # the product whose book this one shares
    is_disabled: bool = False
    trading_disabled: bool = False
    price_increment: Positive | None = None
    base_increment: Positive | None = None


class _AdvancedListing(Struct):
    products: list[_AdvancedProduct]


_decode_exchange = Decoder(list[_ExchangeProduct], strict=False).decode
_decode_advanced = Decoder(_AdvancedListing, strict=False).decode


def exchange_products(body: bytes, venue: str) -> list[Instrument]:
    return _active_first(
        Instrument(
            venue, p.base_currency, p.quote_currency, p.id,
            tick=p.quote_increment, step=p.base_increment,
            active=p.status == "online" and not p.trading_disabled,
            status="trading disabled" if p.trading_disabled else p.status,
        )
        for p in _decode_exchange(body)
    )  # fmt: skip


def advanced_products(body: bytes, venue: str) -> list[Instrument]:
    """Spot only: futures and perpetuals are traded elsewhere."""
    return _active_first(
        Instrument(
            venue, p.base_currency_id, p.quote_currency_id, p.product_id,
            tick=p.price_increment, step=p.base_increment,
            active=p.status == "online" and not (p.alias or p.is_disabled or p.trading_disabled),
            status=f"{TWIN}{p.alias}" if p.alias else p.status,
        )
        for p in _decode_advanced(body).products
        if p.product_type == "SPOT"
    )  # fmt: skip


def _active_first(instruments: Iterable[Instrument]) -> list[Instrument]:
    """One pair listed twice: the one that trades wins, else the first."""
    found: dict[str, Instrument] = {}
    for each in instruments:
        known = found.get(each.id)
        if known is None or (each.active and not known.active):
            found[each.id] = each
    return list(found.values())
