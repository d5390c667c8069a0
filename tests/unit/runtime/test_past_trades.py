from types import SimpleNamespace

import pytest

from tapewatch.model.events import Alert, Gap, Side, Tick, Trade
from tapewatch.model.times import HOUR, MINUTE, SECOND
from tapewatch.rules.preview import Question
from tapewatch.rules.rule import Mistake, Rule
from tapewatch.rules.rulebook import Rulebook, measures_of
from tapewatch.runtime import past_trades
from tapewatch.runtime.launch import processors_of
from tapewatch.runtime.past_events import PastEvents
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stream.pipeline import Pipeline
from tests.past import BTC, ETH, at, store, trade

DETECTORS = processors_of({})
RULE = Rule(name="surge", when="volume_surge_1m > 4", resolve_when="volume_surge_1m < 2")


def market(inst, first, begin, surge):
    """A trade every ten seconds, and in one minute ten times as much."""
    return [
        trade(
            begin + n / 6, first + n, 10.0 if surge <= begin + n / 6 < surge + 1 else 1.0, inst=inst
        )
        for n in range(60 * 6)
    ]


EVENTS = [*market(BTC, 1, -30, surge=10.0), *market(ETH, 1_000, -30, surge=20.0)]


@pytest.fixture
async def ask(tmp_path, monkeypatch):
    async def ask(events=EVENTS, rule=RULE, cores=1, minutes=30, **more):
        monkeypatch.setattr("os.cpu_count", lambda: cores)
        await store(tmp_path, list(events))
        question = Question(rule=rule, since=at(0), until=at(minutes), **more)
        return await past_trades.replay(tmp_path, question, DETECTORS, said.append)

    said = ask.said = []
    return ask


def live(events, rule, until):
    """What the product would have said: the same detectors behind a feed with ticks."""
    venues = sorted({event.inst.partition(":")[0] for event in events})
    begin = min(event.ts for event in events)
    begin -= begin % SECOND
    ticks = [Tick(ts, ts, v) for ts in range(begin, until + 1, SECOND) for v in venues]
    # A tick speaks of what came before it, so at one time it is the first.
    order = sorted([*ticks, *events], key=lambda e: (e.ts, type(e) is not Tick))
    pipeline = Pipeline([*DETECTORS, Rulebook([rule], measures_of(DETECTORS))])
    return [event for event in pipeline.process(order) if type(event) is Alert]


async def test_metrics_that_were_never_stored_are_computed_anew(ask):
    report = await ask()
    assert [firing.inst for firing in report.firings] == [BTC, ETH]
    assert 10 * MINUTE < report.firings[0].fired - at(0) < 11 * MINUTE
    assert report.source == "trades"
    assert "computed anew" in report.not_simulated[0]
    assert ask.said == ["replaying 360 trades of 2 instruments in 1 processes"]


async def test_it_agrees_with_the_product_as_it_runs_live(ask):
    report = await ask()
    alerts = [a for a in live(EVENTS, RULE, at(30)) if a.state.value == "firing"]
    assert [f.fired for f in report.firings] == [a.ts for a in alerts]
    assert [f.value for f in report.firings] == [a.value for a in alerts]


async def test_several_processes_give_what_one_gives(ask):
    alone, shared = await ask(), await ask(cores=2)
    assert shared.firings == alone.firings
    assert shared.notices == alone.notices
    assert ask.said[-1].endswith("in 2 processes")


async def test_trades_of_one_moment_keep_their_order(tmp_path):
    trades = [trade(1, number, size=number) for number in (9, 10, 11, 100)]
    await store(tmp_path, list(reversed(trades)))
    query = DuckDb(tmp_path)
    batches = [b async for b in PastEvents(query, {Trade}, [BTC]).batches(at(0), at(2))]
    query.close()
    assert [event for b in batches for event in b if type(event) is Trade] == trades


async def test_a_sweep_is_played_at_once(ask):
    report = await ask(sweep="2,4,50")
    assert [(each.threshold, each.firings) for each in report.sweep] == [
        ("2", 2), ("4", 2), ("50", 0),
    ]  # fmt: skip


async def test_only_instruments_that_the_rule_is_about_are_played(ask):
    rule = Rule(name="surge", when="volume_surge_1m > 4", instruments=("okx:*",))
    report = await ask(rule=rule)
    assert {firing.inst for firing in report.firings} == {ETH}
    assert {each.inst for each in report.coverage} == {ETH}


async def test_without_trades_there_is_no_count(ask):
    report = await ask(EVENTS[:1], minutes=1)
    assert report.firings is None


async def test_order_books_are_not_replayed_and_that_is_said(ask):
    with pytest.raises(Mistake, match="reads order books"):
        await ask(rule=Rule(name="x", when="spread_bps > 3"))


async def test_what_only_the_running_process_knows_is_not_replayed_and_that_is_said(ask):
    with pytest.raises(Mistake, match="measured while it runs"):
        await ask(rule=Rule(name="x", when="feed_silent_secs > 60"))


async def test_one_venue_against_others_is_played_with_all_of_them(ask):
    def slipping(n):
        price = 100.0 if n < 300 else 103.0
        return [
            trade(n / 60, 1 + 2 * n, inst="coinbase:BTC/USD", price=100.0),
            trade(n / 60, 2 + 2 * n, inst="okx:BTC/USDC", price=price),
        ]

    rule = Rule(name="slip", when="depeg_bps < -50")
    events = [event for n in range(600) for event in slipping(n)]
    report = await ask(events, rule=rule, cores=2, minutes=10)
    assert [firing.inst for firing in report.firings] == ["all:USDC/USD"]
    assert ask.said == ["replaying 1,200 trades of 2 instruments in 1 processes"]


def test_a_number_over_several_instruments_keeps_them_together():
    together = SimpleNamespace(wants={Trade}, key=lambda event: "all:BTC")
    apart = SimpleNamespace(wants={Trade}, key=lambda event: event.inst)
    fields = {"folder": None, "rules": (), "insts": (BTC, ETH), "since": 0, "until": 1}
    assert len(past_trades._shares(past_trades.Part(processors=(together,), **fields))) == 1
    shares = past_trades._shares(past_trades.Part(processors=(apart,), **fields))
    assert sorted(inst for share in shares for inst in share.insts) == [BTC, ETH]


async def test_events_come_in_order_of_time_with_every_second_closed_by_a_tick(tmp_path):
    gap = Gap(at(59.99), at(59.99), BTC, "trade", "a hole")
    trades = [trade(n, n) for n in (59.0, 59.995, 60.001, 61.0)]
    echo = Trade(at(60), at(60), BTC, "9", Side.BUY, 1.0, 1.0, "raw", echo=True)
    await store(tmp_path, [*reversed(trades), gap, echo])
    query = DuckDb(tmp_path)
    past = PastEvents(query, {Trade, Gap}, [BTC])
    batches = [batch async for batch in past.batches(at(58), at(62))]
    query.close()
    assert len(batches) == 2  # the hour ends between
    events = [event for batch in batches for event in batch]
    plain = [event for event in events if type(event) is not Tick]
    assert plain == [trades[0], gap, trades[1], trades[2], trades[3]]
    assert [event.ts for event in events] == sorted(event.ts for event in events)
    seconds = [event.ts for event in events if type(event) is Tick]
    assert seconds == list(range(at(59) + SECOND, at(62) + 1, SECOND))
    assert at(60) % HOUR == 0
