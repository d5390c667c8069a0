from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.codec import json_lines
from tapewatch.model.events import Alert, AlertState, Metric, Quality, Tick
from tapewatch.ports import Measure
from tapewatch.rules.rule import Mistake, Rule, compile_rule
from tapewatch.rules.rulebook import Rulebook, words_of
from tapewatch.stream.pipeline import Pipeline

BTC, ETH = "binance:BTC/USDT", "okx:ETH/USDT"
SECOND = 1_000_000
START = 1_700_000_000 * SECOND
MEASURES = (
    Measure("change_24h", ("24h",), "fraction", ""),
    Measure("surge", ("1m", "5m"), "ratio", ""),
)
PENDING, FIRING, RESOLVED, WITHDRAWN = AlertState


def metric(secs, value, name="change_24h", window="24h", inst=BTC, **more):
    ts = START + int(secs * SECOND)
    return Metric(
        ts, ts + 5, inst, name, value, window, more.pop("quality", Quality.COMPLETE), **more
    )


def tick(secs, source="binance"):
    return Tick(START + int(secs * SECOND), START + int(secs * SECOND), source)


def run(events, *rules):
    book = Rulebook(rules, MEASURES)
    return [e for e in Pipeline([book]).process(list(events)) if type(e) is Alert]


def told(alerts):
    return [(alert.state, (alert.ts - START) / SECOND) for alert in alerts]


def rule(when="change_24h > 5%", **more):
    return Rule(name=more.pop("name", "move"), when=when, **more)


def test_a_rule_fires_when_its_condition_holds_and_resolves_when_it_does_not():
    alerts = run([metric(0, 0.01), metric(1, 0.06), metric(2, 0.07), metric(3, 0.04)], rule())
    assert told(alerts) == [(FIRING, 1), (RESOLVED, 3)]
    assert {alert.id for alert in alerts} == {f"move/{BTC}/{START + SECOND}"}


def test_an_end_says_what_it_was_when_it_fired_and_how_it_is_now():
    large = metric(0, 6.2, "surge", "5m", baseline=1.5, evidence=("trade 7 buy 20 @ 62000",))
    calm = metric(60, 0.0, "surge", "5m", quality=Quality.PARTIAL)
    mine = rule("surge_5m > 4", message="{value:.1f} times the usual ({evidence})")
    fired, over = run([large, metric(30, 5.0, "surge", "5m"), calm], mine)
    assert fired.text == "6.2 times the usual (trade 7 buy 20 @ 62000)"
    assert over.text == f"{fired.text}: it is over after 1m, surge_5m is 0 now"
    assert (over.state, over.ts, over.value_now) == (RESOLVED, calm.ts, 0.0)
    numbers = ("value", "threshold", "baseline", "window", "evidence", "since", "id")
    assert [getattr(over, n) for n in numbers] == [getattr(fired, n) for n in numbers]
    assert (fired.quality, over.quality, fired.value_now) == (
        Quality.COMPLETE,
        Quality.PARTIAL,
        None,
    )


def test_the_number_of_now_is_that_of_the_metric_that_fired():
    mine = rule(
        "surge_1m > 4 or surge_5m > 4 or abs(change_24h) > 5%",
        resolve_when="surge_1m < 1 and surge_5m < 1 and abs(change_24h) < 1%",
    )
    calm = [metric(1, 0.5, "surge", "1m"), metric(1, 0.25, "surge", "5m"), metric(2, -0.004)]
    fired, over = run([metric(0, -0.06), *calm], mine)
    assert (fired.value, over.value, over.value_now) == (-0.06, -0.06, -0.004)


def test_what_it_was_is_known_after_a_restart():
    before = Pipeline([Rulebook([rule()], MEASURES)])
    before.process([metric(0, 0.06)])
    book = Rulebook([rule()], MEASURES)
    after = Pipeline([book])
    after.restore(before.snapshot())
    assert [alert.value for alert in book.firing()] == [0.06]
    (over,) = after.process([metric(9, 0.01)])
    assert (over.value, over.value_now) == (0.06, 0.01)


