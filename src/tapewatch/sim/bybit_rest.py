"""Bybit's public REST answers, from the true market.

It knows no HTTP: a path and its query go in, an envelope comes out, or `Refused` is raised with
the venue's code. Lists are newest first. Left out: candles of mark and index price, the full and
the RPI book, risk limits, insurance.
https://bybit-exchange.github.io/docs/v5/market/instrument
"""

from collections.abc import Callable, Mapping
from typing import Any

from tapewatch.sim import bybit_rows as rows
from tapewatch.sim import bybit_tickers as tickers
from tapewatch.sim.bars import DAY, HOUR, MINUTE, SECOND, opened
from tapewatch.sim.book import View
from tapewatch.sim.bybit_frames import INTERVALS, MILLI
from tapewatch.sim.bybit_listing import LINEAR, SPOT, category, linear_row, name, page, spot_row
from tapewatch.sim.bybit_query import Query, envelope
from tapewatch.sim.bybit_streams import Publisher
from tapewatch.sim.market import Market
from tapewatch.sim.venue import Refused

PREFIX = "/v5/market/"
_DEEPEST = 1_000  # the topic whose `u` a REST book has
_MOST_TRADES = {SPOT: 60, LINEAR: 1_000}
_USUAL_TRADES = {SPOT: 60, LINEAR: 500}
_USUAL_LEVELS = {SPOT: 1, LINEAR: 25}
_INTEREST_TIMES = {
    "5min": 5 * MINUTE, "15min": 15 * MINUTE, "30min": 30 * MINUTE, "1h": HOUR, "4h": 4 * HOUR,
    "1d": DAY,
}  # fmt: skip
_UNBOUNDED = 1_000_000  # rows of the truth


