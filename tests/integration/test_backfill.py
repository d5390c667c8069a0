"""Backfills against the simulated exchanges: what is stored is the truth, once, with its ids told."""

import asyncio

import pytest

from tapewatch.model.errors import ConfigError, NotFound, TapewatchError, Unavailable
from tapewatch.model.events import Coverage, Holding, Micros, Origin, Quality, Side, Trade
from tapewatch.sim.bars import HOUR, MINUTE, SECOND
from tapewatch.sim.faults import Fault
from tapewatch.sim.limits import Rules
from tapewatch.stores.parquet import Parquet
from tapewatch.stores.sqlite import Sqlite
from tests.integration.backfill_bench import START, benches, native_of, price, quick

END = START - 5 * SECOND  # what ended just now is left alone
INST = "binance:BTC/USDT"
# The simulated Advanced Trade has no Exchange beside it, whose trades and candles both feeds ask for.
NUMBERED = ["binance", "binance_futures", "okx", "coinbase"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    quick(monkeypatch)


def truth(bench, since, until=END):
    """The true aggregates of Binance."""
    found = bench.market.aggregates_since("BTCUSDT", since, until, 10**6)
    return [a for a in found if a.ts < until]


def live(aggregate):
    side = Side.SELL if aggregate.buyer_is_maker else Side.BUY
    count = aggregate.last - aggregate.first + 1
    return Trade(
        Micros(aggregate.ts // 1000 * 1000), Micros(aggregate.ts + 1000), INST, str(aggregate.id),
        side, price(aggregate.price), price(aggregate.qty), "aggTrade", count,
    )  # fmt: skip


async def lay(bench, aggregates, *accounts):
    """Store these as a live tapewatch would have, and what the ledger says."""
    clock = lambda: Micros(bench.now)  # noqa: E731 - as the stores want it
    parquet = Parquet(bench.folder, clock=clock)
    sqlite = Sqlite(bench.folder / "tapewatch.sqlite", clock=clock)
    await parquet.open()
    await sqlite.open()
    await parquet.write([live(a) for a in aggregates])
    await parquet.compacted()
    said = [Coverage(bench.now, bench.now, INST, "aggTrade", *account) for account in accounts]
    await sqlite.write(said)
    await parquet.close()
    await sqlite.close()


def same(candle, bar):
    mine = (candle.ts, candle.open, candle.high, candle.low, candle.close, candle.trades)
    theirs = (
        bar.open_ts, price(bar.open), price(bar.high), price(bar.low), price(bar.close), bar.trades,
    )  # fmt: skip
    return mine == theirs and candle.volume == pytest.approx(price(bar.volume))


@pytest.mark.parametrize("venue", NUMBERED)
async def test_stored_trades_are_the_true_ones_over_hours(tmp_path, venue):
    async with benches(tmp_path, venue) as bench:
        since = START - 5 * HOUR
        outcome = await bench.run(since)
        found = await bench.trades(outcome.job.inst)
        native = native_of(bench)
        true = bench.market.aggregates_since(native, since, END, 10**6)
        if not venue.startswith("binance"):
            true = bench.market.trades_from(native, true[0].first, 10**6)
        true = [t for t in true if t.ts < END]
        assert [(int(t.id), t.ts // 1000, t.price, t.size) for t in found] == [
            (t.id, t.ts // 1000, price(t.price), pytest.approx(price(t.qty))) for t in true
        ]
        assert all(t.repaired and not t.echo for t in found)
        assert await bench.ledger() == [(true[0].id, true[-1].id, Holding.REPAIRED, "")]
        assert (outcome.problems, outcome.fraction) == ([], 1.0)


@pytest.mark.parametrize("venue", [*NUMBERED, "bybit", "bybit_linear"])
async def test_stored_candles_are_the_true_ones_over_hours(tmp_path, venue):
    async with benches(tmp_path, venue) as bench:
        since = START - 8 * HOUR
        outcome = await bench.run(since, interval="1m")
        found = await bench.candles(outcome.job.inst)
        native = native_of(bench)
        bars = bench.market.klines(native, "1m", since, START - MINUTE, 10**6)
        # of a minute that ended less than five seconds ago nothing is asked
        bars = [bar for bar in bars if bar.open_ts + MINUTE <= END]
        assert len(found) == len(bars) >= 479
        for candle, bar in zip(found, bars, strict=True):
            assert (candle.ts, candle.open, candle.close) == (
                bar.open_ts, price(bar.open), price(bar.close),
            )  # fmt: skip
            assert (candle.high, candle.low) == (price(bar.high), price(bar.low))
            assert candle.volume == pytest.approx(price(bar.volume))
            assert (candle.origin, candle.quality) == (Origin.VENUE, Quality.COMPLETE)


async def test_our_own_candles_are_made_of_the_trades_and_equal_the_true_ones(tmp_path):
    async with benches(tmp_path) as bench:
        since = START - 4 * HOUR
        outcome = await bench.run(since)
        for interval, least in (("1m", 239), ("15m", 15), ("1h", 3)):
            found = await bench.candles(INST, interval)
            assert len(found) >= least
            assert {(c.origin, c.quality) for c in found} == {(Origin.OWN, Quality.REPAIRED)}
            assert all(same(c, bench.market.bar("BTCUSDT", interval, c.ts)) for c in found)
        assert outcome.own_candles > 300


async def test_twice_is_once(tmp_path):
    async with benches(tmp_path) as bench:
        await bench.run(START - 2 * HOUR)
        before = await bench.sql("SELECT * FROM trades ORDER BY ALL")
        again = await bench.run(START - 2 * HOUR)
        assert (again.seen, again.written, again.own_candles) == (len(before), 0, 0)
        assert await bench.sql("SELECT * FROM trades ORDER BY ALL") == before
        for _ in range(2):
            await bench.run(START - 2 * HOUR, interval="1m")
        [(rows, keys)] = await bench.sql(
            "SELECT count(*), count(DISTINCT ts) FROM candles WHERE origin = 'venue'"
        )
        assert rows == keys == 119


async def test_an_outage_in_the_ledger_becomes_repaired_and_its_candles_whole(tmp_path):
    async with benches(tmp_path) as bench:
        true = truth(bench, START - 3 * HOUR)
        begins, ends = START - 2 * HOUR, START - HOUR
        before = [a for a in true if a.ts < begins]
        after = [a for a in true if a.ts >= ends]
        out = (before[-1].id + 1, after[0].id - 1)
        await lay(
            bench,
            [*before, *after],
            (before[0].id, before[-1].id, Holding.HAVE),
            (*out, Holding.MISSING, "too long to repair"),
            (after[0].id, after[-1].id, Holding.HAVE),
        )
        outcome = await bench.run(begins - 10 * MINUTE, ends + 10 * MINUTE)
        assert outcome.written == out[1] - out[0] + 1 < outcome.seen
        assert await bench.ledger() == [
            (before[0].id, before[-1].id, Holding.HAVE, ""),
            (*out, Holding.REPAIRED, ""),
            (after[0].id, after[-1].id, Holding.HAVE, ""),
        ]
        assert [int(t.id) for t in await bench.trades(INST)] == [a.id for a in true]
        hours = await bench.candles(INST, "1h")
        assert [(c.ts, c.quality) for c in hours] == [
            (START - HOUR * 5 // 2, Quality.REPAIRED),
            (START - HOUR * 3 // 2, Quality.REPAIRED),
        ]
        assert all(same(c, bench.market.bar("BTCUSDT", "1h", c.ts)) for c in hours)


async def test_ids_between_what_was_stored_and_what_came_are_told_missing(tmp_path):
    async with benches(tmp_path) as bench:
        true = truth(bench, START - 3 * HOUR)
        old = [a for a in true if a.ts < START - 2 * HOUR]
        await lay(bench, old, (old[0].id, old[-1].id, Holding.HAVE))
        await bench.run(START - HOUR)
        came = truth(bench, START - HOUR)
        out = (old[-1].id + 1, came[0].id - 1)
        assert [entry[:3] for entry in await bench.ledger()] == [
            (old[0].id, old[-1].id, Holding.HAVE),
            (*out, Holding.MISSING),
            (came[0].id, came[-1].id, Holding.REPAIRED),
        ]
        # the last stored id moves beyond the hole, so a restart must find it in a Gap
        assert await bench.sql("SELECT first, last FROM gaps") == [out]
        await bench.run(START - 2 * HOUR - MINUTE, START - HOUR + MINUTE)
        assert [entry[2] for entry in await bench.ledger()] == [
            Holding.HAVE, Holding.REPAIRED,
        ]  # fmt: skip


async def test_fills_beside_which_they_are_stored_are_told_as_echoes(tmp_path):
    async with benches(tmp_path, "binance_futures") as bench:
        clock = lambda: Micros(bench.now)  # noqa: E731 - as the store wants it
        sqlite = Sqlite(tmp_path / "tapewatch.sqlite", clock=clock)
        await sqlite.open()
        inst = "binance_futures:BTC/USDT:USDT"
        await sqlite.write([Coverage(START, START, inst, "trade", 1, 2, Holding.HAVE)])
        await sqlite.close()
        outcome = await bench.run(START - HOUR)
        assert outcome.written > 400
        assert await bench.sql("SELECT DISTINCT echo, channel FROM trades") == [(True, "aggTrade")]
        assert await bench.trades(inst) == []


async def test_a_stopped_backfill_goes_on_where_it_was(tmp_path):
    async with benches(tmp_path) as bench:
        since = START - 9 * HOUR
        stop_after(bench, 0.15)
        outcome = await bench.run(since)
        assert outcome.stopped
        assert 0 < outcome.fraction < 1
        bench.stop.clear()
        bench.tell = lambda outcome: None
        again = await bench.run(since)
        assert (again.resumed, again.stopped) == (True, False)
        assert again.written == again.seen < again.job.rows
        assert [int(t.id) for t in await bench.trades(INST)] == [a.id for a in truth(bench, since)]


def stop_after(bench, fraction):
    def tell(outcome):
        if outcome.fraction > fraction:
            bench.stop.set()

    bench.tell = tell


async def test_no_resume_begins_anew(tmp_path):
    async with benches(tmp_path) as bench:
        since = START - 9 * HOUR
        stop_after(bench, 0.15)
        await bench.run(since)
        bench.stop.clear()
        bench.tell = lambda outcome: None
        again = await bench.run(since, resume=False)
        assert not again.resumed
        assert again.job.rows == again.seen > again.written


async def test_too_many_requests_are_waited_for_and_nothing_is_lost(tmp_path):
    async with benches(tmp_path, rules=Rules(weight=40, ban_after=1_000)) as bench:
        bench.exchange.api._clock.runs = False  # one window of the venue for all requests
        exceeded = Fault(kind="http", target="*aggTrades*", status=429, retry_after=0, count=3)
        bench.exchange.faults.add(exceeded, bench.market.now)
        outcome = await bench.run(START - HOUR)
        assert bench.exchange.faults.counts["http"] == 3
        assert outcome.written == len(truth(bench, START - HOUR))


async def test_trouble_of_the_venue_is_ridden_out(tmp_path):
    async with benches(tmp_path) as bench:
        for body, status in (("json", 503), ("html", 200), ("empty", 0)):
            fault = Fault(kind="http", target="*aggTrades*", status=status, body=body, count=2)
            bench.exchange.faults.add(fault, bench.market.now)
        outcome = await bench.run(START - 2 * HOUR)
        assert bench.exchange.faults.counts["http"] == 6
        assert outcome.written == len(truth(bench, START - 2 * HOUR))


async def test_a_venue_that_stays_away_ends_it_with_a_sentence(tmp_path):
    async with benches(tmp_path) as bench:
        fault = Fault(kind="http", target="*aggTrades*", status=503, count=None)
        bench.exchange.faults.add(fault, bench.market.now)
        with pytest.raises(Unavailable, match="does not give its past now: HTTP 503"):
            await bench.run(START - HOUR)
        bench.exchange.faults.clear()
        refused = Fault(kind="http", target="*aggTrades*", status=451, count=None)
        bench.exchange.faults.add(refused, bench.market.now)
        with pytest.raises(Unavailable, match=r"exchanges\.binance\.rest_url"):
            await bench.run(START - HOUR)


async def test_what_the_venue_keeps_no_more_is_named(tmp_path):
    async with benches(tmp_path, "binance_futures", minutes=4_000) as bench:
        outcome = await bench.run(START - 50 * HOUR, START - 47 * HOUR)
        assert outcome.written > 400
        [problem] = outcome.problems
        assert "given no more" in problem


async def test_ids_that_the_venue_does_not_have_are_lost_and_said(tmp_path):
    async with benches(tmp_path) as bench:
        gone = truth(bench, START - HOUR)[100:103]
        bench.market.aggregates_from = _without(bench.market.aggregates_from, gone)
        outcome = await bench.run(START - HOUR)
        assert outcome.problems == ["3 ids that the venue does not have"]
        lost = (gone[0].id, gone[-1].id)
        assert [e[:2] for e in await bench.ledger() if e[2] is Holding.LOST] == [lost]
        assert await bench.sql("SELECT first, last FROM gaps") == [lost]
        minutes = {a.ts // MINUTE * MINUTE for a in gone}
        assert minutes.isdisjoint(c.ts for c in await bench.candles(INST))


def _without(ask, gone):
    ids = {a.id for a in gone}
    return lambda symbol, first, limit: [a for a in ask(symbol, first, limit) if a.id not in ids]


async def test_a_rehearsal_writes_nothing_and_judges_the_cost(tmp_path):
    folder = tmp_path / "data"
    async with benches(folder) as bench:
        dry = await bench.backfill(START - 8 * HOUR).rehearse()
        assert not folder.exists()
        asked = bench.exchange.state()["weight_used"]
        wet = await bench.run(START - 8 * HOUR)
        assert asked > 0
        assert dry.requests + dry.left == pytest.approx(wet.requests, abs=2)


async def test_a_folder_in_use_is_refused(tmp_path):
    async with benches(tmp_path) as bench:
        parquet = Parquet(tmp_path, clock=lambda: Micros(bench.now))
        await parquet.open()
        try:
            for interval in ("", "1m"):
                with pytest.raises(ConfigError, match="in use by another tapewatch"):
                    await bench.run(START - HOUR, interval=interval)
        finally:
            await parquet.close()


async def test_an_unknown_symbol_is_told_with_the_nearest(tmp_path):
    async with benches(tmp_path) as bench:
        with pytest.raises(NotFound, match="did you mean BTC/USDT"):
            await bench.run(START - HOUR, symbol="BTCUSD")


async def test_words_of_the_venue_reach_the_person(tmp_path):
    async with benches(tmp_path) as bench:
        fault = Fault(kind="http", target="*aggTrades*", status=400, count=None)
        bench.exchange.faults.add(fault, bench.market.now)
        with pytest.raises(TapewatchError, match=r"binance refuses \(HTTP 400\)"):
            await bench.run(START - HOUR)


async def test_hours_that_the_processors_may_not_have_seen_stay_journals(tmp_path):
    async with benches(tmp_path, minutes=900) as bench:
        await bench.run(START - 12 * HOUR)
        trades = tmp_path / "trades"
        closed = sorted(int(path.stem[-2:]) for path in trades.glob("*.parquet"))
        opened = {path.name for path in trades.glob("*.journal")}
        first = (START - 12 * HOUR) // HOUR % 24
        assert closed == sorted((first + n) % 24 for n in range(5))
        assert len(opened) == 8


async def test_a_backfill_goes_on_after_the_loop_was_stopped_in_a_wait(tmp_path):
    """A venue that asks for silence does not keep a person from leaving."""
    async with benches(tmp_path) as bench:
        fault = Fault(kind="http", target="*aggTrades*", status=429, retry_after=3_000, count=1)
        bench.exchange.faults.add(fault, bench.market.now)
        running = asyncio.create_task(bench.run(START - HOUR))
        async with asyncio.timeout(60):
            while not bench.exchange.faults.counts["http"]:  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0)
            bench.stop.set()
            assert (await running).stopped
