"""The Exchange interface's public REST answers, from the true market.

It knows no HTTP: a path and its query go in, a body comes out, or `Refused` is raised.
`after` and `before` are pages: `after=ID` gives OLDER trades than ID, `before=ID` newer ones.
https://docs.cdp.coinbase.com/exchange/reference
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tapewatch.sim.bars import Bar, opened
from tapewatch.sim.book import View
from tapewatch.sim.coinbase_floor import newest, sequence_at
from tapewatch.sim.coinbase_frames import levels, maker_side
from tapewatch.sim.coinbase_products import (
    currencies,
    exchange_product,
    exchange_products,
)
from tapewatch.sim.coinbase_query import Query, refused
from tapewatch.sim.coinbase_texts import SECOND, micros, order_id, padded, places, plain
from tapewatch.sim.decimals import fixed
from tapewatch.sim.happenings import Trade
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import Market

_PRODUCT = re.compile(r"/products/([^/]+)(?:/([a-z]+))?")
_INTERVALS = {60: "1m", 300: "5m", 900: "15m", 3_600: "1h", 21_600: "6h", 86_400: "1d"}
_MOST_CANDLES = 300
_MOST_TRADES = 1_000
_SPARKS = 24  # hours

Answer = tuple[bytes, dict[str, str]]


class Rest:
    """All paths; an answer is a body and headers."""

    def __init__(self, market: Market, rules: Rules) -> None:
        self._market = market
        self._rules = rules
        self._start = market.now

    def answer(self, path: str, given: Mapping[str, str], *, stale: bool = False) -> Answer:
        """The answer, or `Refused`. `stale` gives the oldest book that is remembered."""
        query = Query(given)
        match path.rstrip("/"):
            case "/time":
                return self._time(), {}
            case "/currencies":
                return msgspec.json.encode(currencies(self._market)), {}
            case "/products":
                return msgspec.json.encode(exchange_products(self._market)), {}
            case "/products/spark-lines":
                return self._spark_lines(), {}
            case other:
                return self._of_product(other, query, stale=stale)

    def _of_product(self, path: str, query: Query, *, stale: bool) -> Answer:
        found = _PRODUCT.fullmatch(path)
        if found is None or found[1] not in self._market.symbols:
            raise refused(404, "NotFound")
        symbol = found[1]
        match found[2]:
            case None:
                return msgspec.json.encode(exchange_product(self._market.listing(symbol))), {}
            case "trades":
                return self._trades(symbol, query)
            case "candles":
                return self._candles(symbol, query), {}
            case "book":
                return self._book(symbol, query, stale=stale), {}
            case "ticker":
                return self._ticker(symbol), {}
            case "stats":
                return self._stats(symbol), {}
            case _:
                raise refused(404, "NotFound")

    def _time(self) -> bytes:
        millis = self._market.now // 1_000
        iso = datetime.fromtimestamp(millis // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return (
            f'{{"iso":"{iso}.{millis % 1_000:03d}Z",'
            f'"epoch":{millis // 1_000}.{millis % 1_000:03d}}}'
        ).encode()

    def _trades(self, symbol: str, query: Query) -> Answer:
        limit = min(query.number("limit", _MOST_TRADES), _MOST_TRADES)
        after, before = query.number("after", 0), query.number("before", 0)
        end = self._market.newest_ids(symbol)[0] + 1
        if after:
            end = min(end, after)
        first = max(end - limit, before + 1)
        found = self._market.trades_from(symbol, first, max(0, end - first))
        rows = [t for t in reversed(found) if t.id < end]
        headers = {}
        if rows:
            headers = {"CB-BEFORE": str(rows[0].id), "CB-AFTER": str(rows[-1].id)}
        return msgspec.json.encode([trade_row(t) for t in rows]), headers

    def _candles(self, symbol: str, query: Query) -> bytes:
        granularity = query.number("granularity", 60)
        interval = _INTERVALS.get(granularity)
        if interval is None:
            raise refused(400, "Unsupported granularity")
        start, end = query.time("start"), query.time("end")
        if start is None or end is None:  # one of them alone counts for nothing
            end = self._market.now
            start = opened(end, interval) - (_MOST_CANDLES - 1) * granularity * SECOND
        if (end - start) // (granularity * SECOND) > _MOST_CANDLES:
            raise refused(
                400,
                "granularity too small for the requested time range. "
                f"Count of aggregations requested exceeds {_MOST_CANDLES}",
            )
        bars = self._market.klines(symbol, interval, start, end, _MOST_CANDLES + 1)
        return candle_rows(bars).encode()

    def _book(self, symbol: str, query: Query, *, stale: bool) -> bytes:
        level = query.text("level") or "1"
        if level not in {"1", "2", "3"}:
            raise refused(400, "Invalid level")
        at = self._book_ts(stale=stale)
        view = self._market.book(symbol, 1 if level == "1" else None, at)
        ts = self._market.now if stale else at  # nothing but the sequence gives a stale book away
        sequence = sequence_at(self._market, symbol, view.update_id, at)
        return book(self._market, symbol, view, sequence, ts, single=level == "3").encode()

    def _book_ts(self, *, stale: bool) -> int:
        """Of which moment a book is told; before the start there was none."""
        at = 0 if stale else self._market.now - self._rules.snapshot_age_micros
        return max(self._start, at)

    def _ticker(self, symbol: str) -> bytes:
        last, day = newest(self._market, symbol, 1)[0], self._market.day(symbol)
        bid, _, ask, _ = self._market.live_book(symbol).top()
        decimals = places(self._market.listing(symbol).tick)
        return msgspec.json.encode({
            "ask": padded(ask, decimals),
            "bid": padded(bid, decimals),
            "volume": plain(day.bar.volume),
            "trade_id": last.id,
            "price": plain(last.price),
            "size": plain(last.qty),
            "time": micros(last.ts),
            "rfq_volume": "0",
            "conversions_volume": "0.00",
        })  # fmt: skip

    def _stats(self, symbol: str) -> bytes:
        bar = self._market.day(symbol).bar
        return msgspec.json.encode({
            "open": plain(bar.open),
            "high": plain(bar.high),
            "low": plain(bar.low),
            "last": plain(bar.close),
            "volume": plain(bar.volume),
            "volume_30day": plain(bar.volume * 30),
            "rfq_volume_24hour": "0",
            "rfq_volume_30day": "0",
            "conversions_volume_24hour": "0.00",
            "conversions_volume_30day": "0.00",
        })  # fmt: skip

    def _spark_lines(self) -> bytes:
        """For each product the hours of the day: time, low, high, open, close."""
        lines = []
        for symbol in self._market.symbols:
            bars = self._market.klines(symbol, "1h", None, None, _SPARKS)
            rows = ",".join(candle(bar, volume=False) for bar in reversed(bars))
            lines.append(f'"{symbol}":[{rows}]')
        return ("{" + ",".join(lines) + "}").encode()


def trade_row(t: Trade) -> dict[str, Any]:
    """A row of trades; the side is the maker's, as on the feed."""
    return {
        "trade_id": t.id,
        "side": maker_side(t),
        "size": fixed(t.qty),
        "price": fixed(t.price),
        "time": micros(t.ts),
    }


