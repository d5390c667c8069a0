"""What `tapewatch backfill` refuses before anything is asked of a venue, and how it talks."""

import pytest

from tapewatch.cli import _progress
from tapewatch.cli.main import main
from tapewatch.model.events import Micros
from tapewatch.model.times import HOUR
from tapewatch.runtime.backfill import Outcome
from tapewatch.stores.cursors import Job

T0 = Micros(1_790_000_000_000_000)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trades", "--from", "-1h", "--to", "2090-01-01"], "is in the future"),
        (["trades", "--from", "-1h", "--to", "-2h"], "--from -1h is not before --to -2h"),
        (["trades", "--from", "yesterday"], "'yesterday' is no time"),
        (["candles", "--from", "-1h", "--interval", "7m"], "unknown interval of binance '7m'; did"),
        (["candles", "--from", "-1h", "--interval", "soon"], "'soon' is no interval"),
        (["trades", "--from", "-1h", "--venue", "binanse"], "did you mean binance"),
        (["trades", "--from", "-1h", "--venue", "bybit"], "gives nobody its past trades"),
        (["trades"], "--from"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_begun(
    capsys, monkeypatch, tmp_path, arguments, words
):
    monkeypatch.chdir(tmp_path)
    what, *rest = arguments
    code = main(["backfill", what, "--symbol", "BTC-USDT", "--data-dir", "d", *rest])
    assert code == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def outcome(hours, seen=1_000):
    job = Job("binance:BTC/USDT", "trades", "a b", T0, Micros(T0 + 10 * HOUR), T0, "from 7")
    job.reached, job.rows = Micros(T0 + int(hours * HOUR)), 5_000
    return Outcome(job, seen=seen)


def test_progress_tells_share_place_rate_and_what_is_left():
    text = _progress.describe(outcome(5), secs=10.0, first=0.25)
    assert text == "50%, up to 2026-09-21 19:13, 5,000 rows, 100/s, 20 s left"
    assert _progress.describe(outcome(0), 0.0, 0.0) == "0%, up to 2026-09-21 14:13, 5,000 rows"
    assert _progress.describe(outcome(1), 3_600.0, 0.0).endswith("9.0 h left")


def test_who_is_no_terminal_is_told_a_line_each_five_seconds(capsys):
    now = [0.0]
    progress = _progress.Progress(lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        progress(outcome(second / 2))
    progress.end()
    assert len(capsys.readouterr().err.splitlines()) == 2
