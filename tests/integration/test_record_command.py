"""`tapewatch record` and `tapewatch replay`, as they are installed, against the simulator."""

import asyncio
import json
import sys
import time

import pytest

from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.market import open_market


async def tapewatch(*arguments):
    """Run the installed command; give its exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tapewatch.cli.main",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def exchange():
    market = open_market(start=time.time_ns() // 1000, rate=5.0)
    async with SimulatedExchange(market) as running:
        yield running


@pytest.mark.long
async def test_what_was_recorded_is_verified_and_a_changed_tape_is_not(exchange, tmp_path):
    addresses = ("--ws-url", exchange.ws_url, "--rest-url", exchange.rest_url)
    streams = ("--streams", "aggTrade", "--streams", "depth")
    for secs in (1, 5, 25):  # how much comes in a second depends on the machine
        path = tmp_path / f"{secs}.tape"
        code, _, err = await tapewatch(
            "record", "binance", "btc-usdt", "-o", path, *streams, *addresses, "--seconds", secs
        )
        assert code == 0, err
        assert "sha256 of the events" in err

        code, out, err = await tapewatch("replay", path, "--verify")
        assert code == 0, err
        kinds = {json.loads(line)["type"] for line in out.splitlines()}
        if everything := {"trade", "book_snapshot", "book_delta", "candle"} <= kinds:
            break
    assert everything, kinds

    code, plain, _ = await tapewatch("replay", path, "--no-derive", "--seal")
    assert code == 0
    assert 0 < len(plain) < len(out)

    lines = path.read_text().splitlines(keepends=True)
    trade = next(n for n, line in enumerate(lines) if '"in"' in line and "aggTrade" in line)
    path.write_text("".join(lines[:trade] + lines[trade + 1 :]))
    code, _, err = await tapewatch("replay", path, "--verify")
    assert code == 4
    assert "expected" in err


async def test_mistakes_are_one_sentence_and_start_nothing(exchange, tmp_path):
    addresses = ("--ws-url", exchange.ws_url, "--rest-url", exchange.rest_url)
    (tmp_path / "there.tape").write_text("precious")
    mistakes = [
        (("record", "binanse", "BTCUSDT", "-o", tmp_path / "x.tape"), 2, "did you mean binance"),
        (("record", "binance", "BTCUSDX", "-o", tmp_path / "x.tape", *addresses), 2, "BTC/USDT"),
        (("record", "binance", "BTCUSDT", "-o", tmp_path / "x.txt"), 2, "ends in .tape"),
        (("record", "binance", "BTCUSDT", "-o", tmp_path / "there.tape"), 2, "written over"),
        (("record", "binance", "BTCUSDT", "-o", tmp_path / "no" / "x.tape"), 2, "no folder"),
        (("replay", tmp_path / "there.tape"), 2, "no tape"),
        (("replay", tmp_path / "none.tape"), 2, "cannot read"),
        (("replay", tmp_path / "none.tape", "--speed", "0"), 2, "above 0"),
        (("replay", tmp_path / "there.tape", "--verify"), 2, "--seal"),
    ]
    results = await asyncio.gather(*(tapewatch(*given) for given, _, _ in mistakes))
    for (given, code, words), (found, out, err) in zip(mistakes, results, strict=True):
        assert (found, out) == (code, ""), given
        assert words in err
        assert "Traceback" not in err
    assert [each.name for each in tmp_path.iterdir()] == ["there.tape"]


async def test_a_venue_that_cannot_be_reached_is_exit_3(tmp_path):
    addresses = ("--ws-url", "ws://127.0.0.1:9", "--rest-url", "http://127.0.0.1:9")
    code, _, err = await tapewatch(
        "record", "binance", "BTCUSDT", "-o", tmp_path / "x.tape", *addresses
    )
    assert code == 3
    assert "cannot connect to 127.0.0.1:9" in err
