from itertools import pairwise

import pytest

from tapewatch.model.events import Alert, Quality, Tick
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure
from tapewatch.rules.notices import Policy
from tapewatch.rules.past import Past, Span
from tapewatch.rules.preview import Question, preview
from tapewatch.rules.rule import Mistake, Rule, compile_rule
from tapewatch.rules.rulebook import Rulebook, words_of
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stream.pipeline import Pipeline
from tests.past import BTC, ETH, at, candle, metric, store, surges

MEASURES = (
    Measure("volume_surge", ("1m", "5m"), "ratio", ""),
    Measure("change_short", ("1h",), "fraction", ""),
    Measure("big_trade", ("1m",), "sigma", "", sparse=True),
)
RULE = Rule(name="surge", when="volume_surge_5m > 4", resolve_when="volume_surge_5m < 2")
VALUES = [1.0, 5.0, 3.0, 1.0, 1.0, 6.0, 1.0, 1.0, 4.5, 4.5]


@pytest.fixture
async def ask(tmp_path):
    opened = []

    async def ask(events, rule=RULE, minutes=10.0, begin=0.0, **more):
        await store(tmp_path, list(events))
        opened.append(DuckDb(tmp_path))
        question = Question(rule=rule, since=at(begin), until=at(minutes), **more)
        return await preview(opened[0], question, MEASURES)

    yield ask
    for query in opened:
        query.close()


def fired(report):
    return [
        ((f.fired - at(0)) / MINUTE, None if f.ended is None else (f.ended - at(0)) / MINUTE)
        for f in report.firings
    ]


async def test_it_tells_when_the_rule_would_have_fired_and_ended(ask):
    report = await ask(surges(VALUES))
    assert fired(report) == [(1, 3), (5, 6), (8, None)]
    assert report.firings[0].value == 5.0
    assert report.firings[0].text == "surge: BTC/USDT on binance, volume_surge_5m 5 (limit 4)"
    assert report.share == pytest.approx(1.0)


async def test_where_nothing_is_stored_there_is_no_count(ask):
    report = await ask([metric(0, 1.0, name="other")])
    assert (report.coverage, report.share) == ([], 0.0)
    assert report.firings is None
    assert report.notices is None


async def test_it_agrees_with_the_rules_as_they_run_live(ask):
    rule = Rule(name="both", when="volume_surge_5m > 4 and change_short > 0.01", hold_secs=90)
    changes = [
        metric(n + 0.25, 0.02 if n % 5 else 0.0, name="change_short", window="1h")
        for n in range(60)
    ]
    events = sorted(
        [*surges([5.0, 5.0, 5.0, 1.0] * 15), *changes], key=lambda event: (event.ts, event.name)
    )
    ticks = [Tick(at(n / 60), at(n / 60), "binance") for n in range(3600)]
    ticked = sorted([*events, *ticks], key=lambda event: (event.ts, type(event) is Tick))
    live = [e for e in Pipeline([Rulebook([rule], MEASURES)]).process(ticked) if type(e) is Alert]
    report = await ask(events, rule, minutes=60)
    assert [f.fired for f in report.firings] == [a.ts for a in live if a.state.value == "firing"]
    assert len(report.firings) > 3
    assert report.withdrawn == sum("did not hold" in alert.text for alert in live) > 0


async def test_coverage_is_the_time_for_which_the_rule_would_have_known(ask):
    holes = surges([*[1.0] * 10, *[None] * 20, *[1.0] * 10])  # known for 5 minutes of the hole
    partial = surges([1.0] * 10, inst=ETH, quality=Quality.PARTIAL)
    report = await ask([*holes, *partial], minutes=40)
    shares = {each.inst: each for each in report.coverage}
    assert shares[BTC].share == pytest.approx((10 + 4 + 10) / 40)
    assert shares[BTC].by_quality == {"complete": pytest.approx(24 / 40)}
    assert shares[ETH].by_quality == {"partial": pytest.approx(14 / 40)}
    assert (shares[BTC].rows, shares[ETH].rows) == (20, 10)


async def test_a_metric_that_is_missing_where_another_is_there_counts_as_missing(ask):
    rule = Rule(name="both", when="volume_surge_5m > 4 or change_short > 0.01")
    report = await ask(surges([1.0] * 10), rule)
    assert {each.metric: each.share for each in report.coverage} == {
        "volume_surge_5m": pytest.approx(1.0),
        "change_short": 0.0,
    }


