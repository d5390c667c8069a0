import asyncio
import json
from pathlib import Path

import pytest

from tapewatch.cli import _alert_silence
from tapewatch.cli.main import main
from tapewatch.model.events import AlertState
from tapewatch.model.times import iso
from tapewatch.rules.notices import State
from tapewatch.stores.alert_log import FILE, AlertLog
from tests.notices import SECOND, START, alert
from tests.past import ETH, at, store, surges

VALUES = [1.0, 5.0, 3.0, 1.0, 1.0, 6.0, 1.0, 1.0, 4.5, 4.5]


@pytest.fixture
def tried(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"

    def tried(*arguments, minutes=10, stored=True, command="test"):
        if stored and not folder.exists():
            folder.mkdir()
            asyncio.run(store(folder, [*surges(VALUES), *surges([1.0] * 5, inst=ETH)]))
        span = ("--from", iso(at(0)), "--to", iso(at(minutes)))
        code = main(["alerts", command, *arguments, *span])
        told = capsys.readouterr()
        return code, told.out, told.err

    return tried


def test_it_tells_coverage_first_then_firings_notices_and_what_is_not_simulated(tried):
    code, out, err = tried("volume_surge")
    assert (code, err) == (0, "")
    heads = [line.partition(" ")[0] for line in out.splitlines() if line and line[0] != " "]
    assert heads[2:] == ["coverage", "fired", "notices", "held", "not"]
    assert "coverage   95.00 % of the time, over 2 instruments (complete 95.00 %)" in out
    assert "  90.00 %  okx:ETH/USDT  volume_surge_5m" in out
    assert "fired      3 times on 1 instrument\n" in out
    assert "2m00s  complete  BTC/USDT on binance: 5.0 times the usual volume in 5m" in out
    assert "still fires" in out


def test_a_condition_of_ones_own_and_other_thresholds(tried):
    code, out, _ = tried("mine", "--when", "volume_surge_5m > 5", "--sweep", "2,4")
    assert code == 0
    assert out.startswith("mine: volume_surge_5m > 5\n")
    assert "         2        3 firings on 1 instrument," in out
    assert "         4        3 firings on 1 instrument," in out


def test_for_programs_it_is_one_object(tried):
    code, out, _ = tried("volume_surge", "--json")
    report = json.loads(out)
    assert code == 0
    assert [len(report[name]) for name in ("coverage", "firings")] == [2, 3]


def test_without_data_it_counts_nothing(tried):
    code, out, err = tried("volume_surge", minutes=1, stored=True)
    assert code == 0
    code, out, err = tried("big_trade", minutes=1)
    assert code == 1
    assert "coverage   none" in out
    assert "firings" not in out
    assert err == "nothing is stored of it, so nothing is known\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("volume_surg",), "did you mean"),
        (("x", "--when", "volume_surge5m > 1"), "when: unknown metric volume_surge5m"),
        (("volume_surge", "--sweep", "two"), "sweep: 'two' is no number"),
        (("volume_surge", "--data-dir", "nowhere"), "there is no data folder nowhere"),
        (("x", "--when", "spread_bps > 1", "--from-trades"), "reads order books"),
    ],
)
def test_a_mistake_is_a_sentence(tried, arguments, words):
    code, out, err = tried(*arguments)
    assert (code, out) == (2, "")
    assert words in err


def previewed(tried, text, *more):
    Path("rule.yaml").write_text(text)
    return tried("-f", "rule.yaml", *more, command="preview")


def test_the_rule_of_a_file_is_tried_as_if_it_were_in_force(tried):
    code, out, err = previewed(tried, "name: mine\nwhen: volume_surge_5m > 5\n", "--sweep", "2,4")
    assert (code, err) == (0, "")
    _, tested, _ = tried("mine", "--when", "volume_surge_5m > 5", "--sweep", "2,4")
    assert out == tested
    assert "fired      1 times on 1 instrument" in out


def test_each_rule_of_a_file_is_tried(tried):
    several = """\
rules:
  - {name: low, when: volume_surge_5m > 2, hold_secs: 60}
  - {name: none, when: spread_bps > 4}
"""
    code, out, err = previewed(tried, several, "--json")
    reports = [json.loads(line) for line in out.splitlines()]
    assert [report["rule"]["name"] for report in reports] == ["low", "none"]
    assert [report["firings"] is None for report in reports] == [False, True]
    assert (code, err) == (1, "nothing is stored of it, so nothing is known\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: x\nwhen: volume_surge5m > 1\nhold_secs: -1", ("rule.yaml:2:7", "did you mean volume_surge_5m", "rule.yaml:3:12")),
        ("rules: [{name: x, when: 1 > 2}, {name: y, wen: a > 1}]", ("rule.yaml:1:25", "did you mean `when`?")),
        ("", ("`name` must be given",)),
        ("rules: []", ("rule.yaml has no rule",)),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_at_once_and_where(tried, text, words):
    code, out, err = previewed(tried, text)
    assert (code, out) == (2, "")
    for word in words:
        assert word in err


def test_a_file_of_rules_that_is_not_there_is_said(tried):
    code, _, err = tried("-f", "nowhere.yaml", command="preview")
    assert (code, err) == (2, "error: cannot read nowhere.yaml: No such file or directory\n")


def test_what_only_was_pending_is_not_listed_as_resolved(tmp_path, capsys):
    async def write():
        log = AlertLog(tmp_path / FILE, clock=lambda: START)
        over = alert(AlertState.WITHDRAWN, ts=START + 5 * SECOND, text="a surge: it did not hold")
        await log.write(State(), [alert(AlertState.PENDING), over], [])
        await log.close()

    asyncio.run(write())
    assert main(["alerts", "list", "--all", "--data-dir", str(tmp_path)]) == 0
    (row,) = capsys.readouterr().out.splitlines()
    assert row.startswith("withdrawn warning  since 2026-11-21 01:30:00  a surge: it did not hold")


@pytest.mark.parametrize(
    ("server", "address"),
    [("{}", "127.0.0.1:8000"), ("{port: 9, host: 127.0.0.1}", "127.0.0.1:9"),
     ("{port: 9, host: '::'}", "[::1]:9")],
)  # fmt: skip
def test_silences_are_asked_of_the_server_that_the_settings_here_mean(
    tmp_path, monkeypatch, server, address
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tapewatch.yaml").write_text(f"server: {server}")
    assert _alert_silence._here() == f"http://{address}"
