"""What the simulated Bybit trades: the same names on spot and on linear, and what is told of them.

In the market a symbol carries its category (`spot/BTCUSDT`, `linear/BTCUSDT`), since the venue
gives one name to two instruments. Spot and linear alternate, so that any count has both.
"""

from typing import Any
from urllib.parse import unquote

from msgspec.structs import replace

from tapewatch.sim.bybit_numbers import padded, places, price_places, trimmed
from tapewatch.sim.decimals import ONE
from tapewatch.sim.listing import MOST, Listing, listing
from tapewatch.sim.listing import listings as generic_listings

SPOT, LINEAR = "spot", "linear"
CATEGORIES = (SPOT, LINEAR)
FUNDING_HOURS = 8
FUNDING_CAP = "0.00333"
_LAUNCHED = 1_585_526_400_000  # milliseconds; the BTCUSDT perpetual

# name, base, quote, tick, lot, fills a second
_SPOT = (
    ("BTCUSDT", "BTC", "USDT", "0.1", "0.000001", 14.0),
    ("ETHUSDT", "ETH", "USDT", "0.01", "0.00001", 10.0),
    ("SOLUSDT", "SOL", "USDT", "0.01", "0.001", 6.0),
    ("XRPUSDT", "XRP", "USDT", "0.0001", "0.01", 5.0),
    ("DOGEUSDT", "DOGE", "USDT", "0.00001", "0.1", 4.0),
    ("BTCUSDC", "BTC", "USDC", "0.1", "0.000001", 3.0),
    ("ADAUSDT", "ADA", "USDT", "0.0001", "0.01", 2.0),
    ("LINKUSDT", "LINK", "USDT", "0.001", "0.001", 2.0),
    ("AVAXUSDT", "AVAX", "USDT", "0.01", "0.001", 2.0),
    ("LTCUSDT", "LTC", "USDT", "0.01", "0.00001", 1.5),
    ("DOTUSDT", "DOT", "USDT", "0.001", "0.001", 1.5),
    ("PEPEUSDT", "PEPE", "USDT", "0.00000001", "1", 3.0),
)
_LINEAR = (
    ("BTCUSDT", "BTC", "USDT", "0.1", "0.001", 30.0),
    ("ETHUSDT", "ETH", "USDT", "0.01", "0.01", 24.0),
    ("SOLUSDT", "SOL", "USDT", "0.01", "0.1", 12.0),
    ("XRPUSDT", "XRP", "USDT", "0.0001", "0.1", 9.0),
    ("DOGEUSDT", "DOGE", "USDT", "0.00001", "1", 8.0),
    ("BTCPERP", "BTC", "USDC", "0.1", "0.001", 2.0),
    ("ADAUSDT", "ADA", "USDT", "0.0001", "1", 4.0),
    ("LINKUSDT", "LINK", "USDT", "0.001", "0.1", 3.0),
    ("AVAXUSDT", "AVAX", "USDT", "0.001", "0.1", 3.0),
    ("LTCUSDT", "LTC", "USDT", "0.01", "0.1", 2.0),
    ("DOTUSDT", "DOT", "USDT", "0.001", "0.1", 2.0),
    ("1000PEPEUSDT", "PEPE", "USDT", "0.0000001", "100", 5.0),
)


