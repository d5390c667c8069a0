"""Real quiet minutes through all processors and the ready-made rules: who cries, and who is told.

Eleven minutes of BTC on Binance spot and six on its futures, in August 2024. Truth is added up here
from the trades, not by our detectors.
"""

from itertools import groupby

import pytest

from tapewatch.model.events import Alert, AlertState, DeadLetter, Metric, Trade
from tapewatch.process.validate import validate
from tapewatch.runtime import launch
from tapewatch.runtime.rules_settings import with_usual_rules
from tapewatch.stream.pipeline import Pipeline
from tests.frames import recording
from tests.golden import test_recordings, test_recordings_binance_futures

SESSIONS = {
    "spot": (test_recordings.play, test_recordings.SESSION),
    "futures": (test_recordings_binance_futures.play, test_recordings_binance_futures.SESSION),
}


@pytest.fixture(scope="module", params=SESSIONS)
def heard(request):
    play, name = SESSIONS[request.param]
    events, letters = validate(play(recording(name))[0])
    assert not letters
    said = Pipeline(with_usual_rules(launch.processors_of({}))).process(events)
    assert not [event for event in said if type(event) is DeadLetter]
    return events, said


def orders_of(events):
    trades = [event for event in events if type(event) is Trade and not event.echo]
    same = groupby(trades, key=lambda trade: (trade.ts, trade.side))
    return [(ts, sum(t.price * t.size for t in fills)) for (ts, _), fills in same]


def metrics(said, name):
    return [event for event in said if type(event) is Metric and event.name == name]


def test_nobody_cries_in_quiet_minutes(heard):
    _, said = heard
    fired = [e for e in said if type(e) is Alert and e.state is AlertState.FIRING]
    assert [f"{alert.rule}: {alert.text}" for alert in fired] == []


def test_every_order_of_half_a_million_is_told_as_a_whale_and_no_smaller_one(heard):
    events, said = heard
    large = [(ts, worth) for ts, worth in orders_of(events) if worth >= 500_000]
    told = [metric for metric in metrics(said, "whale_usd") if metric.value]
    assert large
    for ts, worth in large:
        assert max(m.value for m in told if m.ts == ts) >= worth / 1.5
    assert {metric.ts for metric in told} == {ts for ts, _ in large}


def test_scores_of_orders_rise_with_their_worth_and_stay_within_the_law(heard):
    """Five thousand orders: by a normal law of logarithms the largest is near 3.6 deviations."""
    events, said = heard
    scored = [metric for metric in metrics(said, "big_trade") if metric.value]
    assert scored
    highest = max(scored, key=lambda metric: metric.value)
    worth_then = {}
    for ts, worth in orders_of(events):
        worth_then[ts] = max(worth, worth_then.get(ts, 0.0))
    ranked = sorted(worth_then.values(), reverse=True)
    assert worth_then[highest.ts] >= ranked[len(ranked) // 1_000 + 5]
    assert 3.0 < highest.value < 4.5


def test_what_needs_more_history_says_so_and_scores_nothing(heard):
    _, said = heard
    surges = metrics(said, "volume_surge")
    assert {metric.value for metric in surges} == {0.0}
    assert all("not enough history" in metric.evidence[0] for metric in surges)
