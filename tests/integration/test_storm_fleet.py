"""Two hundred random faults in one run of the whole product over four venues; then the disk is asked.

Every trade that a venue made is stored once, or the ledger says that it is lost, and only what the
venue's REST would not give is lost. Candles that are marked complete or repaired are those of the
truth. The seed decides which fault comes when; what the sockets make of it differs from run to run,
and what is asserted holds for every run.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import isclose

import pytest

from tapewatch.analysis.completeness import completeness
from tapewatch.model.events import Holding, Micros, Quality
from tapewatch.model.times import Interval
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stores.sqlite import Sqlite
from tests.integration import fault_bench
from tests.integration.fleet import INTERVALS, START, VENUES, fleets

pytestmark = pytest.mark.long

KINDS = (
    "drop", "duplicate", "reorder", "stall", "slow", "garbage", "close", "http", "wrong_sequence",
    "outage",
)  # fmt: skip
# 451 and 403 are a venue's last word: what it refuses so is lost, and the ledger says why.
STATUSES = (500, 502, 503, 503, 429, 0, 451, 403)
FORGETFUL = ("binance", "okx", "coinbase")
FAR = Micros(1 << 52)
WIDE = 1e-9  # what adding floats in another order may change


async def rage(fleet, rng, faults):
    """Add faults, one at each venue in turn, while time goes on; sometimes everything settles."""
    deck = [(venue, kind) for kind in KINDS for venue in VENUES]
    plan = (deck * (faults // len(deck) + 1))[:faults]
    rng.shuffle(plan)
    for number, (venue, kind) in enumerate(plan):
        await strike(fleet, rng, venue, kind)
        if number % 4 == 3:
            await fleet.rush(rng.uniform(0.1, 1.5))
        if number % 40 == 39:
            await fleet.heal()


async def strike(fleet, rng, venue, kind):
    words = VENUES[venue]
    channel = rng.choice((words.trades, words.trades, words.book))
    if kind == "wrong_sequence":  # a trade with another's id is another trade, to anybody
        channel = words.book
    target = words.target(channel, rng.choice(words.natives))
    match kind:
        case "outage":
            await fleet.outage(venue, rng.uniform(0.2, 2.0))
        case "http":
            status, body = rng.choice(STATUSES), rng.choice(("json", "html", "empty"))
            more = {"count": rng.randint(1, 6), "status": status, "body": body, "retry_after": 0}
            fleet.add(venue, kind, rng.choice((words.history, "*")), **more)
        case _:
            count = 1 if kind in ("close", "stall") else rng.randint(1, 10)
            fleet.add(venue, kind, target, count=count, secs=rng.uniform(0.1, 1.5))


async def forget(fleet):
    """Hide trades of one instrument of each of these venues until REST has forgotten the half."""
    hidden = {}
    for venue in FORGETFUL:
        words = VENUES[venue]
        target = words.target(words.trades, words.natives[0])
        before = fleet.truths[venue, words.insts[0]].newest
        fleet.add(venue, "drop", target, count=None)
        fleet.add(venue, "http", words.history, count=None)  # heartbeats would tell of the loss
        hidden[venue] = before
    await fleet.rush(6)
    gone = {}
    for venue, before in hidden.items():
        truth = fleet.truths[venue, VENUES[venue].insts[0]]
        kept = (truth.newest - before) // 2
        ids = truth.forget(fleet.exchanges[venue], kept)
        gone[truth.inst, truth.channel] = {number for number in ids if number > before}
    await fleet.heal()
    return gone


@dataclass
class Stored:
    """What is on disk of one stream."""

    rows: dict = field(default_factory=dict)
    twice: int = 0
    spans: list = field(default_factory=list)

    def ids(self, *holdings):
        spans = (span for span in self.spans if span.holding in holdings)
        return {number for span in spans for number in range(span.first, span.last + 1)}


@dataclass
class Disk:
    streams: dict
    candles: dict
    verified: list


async def read(folder):
    """Ask the files alone, as another process would."""
    query, ledger = DuckDb(folder), Sqlite(folder / "tapewatch.sqlite", clock=lambda: START)
    await ledger.open()
    streams = defaultdict(Stored)
    _, rows = await query.sql(
        "SELECT inst, channel, id, side, price, size, epoch_us(ts), coalesce(count, 1) FROM trades"
    )
    for inst, channel, number, *row in rows:
        stream = streams[inst, channel]
        stream.twice += int(number) in stream.rows
        stream.rows[int(number)] = tuple(row)
    for span in await ledger.coverage():
        streams[span.inst, span.channel].spans.append(span)
    candles = {
        inst: [
            candle
            for interval in INTERVALS
            for candle in await query.candles(inst, interval, Micros(0), FAR, 1_000)
        ]
        for inst, _ in streams
    }
    verified = await completeness(query, ledger, None, Micros(0), FAR)
    query.close()
    await ledger.close()
    return Disk(dict(streams), candles, verified)


@pytest.mark.parametrize(("seed", "faults"), [(2, 200)])
async def test_after_200_faults_each_trade_is_stored_once_or_said_to_be_lost(
    seed, faults, tmp_path, monkeypatch
):
    fault_bench.quick(monkeypatch)
    rng = random.Random(seed)
    async with fleets(tmp_path, seed=seed) as fleet:
        await rage(fleet, rng, faults // 2)
        await fleet.heal()
        gone = await forget(fleet)
        await rage(fleet, rng, faults - fleet.faults)
        await fleet.heal()
        await fleet.rush(2)
        await fleet.settle()
        await fleet.stop()
        disk = await read(fleet.app.plan.data_dir)
        assert fleet.faults == faults
        tried = sum((each.faults.counts for each in fleet.exchanges.values()), Counter())
        assert {*KINDS} - {"outage", "http"} <= tried.keys()
    tally = Counter()
    for truth in fleet.truths.values():
        stream = disk.streams[truth.inst, truth.channel]
        tally += judge_trades(truth, stream, gone.get((truth.inst, truth.channel), set()))
        tally += judge_candles(truth, stream, disk.candles[truth.inst])
    judge_verify(fleet, disk)
    print(f"{faults} faults, seed {seed}: {dict(tally)}; hits: {dict(tried)}")  # noqa: T201 - pytest -s
    assert tally["lost"] >= sum(map(len, gone.values())) > 0
    assert tally["repaired"] > 0
    assert tally["repaired candles"] > 0
    assert tally["complete candles"] > tally["partial candles"] > 0


def judge_trades(truth, stream, gone):
    """Compare the disk with the truth, and the ledger with the disk."""
    name = f"{truth.inst} {truth.channel}"
    assert not stream.twice, f"{name}: {stream.twice} ids are stored twice"
    told = stream.ids(*Holding)
    first = min(told)
    true = {number: row for number, row in truth.rows.items() if number >= first}
    assert told == true.keys(), f"{name}: the ledger does not tell of each id, and of no other"
    assert stream.rows.keys() <= true.keys()
    for number, row in stream.rows.items():
        assert is_same(row, true[number]), f"{name} {number}: {row}, and not {true[number]}"
    lost = stream.ids(Holding.LOST)
    assert not stream.ids(Holding.MISSING), f"{name}: what became of these?"
    assert stream.ids(Holding.HAVE, Holding.REPAIRED) == stream.rows.keys(), name
    assert lost == true.keys() - stream.rows.keys(), f"{name}: what is not stored is not told"
    refused = {
        number
        for span in stream.spans
        if span.holding is Holding.LOST and span.reason.startswith(("HTTP 403", "HTTP 451"))
        for number in range(span.first, span.last + 1)
    }
    reasons = [str(span) for span in stream.spans if span.holding is Holding.LOST]
    assert lost - refused == gone, f"{name}: lost, although REST could give it: {reasons}"
    repaired = stream.ids(Holding.REPAIRED)
    return Counter(
        trades=len(true), stored=len(stream.rows), lost=len(lost), refused=len(refused),
        repaired=len(repaired),
    )  # fmt: skip


def is_same(row, true):
    """Sizes that were sent as contracts are a float's breadth beside."""
    return (*row[:2], *row[3:]) == (*true[:2], *true[3:]) and isclose(row[2], true[2])


