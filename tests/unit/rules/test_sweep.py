import pickle

import pytest

from tapewatch.rules.change import Change
from tapewatch.rules.rule import Mistake, Rule, compile_rule
from tapewatch.rules.sweep import variants

WORDS = ("change_24h", "change_short", "volume_surge_5m")


def swept(when, values):
    return [rule.when for rule in variants(compile_rule(Rule(name="x", when=when), WORDS), values)]


@pytest.mark.parametrize(
    ("when", "values", "made"),
    [
        ("change_24h > 2%", "3%", "change_24h > 3%"),
        ("volume_surge_5m > 4 and change_24h > 1%", "6", "volume_surge_5m > 6 and change_24h > 1%"),
        ("volume_surge_5m > 4 and abs(change_24h) > 1%", "change_24h=2%",
         "volume_surge_5m > 4 and abs(change_24h) > 2%"),
        ("not (1.5 < volume_surge_5m)", "2.5", "not (2.5 < volume_surge_5m)"),
        ("change_24h < -5%", "-3%", "change_24h < -3%"),
        ("volume_surge_5m > 250k", "1.5M", "volume_surge_5m > 1.5M"),
    ],
)  # fmt: skip
def test_the_threshold_is_changed_and_nothing_else(when, values, made):
    assert swept(when, values) == [made]


def test_each_value_makes_a_rule_that_is_called_by_it():
    compiled = compile_rule(Rule(name="x", when="change_24h > 2%", hold_secs=9), WORDS)
    found = variants(compiled, "1%, 2%,3%")
    assert [(rule.name, rule.hold_secs) for rule in found] == [("1%", 9), ("2%", 9), ("3%", 9)]


@pytest.mark.parametrize(
    ("when", "values", "words"),
    [
        ("change_24h > 2%", "two", "'two' is no number"),
        ("change_24h > 2%", "1,,2", "'' is no number"),
        ("change_24h > 2%", "change_short=1", "there is change_24h"),
        ("change_24h > change_short", "1", "which number is meant"),
        ("change_24h > 2 * 3", "1", "which number is meant"),
    ],
)
def test_what_cannot_be_swept_is_said(when, values, words):
    with pytest.raises(Mistake, match=words) as caught:
        swept(when, values)
    assert caught.value.field == "sweep"


def test_a_change_leaves_the_rest_of_a_rule_as_it_is():
    rule = Rule(name="x", when="change_24h > 2%", resolve_when="change_24h < 1%", cooldown_secs=7)
    changed = Change(rule="x", when="change_24h > 3%", resolve_when="", hold_secs=5).of([rule])
    assert (changed.when, changed.resolve_when, changed.hold_secs) == ("change_24h > 3%", "", 5)
    assert (changed.cooldown_secs, changed.instruments) == (7, ("*",))


def test_a_mistake_survives_the_way_out_of_a_process():
    again = pickle.loads(pickle.dumps(Mistake("when", "unknown metric", 7)))
    assert (again.field, str(again), again.column) == ("when", "unknown metric", 7)
