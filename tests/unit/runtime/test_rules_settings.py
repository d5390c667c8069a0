import pytest

from tapewatch.process.rolling import Rolling
from tapewatch.rules.rulebook import Rulebook
from tapewatch.runtime import launch
from tapewatch.settings.problems import InvalidSettings

S0 = """\
exchanges: {binance: {symbols: [BTC/USDT]}}
alerts:
  thresholds:
    pct_24h: 0.05
    pct_short: 0.02
    window_short_ms: 300000
    cooldown_ms: 60000
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "tapewatch.yaml"
        path.write_text(text)
        return launch.load(path, environ={"DATA_DIR": str(tmp_path)}, folder=tmp_path)

    return read


def rules(plan):
    return {rule.name: rule for rule in plan.rules.rules}


def test_the_thresholds_of_the_first_system_become_rules(read):
    plan = launch.plan_of(read(S0))
    found = rules(plan)
    assert found["pct_24h"].when == "abs(change_24h) >= 0.05"
    assert found["pct_short"].cooldown_secs == 60
    rolling = next(p for p in plan.processors if isinstance(p, Rolling))
    assert [m.windows for m in rolling.measures if m.name == "change_short"] == [("5m",)]


def test_the_rules_run_behind_what_they_name(read):
    plan = launch.plan_of(read("exchanges: {binance: {symbols: [BTC/USDT]}}"))
    book = next(p for p in plan.processors if isinstance(p, Rulebook))
    assert {each.rule.name for each in book.rules} == set(rules(plan))
    assert "big_trade" in rules(plan)


def test_ready_made_rules_can_be_done_without(read):
    assert not rules(launch.plan_of(read("alerts: {defaults: false}")))


def test_the_level_of_liquidation_spikes_is_that_of_its_detector(read):
    plan = launch.plan_of(read("detectors: {liquidation_spike: {sigma: 5}}"))
    assert "liq_spike_volume > 5" in rules(plan)["liq_spike"].when


@pytest.mark.parametrize(("window", "name"), [(1_000, "1m"), (90_500, "90s")])
def test_an_odd_short_window_is_rounded_and_told(read, window, name):
    loaded = read(S0.replace("300000", str(window)))
    plan = launch.plan_of(loaded)
    rolling = next(p for p in plan.processors if isinstance(p, Rolling))
    assert {m.windows for m in rolling.measures} == {("24h",), (name,)}
    assert [(n.code, n.place.line) for n in loaded.notices] == [("CFG102", 6)]


def test_two_different_short_windows_are_a_contradiction(read):
    with pytest.raises(InvalidSettings) as caught:
        launch.plan_of(read(S0 + "detectors: {rolling: {short: 1h}}\n"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.place.line) == ("CFG006", 6)
    assert "1h" in problem.message
    assert "5m" in problem.message


def test_all_mistakes_of_rules_are_told_at_once_with_line_and_column(read):
    text = """\
alerts:
  rules:
    - name: a
      when: "chnge_24h > 4 and change_24h > 2%"
      resolve_when: change_24h >
      message: "{price}"
    - {name: a, when: change_24h > 1}
    - name: folded
      when: >
        change_24h
"""
    with pytest.raises(InvalidSettings) as caught:
        launch.plan_of(read(text))
    found = [
        (p.path.removeprefix("alerts.rules."), p.place.line, p.place.column)
        for p in caught.value.problems
    ]
    assert found == [
        ("0.when", 4, 14),
        ("0.resolve_when", 5, 33),
        ("0.message", 6, 17),
        ("1.name", 7, 14),
        ("2.when", 9, 13),
    ]
    assert {p.code for p in caught.value.problems} == {"CFG011"}
    assert caught.value.problems[0].hint.startswith("did you mean change_24h")
    assert caught.value.problems[3].hint.endswith("tapewatch.yaml:3")


def test_a_pattern_over_an_exchange_that_is_not_collected_is_noted(read):
    text = (
        S0 + "  rules:\n    - {name: a, when: big_trade > 1, instruments: ['b*:*', 'binanze:*']}\n"
    )
    loaded = read(text)
    launch.plan_of(loaded)
    (notice,) = [each for each in loaded.notices if "binanze" in each.message]
    assert (notice.path, notice.place.line) == ("alerts.rules.0.instruments.1", 9)
    assert notice.message.endswith("there is binance")
