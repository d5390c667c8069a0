"""`/api/v3/exchangeInfo` of the simulated market.

Shapes as on the real venue today: filters inside each symbol, `permissionSets`, empty
`permissions`. Every pair is `TRADING`.
"""

from typing import Any

from tapewatch.sim.decimals import ONE, fixed
from tapewatch.sim.limits import Rules
from tapewatch.sim.listing import Listing

_MOST = 9_000_000 * ONE


def exchange_info(pairs: list[Listing], rules: Rules, server_millis: int) -> dict[str, Any]:
    """The whole answer."""
    return {
        "timezone": "UTC",
        "serverTime": server_millis,
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, rules.weight),
            _limit("ORDERS", "SECOND", 10, 100),
            _limit("ORDERS", "DAY", 1, 200_000),
            _limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(pair) for pair in pairs],
    }


def _limit(kind: str, interval: str, count: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _symbol(pair: Listing) -> dict[str, Any]:
    return {
        "symbol": pair.symbol,
        "status": "TRADING",
        "baseAsset": pair.base,
        "baseAssetPrecision": 8,
        "quoteAsset": pair.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(pair),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _filters(pair: Listing) -> list[dict[str, Any]]:
    tick, lot = fixed(pair.tick), fixed(pair.lot)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": fixed(_MOST - _MOST % pair.tick),
            "tickSize": tick,
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": lot,
            "maxQty": fixed(_MOST - _MOST % pair.lot),
            "stepSize": lot,
        },
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000" if pair.quote != "BTC" else "0.00010000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ]
