"""The installed command `tapewatch`, as a child process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapewatch import __version__

COMMAND = Path(sys.executable).with_name("tapewatch")


@pytest.fixture
def tapewatch(tmp_path):
    def tapewatch(*arguments, environ=None, **options):
        bare = {key: os.environ[key] for key in ("PATH", "HOME", "SYSTEMROOT") if key in os.environ}
        return subprocess.run(
            [COMMAND, *arguments], cwd=tmp_path, env={**bare, **(environ or {})},
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60, **options,
        )  # fmt: skip

    return tapewatch


def test_the_version_needs_nothing_of_weight(tapewatch):
    done = tapewatch("--version")
    assert (done.returncode, done.stdout) == (0, f"tapewatch {__version__}\n")

    traced = subprocess.run(
        [sys.executable, "-X", "importtime", COMMAND, "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for heavy in ("cyclopts", "yaml", "aiohttp", "duckdb", "pyarrow", "asyncio"):
        assert f"| {heavy}\n" not in traced.stderr, heavy
        assert f" {heavy}\n" not in traced.stderr, heavy


EXPLAIN = """
import sys
from tapewatch.cli.main import main
for name in sys.argv[1:]:
    print(f"{name} gave {main([name, '--help'])}")
"""


def test_every_command_explains_itself(tapewatch):
    overview = tapewatch("--help")
    lines = overview.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    names = [line.split()[0] for line in lines]
    assert len(names) > 5
    assert tapewatch(names[0], "--help").returncode == 0
    told = subprocess.run(  # all in one process: most of the time goes into imports
        [sys.executable, "-c", EXPLAIN, *names],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    for name in names:
        assert f"Usage: tapewatch {name}" in told
        assert f"{name} gave 0\n" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "did you mean `run`?"),
        (["check", "--confg", "x"], "Did you mean --config?"),
        (["run", "-c", "missing.yaml"], "tapewatch init"),
        (["check", "--set", "server.prot=1"], "did you mean `port`?"),
    ],
)
def test_bad_usage_is_told_in_words_and_ends_with_two(tapewatch, arguments, words):
    done = tapewatch(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_what_init_writes_passes_check(tapewatch):
    assert tapewatch("init").returncode == 0
    done = tapewatch("check", "--strict")
    assert (done.returncode, done.stdout) == (0, "")


def test_run_starts_nothing_with_bad_settings(tapewatch, tmp_path):
    (tmp_path / "tapewatch.yaml").write_text("exchanges: {binance: {stream: [depth]}}\n")
    done = tapewatch("run")
    assert done.returncode == 2
    assert "tapewatch.yaml:1:23" in done.stderr
    assert "Nothing was started" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tapewatch.yaml"]


def test_values_show_their_origin_and_no_secret(tapewatch, tmp_path):
    (tmp_path / ".env").write_text("PORT=9000\n")
    done = tapewatch(
        "check", "--show", environ={"HOST": "::1", "SLACK_WEBHOOK_URL": "http://geheim"}
    )
    assert done.returncode == 0
    assert "= 9000  # .env:1" in done.stdout
    assert '= "::1"  # environment variable HOST' in done.stdout
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.skipif(os.name == "nt", reason="only on POSIX: a closed pipe")
def test_a_reader_that_goes_away_is_no_error(tapewatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [COMMAND, "check", "--schema"], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_colour_is_given_to_those_who_ask(tapewatch):
    assert "\x1b[" not in tapewatch("nothing").stderr
    assert "\x1b[1;31merror" in tapewatch("nothing", environ={"FORCE_COLOR": "1"}).stderr


def test_times_may_count_back_from_now(tapewatch):
    done = tapewatch("analyze", "BTC-USDT", "--from", "-1h", "--to", "-1m")
    assert "no minute candle is stored in data for that time" in done.stderr
    assert done.returncode == 1


def test_the_doctor_says_of_each_detector_whether_it_can_fire(tapewatch, tmp_path):
    well = tapewatch("doctor", "--only", "detectors")
    assert well.returncode == 0, well.stderr
    assert " ✓ volume_surge         volume_surge reached" in well.stdout
    (tmp_path / "tapewatch.yaml").write_text("detectors: {whale: {usd_min: 50000000}}")
    silenced = tapewatch("doctor", "--only", "detectors")
    assert silenced.returncode == 0, silenced.stderr
    (line,) = [each for each in silenced.stdout.splitlines() if " whale " in each]
    assert line.startswith(" ▲ whale")
    assert "usd_min 50000000.0 (usually 500000.0)" in line


@pytest.mark.parametrize("command", ["analyze", "verify", "query trades BTC-USDT"])
def test_a_time_that_is_none_is_one_sentence(tapewatch, command, tmp_path):
    for given, says in (("xyz", "'xyz' is no time"), ("now", "--from now is not before --to -1h")):
        span = ("--from", given, "--to", "-1h", "--data-dir", str(tmp_path))
        done = tapewatch(*command.split(), *span)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
