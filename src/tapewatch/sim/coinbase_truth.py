"""What really happened, told in rows of the Exchange interface, for `/sim/truth`.

The queries are those of every simulated venue: `symbol`, `fromId`, `interval`, `limit`; rows are
oldest first. Both dialects tell the same.
"""

from collections.abc import Mapping

import msgspec

from tapewatch.sim.bars import INTERVALS
from tapewatch.sim.coinbase_floor import sequence_at
from tapewatch.sim.coinbase_query import Query, refused
from tapewatch.sim.coinbase_rest import book, candle, trade_row
from tapewatch.sim.market import Market

_MOST = 100_000


def truth(market: Market, what: str, given: Mapping[str, str]) -> bytes | None:
    """`trades`, `klines` or `book`; None for anything else."""
    if what not in {"trades", "klines", "book"}:
        return None
    query = Query(given)
    symbol = query.known("symbol", market.symbols)
    limit = min(query.number("limit", 500), _MOST)
    if what == "trades":
        from_id = query.number("fromId", market.newest_ids(symbol)[0] + 1 - limit)
        rows = market.trades_from(symbol, from_id, limit)
        return msgspec.json.encode([trade_row(t) for t in rows])
    if what == "klines":
        interval = query.text("interval")
        if interval not in INTERVALS:
            raise refused(400, "Unsupported interval")
        bars = market.klines(symbol, interval, query.time("start"), query.time("end"), limit)
        return ("[" + ",".join(candle(bar) for bar in bars) + "]").encode()
    view = market.book(symbol, limit if query.text("limit") else None)
    sequence = sequence_at(market, symbol, view.update_id, market.now)
    return book(market, symbol, view, sequence, market.now).encode()
