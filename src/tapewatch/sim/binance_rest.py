"""Binance spot's public REST answers, from the true market.

It knows no HTTP: a path and its query go in, a body comes out, or `Refused` is raised with the
venue's code. Each path has a weight. Faults and limits are the business of the server around it.
https://github.com/binance/binance-spot-api-docs/blob/master/rest-api.md
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tapewatch.sim import binance_rows as rows
from tapewatch.sim.bars import INTERVALS
from tapewatch.sim.binance_frames import partial_depth
from tapewatch.sim.binance_listing import exchange_info
from tapewatch.sim.binance_query import Query, Refused
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import Market
from tapewatch.sim.messages import MILLIS

_HOUR = 3_600_000_000
_WEIGHTS = {"exchangeInfo": 20, "trades": 25, "historicalTrades": 25, "aggTrades": 4, "klines": 2}
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1_000, 50), (5_000, 250))


class Rest:
    """All paths. `unit` is how many microseconds a unit of time in the answer has."""

    def __init__(self, market: Market, rules: Rules) -> None:
        self._market = market
        self._rules = rules
        api = "/api/v3/"
        self._paths: dict[str, Callable[[Query, int], Any]] = {
            api + "ping": lambda _query, _unit: {},
            api + "time": lambda _query, unit: {"serverTime": market.now // unit},
            api + "exchangeInfo": self._exchange_info,
            api + "depth": self._depth,
            api + "trades": self._trades,
            api + "historicalTrades": self._historical_trades,
            api + "aggTrades": self._aggregates,
            api + "klines": self._klines,
            api + "ticker/24hr": self._day,
            api + "ticker/price": self._price,
            api + "ticker/bookTicker": self._book_ticker,
        }

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a request costs; unknown paths cost 1."""
        name = path.removeprefix("/api/v3/")
        if name == "depth":
            return _depth_weight(query)
        if name == "ticker/24hr":
            return _day_weight(query)
        if name in {"ticker/price", "ticker/bookTicker"}:
            return 2 if "symbol" in query else 4
        return _WEIGHTS.get(name, 1)

    def answer(
        self, path: str, query: Mapping[str, str], unit: int = MILLIS, *, stale: bool = False
    ) -> bytes:
        """The body, or `Refused`. `stale` gives the oldest book that is remembered."""
        handler = self._paths.get(path)
        if handler is None:
            raise Refused(404, -1000, f"{path} is not simulated")
        asked = Query(query, self._market.symbols, stale=stale)
        body = handler(asked, unit)
        asked.check_all_read()
        return body if isinstance(body, bytes) else msgspec.json.encode(body)

    def _exchange_info(self, query: Query, unit: int) -> Any:
        query.ignore("permissions", "symbolStatus", "showPermissionSets")
        pairs = [self._market.listing(symbol) for symbol in query.symbols()]
        return exchange_info(pairs, self._rules, self._market.now // unit)

    def _depth(self, query: Query, _unit: int) -> bytes:
        symbol, limit = query.symbol(), query.limit(100, 5_000)
        at = 0 if query.stale else self._market.now - self._rules.snapshot_age_micros
        return partial_depth(self._market.book(symbol, limit, at)).encode()

    def _trades(self, query: Query, unit: int) -> Any:
        symbol, limit = query.symbol(), query.limit(500, 1_000)
        return self._raw(symbol, self._market.newest_ids(symbol)[0] + 1 - limit, limit, unit)

    def _historical_trades(self, query: Query, unit: int) -> Any:
        symbol, limit = query.symbol(), query.limit(500, 1_000)
        newest = self._market.newest_ids(symbol)[0]
        from_id = query.number("fromId")
        return self._raw(symbol, newest + 1 - limit if from_id is None else from_id, limit, unit)

    def _raw(self, symbol: str, from_id: int, limit: int, unit: int) -> Any:
        return [rows.trade(t, unit) for t in self._market.trades_from(symbol, from_id, limit)]

    def _aggregates(self, query: Query, unit: int) -> Any:
        market, symbol, limit = self._market, query.symbol(), query.limit(500, 1_000)
        from_id, start, end = (
            query.number("fromId"),
            query.time("startTime"),
            query.until("endTime"),
        )
        if from_id is not None and (start is not None or end is not None):
            raise Refused(400, -1128, "Combination of optional parameters invalid.")
        if from_id is not None:
            found = market.aggregates_from(symbol, from_id, limit)
        elif start is not None:
            found = market.aggregates_since(symbol, start, end or market.now, limit)
        elif end is not None:
            found = market.aggregates_since(symbol, end - _HOUR, end, 1_000_000)[-limit:]
        else:
            newest = market.newest_ids(symbol)[1]
            found = market.aggregates_from(symbol, newest + 1 - limit, limit)
        return [rows.aggregate(a, unit) for a in found]

    def _klines(self, query: Query, unit: int) -> Any:
        symbol, limit = query.symbol(), query.limit(500, 1_000)
        interval = query.text("interval")
        if interval not in INTERVALS:
            raise Refused(400, -1120, "Invalid interval.")
        query.ignore("timeZone")
        start, end = query.time("startTime"), query.time("endTime")
        bars = self._market.klines(symbol, interval, start, end, limit)
        return [rows.kline(bar, interval, unit) for bar in bars]

    def _day(self, query: Query, unit: int) -> Any:
        mini = query.optional("type") == "MINI"
        return query.one_or_many(lambda symbol: rows.day(self._market, symbol, unit, mini=mini))

    def _price(self, query: Query, _unit: int) -> Any:
        return query.one_or_many(lambda symbol: rows.price(self._market, symbol))

    def _book_ticker(self, query: Query, _unit: int) -> Any:
        return query.one_or_many(lambda symbol: rows.book_ticker(self._market, symbol))


def _depth_weight(query: Mapping[str, str]) -> int:
    limit = query.get("limit", "")
    size = min(int(limit), 5_000) if limit.isdecimal() else 100
    return next(weight for most, weight in _DEPTH_WEIGHTS if size <= most)


def _day_weight(query: Mapping[str, str]) -> int:
    if "symbol" in query:
        return 2
    if "symbols" not in query:
        return 80
    count = query["symbols"].count(",") + 1
    return 2 if count <= 20 else 40 if count <= 100 else 80
