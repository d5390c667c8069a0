"""The Advanced Trade interface's public REST answers, from the true market.

It knows no HTTP: a path and its query go in, a body comes out, or `Refused` is raised. An answer
is kept for a second and given again, unless the request says `cache-control: no-cache`. The paths
under `/v2` are of the older interface; general clients ask them for currencies.
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tapewatch.sim.bars import LENGTHS, Bar
from tapewatch.sim.coinbase_floor import newest
from tapewatch.sim.coinbase_frames import maker_side
from tapewatch.sim.coinbase_listing import aliases
from tapewatch.sim.coinbase_products import (
    advanced_product,
    advanced_products,
    coins,
    future,
)
from tapewatch.sim.coinbase_query import Query, advanced_refused
from tapewatch.sim.coinbase_texts import SECOND, plain, trimmed
from tapewatch.sim.happenings import Trade
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import Market

API = "/api/v3/brokerage/"
_PRODUCT = re.compile(API + r"market/products/([^/]+)(?:/([a-z]+))?")
_INTERVALS = {
    "ONE_MINUTE": "1m", "FIVE_MINUTE": "5m", "FIFTEEN_MINUTE": "15m", "THIRTY_MINUTE": "30m",
    "ONE_HOUR": "1h", "TWO_HOUR": "2h", "FOUR_HOUR": "4h", "SIX_HOUR": "6h", "ONE_DAY": "1d",
}  # fmt: skip
_MOST_CANDLES = 350
_MOST_TRADES = 1_000
_KEPT_MICROS = 1_000_000
_KEPT = 500  # answers


class Rest:
    """All paths."""

    def __init__(self, market: Market, rules: Rules) -> None:
        self._market = market
        self._rules = rules
        self._start = market.now
        self._aliases = aliases(market)
        self._answers: dict[tuple[str, str], tuple[int, bytes]] = {}

    def answer(
        self, path: str, given: Mapping[str, str], *, fresh: bool = True, stale: bool = False
    ) -> bytes:
        """The body, or `Refused`. Without `fresh` it may be a second old."""
        key, now = (path, repr(sorted(given.items()))), self._market.now
        kept = self._answers.get(key)
        if kept is not None and not fresh and not stale and now - kept[0] < _KEPT_MICROS:
            return kept[1]
        body = self._made(path.rstrip("/"), Query(given, advanced_refused), stale=stale)
        if not stale:
            if len(self._answers) >= _KEPT:
                self._answers.clear()
            self._answers[key] = (now, body)
        return body

    def _made(self, path: str, query: Query, *, stale: bool) -> bytes:
        found: Any
        match path.removeprefix(API):
            case "time":
                found = _time(self._market.now)
            case "market/products":
                found = self._products(query)
            case "market/product_book":
                found = self._book(query, stale=stale)
            case "/v2/time":
                found = {"data": _old_time(self._market.now)}
            case "/v2/currencies":
                found = {"data": [{"id": "USD", "name": "US Dollar", "min_size": "0.01"}]}
            case "/v2/currencies/crypto":
                found = {"data": self._crypto()}
            case "/v2/exchange-rates":
                found = {"data": self._rates()}
            case _:
                found = self._of_product(path, query)
        return msgspec.json.encode(found)

    def _products(self, query: Query) -> Any:
        kind, names = query.text("product_type"), query.texts("product_ids")
        rows = advanced_products(self._market) if kind != "FUTURE" else []
        rows += [future(self._market)] if kind != "SPOT" else []
        if names:
            rows = [row for row in rows if row["product_id"] in names]
        offset = query.number("offset", 0, least=0)
        page = rows[offset : offset + query.number("limit", len(rows) + 1)]
        return {"products": page, "num_products": len(rows)}

    def _of_product(self, path: str, query: Query) -> Any:
        found = _PRODUCT.fullmatch(path)
        if found is None:
            raise advanced_refused(404, f"{path} is not simulated")
        name = found[1]
        symbol = self._symbol(name)
        match found[2]:
            case None:
                return advanced_product(
                    self._market, symbol, name=name if name in self._aliases else ""
                )
            case "ticker":
                return self._ticker(name, symbol, query)
            case "candles":
                return self._candles(symbol, query)
            case _:
                raise advanced_refused(404, f"{path} is not simulated")

    def _symbol(self, name: str) -> str:
        symbol = self._aliases.get(name, name)
        if symbol not in self._market.symbols:
            raise advanced_refused(404, "valid product_id is required")
        return symbol

    def _ticker(self, name: str, symbol: str, query: Query) -> Any:
        """The newest trades, of a span if it is given, and the best prices."""
        limit = min(query.number("limit", 100), _MOST_TRADES)
        start, end = query.time("start"), query.time("end")
        rows = newest(self._market, symbol, limit if start is None and end is None else 20_000)
        low, high = start or 0, end or self._market.now
        rows = [t for t in rows if low <= t.ts <= high][:limit]
        bid, _, ask, _ = self._market.live_book(symbol).top()
        return {
            "trades": [_trade(t, name) for t in rows],
            "best_bid": plain(bid),
            "best_ask": plain(ask),
        }

    def _candles(self, symbol: str, query: Query) -> Any:
        interval = _INTERVALS.get(query.text("granularity"))
        if interval is None:
            raise advanced_refused(400, "granularity argument is invalid")
        start, end = query.time("start"), query.time("end")
        if start is None or end is None or end < start:
            raise advanced_refused(400, "start and end argument is invalid")
        if (end - start) // LENGTHS[interval] > _MOST_CANDLES:
            raise advanced_refused(
                400,
                "start and end argument is invalid - number of candles requested should be "
                f"less than {_MOST_CANDLES}",
            )
        limit = min(query.number("limit", _MOST_CANDLES), _MOST_CANDLES)
        bars = self._market.klines(symbol, interval, start, end, _MOST_CANDLES + 1)
        rows = [_candle(bar) for bar in reversed(bars) if bar.trades]
        return {"candles": rows[:limit]}

    def _book(self, query: Query, *, stale: bool) -> Any:
        name = query.text("product_id")
        symbol = self._symbol(name)
        limit = query.number("limit", 0) or None
        at = self._book_ts(stale=stale)
        view = self._market.book(symbol, limit, at)
        bid, ask = view.bids[0][0], view.asks[0][0]
        middle = (bid + ask) // 2
        return {
            "pricebook": {
                "product_id": name,
                "bids": [{"price": plain(p), "size": plain(q)} for p, q in view.bids],
                "asks": [{"price": plain(p), "size": plain(q)} for p, q in view.asks],
                "time": trimmed(self._market.now if stale else at),
            },
            "last": plain(newest(self._market, symbol, 1)[0].price),
            "mid_market": plain(middle),
            "spread_bps": f"{(ask - bid) / middle * 10_000:.12f}",
            "spread_absolute": plain(ask - bid),
        }

    def _book_ts(self, *, stale: bool) -> int:
        """Of which moment a book is told; before the start there was none."""
        at = 0 if stale else self._market.now - self._rules.snapshot_age_micros
        return max(self._start, at)

    def _crypto(self) -> list[dict[str, Any]]:
        return [
            {"asset_id": f"simulated-{name}", "code": name, "name": name, "exponent": 8}
            for name in coins(self._market)
            if name != "USD"
        ]

    def _rates(self) -> dict[str, Any]:
        """How much of each coin a dollar buys."""
        rates = {"USD": "1.00"}
        for symbol in self._market.symbols:
            pair = self._market.listing(symbol)
            if pair.quote == "USD":
                price = self._market.day(symbol).bar.close
                rates[pair.base] = f"{100_000_000 / price:.12f}"
        return {"currency": "USD", "rates": rates}


def _trade(t: Trade, name: str) -> dict[str, Any]:
    return {
        "trade_id": str(t.id),
        "product_id": name,
        "price": plain(t.price),
        "size": plain(t.qty),
        "time": trimmed(t.ts),
        "side": maker_side(t).upper(),
        "bid": "",
        "ask": "",
    }


def _candle(bar: Bar) -> dict[str, str]:
    return {
        "start": str(bar.open_ts // SECOND),
        "low": plain(bar.low),
        "high": plain(bar.high),
        "open": plain(bar.open),
        "close": plain(bar.close),
        "volume": plain(bar.volume),
    }


def _time(now: int) -> dict[str, str]:
    return {
        "iso": trimmed(now - now % SECOND),
        "epochSeconds": str(now // SECOND),
        "epochMillis": str(now // 1_000),
    }


def _old_time(now: int) -> dict[str, Any]:
    return {"iso": trimmed(now - now % SECOND), "epoch": now // SECOND}