def listings(count: int) -> tuple[Listing, ...]:
    """The first `count` instruments: spot, linear, spot, linear ..."""
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} symbols asked for; give a number from 1 to {MOST}")
    spot = [_listing(SPOT, *row) for row in _SPOT]
    linear = [_listing(LINEAR, *row) for row in _LINEAR]
    missing = -(-count // 2) - len(spot)
    if missing > 0:
        made_up = [pair for pair in generic_listings(missing + 40) if pair.base.startswith("SIM")]
        spot += [_like(SPOT, pair) for pair in made_up]
        linear += [_like(LINEAR, pair) for pair in made_up]
    both = [one for pair in zip(spot, linear, strict=False) for one in pair]
    return tuple(both[:count])


def category(symbol: str) -> str:
    """`spot/BTCUSDT` -> `spot`."""
    return symbol.partition("/")[0]


def name(symbol: str) -> str:
    """`spot/BTCUSDT` -> `BTCUSDT`."""
    return symbol.partition("/")[2]


def coin(pair: Listing) -> str:
    """The base as the venue calls it: `1000PEPE`."""
    return pair.base if pair.multiple == 1 else f"{pair.multiple}{pair.base}"


def spot_row(number: int, pair: Listing) -> dict[str, Any]:
    """A row of `/v5/market/instruments-info?category=spot`."""
    most = 100_000 * pair.lot * 100
    return {
        "symbolId": number,
        "symbol": name(pair.symbol),
        "baseCoin": coin(pair),
        "quoteCoin": pair.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": trimmed(pair.lot),
            "quotePrecision": "0.0000001",
            "minOrderQty": trimmed(pair.lot),
            "maxOrderQty": trimmed(most),
            "minOrderAmt": "5",
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": trimmed(most),
            "maxMarketOrderQty": trimmed(most // 2),
            "postOnlyMaxLimitOrderSize": trimmed(most),
        },
        "priceFilter": {"tickSize": trimmed(pair.tick)},
        "riskParameters": {"priceLimitRatioX": "0.005", "priceLimitRatioY": "0.01"},
        "symbolType": "",
    }


def linear_row(number: int, pair: Listing) -> dict[str, Any]:
    """A row of `/v5/market/instruments-info?category=linear`."""
    price, size = price_places(pair), places(pair.lot)
    most = padded(1_000_000 * pair.lot, size)
    return {
        "symbol": name(pair.symbol),
        "symbolId": number,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": coin(pair),
        "quoteCoin": pair.quote,
        "launchTime": str(_LAUNCHED + number * 86_400_000),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(price),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": padded(pair.tick, price),
            "maxPrice": padded(2_000_000 * ONE - 2 * pair.tick, price),
            "tickSize": padded(pair.tick, price),
        },
        "lotSizeFilter": {
            "maxOrderQty": most,
            "minOrderQty": padded(pair.lot, size),
            "qtyStep": padded(pair.lot, size),
            "postOnlyMaxOrderQty": most,
            "maxMktOrderQty": padded(500_000 * pair.lot, size),
            "minNotionalValue": "5",
        },
        "unifiedMarginTrade": True,
        "fundingInterval": FUNDING_HOURS * 60,
        "settleCoin": pair.settle,
        "copyTrading": "both",
        "upperFundingRate": FUNDING_CAP,
        "lowerFundingRate": "-" + FUNDING_CAP,
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "symbolType": "",
        "displayName": "",
    }


def page(
    rows: list[dict[str, Any]], cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str]:
    """One page and the cursor of the next; `first%3DBTCUSDT%26last%3DXRPUSDT` as the venue has it.

    A client may send the cursor back as it came or with the percent signs resolved.
    """
    start = 0
    if cursor:
        last = unquote(cursor).rpartition("last=")[2]
        start = next((n + 1 for n, row in enumerate(rows) if row["symbol"] == last), len(rows))
    found = rows[start : start + limit]
    if start + limit >= len(rows):
        return found, ""
    return found, f"first%3D{found[0]['symbol']}%26last%3D{found[-1]['symbol']}"


def _listing(
    category: str, name: str, base: str, quote: str, tick: str, lot: str, fills_per_sec: float
) -> Listing:
    pair = listing(f"{category}/{name}", base, quote, tick, lot, fills_per_sec)
    if category == SPOT:
        return pair
    prefix = name.partition(base)[0]  # 1000PEPEUSDT is priced for a thousand PEPE
    return replace(pair, kind="linear", settle=quote, multiple=int(prefix or 1))


def _like(category: str, pair: Listing) -> Listing:
    return _listing(
        category, pair.symbol, pair.base, pair.quote,
        trimmed(pair.tick), trimmed(pair.lot), pair.fills_per_sec,
    )  # fmt: skip
