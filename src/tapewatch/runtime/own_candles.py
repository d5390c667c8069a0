"""Our own candles once more, after a backfill: from what is stored, where it is proven now.

A candle that is complete or repaired already stays. Around the stretch that was filled whole days
are read (the longest interval decides), because a day that had one hole may be whole now.
"""

from pathlib import Path

from msgspec.structs import replace

from tapewatch.model.events import Candle, Micros, Quality
from tapewatch.model.times import HOUR, Interval
from tapewatch.ports import Subscription
from tapewatch.process.candles import Candles
from tapewatch.process.rebuild import Rebuild
from tapewatch.stores.duckdb import DuckDb, DuckDbConfig
from tapewatch.stores.parquet import Parquet

_PATIENT = DuckDbConfig(memory_mb=1024, timeout_secs=600, max_rows=10_000_000)
_PAGE = 100_000
_BATCH = 5_000
# Above what a restart may count up when it plays late trades to its processors: ours know more.
_AHEAD = 100
_KNOWN = """
SELECT "interval", epoch_us(ts), revision, quality FROM candles WHERE inst = '{inst}'
AND origin = 'own' AND ts >= make_timestamptz({since}) AND ts < make_timestamptz({until})
"""


async def make_again(
    parquet: Parquet,
    data_dir: Path,
    candles: Candles,
    stream: Subscription,
    stretch: tuple[Micros, Micros],
    *,
    spans: bool,
) -> int:
    """Write candles that are proven now and were not before; give their number.

    `stretch`: `[since, until)`, of which every trade of the stream is stored.
    """
    longest = max(_intervals(candles))
    since = longest.floor(stretch[0])
    until = Micros(longest.floor(Micros(stretch[1] - 1)) + longest.micros)
    query = DuckDb(data_dir, config=_PATIENT)
    try:
        made = Rebuild(candles, stream.inst, *stretch, spans=spans)
        for hour in range(since - since % HOUR, until, HOUR):
            await _play(query, stream, Micros(hour), made)
        known = await _known(query, stream.inst, since, until)
    finally:
        query.close()
    better = [new for candle in made.finish() if (new := _better(candle, known)) is not None]
    for at in range(0, len(better), _BATCH):
        await parquet.write([*better[at : at + _BATCH]])
    return len(better)


async def _play(query: DuckDb, stream: Subscription, hour: Micros, made: Rebuild) -> None:
    """Give one hour of trades, a page at a time: a busy one has half a million."""
    offset = 0
    while True:
        trades = await query.trades(stream.inst, hour, Micros(hour + HOUR), _PAGE, offset=offset)
        made.take(trade for trade in trades if trade.channel == stream.channel)
        offset += len(trades)
        if len(trades) < _PAGE:
            return


async def _known(
    query: DuckDb, inst: str, since: Micros, until: Micros
) -> dict[tuple[str, int], tuple[int, bool]]:
    """Revision, and whether nothing was missing, of the candles that are stored."""
    name = inst.replace("'", "''")
    _, rows = await query.sql(_KNOWN.format(inst=name, since=since, until=until))
    whole = {Quality.COMPLETE.value, Quality.REPAIRED.value}
    return {(interval, ts): (rev or 0, quality in whole) for interval, ts, rev, quality in rows}


def _better(candle: Candle, known: dict[tuple[str, int], tuple[int, bool]]) -> Candle | None:
    revision, is_whole = known.get((candle.interval, candle.ts), (0, False))
    return None if is_whole else replace(candle, revision=revision + _AHEAD)


def _intervals(candles: Candles) -> list[Interval]:
    state = candles.fresh("")
    return [level.interval for level in (state.base, *state.larger)]
