import pytest

from tapewatch.model.events import AlertState, Quality
from tapewatch.ports import Measure
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook
from tapewatch.rules.trial import (
    Expected,
    Series,
    Trial,
    flaws,
    flaws_of_expected,
    flaws_of_series,
    run,
    span,
    values_of,
)

MEASURES = (
    Measure("surge", ("1m", "5m"), "ratio", ""),
    Measure("change", ("1h",), "fraction", ""),
)
RULE = Rule(name="surge", when="surge_1m > 4", hold_secs=15)
FIRING, RESOLVED, PENDING = AlertState.FIRING, AlertState.RESOLVED, AlertState.PENDING


def trial(values="5x4 1", expect=(), **more):
    series = (Series(metric="surge_1m", values=values),)
    return Trial(name="t", series=series, expect=tuple(expect), **more)


def expected(at, state, **more):
    return Expected(at=at, state=state, **more)


def play(made, rule=RULE):
    return run(made, Rulebook([rule], MEASURES))


GOOD = (expected("0s", PENDING), expected("15s", FIRING, value=5), expected("40s", RESOLVED))


def test_what_comes_as_it_must_passes():
    outcome = play(trial(expect=GOOD))
    assert outcome.passed
    assert [line[:11].split() for line in outcome.lines] == [["0"], ["15s"], ["40s"]]


def test_silence_is_a_trial_too():
    assert play(trial("1 2 3 4")).passed


def test_one_too_many_fails_and_is_shown():
    outcome = play(trial(expect=GOOD[:2]))
    assert not outcome.passed
    assert outcome.lines[2].startswith("+      40s  resolved  surge  binance:BTC/USDT")


def test_one_too_few_fails_and_is_shown_where_it_should_have_been():
    outcome = play(trial("1 1 1", expect=[expected("20s", FIRING, rule="surge")]))
    assert not outcome.passed
    assert outcome.lines == ("-      20s  firing    surge  binance:BTC/USDT",)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"value": 6.0}, "value 5, expected 6"),
        ({"severity": "critical"}, "severity warning, expected critical"),
        ({"quality": Quality.PARTIAL}, "quality complete, expected partial"),
        ({"text": "limit 3"}, "expected with 'limit 3'"),
    ],
)
def test_what_is_otherwise_is_said(wanted, words):
    outcome = play(trial(expect=[GOOD[0], expected("15s", FIRING, **wanted), GOOD[2]]))
    assert not outcome.passed
    assert sum(line.startswith("!") for line in outcome.lines) == 2
    assert words in "\n".join(outcome.lines)


def test_time_goes_on_until_it_is_said():
    rule = Rule(name="surge", when="surge_1m > 4", forget_secs=60)
    fired = expected("0s", FIRING)
    assert play(trial("5", [fired]), rule).passed
    forgotten = expected("1m", RESOLVED, text="nothing is known")
    assert play(trial("5", [fired, forgotten], until="1m"), rule).passed


def test_several_instruments_and_windows_are_told_apart():
    series = (
        Series(metric="surge_5m", values="9 9"),
        Series(metric="surge_1m", inst="okx:A/B", values="1 9"),
    )
    made = Trial(name="t", series=series, expect=(expected("10s", FIRING, inst="okx:A/B"),))
    assert play(made, Rule(name="x", when="surge_1m > 4")).passed


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2.5 -3", [1.0, 2.5, -3.0]),
        ("2x3 _", [2.0, 2.0, 2.0, None]),
        ("_x2 5%", [None, None, 0.05]),
        ("1e3", [1000.0]),
    ],
)
def test_values_are_read(text, values):
    assert values_of(text) == values


@pytest.mark.parametrize("text", ["", "1,2", "x3", "1x", "1x99999999", "two"])
def test_what_is_no_value_is_said(text):
    with pytest.raises(ValueError, match="value"):
        values_of(text)


def test_lengths_of_time_are_read():
    assert [span(text) for text in ("0", "250ms", "1m30s", "1.5h")] == [
        0, 250_000, 90_000_000, 5_400_000_000,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "1m 30s", "-5s"])
def test_what_is_no_length_of_time_is_said(text):
    with pytest.raises(ValueError, match="no length of time"):
        span(text)


def test_all_flaws_of_a_part_are_told_at_once_with_their_field():
    made = Trial(name="t", series=(), every="0", start="x", until="y")
    assert [flaw.field for flaw in flaws(made)] == ["every", "start", "until"]
    found = flaws_of_series(Series(metric="surge_2m", values="1,2"), ["surge_1m", "change"])
    assert [flaw.field for flaw in found] == ["metric", "values"]
    assert "did you mean surge_1m" in str(found[0])
    assert [flaw.field for flaw in flaws_of_expected(expected("soon", FIRING))] == ["at"]


def test_what_has_no_flaws_has_none():
    made = trial(expect=GOOD)
    assert flaws(made) == []
    assert flaws_of_series(made.series[0], ["surge_1m"]) == []
    assert flaws_of_expected(GOOD[0]) == []