def candle_rows(bars: list[Bar]) -> str:
    """Newest first; a bar without trades is absent."""
    return "[" + ",".join(candle(bar) for bar in reversed(bars) if bar.trades) + "]"


def candle(bar: Bar, *, volume: bool = True) -> str:
    """`[time, low, high, open, close, volume]` as JSON numbers: low stands before high."""
    prices = ",".join(plain(price) for price in (bar.low, bar.high, bar.open, bar.close))
    return f"[{bar.open_ts // SECOND},{prices}{',' + plain(bar.volume) if volume else ''}]"


def book(
    market: Market, symbol: str, view: View, sequence: int, ts: int, *, single: bool = False
) -> str:
    """A book; the third part of a level is a number of orders (made up), with `single` an id."""
    decimals = places(market.listing(symbol).tick)
    sides = []
    for rows in (view.bids, view.asks):
        texts = msgspec.json.decode(levels(rows, decimals), type=list[list[str]])
        sides.append([
            [price, qty, order_id(symbol, price) if single else 1 + len(qty.rstrip("0")) % 4]
            for price, qty in texts
        ])  # fmt: skip
    return msgspec.json.encode({
        "bids": sides[0],
        "asks": sides[1],
        "sequence": sequence,
        "auction_mode": False,
        "auction": None,
        "time": micros(ts),
    }).decode()  # fmt: skip
