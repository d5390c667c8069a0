"""What the simulated Binance USD-M lists: perpetuals, how their numbers are written, exchangeInfo.

The first twenty look like large ones; further ones are made up (`SIM021USDT`), as on spot.
Dated contracts and those on stocks and metals are not listed.
"""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.sim.decimals import cut, places
from tapewatch.sim.limits import Rules
from tapewatch.sim.listing import Listing, listing
from tapewatch.sim.listing import listings as generic_listings

USD_M, COIN_M = 1, 2
_NEVER_DELIVERED = 4_133_404_800_000  # what the venue says of perpetuals
_LISTED_SINCE = 1_569_398_400_000

# base, multiple, quote, tick, lot, fills a second; a tick is written with the places of prices
_PERPETUALS = (
    ("BTC", 1, "USDT", "0.10", "0.001", 40.0),
    ("ETH", 1, "USDT", "0.01", "0.001", 30.0),
    ("SOL", 1, "USDT", "0.0100", "0.01", 14.0),
    ("PEPE", 1_000, "USDT", "0.0000001", "1", 7.0),
    ("XRP", 1, "USDT", "0.0001", "0.1", 9.0),
    ("DOGE", 1, "USDT", "0.000010", "1", 8.0),
    ("BNB", 1, "USDT", "0.010", "0.01", 6.0),
    ("BTC", 1, "USDC", "0.1", "0.001", 6.0),
    ("SUI", 1, "USDT", "0.000100", "0.1", 5.0),
    ("ADA", 1, "USDT", "0.00010", "1", 4.0),
    ("AVAX", 1, "USDT", "0.0010", "0.1", 3.5),
    ("LINK", 1, "USDT", "0.001", "0.01", 3.0),
    ("LTC", 1, "USDT", "0.01", "0.001", 2.0),
    ("DOT", 1, "USDT", "0.001", "0.1", 2.0),
    ("TRX", 1, "USDT", "0.00001", "1", 1.5),
    ("ETH", 1, "USDC", "0.01", "0.001", 3.0),
    ("SHIB", 1_000, "USDT", "0.000001", "1", 1.5),
    ("SOL", 1, "USDC", "0.0100", "0.01", 1.5),
    ("DOGE", 1, "USDC", "0.000010", "1", 1.0),
    ("XRP", 1, "USDC", "0.0001", "0.1", 1.0),
)


def _name(base: str, multiple: int) -> str:
    return base if multiple == 1 else f"{multiple}{base}"


_PRICE_PLACES = {
    _name(base, multiple) + quote: len(tick.partition(".")[2])
    for base, multiple, quote, tick, _, _ in _PERPETUALS
}


class Spelling(Struct, frozen=True):
    """How an instrument and its numbers are written."""

    symbol: str
    pair: str
    price_places: int
    qty_places: int
    universe: int = USD_M

    def price(self, value: int) -> str:
        """A price."""
        return cut(value, self.price_places)

    def qty(self, value: int) -> str:
        """A quantity."""
        return cut(value, self.qty_places)

    def worth(self, value: int) -> str:
        """A price times a quantity."""
        return cut(value, min(8, self.price_places + self.qty_places))


def listings(count: int) -> tuple[Listing, ...]:
    """The first `count` perpetuals."""
    known = [_perpetual(*row) for row in _PERPETUALS[:count]]
    made_up = generic_listings(count)[len(_PERPETUALS) :]
    return (*known, *(replace(pair, kind="linear", settle=pair.quote) for pair in made_up))


def spelling(pair: Listing) -> Spelling:
    """How `pair` is written here."""
    price_places = _PRICE_PLACES.get(pair.symbol, places(pair.tick))
    return Spelling(pair.symbol, pair.symbol, price_places, places(pair.lot))


def exchange_info(pairs: list[Listing], rules: Rules, server_millis: int) -> dict[str, Any]:
    """`/fapi/v1/exchangeInfo`."""
    quotes = dict.fromkeys(pair.quote for pair in pairs)
    return {
        "timezone": "UTC",
        "serverTime": server_millis,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, rules.weight),
            _limit("ORDERS", "MINUTE", 1, 1_200),
            _limit("ORDERS", "SECOND", 10, 300),
        ],
        "exchangeFilters": [],
        "assets": [
            {"asset": name, "marginAvailable": True, "autoAssetExchange": "-10000"}
            for name in quotes
        ],
        "symbols": [_symbol(pair) for pair in pairs],
    }


def _perpetual(
    base: str, multiple: int, quote: str, tick: str, lot: str, fills_per_sec: float
) -> Listing:
    made = listing(_name(base, multiple) + quote, base, quote, tick, lot, fills_per_sec)
    return replace(made, kind="linear", settle=quote, multiple=multiple)


def _limit(kind: str, interval: str, count: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _symbol(pair: Listing) -> dict[str, Any]:
    written = spelling(pair)
    return {
        "symbol": pair.symbol,
        "pair": pair.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _NEVER_DELIVERED,
        "onboardDate": _LISTED_SINCE,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": _name(pair.base, pair.multiple),
        "quoteAsset": pair.quote,
        "marginAsset": pair.settle,
        "pricePrecision": written.price_places,
        "quantityPrecision": written.qty_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": _filters(pair, written),
        "orderTypes": [
            "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }  # fmt: skip


def _filters(pair: Listing, written: Spelling) -> list[dict[str, Any]]:
    tick, lot = written.price(pair.tick), written.qty(pair.lot)
    lots = {"stepSize": lot, "maxQty": "1000000", "minQty": lot}
    return [
        {"minPrice": tick, "maxPrice": "1000000", "filterType": "PRICE_FILTER", "tickSize": tick},
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
        {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
        {"notional": "5", "filterType": "MIN_NOTIONAL"},
        {
            "multiplierDown": "0.9500",
            "multiplierUp": "1.0500",
            "multiplierDecimal": "4",
            "filterType": "PERCENT_PRICE",
        },
    ]
