"""Which ids of one stream are on disk: asked of the store an hour at a time, each hour once.

What was written after an hour was asked for is not seen: whoever writes ascending ids knows it.
"""

from bisect import bisect_right
from pathlib import Path

from tapewatch.model.events import Micros, Trade
from tapewatch.model.times import HOUR
from tapewatch.ports import Subscription
from tapewatch.stores.duckdb import DuckDb, DuckDbConfig

_PATIENT = DuckDbConfig(memory_mb=1024, timeout_secs=600, max_rows=10_000_000)
_KEPT_HOURS = 48
# Rows as stretches of ids: `first` is above `id` only where ids count fills.
_RUNS = """
WITH rows AS (
    SELECT try_cast(id AS BIGINT) AS n, n - {size} + 1 AS first FROM trades
    WHERE inst = '{inst}' AND channel = '{channel}'
    AND ts >= make_timestamptz({since}) AND ts < make_timestamptz({until}) AND n IS NOT NULL
), stepped AS (
    SELECT first, n, coalesce(first > 1 + lag(n) OVER (ORDER BY n), true)::INT AS is_new FROM rows
), numbered AS (
    SELECT first, n, sum(is_new) OVER (ORDER BY n) AS run FROM stepped
)
SELECT min(first), max(n) FROM numbered GROUP BY run ORDER BY 1
"""


class StoredIds:
    def __init__(self, data_dir: Path, stream: Subscription, *, spans: bool) -> None:
        self._query = DuckDb(data_dir, config=_PATIENT)
        self._stream = stream
        self._size = "coalesce(count, 1)" if spans else "1"
        self._hours: dict[int, list[tuple[int, int]]] = {}

    async def without(self, trades: list[Trade]) -> list[Trade]:
        """Leave out what is on disk."""
        return [trade for trade in trades if not await self._has(trade)]

    def close(self) -> None:
        self._query.close()

    async def _has(self, trade: Trade) -> bool:
        hour = trade.ts // HOUR
        if hour not in self._hours:
            self._hours[hour] = await self._runs(hour)
            while len(self._hours) > _KEPT_HOURS:
                del self._hours[next(iter(self._hours))]
        runs = self._hours[hour]
        number = int(trade.id)
        at = bisect_right(runs, (number, 1 << 63)) - 1
        return at >= 0 and number <= runs[at][1]

    async def _runs(self, hour: int) -> list[tuple[int, int]]:
        since = Micros(hour * HOUR)
        statement = _RUNS.format(
            size=self._size,
            inst=self._stream.inst.replace("'", "''"),
            channel=self._stream.channel,
            since=since,
            until=since + HOUR,
        )
        _, rows = await self._query.sql(statement)
        return [(first, last) for first, last in rows]
