"""OKX's public REST answers, from the true market.

It knows no HTTP: a path and its query go in, a body comes out, or `Refused` is raised. Pages are
newest first; `after` means older than, `before` newer than. Each path may be asked so often in two
seconds (of the market's time); faults are the business of the server around it.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tapewatch.sim import okx_frames as frames
from tapewatch.sim.bars import HOUR, Bar
from tapewatch.sim.happenings import Trade
from tapewatch.sim.limits import Rules, Window
from tapewatch.sim.market import Market
from tapewatch.sim.okx_listing import instrument
from tapewatch.sim.okx_query import Query, envelope, refusal
from tapewatch.sim.okx_rows import BARS, Rows
from tapewatch.sim.okx_texts import orders, plain, size

API = "/api/v5/"
_WINDOW_SECS = 2.0
_RECENT = 1_440  # bars that `candles` knows
_DEEPEST = 400
_FOREVER = 1_000_000


class Rest:
    """All paths, with how often each may be asked in two seconds."""

    def __init__(self, market: Market, rows: Rows, rules: Rules) -> None:
        self._market = market
        self._rows = rows
        self._rules = rules
        self._paths: dict[str, tuple[int, Callable[[Query], bytes]]] = {
            "public/time": (10, self._time),
            "public/instruments": (20, self._instruments),
            "public/mark-price": (10, lambda query: query.swaps(rows.mark_price)),
            "public/open-interest": (20, lambda query: query.swaps(rows.open_interest)),
            "public/funding-rate": (10, self._funding_rate),
            "market/books": (40, self._books),
            "market/books-full": (10, self._books_full),
            "market/trades": (100, self._trades),
            "market/history-trades": (20, self._history_trades),
            "market/candles": (40, lambda query: self._candles(query, _RECENT)),
            "market/history-candles": (20, lambda query: self._candles(query, _FOREVER)),
            "market/tickers": (20, self._tickers),
            "market/ticker": (20, lambda query: envelope([rows.ticker(query.symbol())])),
            "market/index-tickers": (20, self._index_tickers),
        }
        self._windows = {
            path: Window(most, _WINDOW_SECS) for path, (most, _) in self._paths.items()
        }

    def answer(self, path: str, query: Mapping[str, str], *, stale: bool = False) -> bytes:
        """The body, or `Refused`. `stale` gives the oldest book that is remembered."""
        name = path.removeprefix(API)
        if name not in self._paths:
            raise refusal("404", f"{path} is not simulated", 404)
        if not self._windows[name].allows(self._market.now / 1e6):
            raise refusal("50011", "Too Many Requests", 429)
        return self._paths[name][1](Query(query, self._market, stale=stale))

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        """`trades`, `candles` (or `klines`), `book`, `liquidations`: all that is known."""
        market, asked = self._market, Query(query, self._market)
        match what:
            case "trades":
                from_id, symbol = asked.number("fromId"), asked.symbol()
                if from_id is None:
                    return self._page_of_fills(asked, symbol, _FOREVER)
                found = market.trades_from(symbol, from_id, asked.limit(500, _FOREVER))
                return envelope(self._fill(fill) for fill in found)
            case "candles" | "klines":
                return self._candles(asked, _FOREVER, _FOREVER)
            case "book":
                return self._book(asked.symbol(), None, None)
            case "liquidations":
                symbol = asked.symbol()
                told, listing = market.liquidations(symbol), market.listing(symbol)
                return envelope(frames.liquidation_detail(listing, each) for each in told)
            case _:
                return None

    def _time(self, _query: Query) -> bytes:
        return envelope([f'{{"ts":"{self._market.now // 1_000}"}}'])

    def _instruments(self, query: Query) -> bytes:
        kind = query.needed("instType")
        if kind == "OPTION" and not (query.text("instFamily") or query.text("uly")):
            raise refusal("50015", "Either parameter uly or instFamily is required.", 400)
        data = [instrument(self._market.listing(symbol)) for symbol in query.symbols()]
        answer: dict[str, Any] = {"code": "0", "data": data, "msg": ""}
        return msgspec.json.encode(answer)

    def _funding_rate(self, query: Query) -> bytes:
        if query.text("instId") == "ANY":
            return envelope(map(self._rows.funding_rate, self._rows.swaps.symbols))
        symbol = query.symbol()
        if symbol not in self._rows.swaps.symbols:
            raise refusal("51000", "Parameter instId error", 400)
        return envelope([self._rows.funding_rate(symbol)])

    def _books(self, query: Query) -> bytes:
        limit = query.limit(1, _DEEPEST, "sz")
        at = 0 if query.stale else self._market.now - self._rules.snapshot_age_micros
        return self._book(query.symbol(), limit, at)

    def _book(self, symbol: str, limit: int | None, at: int | None) -> bytes:
        listing, view = self._market.listing(symbol), self._market.book(symbol, limit, at)
        seq = self._rows.seq(symbol, view.update_id)
        return envelope([frames.best(listing, view, self._market.now, seq)])

    def _books_full(self, query: Query) -> bytes:
        """Levels without the dead field."""
        symbol, limit = query.symbol(), query.limit(1, 5_000, "sz")
        listing, view = self._market.listing(symbol), self._market.book(symbol, limit)
        bids, asks = (
            ",".join(
                f'["{plain(p)}","{size(listing, p, q)}","{orders(listing, p, q)}"]' for p, q in side
            )
            for side in (view.bids, view.asks)
        )
        ts = self._market.now // 1_000
        return envelope([f'{{"asks":[{asks}],"bids":[{bids}],"ts":"{ts}"}}'])

    def _trades(self, query: Query) -> bytes:
        symbol, limit = query.symbol(), query.limit(100, 500)
        newest = self._market.newest_ids(symbol)[0]
        return self._fills(symbol, newest + 1 - limit, newest)

    def _history_trades(self, query: Query) -> bytes:
        return self._page_of_fills(query, query.symbol(), 100)

    def _page_of_fills(self, query: Query, symbol: str, most: int) -> bytes:
        """By trade id, or with `type=2` those older than a time."""
        limit, newest = query.limit(100, most), self._market.newest_ids(symbol)[0]
        kind = query.text("type") or "1"
        if kind not in {"1", "2"}:
            raise refusal("51000", "Parameter type error", 400)
        if kind == "2" and query.text("before"):
            raise refusal("50039", "Parameter before is not supported for timestamp pagination")
        before = query.number("before")
        if kind == "2":
            last = self._last_before(symbol, query.micros("after"))
        else:
            after = query.number("after")
            last = newest if after is None else min(newest, after - 1)
        first = last + 1 - limit
        return self._fills(symbol, first if before is None else max(first, before + 1), last)

    def _last_before(self, symbol: str, ts: int | None) -> int:
        """The last fill that is older than `ts`."""
        market = self._market
        if ts is None:
            return market.newest_ids(symbol)[0]
        found = market.aggregates_since(symbol, ts - HOUR, ts - 1, _FOREVER)
        return found[-1].last if found else 0

    def _fills(self, symbol: str, first: int, last: int) -> bytes:
        """Those with ids within `first`..`last`, newest first."""
        if last < first:
            return envelope([])
        found = self._market.trades_from(symbol, first, last - first + 1)
        return envelope(self._fill(fill) for fill in reversed(found) if fill.id <= last)

    def _fill(self, fill: Trade) -> str:
        return frames.past_fill(self._market.listing(fill.symbol), fill)

    def _candles(self, query: Query, known: int, most: int = 300) -> bytes:
        symbol, limit = query.symbol(), query.limit(100, most)
        interval = BARS.get(query.text("bar") or "1m")
        if interval is None:
            raise refusal("51000", "Parameter bar error", 400)
        after, before = query.micros("after"), query.micros("before")
        bars = self._newest_bars(symbol, interval, after, limit, known)
        shown = [bar for bar in bars if before is None or bar.open_ts > before]
        return envelope(self._rows.candle(symbol, bar, interval) for bar in reversed(shown))

    def _newest_bars(
        self, symbol: str, interval: str, after: int | None, limit: int, known: int
    ) -> list[Bar]:
        """The last `limit` that open before `after`, of the `known` ones."""
        market, now = self._market, self._market.now
        end = now if after is None else min(now, after - 1)
        if end <= 0:
            return []
        bars = market.klines(symbol, interval, None, end, limit)
        if after is None or known == _FOREVER:
            return bars
        first = market.klines(symbol, interval, None, now, known)[0].open_ts
        return [bar for bar in bars if bar.open_ts >= first]

    def _tickers(self, query: Query) -> bytes:
        query.needed("instType")
        return envelope(self._rows.ticker(symbol) for symbol in query.symbols())

    def _index_tickers(self, query: Query) -> bytes:
        index, quote = query.text("instId"), query.text("quoteCcy")
        if not index and not quote:
            raise refusal("50015", "Either parameter instId or quoteCcy is required.", 400)
        found = [
            name
            for name in self._rows.indices
            if index in {"", name} and name.endswith(quote and f"-{quote}")
        ]
        if index and not found:
            raise refusal("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return envelope(map(self._rows.index_ticker, found))