class Rest:
    """All paths below `/v5/market/`."""

    def __init__(self, market: Market, publisher: Publisher) -> None:
        self._market = market
        self._publisher = publisher
        self._paths: dict[str, Callable[[Query], Any]] = {
            "time": self._time,
            "instruments-info": self._instruments,
            "orderbook": self._book,
            "recent-trade": self._trades,
            "kline": self._klines,
            "tickers": self._tickers,
            "funding/history": self._fundings,
            "open-interest": self._interest,
        }

    def answer(self, path: str, given: Mapping[str, str], *, stale: bool) -> bytes:
        """The envelope, or `Refused`. `stale` gives the oldest book that is remembered."""
        found = path.removeprefix(PREFIX)
        handler = self._paths.get(found)
        if handler is None:
            raise Refused(404, envelope({}, self._market.now, 404, f"{path} is not simulated"))
        query = Query(given, self._market.symbols, self._market.now)
        if stale and found == "orderbook":
            return self._enveloped(self._stale_book(query))
        return self._enveloped(handler(query))

    def truth(self, what: str, given: Mapping[str, str]) -> bytes | None:
        """Rows of the same form without caps; the book as it is at this moment."""
        query = Query(given, self._market.symbols, self._market.now)
        market = self._market
        match what:
            case "book":
                symbol = query.symbol()
                desk, view = (
                    self._publisher.desks[symbol],
                    market.book(symbol, query.limit(200, 10_000)),
                )
                return self._enveloped(rows.book(desk, view, market.now, desk.cts, 0))
            case "trades":
                return self._enveloped(self._newest(query.symbol(), query.limit(500, _UNBOUNDED)))
            case "klines":
                return self._enveloped(self._bars(query, _UNBOUNDED))
            case "tickers":
                return self._enveloped(self._tickers(query))
            case "liquidations":
                return self._enveloped(self._liquidations(query))
        return None

    def _enveloped(self, result: Any) -> bytes:
        return envelope(result, self._market.now)

    def _time(self, _query: Query) -> Any:
        now = self._market.now
        return {"timeSecond": str(now // SECOND), "timeNano": str(now * 1_000)}

    def _instruments(self, query: Query) -> Any:
        found = query.category(empty=True)
        symbols, limit = query.symbols(), query.limit(500, 1_000)
        if base := query.text("baseCoin"):
            symbols = [s for s in symbols if self._market.listing(s).base == base]
        if (query.text("status") or "Trading") != "Trading":
            symbols = []
        row = spot_row if found == SPOT else linear_row
        numbers = {symbol: n for n, symbol in enumerate(self._market.symbols, 1)}
        listed = [row(numbers[symbol], self._market.listing(symbol)) for symbol in symbols]
        if found == SPOT:
            return {"category": found, "list": listed}  # spot knows no pages
        shown, cursor = page(listed, query.text("cursor"), limit)
        return {"category": found, "list": shown, "nextPageCursor": cursor}

    def _book(self, query: Query) -> Any:
        symbol = query.symbol()
        limit = query.limit(_USUAL_LEVELS[category(symbol)], _DEEPEST)
        depth = self._publisher.depth(symbol, _DEEPEST)
        bids, asks = depth.sides(limit)
        state = depth.state
        view = View(state.seq, bids, asks)
        return rows.book(self._publisher.desks[symbol], view, state.ts, state.cts, state.u)

    def _stale_book(self, query: Query) -> Any:
        symbol = query.symbol()
        limit = query.limit(_USUAL_LEVELS[category(symbol)], _DEEPEST)
        view, state = (
            self._market.book(symbol, limit, 0),
            self._publisher.depth(symbol, _DEEPEST).state,
        )
        lost = max(1, state.seq - view.update_id)
        ts = self._market.now - SECOND
        return rows.book(self._publisher.desks[symbol], view, ts, ts, max(1, state.u - lost))

    def _trades(self, query: Query) -> Any:
        symbol = query.symbol()
        found = category(symbol)
        return self._newest(symbol, query.limit(_USUAL_TRADES[found], _MOST_TRADES[found]))

    def _newest(self, symbol: str, limit: int) -> Any:
        newest = self._market.newest_ids(symbol)[0]
        trades = self._market.trades_from(symbol, newest + 1 - limit, limit)
        desk = self._publisher.desks[symbol]
        return {"category": desk.category, "list": [rows.trade(desk, t) for t in reversed(trades)]}

    def _klines(self, query: Query) -> Any:
        return self._bars(query, 1_000)

    def _bars(self, query: Query, most: int) -> Any:
        symbol = query.symbol()
        interval = INTERVALS.get(query.text("interval") or "")
        if interval is None:
            raise query.refusal("params error: Invalid interval")
        start, end, limit = query.time("start"), query.time("end"), query.limit(200, most)
        desk = self._publisher.desks[symbol]
        if start is not None:
            start = opened(start, interval)  # the bar that contains `start` is told
        # within bounds on both sides the newest rows are told, else the first after `start`
        wanted = _UNBOUNDED if end is not None else limit
        bars = self._market.klines(symbol, interval, start, end, wanted)[-limit:]
        return {
            "symbol": desk.name,
            "category": desk.category,
            "list": [rows.kline(desk, bar) for bar in reversed(bars)],
        }

    def _tickers(self, query: Query) -> Any:
        return {
            "category": query.category(empty=True),
            "list": [self._ticker(symbol) for symbol in query.symbols()],
        }

    def _ticker(self, symbol: str) -> Any:
        desk = self._publisher.desks[symbol]
        if not desk.is_spot:
            return rows.linear_ticker(tickers.linear_row(self._market, desk))
        row = tickers.spot_row(self._market, desk)
        return rows.spot_ticker(desk, row, self._market.live_book(symbol).top())

    def _fundings(self, query: Query) -> Any:
        symbol = self._linear(query)
        start, end, limit = query.time("startTime"), query.time("endTime"), query.limit(200, 200)
        if start is not None and end is None:
            raise query.refusal("params error: endTime is required with startTime")
        until = self._market.now if end is None else min(end, self._market.now)
        paid = self._publisher.fundings.rates(symbol, start or 0, until, limit)
        return {"category": LINEAR, "list": [rows.funding(name(symbol), *one) for one in paid]}

    def _interest(self, query: Query) -> Any:
        symbol = self._linear(query)
        length = _INTEREST_TIMES.get(query.text("intervalTime") or "")
        if length is None:
            raise query.refusal("params error: intervalTime is invalid")
        start, end, limit = query.time("startTime"), query.time("endTime"), query.limit(50, 200)
        until = self._market.now if end is None else min(end, self._market.now)
        if cursor := query.text("cursor"):
            until = min(until, int(cursor) * MILLI if cursor.isdecimal() else until)
        newest = until - until % length
        first = max(start or 0, newest - (limit - 1) * length)
        times = range(newest, first - 1, -length)
        lot = self._market.listing(symbol).lot
        more = times and times[-1] - length >= (start or 0)
        return {
            "symbol": name(symbol),
            "category": LINEAR,
            "list": [rows.interest(symbol, lot, ts) for ts in times],
            "nextPageCursor": str((times[-1] - 1) // MILLI) if more else "",
        }

    def _liquidations(self, query: Query) -> Any:
        symbol = self._linear(query)
        desk, limit = self._publisher.desks[symbol], query.limit(1_000, _UNBOUNDED)
        found = list(self._market.liquidations(symbol))[-limit:]
        return {
            "category": LINEAR,
            "list": [rows.liquidation(desk, one) for one in reversed(found)],
        }

    def _linear(self, query: Query) -> str:
        symbol = query.symbol()
        if category(symbol) != LINEAR:
            raise query.refusal("params error: Category is invalid")
        return symbol