def judge_candles(truth, stream, candles):
    """Those that say they are whole are the true ones; none that lacks a trade says so."""
    lost = {truth.rows[number][3] for number in stream.ids(Holding.LOST)}
    trades = sorted((row[3], number, row) for number, row in truth.rows.items())
    tally = Counter()
    for candle in candles:
        end = candle.ts + Interval.parse(candle.interval).micros
        if candle.quality not in (Quality.COMPLETE, Quality.REPAIRED):
            tally["partial candles"] += 1
            continue
        assert not any(candle.ts <= ts < end for ts in lost), f"{candle}: whole, and lacks a trade"
        assert_true(candle, [trade for trade in trades if candle.ts <= trade[0] < end])
        tally[f"{candle.quality.value} candles"] += 1
    keys = [(candle.interval, candle.ts) for candle in candles]
    assert len(keys) == len(set(keys)), f"{truth.inst}: a candle is stored twice"
    return tally


def assert_true(candle, trades):
    if not trades:  # all prices are the close before
        assert (candle.trades, candle.volume, candle.open) == (0, 0.0, candle.close)
        return
    prices = [row[1] for _, _, row in trades]
    told = candle.open, candle.high, candle.low, candle.close, candle.trades
    count = sum(row[4] for _, _, row in trades)
    assert told == (prices[0], max(prices), min(prices), prices[-1], count), candle
    assert candle.volume == pytest.approx(sum(row[2] for _, _, row in trades), rel=WIDE)
    bought = sum(row[2] for _, _, row in trades if row[0] == "buy")
    assert candle.buy_volume == pytest.approx(bought, rel=WIDE, abs=WIDE)


def judge_verify(fleet, disk):
    """`tapewatch verify` says the same: each id that is not stored, and nothing else."""
    streams = {(stream.inst, stream.channel): stream for stream in disk.verified}
    assert streams.keys() == {(truth.inst, truth.channel) for truth in fleet.truths.values()}
    for key, stream in streams.items():
        absent = {
            number
            for hour in stream.hours
            for each in hour.absent
            for number in range(each.first, each.last + 1)
        }
        assert absent == disk.streams[key].ids(Holding.LOST)
        assert not stream.damaged
        assert stream.complete is not bool(absent)