def test_what_stands_now_can_be_asked():
    book = Rulebook([rule(), rule("change_24h > 5%", name="held", hold_secs=60)], MEASURES)
    pipeline = Pipeline([book])
    pipeline.process([metric(0, 0.06), metric(1, 0.07)])
    assert [(each.rule, each.inst, each.stage.value) for each in book.standing()] == [
        ("held", BTC, "pending"),
        ("move", BTC, "firing"),
    ]
    (alert,) = book.firing()
    assert (alert.id, alert.state, alert.value) == (f"move/{BTC}/{START}", FIRING, 0.06)
    pipeline.process([metric(2, 0.01)])
    assert (book.standing(), book.firing()) == ([], [])


def test_an_alert_explains_itself():
    event = metric(
        1, 0.06, quality=Quality.REPAIRED, baseline=0.01, evidence=("trade 7 buy 3 @ 100",)
    )
    (alert,) = run([event], rule(labels={"team": "desk", "a": "b"}, notify=("mail",)))
    assert (alert.value, alert.threshold, alert.baseline, alert.window) == (0.06, 0.05, 0.01, "24h")
    assert (alert.quality, alert.evidence) == (Quality.REPAIRED, ("trade 7 buy 3 @ 100",))
    assert (alert.labels, alert.notify, alert.since) == (("a=b", "team=desk"), ("mail",), event.ts)
    assert alert.text == "move: BTC/USDT on binance, change_24h 0.06 (limit 0.05)"


def test_a_message_of_ones_own_is_filled_in():
    mine = rule(message="{symbol}@{venue} {value:+.1%} over {window} ({severity})")
    assert run([metric(1, 0.06)], mine)[0].text == "BTC/USDT@binance +6.0% over 24h (warning)"


def test_the_quality_of_an_alert_is_that_of_its_worst_metric():
    mine = rule("change_24h > 5% and surge_1m > 2")
    events = [metric(0, 3.0, "surge", "1m", quality=Quality.SAMPLED), metric(1, 0.06)]
    assert run(events, mine)[0].quality is Quality.SAMPLED


def test_a_condition_must_hold_for_hold_secs():
    held = rule(hold_secs=10)
    events = [metric(0, 0.06), metric(5, 0.07), tick(9), tick(11), metric(12, 0.01)]
    assert told(run(events, held)) == [(PENDING, 0), (FIRING, 10), (RESOLVED, 12)]
    short = run([metric(0, 0.06), metric(5, 0.01), tick(20)], held)
    assert told(short) == [(PENDING, 0), (WITHDRAWN, 5)]
    assert short[-1].text == (
        "move: BTC/USDT on binance, change_24h 0.06 (limit 0.05): it did not hold for long enough"
        " to fire, and ended after 5s, change_24h is 0.01 now"
    )
    assert (short[-1].value, short[-1].value_now) == (0.06, 0.01)


def test_a_level_of_its_own_to_resolve_keeps_an_alert_from_flapping():
    mine = rule(resolve_when="change_24h < 3%")
    values = [0.06, 0.04, 0.06, 0.04, 0.02, 0.04]
    alerts = run([metric(n, value) for n, value in enumerate(values)], mine)
    assert told(alerts) == [(FIRING, 0), (RESOLVED, 4)]


def test_an_alert_of_which_nothing_is_known_any_more_ends_and_says_so():
    alerts = run([metric(0, 0.06), tick(299), tick(301)], rule())
    assert told(alerts) == [(FIRING, 0), (RESOLVED, 300)]
    assert alerts[-1].text.endswith(": nothing is known of it any more after 5m")
    assert (alerts[-1].value, alerts[-1].value_now) == (0.06, None)


def test_an_old_value_is_unknown_and_never_fires():
    mine = rule("change_24h > 5% and surge_1m > 2", forget_secs=60)
    stale = [metric(0, 0.06), metric(61, 3.0, "surge", "1m")]
    assert not run(stale, mine)
    assert told(run([*stale, metric(62, 0.07)], mine)) == [(FIRING, 62)]


