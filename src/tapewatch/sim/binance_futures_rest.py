"""Binance USD-M's public REST answers, from the true market.

It knows no HTTP: a path and its query go in, a body comes out, or `Refused` is raised with the
venue's code. Aggregates are those that the streams told, 48 hours back; older trades need a key,
which nobody has here. Every third snapshot of a book ends exactly where a frame of differences
ends. Not offered: candles of marks and indexes, open interest, statistics.
"""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import msgspec

from tapewatch.sim import binance_futures_rows as rows
from tapewatch.sim.bars import HOUR, INTERVALS
from tapewatch.sim.binance_futures_batches import within
from tapewatch.sim.binance_futures_listing import exchange_info
from tapewatch.sim.binance_futures_streams import Publisher
from tapewatch.sim.binance_query import Query, Refused
from tapewatch.sim.happenings import Aggregate
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import Market

API = "/fapi/v1/"
_MILLI = 1_000
_REMEMBERED = 48 * HOUR
_FUNDING = 8 * HOUR
_FRAME_END = 500_000  # at such times the streams of differences of all speeds end a frame
_DEPTHS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1_000: 20}  # limit: weight
_CANDLES = ((99, 1), (499, 2), (1_000, 5), (1_500, 10))
_WEIGHTS = {"aggTrades": 20, "trades": 5, "historicalTrades": 200}
_ONE_OR_ALL = {
    "ticker/24hr": (1, 40), "ticker/bookTicker": (2, 5), "ticker/price": (1, 2),
    "premiumIndex": (1, 10),
}  # fmt: skip