async def test_the_silence_of_what_is_told_on_occasion_is_proven_by_candles(ask):
    rule = Rule(name="big", when="big_trade > 4")
    candles = [candle(n, quality=Quality.REPAIRED if n < 3 else Quality.COMPLETE) for n in range(8)]
    report = await ask([*candles, metric(4, 6.0, name="big_trade", window="1m")], rule)
    (covered,) = report.coverage
    assert covered.by_quality == {"complete": pytest.approx(0.5), "repaired": pytest.approx(0.3)}
    assert fired(report) == [(4, 9)]  # nothing more is heard of it for five minutes
    assert any(words.startswith("big_trade is stored only") for words in report.not_simulated)


async def test_only_instruments_that_the_rule_is_about_are_looked_at(ask):
    rule = Rule(name="surge", when="volume_surge_5m > 4", instruments=("okx:*",))
    report = await ask([*surges(VALUES), *surges([1.0, 5.0], inst=ETH)], rule)
    assert {each.inst for each in report.coverage} == {ETH}
    assert {each.inst for each in report.firings} == {ETH}


async def test_what_fired_before_the_beginning_is_no_firing_of_the_time(ask):
    report = await ask(surges([1.0, 5.0, 5.0, 5.0, 1.0, 5.0]), begin=2)
    assert fired(report) == [(5, None)]
    assert report.already == 1


async def test_notices_are_grouped_and_cooled_down(ask):
    rule = Rule(
        name="surge", when="volume_surge_5m > 4", cooldown_secs=600, notify=("desk",), hold_secs=0
    )
    both = [1.0, 5.0, 1.0, 1.0, 5.0, 1.0]
    report = await ask([*surges(both), *surges(both, inst=ETH)], rule, minutes=30)
    assert len(report.firings) == 4
    assert [(n.channel, n.title, n.alerts) for n in report.notices] == [
        ("desk", "2 symbols: surge", 2),
        ("desk", "resolved: 2 symbols: surge", 2),
    ]
    assert (report.notices[0].at - at(1)) / SECOND == 2
    assert report.suppressed == {"cooling down after the last notice": 2}


async def test_notices_are_grouped_as_the_settings_say_and_for_their_channels(ask):
    policy = Policy({}, ("desk", "ops"), (), group_wait_secs=7.0, group_interval_secs=90.0)
    report = await ask(surges(VALUES), policy=policy)
    assert {n.channel for n in report.notices} == {"desk", "ops"}
    times = [(n.at - at(1)) / SECOND for n in report.notices if n.channel == "ops"]
    assert times[:2] == [7, 127]  # it ends after 120 s, and the interval is over then
    assert min(b - a for a, b in pairwise(times)) >= 90


async def test_a_repeated_notice_comes_while_it_fires(ask):
    rule = Rule(name="surge", when="volume_surge_5m > 4", repeat_secs=300)
    report = await ask(surges([5.0] * 16), rule, minutes=16)
    assert [n.title for n in report.notices] == [
        "BTC/USDT: surge",
        *["BTC/USDT: surge (still)"] * 3,
    ]


async def test_a_sweep_tells_what_other_thresholds_would_have_given(ask):
    report = await ask(surges(VALUES), sweep="2.5,4,5.5,7")
    assert [(each.threshold, each.firings) for each in report.sweep] == [
        ("2.5", 3), ("4", 3), ("5.5", 1), ("7", 0),
    ]  # fmt: skip
    assert len(report.firings) == 3


async def test_a_time_without_end_is_refused(ask):
    with pytest.raises(ValueError, match="10 stored values: ask for a shorter time"):
        await ask(surges(VALUES), max_rows=9)


async def test_a_mistake_in_the_rule_is_told(ask):
    with pytest.raises(Mistake, match="did you mean volume_surge_5m"):
        await ask(surges(VALUES), Rule(name="x", when="volume_surge5m > 1"))


async def test_of_several_words_in_one_moment_the_largest_is_the_last(ask):
    grown = [metric(1, value, name="big_trade", window="1m") for value in (3.9, 4.4, 4.1)]
    report = await ask([*grown, candle(0)], Rule(name="big", when="big_trade > 4"))
    assert [firing.value for firing in report.firings] == [4.4]


async def test_pages_are_read_in_order_and_lose_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tapewatch.rules.past.MAX_ROWS", 60)
    rows = surges([float(n) for n in range(200)], evidence=("trade 7",), baseline=3.0)
    await store(tmp_path, list(reversed(rows)))
    query = DuckDb(tmp_path)
    words = words_of(MEASURES)
    past = Past(query, compile_rule(RULE, words), words, MEASURES)
    pages = [page async for page in past.pages(Span(at(0), at(200)), len(rows))]
    query.close()
    assert len(pages) > 2
    assert [row for page in pages for row in page.get(BTC, [])] == rows
