"""Killed at any moment (SIGKILL): no corrupt file, no doubled row, and the ledger is exact."""

import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tapewatch.model.events import Holding, Micros
from tapewatch.ports import Subscription
from tapewatch.stores import _compactor
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stores.parquet import Parquet, ParquetConfig
from tapewatch.stores.sqlite import Sqlite
from tests.rows import INST, at, quote, trade

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
KILLS = 4
RATE = 0.25  # trades a second of market time: an hour goes by in 900 trades, so hours end often
LOST_EVERY = 97
STREAM = Subscription(INST, "aggTrade")


class Life:
    """One life of the writing process."""

    def __init__(self, folder: Path, first: int, secs: float) -> None:
        self.first = first
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.integration.writer",
                folder,
                str(first),
                str(secs),
                str(RATE),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )

    def kill_after(self, acknowledgements: int) -> int:
        """Give the last id that was acknowledged before the kill took effect."""
        assert self.process.stdout is not None
        for _ in range(acknowledgements):
            if not self.process.stdout.readline():
                break
        self.process.send_signal(signal.SIGKILL)
        rest, errors = self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL, errors.decode()
        told = [int(line) for line in rest.split(b"\n")[:-1] if line]
        return max(told, default=self.first)


async def stored_ids(folder: Path) -> list[int]:
    query = DuckDb(folder)
    try:
        return [int(t.id) for t in await query.trades(INST, Micros(0), Micros(2**53), 10**7)]
    finally:
        query.close()


async def settle(folder: Path, secs: float) -> tuple[dict[int, Holding], int]:
    """Start as the product does; give the ledger by id, and where the stream would resume."""
    parquet = Parquet(folder, clock=lambda: at(secs))
    sqlite = Sqlite(folder / "tapewatch.sqlite", clock=lambda: at(secs))
    await parquet.open()
    await sqlite.open()
    await sqlite.trim(await parquet.stored())
    ledger = {
        number: entry.holding
        for entry in await sqlite.coverage()
        for number in range(entry.first, entry.last + 1)
    }
    resume = (await sqlite.resume())[STREAM]
    await sqlite.close()
    await parquet.close()
    return ledger, resume


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_kill_at_any_moment_costs_at_most_what_was_not_acknowledged(tmp_path, seed):
    rng = random.Random(seed)
    first = 1
    for _ in range(KILLS):
        life = Life(tmp_path, first, (first - 1) / RATE)
        acknowledged = life.kill_after(rng.randint(1, 120))
        secs = (first + 100_000) / RATE
        ids = await stored_ids(tmp_path)
        assert max(Counter(ids).values()) == 1
        expected = [n for n in range(1, max(ids) + 1) if n % LOST_EVERY]
        assert ids == expected
        assert max(ids) >= acknowledged
        ledger, resume = await settle(tmp_path, secs)
        held = {n for n, holding in ledger.items() if holding in (Holding.HAVE, Holding.REPAIRED)}
        assert held == set(ids)
        assert {n for n, holding in ledger.items() if holding is Holding.LOST} <= {
            n for n in range(1, max(ids) + 100) if n % LOST_EVERY == 0
        }
        assert resume == max(ids)
        first = resume + 1
    await convert(tmp_path, first)
    assert await stored_ids(tmp_path) == [n for n in range(1, first) if n % LOST_EVERY]
    for path in (tmp_path / "trades").glob("*.parquet"):
        pq.read_table(path)
    assert list((tmp_path / "trades").glob(".*.tmp")) == []


async def convert(folder: Path, number: int) -> None:
    """Let all hours end and become Parquet."""
    far = (number + 100_000) / RATE
    parquet = Parquet(folder, clock=lambda: at(far), config=ParquetConfig(grace_secs=0.0))
    await parquet.open()
    await parquet.write([quote(1, far)])
    await parquet.compacted()
    await parquet.close()
    assert list((folder / "trades").glob("*.journal")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_a_child_killed_while_it_converts_leaves_everything_to_be_done_again(tmp_path):
    started: list[subprocess.Popen] = []

    class Doomed(subprocess.Popen):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)

        def communicate(self, *args, **kwargs):
            self.kill()
            return super().communicate()

    store = Parquet(tmp_path, clock=lambda: at(0), config=ParquetConfig(grace_secs=0.0))
    await store.open()
    await store.write([trade(n) for n in range(1000)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_compactor.subprocess, "Popen", Doomed)
        await store.write([quote(1, 7200)])
        await store.compacted()
    assert len(started) == 1
    assert store.counters.errors == {"compaction": 1}
    assert await stored_ids(tmp_path) == list(range(1000))
    await store.write([quote(2, 7300)])
    await store.compacted()
    await store.close()
    assert [path.name for path in (tmp_path / "trades").iterdir()] == ["trades_20250825_00.parquet"]
    assert await stored_ids(tmp_path) == list(range(1000))
