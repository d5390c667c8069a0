from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.rules.expression import Told, Unreadable, parse

KNOWN = ("change_24h", "change_short", "volume_surge_5m", "spread_bps", "big_trade")


def truth(text, **values):
    return parse(text, KNOWN).truth(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 < 2", True),
        ("2 <= 2 and 3 >= 3", True),
        ("1 == 2 or 1 != 2", True),
        ("not 1 > 2", True),
        ("not not 1 > 2", False),
        ("1 + 2 * 3 == 7", True),
        ("(1 + 2) * 3 == 9", True),
        ("10 / 4 - 1 == 1.5", True),
        ("abs(2 - 5) == 3", True),
        ("-2 < -1", True),
        ("2% == 0.02", True),
        ("250k == 250000 and 1.5M == 1500000", True),
        ("1e3 == 1000", True),
        ("1 < 2 or 1 / 0 > 3", True),
        ("1 > 2 and 1 > 2 or 1 < 2", True),
        ("1 < 2 and (1 > 2 or 1 > 2)", False),
    ],
)
def test_it_says_what_arithmetic_and_logic_say(text, expected):
    assert truth(text) is expected


def test_metrics_are_read_from_the_values():
    text = "volume_surge_5m > 4 and abs(change_short) > 2%"
    assert truth(text, volume_surge_5m=5.0, change_short=-0.03) is True
    assert truth(text, volume_surge_5m=5.0, change_short=-0.01) is False
    assert parse(text, KNOWN).names == ("volume_surge_5m", "change_short")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("change_24h > 1", None),
        ("not change_24h > 1", None),
        ("change_24h > 1 and 1 > 2", False),
        ("1 > 2 and change_24h > 1", False),
        ("change_24h > 1 and 1 < 2", None),
        ("1 < 2 and change_24h > 1", None),
        ("change_24h > 1 or 1 < 2", True),
        ("1 < 2 or change_24h > 1", True),
        ("change_24h > 1 or 1 > 2", None),
        ("1 > 2 or change_24h > 1", None),
        ("change_24h + 1 > 1 or abs(change_24h) < 1 or -change_24h < 1", None),
        ("1 / 0 > 1", None),
    ],
)
def test_what_is_not_known_makes_unknown_only_what_hangs_on_it(text, expected):
    assert truth(text) is expected


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("change_24 > 1", 0, "unknown metric change_24; did you mean change_24h"),
        ("1 < 2 and chnge_short > 1", 10, "did you mean change_short"),
        ("zzzzz > 1", 0, "unknown metric zzzzz"),
        ("change_24h", 0, "a condition is wanted here, this is a number"),
        ("1 < 2 and 3", 10, "this is a number"),
        ("not 3", 4, "this is a number"),
        ("(1 < 2) + 1 > 2", 1, "a number is wanted here"),
        ("abs(1 < 2) > 1", 6, ") is wanted here, this is <"),
        ("1 < 2 < 3", 6, "compare two numbers at a time"),
        ("1 <", 3, "a number, a metric or ( is wanted here, this is the end"),
        ("", 0, "is wanted here, this is the end"),
        ("(1 < 2", 6, ") is wanted here"),
        ("1 < 2)", 5, "an operator, `and`, `or` or the end"),
        ("1 < 2 3", 6, "this is 3"),
        ("1 = 2", 2, "this is ="),
        ("1 < $", 4, "this is $"),
        ("abs 1 < 2", 4, "( is wanted here"),
        ("and > 1", 0, "this is and"),
        ("(" * 60 + "1 < 2", 51, "too deeply nested"),
        ("not " * 60 + "1 < 2", 204, "too deeply nested"),
        ("1 < 2 or " * 300, 2000, "more than 2000 characters"),
    ],
)
def test_a_mistake_is_told_with_its_column(text, column, words):
    with pytest.raises(Unreadable) as caught:
        parse(text, KNOWN)
    assert words in str(caught.value)
    assert caught.value.column == column


def test_an_alert_is_told_by_the_comparison_that_holds():
    rule = parse("change_24h > 5% or change_short > 2%", KNOWN)
    assert rule.told({"change_24h": 0.01, "change_short": 0.03}) == Told("change_short", 0.03, 0.02)
    assert rule.told({"change_24h": 0.06, "change_short": 0.03}) == Told("change_24h", 0.06, 0.05)
    assert rule.told({"change_24h": 0.01}) == Told("change_24h", 0.01, 0.05)
    assert rule.told({}) is None


def test_the_value_is_the_side_with_the_metric():
    assert parse("4 < big_trade", KNOWN).told({"big_trade": 5.0}) == Told("big_trade", 5.0, 4.0)
    told = parse("abs(change_24h) > 5%", KNOWN).told({"change_24h": -0.07})
    assert told == Told("change_24h", -0.07, 0.05)


@given(st.text(alphabet="abs(change_24h)<>=!andornot 0.1%kM+-*/$\n", max_size=80))
def test_any_text_is_a_rule_or_a_mistake(text):
    with suppress(Unreadable):
        parse(text, KNOWN).truth({})


@given(st.text(alphabet="abs(change_24h)<>=!andornot 0.1%kM+-*/$\n", max_size=80))
def test_a_mistake_lies_within_the_text(text):
    try:
        parse(text, KNOWN)
    except Unreadable as mistake:
        column = mistake.column
    else:
        column = 0
    assert 0 <= column <= len(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abs(change_24h) > 5%", Told("change_24h", -0.06, 0.05)),
        ("5% < abs(change_24h)", Told("change_24h", -0.06, 0.05)),
        ("abs(change_24h) * 2 > 5%", Told("change_24h", 0.12, 0.05)),
    ],
)
def test_what_is_compared_by_its_size_is_told_with_its_sign(text, told):
    found = parse(text, KNOWN).told({"change_24h": -0.06})
    assert found == told


def test_a_per_cent_is_the_number_that_people_mean():
    assert truth("57% == 0.57") is True
