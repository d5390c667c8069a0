import pytest

from tapewatch.ports import Measure
from tapewatch.rules.defaults import in_force, of_thresholds, ready_made
from tapewatch.rules.rule import Rule, compile_rule
from tapewatch.rules.rulebook import words_of
from tapewatch.runtime.launch import processors_of

MEASURES = [measure for processor in processors_of({}) for measure in processor.measures]
SURGE = Measure("volume_surge", ("1m", "5m"), "ratio", "")


@pytest.mark.parametrize("name", ["big_trade", "liq_spike", "volume_surge"])
def test_the_alert_types_of_earlier_systems_are_there_without_a_setting(name):
    assert name in {rule.name for rule in in_force((), ready_made(), MEASURES).rules}


def test_every_default_rule_in_force_can_be_used():
    usual = (*ready_made(), *of_thresholds(0.05, 0.02, 3_600_000))
    for rule in in_force((), usual, MEASURES).rules:
        assert compile_rule(rule, words_of(MEASURES)).names


def test_the_four_thresholds_make_two_rules():
    day, short = of_thresholds(0.05, 0.02, 60_000)
    assert (day.name, day.when, day.cooldown_secs) == ("pct_24h", "abs(change_24h) >= 0.05", 60.0)
    assert (short.name, short.when) == ("pct_short", "abs(change_short) >= 0.02")


def test_the_sigma_of_the_settings_is_the_level_of_the_rule():
    spike = next(rule for rule in ready_made(4.5) if rule.name == "liq_spike")
    assert spike.when == "liq_spike_volume > 4.5 or liq_spike_count > 4.5"
    assert spike.resolve_when == "liq_spike_volume < 2.25 and liq_spike_count < 2.25"


def test_a_default_rule_that_nobody_measures_is_left_out_and_told():
    found = in_force((), ready_made(), [SURGE])
    assert [rule.name for rule in found.rules] == ["volume_surge"]
    assert ("big_trade", "nobody measures big_trade") in found.left_out


def test_a_written_rule_takes_the_place_of_the_default_one():
    mine = Rule(name="volume_surge", when="volume_surge_1m > 9")
    found = in_force([mine], ready_made(), [SURGE])
    assert found.rules == (mine,)
    assert "volume_surge" not in dict(found.left_out)