class Rest:
    """All paths."""

    def __init__(self, market: Market, publisher: Publisher, rules: Rules) -> None:
        self._market = market
        self._publisher = publisher
        self._rules = rules
        self._snapshots = count(1)
        self._paths: dict[str, Callable[[Query], Any]] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": market.now // _MILLI},
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._trades,
            "historicalTrades": self._historical_trades,
            "aggTrades": self._aggregates,
            "klines": self._klines,
            "premiumIndex": self._premium_index,
            "fundingRate": self._funding_rate,
            "fundingInfo": lambda _: [],
            "ticker/24hr": self._day,
            "ticker/price": self._price,
            "ticker/bookTicker": self._book_ticker,
        }

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a request costs; unknown paths cost 1."""
        name = path.removeprefix(API)
        if name == "depth":
            return _DEPTHS.get(_size(query, 500), 20)
        if name == "klines":
            size = min(_size(query, 500), 1_500)
            return next(weight for most, weight in _CANDLES if size <= most)
        if name in _ONE_OR_ALL:
            return _ONE_OR_ALL[name][0 if "symbol" in query else 1]
        return _WEIGHTS.get(name, 1)

    def answer(self, path: str, query: Mapping[str, str], *, stale: bool = False) -> bytes:
        """The body, or `Refused`. `stale` gives the oldest book that is remembered."""
        name = path.removeprefix(API)
        handler = self._paths.get(name) if path.startswith(API) else None
        if handler is None:
            raise Refused(404, -1000, f"{path} is not simulated")
        asked = Query(query, self._market.symbols, stale=stale)
        body = handler(asked)
        asked.check_all_read()
        return body if isinstance(body, bytes) else msgspec.json.encode(body)

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        """What happened, without limits, age and faults."""
        asked = Query(query, self._market.symbols)
        symbol = asked.symbol()
        match what:
            case "book":
                found: Any = self._book(symbol, asked.limit(5_000, 5_000), None)
            case "trades":
                from_id = asked.number("fromId") or 0
                found = self._fills(symbol, from_id, asked.limit(500, 1_000))
            case "aggTrades" | "klines":
                return self.answer(API + what, query)
            case "liquidations":
                written = self._publisher.instruments[symbol].spelling
                told = self._market.liquidations(symbol)
                found = [rows.liquidation(written, each) for each in told]
            case "mark":
                found = rows.premium_index(self._market, symbol)
            case _:
                return None
        return msgspec.json.encode(found)

    def _exchange_info(self, _query: Query) -> Any:
        pairs = [self._market.listing(symbol) for symbol in self._market.symbols]
        return exchange_info(pairs, self._rules, self._market.now // _MILLI)

    def _depth(self, query: Query) -> Any:
        symbol, limit, now = query.symbol(), query.number("limit") or 500, self._market.now
        if limit not in _DEPTHS:
            raise Refused(400, -1130, "Data sent for parameter 'limit' is not valid.")
        at = now - self._rules.snapshot_age_micros
        if query.stale:
            at = 0
        elif next(self._snapshots) % 3 == 0:
            at = now - now % _FRAME_END
        return self._book(symbol, limit, at)

    def _book(self, symbol: str, limit: int, at: int | None) -> Any:
        written = self._publisher.instruments[symbol].spelling
        view = self._market.book(symbol, limit, at)
        return rows.depth(written, view, self._market.now)

    def _trades(self, query: Query) -> Any:
        symbol, limit = query.symbol(), query.limit(500, 1_000)
        return self._fills(symbol, self._market.newest_ids(symbol)[0] + 1 - limit, limit)

    def _fills(self, symbol: str, from_id: int, limit: int) -> list[dict[str, Any]]:
        written = self._publisher.instruments[symbol].spelling
        fills = self._market.trades_from(symbol, from_id, limit)
        return [rows.trade(written, each) for each in fills]

    def _historical_trades(self, _query: Query) -> Any:
        raise Refused(401, -2014, "API-key format invalid.")

    def _aggregates(self, query: Query) -> Any:
        symbol, limit = query.symbol(), query.limit(500, 1_000)
        from_id, start, end = (
            query.number("fromId"),
            query.time("startTime"),
            query.until("endTime"),
        )
        if from_id is not None and (start is not None or end is not None):
            raise Refused(400, -1128, "Combination of optional parameters invalid.")
        if start is not None and end is not None and end - start > HOUR + 999:
            text = "Lookup interval is too big. More than 1 hours between startTime and endTime."
            raise Refused(400, -1127, text)
        found = self._aggregates_of(symbol, from_id, start, end, limit)
        written = self._publisher.instruments[symbol].spelling
        lot, oldest = self._market.listing(symbol).lot, self._market.now - _REMEMBERED
        return [rows.aggregate(written, each, lot) for each in found if each.ts >= oldest]

    def _aggregates_of(
        self, symbol: str, from_id: int | None, start: int | None, end: int | None, limit: int
    ) -> list[Aggregate]:
        batches, market = self._publisher.instruments[symbol].batches, self._market
        if start is not None or end is not None:
            until = market.now if end is None else end
            since = until - HOUR if start is None else start
            past = market.aggregates_since(symbol, since, until, 1_000_000)
            found = [each for each in past if each.id < batches.first_id]
            found += within(list(batches.kept), since, until)
            return found[:limit] if start is not None else found[-limit:]
        first = batches.newest + 1 - limit if from_id is None else from_id
        found = market.aggregates_from(symbol, first, min(limit, max(0, batches.first_id - first)))
        found = [each for each in found if each.id < batches.first_id]
        return [*found, *batches.since(first)][:limit]

    def _klines(self, query: Query) -> Any:
        symbol, limit = query.symbol(), query.limit(500, 1_500)
        interval = query.text("interval")
        if interval not in INTERVALS or interval == "1s":
            raise Refused(400, -1120, "Invalid interval.")
        start, end = query.time("startTime"), query.time("endTime")
        bars = self._market.klines(symbol, interval, start, end, limit)
        written = self._publisher.instruments[symbol].spelling
        return [rows.kline(written, bar, interval) for bar in bars]

    def _premium_index(self, query: Query) -> Any:
        return query.one_or_many(lambda symbol: rows.premium_index(self._market, symbol))

    def _funding_rate(self, query: Query) -> Any:
        symbols, limit = query.symbols(), query.limit(200, 1_000)
        end = min(query.time("endTime") or self._market.now, self._market.now)
        start = query.time("startTime")
        newest = end - end % _FUNDING
        oldest = newest - _FUNDING * (limit - 1)
        if start is not None:
            oldest = max(0, -(-start // _FUNDING)) * _FUNDING
        times = range(oldest, newest + 1, _FUNDING)[:limit]
        return [rows.funding(self._market, symbol, ts) for ts in times for symbol in symbols]

    def _day(self, query: Query) -> Any:
        return query.one_or_many(lambda symbol: rows.day(self._market, symbol))

    def _price(self, query: Query) -> Any:
        return query.one_or_many(lambda symbol: rows.price(self._market, symbol))

    def _book_ticker(self, query: Query) -> Any:
        return query.one_or_many(lambda symbol: rows.book_ticker(self._market, symbol))


def _size(query: Mapping[str, str], default: int) -> int:
    limit = query.get("limit", "")
    return int(limit) if limit.isdecimal() else default
