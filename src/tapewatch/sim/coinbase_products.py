"""How the two interfaces of Coinbase tell products and currencies.

Beside those that trade the venue lists others, and a client must pass over them: a delisted pair,
and in Advanced the USDC names of dollar books and a US future.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from tapewatch.sim.coinbase_listing import aliases, delisted
from tapewatch.sim.coinbase_texts import SECOND, padded, plain
from tapewatch.sim.decimals import ONE, units
from tapewatch.sim.listing import Listing
from tapewatch.sim.market import Market

_FIAT = {"USD": "United States Dollar"}


def exchange_product(pair: Listing, *, status: str = "online") -> dict[str, Any]:
    """A row of `/products`."""
    return {
        "id": pair.symbol,
        "base_currency": pair.base,
        "quote_currency": pair.quote,
        "quote_increment": plain(pair.tick),
        "base_increment": plain(pair.lot),
        "display_name": f"{pair.base}-{pair.quote}",
        "min_market_funds": _least(pair),
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": status,
        "status_message": "",
        "trading_disabled": status != "online",
        "fx_stablecoin": {pair.base, pair.quote} <= {"USD", "USDC", "USDT"},
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def exchange_products(market: Market) -> list[dict[str, Any]]:
    """All rows of `/products`."""
    rows = [exchange_product(market.listing(symbol)) for symbol in market.symbols]
    return [*rows, exchange_product(delisted(), status="delisted")]


def currencies(market: Market) -> list[dict[str, Any]]:
    """`/currencies`, also in the status channel of the Exchange feed."""
    return [
        {
            "id": name,
            "name": _FIAT.get(name, name),
            "min_size": "0.01" if name in _FIAT else "0.00000001",
            "status": "online",
            "message": "",
            "max_precision": "0.01" if name in _FIAT else "0.00000001",
            "convertible_to": ["USDC"] if name == "USD" else ["USD"] if name == "USDC" else [],
            "details": {"type": "fiat" if name in _FIAT else "crypto"},
            "default_network": "",
            "supported_networks": [],
        }
        for name in coins(market)
    ]


def coins(market: Market) -> list[str]:
    """Every currency that some pair has, sorted."""
    pairs = [market.listing(symbol) for symbol in market.symbols]
    return sorted({name for pair in pairs for name in (pair.base, pair.quote)})


def advanced_product(market: Market, symbol: str, *, name: str = "") -> dict[str, Any]:
    """A row of `/api/v3/brokerage/market/products`; with `name` that of an alias."""
    pair, day = market.listing(symbol), market.day(symbol)
    shared = [alias for alias, book in aliases(market).items() if book == symbol]
    return _blank(name or symbol, pair, "USDC" if name else pair.quote) | {
        "price": plain(day.bar.close),
        "price_percentage_change_24h": f"{day.percent:.8f}",
        "volume_24h": plain(day.bar.volume),
        "volume_percentage_change_24h": "0",
        "alias": symbol if name else "",
        "alias_to": [] if name else shared,
        "approximate_quote_24h_volume": padded(day.bar.quote, 2),
    }


def advanced_products(market: Market) -> list[dict[str, Any]]:
    """All spot rows: books, aliases, the delisted pair."""
    rows = [advanced_product(market, symbol) for symbol in market.symbols]
    rows += [advanced_product(market, book, name=name) for name, book in aliases(market).items()]
    gone = delisted()
    off = {"status": "delisted", "is_disabled": True, "trading_disabled": True}
    return [*rows, _blank(gone.symbol, gone, gone.quote) | off]


def future(market: Market) -> dict[str, Any]:
    """A US future that expires on the Friday after four weeks; it is listed and never trades."""
    day = datetime.fromtimestamp(market.now // SECOND, UTC) + timedelta(days=28)
    friday = (day + timedelta(days=(4 - day.weekday()) % 7)).replace(hour=16, minute=0, second=0)
    symbol = f"BIT-{friday:%d%b%y}-CDE".upper()
    pair = Listing(symbol, "", "USD", units("5"), ONE, 1.0, 1.0, 1.0)
    expiry = friday.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    details = {
        "venue": "cde",
        "contract_code": "BIT",
        "contract_expiry": expiry,
        "contract_size": "0.01",
        "contract_root_unit": "BTC",
        "group_description": "Nano Bitcoin Futures",
        "contract_expiry_type": "EXPIRING",
        "contract_display_name": f"BTC {friday:%d %b %y}".upper(),
    }
    return _blank(symbol, pair, "USD") | {
        "status": "",
        "product_type": "FUTURE",
        "product_venue": "FCM",
        "future_product_details": details,
    }


def status_product(pair: Listing) -> dict[str, Any]:
    """A row of the status channel of Advanced."""
    return {
        "product_type": "SPOT",
        "id": pair.symbol,
        "base_currency": pair.base,
        "quote_currency": pair.quote,
        "base_increment": plain(pair.lot),
        "quote_increment": plain(pair.tick),
        "display_name": f"{pair.base}/{pair.quote}",
        "status": "online",
        "status_message": "",
        "min_market_funds": _least(pair),
    }


def _blank(name: str, pair: Listing, quote: str) -> dict[str, Any]:
    """A row of Advanced, every key in the venue's order, before anything was traded."""
    return {
        "product_id": name,
        "price": "",
        "price_percentage_change_24h": "",
        "volume_24h": "",
        "volume_percentage_change_24h": "",
        "base_increment": plain(pair.lot),
        "quote_increment": plain(pair.tick),
        "quote_min_size": _least(pair),
        "quote_max_size": "50000000",
        "base_min_size": plain(pair.lot),
        "base_max_size": "42000",
        "base_name": pair.base,
        "quote_name": _FIAT.get(quote, quote),
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": pair.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": pair.base,
        "quote_display_symbol": "USD" if quote == "USDC" else quote,
        "view_only": False,
        "price_increment": plain(pair.tick),
        "display_name": name,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": "",
        "new_at": "2023-01-01T00:00:00Z",
    }


def _least(pair: Listing) -> str:
    return {"BTC": "0.000016", "ETH": "0.00022"}.get(pair.quote, "1")
