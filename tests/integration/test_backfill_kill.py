"""`tapewatch backfill` as a process: killed at any page and begun again, no row twice, none missing."""

import asyncio
import signal
import sys

import pytest

from tapewatch.model.events import Holding
from tapewatch.runtime.clock import wall_clock
from tapewatch.sim.bars import HOUR, MINUTE
from tests.integration.backfill_bench import benches


def now():
    return wall_clock() // MINUTE * MINUTE


class Lives:
    """Counts the pages that the venue is asked for, and kills the process in the middle of one."""

    def __init__(self, bench, since):
        self.bench = bench
        self.doom = None
        self.signal = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL
        self._since = since
        self._process = None
        self._ask = bench.market.aggregates_from
        bench.market.aggregates_from = self._page

    async def live(self, what="trades", doom=None, *options):
        self.doom = doom
        until = self.bench.market.now // 1000
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tapewatch.cli.main", "backfill", what, "--symbol", "BTC-USDT",
            "--from", str(self._since // 1000), "--to", str(until), "--venue", "binance",
            "--rest-url", self.bench.url, "--data-dir", str(self.bench.folder), *options,
            cwd=self.bench.folder.parent,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, talk = await self._process.communicate()
        return self._process.returncode, out.decode(), talk.decode()

    def _page(self, *asked):
        if self.doom is not None:
            self.doom -= 1
            if self.doom < 0:
                self._process.send_signal(self.signal)
        return self._ask(*asked)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_killed_in_the_middle_and_begun_again_no_row_is_doubled_or_missing(tmp_path):
    async with benches(tmp_path / "data", start=now(), minutes=960) as bench:
        since = bench.market.now - 15 * HOUR
        lives = Lives(bench, since)
        for doom in (3, 0, 2):
            code, _, talk = await lives.live(doom=doom)
            assert code == -9, talk
        code, _, talk = await lives.live()
        assert (code, "taken up again" in talk) == (0, True), talk
        true = bench.market.aggregates_since("BTCUSDT", since, bench.market.now, 10**6)
        true = [a for a in true if a.ts < bench.market.now]
        ids = [a.id for a in true]
        assert [int(t.id) for t in await bench.trades("binance:BTC/USDT")] == ids
        assert await bench.ledger() == [(ids[0], ids[-1], Holding.REPAIRED, "")]
        hours = await bench.candles("binance:BTC/USDT", "1h")
        assert len(hours) >= 14
        for candle in hours:
            assert candle.trades == bench.market.bar("BTCUSDT", "1h", candle.ts).trades


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for another process")
async def test_ctrl_c_says_what_is_stored_and_how_to_go_on(tmp_path):
    async with benches(tmp_path / "data", start=now(), minutes=960) as bench:
        lives = Lives(bench, bench.market.now - 15 * HOUR)
        lives.signal = signal.SIGINT
        code, _, talk = await lives.live(doom=3)
        assert (code, "the same command goes on from there" in talk) == (130, True), talk


async def test_a_dry_run_prints_the_cost_and_leaves_no_folder(tmp_path):
    async with benches(tmp_path / "data", start=now()) as bench:
        lives = Lives(bench, bench.market.now - 2 * HOUR)
        code, out, talk = await lives.live("candles", None, "--dry-run")
        assert (code, talk) == (0, "")
        assert "about 1 requests with a weight of 2" in out
        assert not bench.folder.exists()


async def test_candles_come_by_command_and_can_be_asked_for(tmp_path):
    async with benches(tmp_path / "data", start=now()) as bench:
        lives = Lives(bench, bench.market.now - 2 * HOUR)
        code, out, talk = await lives.live("candles", None, "--interval", "5m")
        assert (code, out) == (0, ""), talk
        assert "23 new" in talk or "24 new" in talk
        found = await bench.candles("binance:BTC/USDT", "5m")
        assert 23 <= len(found) <= 24
        assert found == sorted(found, key=lambda candle: candle.ts)
