"""A backfill between the death of a tapewatch and its next start: no candle claims what is not so."""

import pytest

from tapewatch.model.events import Candle, Coverage, Gap, Holding, Micros, Quality
from tapewatch.process.candles import PLUGIN as CANDLES
from tapewatch.process.seconds import PLUGIN as SECONDS
from tapewatch.runtime import recovery
from tapewatch.runtime.checkpoint import Checkpoint
from tapewatch.sim.bars import HOUR, MINUTE
from tapewatch.stores.parquet import Parquet
from tapewatch.stores.sqlite import Sqlite
from tapewatch.stream.pipeline import Pipeline
from tests.integration.backfill_bench import START, benches, price, quick
from tests.integration.test_backfill import END, INST, lay, live, truth

DIED = START - 2 * HOUR + 7 * MINUTE + 20_000_000
WHOLE = {Quality.COMPLETE, Quality.REPAIRED}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quick(monkeypatch)


def pipeline():
    adding = SECONDS.build("seconds", SECONDS.config())
    return Pipeline([adding, CANDLES.build("candles", CANDLES.config())])


async def died(bench, trades):
    """Collected these live, candles and all, saved a checkpoint, and is gone."""
    processors = pipeline()
    have = (trades[0].id, trades[-1].id, Holding.HAVE)
    vouched = Coverage(START, START, INST, "aggTrade", *have)
    told = [live(a) for a in trades]
    said = processors.process([told[0], vouched, *told[1:]])
    await lay(bench, trades, have)
    await store(bench, said)
    mark = live(trades[-1]).recv
    Checkpoint(bench.folder / "checkpoint", processors, lambda: mark).save()


async def store(bench, events):
    parquet = Parquet(bench.folder, clock=lambda: Micros(bench.now))
    await parquet.open()
    await parquet.write([e for e in events if getattr(e, "closed", True)])
    await parquet.compacted()
    await parquet.close()


async def started_again(bench, *live_trades):
    """Recover as the product does, and let the processors hear what comes now."""
    parquet = Parquet(bench.folder, clock=lambda: Micros(bench.now))
    sqlite = Sqlite(bench.folder / "tapewatch.sqlite", clock=lambda: Micros(bench.now))
    found = await recovery.recover(parquet, sqlite, {"binance": True})
    processors = pipeline()
    checkpoint = Checkpoint(bench.folder / "checkpoint", processors, lambda: Micros(0))
    said = []
    clock = lambda: Micros(bench.now)  # noqa: E731 - as recovery wants it
    async for derived in recovery.catch_up(checkpoint, processors, parquet, clock):
        said += derived
    said += processors.process([live(a) for a in live_trades])
    await sqlite.close()
    await parquet.close()
    await store(bench, said)
    return next(iter(found.resume.values())), said


async def check(bench):
    """Every candle that claims to be whole is the true one."""
    found = [c for c in await bench.candles(INST) if c.quality in WHOLE]
    for candle in found:
        bar = bench.market.bar("BTCUSDT", "1m", candle.ts)
        told = (candle.trades, candle.open, candle.high, candle.low, candle.close)
        true = (bar.trades, *map(price, (bar.open, bar.high, bar.low, bar.close)))
        assert told == true, candle
    return {candle.ts for candle in found}


async def test_after_all_of_the_outage_every_minute_is_whole(tmp_path):
    async with benches(tmp_path) as bench:
        before = [a for a in truth(bench, START - 3 * HOUR) if a.ts < DIED]
        await died(bench, before)
        await bench.run(DIED - 20 * MINUTE, END)
        newest = truth(bench, START - 3 * HOUR)[-1]
        last, said = await started_again(bench)
        assert last == newest.id
        begins = [c.ts for c in said if type(c) is Candle and c.closed and c.interval == "1m"]
        assert begins == list(range(DIED // MINUTE * MINUTE, START - MINUTE, MINUTE))
        whole = await check(bench)
        assert whole >= set(range(START - 2 * HOUR, START - MINUTE, MINUTE))


async def test_after_a_part_of_the_outage_no_minute_of_the_rest_claims_to_be_whole(tmp_path):
    async with benches(tmp_path) as bench:
        true = truth(bench, START - 3 * HOUR)
        await died(bench, [a for a in true if a.ts < DIED])
        await bench.run(START - HOUR, END)
        assert (await started_again(bench))[0] == true[-1].id
        whole = await check(bench)
        assert whole >= set(range(START - HOUR, START - MINUTE, MINUTE))
        missed = range(DIED // MINUTE * MINUTE, START - HOUR, MINUTE)
        assert whole.isdisjoint(missed)


async def test_the_gap_is_stored_with_the_ids_that_were_not_fetched(tmp_path):
    async with benches(tmp_path) as bench:
        true = truth(bench, START - 3 * HOUR)
        before = [a for a in true if a.ts < DIED]
        await died(bench, before)
        await bench.run(START - HOUR, END)
        first = next(a for a in true if a.ts >= START - HOUR)
        parquet = Parquet(tmp_path, clock=lambda: Micros(bench.now))
        await parquet.open()
        played = [e for rows in await parquet.received_since(Micros(DIED)) for e in rows]
        await parquet.close()
        at = next(n for n, event in enumerate(played) if type(event) is Gap)
        assert (played[at].first, played[at].last) == (before[-1].id + 1, first.id - 1)
        assert all(int(event.id) < first.id for event in played[:at])
        assert str(first.id) in {event.id for event in played[at + 1 :]}