def test_rules_apply_to_the_instruments_that_their_patterns_name():
    mine = rule(instruments=("okx:*",))
    assert not run([metric(0, 0.06)], mine)
    assert run([metric(0, 0.06, inst=ETH)], mine)[0].inst == ETH
    assert (
        len(run([metric(0, 0.06), metric(0, 0.06, inst=ETH)], rule(instruments=("*/USDT",)))) == 2
    )


def test_a_rule_that_is_switched_off_says_nothing():
    assert not run([metric(0, 0.06)], rule(enabled=False))


def test_several_windows_are_told_apart_by_the_word():
    mine = rule("surge_5m > 2")
    assert not run([metric(0, 9.0, "surge", "1m")], mine)
    assert run([metric(0, 9.0, "surge", "5m")], mine)
    assert words_of(MEASURES) == {
        "change_24h": ("change_24h", "24h"),
        "surge_1m": ("surge", "1m"),
        "surge_5m": ("surge", "5m"),
    }


@pytest.mark.parametrize(
    ("made", "field", "column", "words"),
    [
        (rule("chnge_24h > 1"), "when", 0, "did you mean change_24h"),
        (rule("1 < 2"), "when", 0, "names no metric"),
        (rule(resolve_when="change_24h >"), "resolve_when", 12, "is wanted here"),
        (rule(message="{price}"), "message", 0, "unknown field {price}"),
        (rule(message="now {symbl}"), "message", 4, "did you mean {symbol}?"),
        (rule(instruments=("*", "BTC/USDT")), "instruments.1", None, "write *:BTC/USDT"),
        (rule(message="{value"), "message", None, "cannot be filled in"),
        (rule(message="{inst:.2f}"), "message", None, "cannot be filled in"),
    ],
)
def test_a_mistake_names_the_field_and_the_column(made, field, column, words):
    with pytest.raises(Mistake) as caught:
        compile_rule(made, words_of(MEASURES))
    assert (caught.value.field, caught.value.column) == (field, column)
    assert words in str(caught.value)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(("change", "surge", "tick")), st.integers(0, 90), st.floats(-0.2, 0.2)
    ),
    max_size=60,
)
RULES = (
    rule(hold_secs=30, resolve_when="change_24h < 1%"),
    rule("surge_1m > 5% or change_24h < -5%", name="other", forget_secs=45),
)


def played(moves):
    at, events = 0.0, []
    for kind, step, value in moves:
        at += step
        if kind == "tick":
            events.append(tick(at))
        elif kind == "surge":
            events.append(metric(at, value, "surge", "1m"))
        else:
            events.append(metric(at, value))
    return events


@settings(max_examples=60, deadline=None)
@given(MOVES, st.integers(0, 60))
def test_a_restart_anywhere_changes_nothing(moves, cut):
    events = played(moves)
    whole = Pipeline([Rulebook(RULES, MEASURES)]).process(events)
    before, after = Pipeline([Rulebook(RULES, MEASURES)]), Pipeline([Rulebook(RULES, MEASURES)])
    out = before.process(events[:cut])
    assert not after.restore(before.snapshot())
    out += after.process(events[cut:])
    assert json_lines(out) == json_lines(whole)


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_an_alert_fires_at_most_once_and_ends_at_most_once(moves):
    lives: dict[str, list[AlertState]] = {}
    for alert in run(played(moves), *RULES):
        lives.setdefault(alert.id, []).append(alert.state)
    order = [PENDING, FIRING, RESOLVED, WITHDRAWN]
    for states in lives.values():
        assert all(order.index(a) < order.index(b) for a, b in pairwise(states))
        if len(states) > 1:
            assert (WITHDRAWN in states) == (FIRING not in states)


def test_a_rule_that_is_gone_after_a_restart_leaves_nothing_behind():
    before = Pipeline([Rulebook([rule()], MEASURES)])
    before.process([metric(0, 0.06)])
    after = Pipeline([Rulebook([rule(name="new", when="change_24h > 50%")], MEASURES)])
    after.restore(before.snapshot())
    assert not after.process([metric(1, 0.01), tick(400)])
