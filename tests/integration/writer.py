"""A child process of `test_kill.py`: writes numbered trades through the whole way to disk.

Arguments: data folder, first id, receive time of the first in seconds after T0, trades a second.
Prints an id when the store has it. Some ids are left out and told as LOST, so that the ledger has
something to say. It ends only when it is killed, or when stdin is closed.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from tapewatch.bus.local import LocalBus
from tapewatch.model.events import Batch, Holding, Micros
from tapewatch.ports import Buffer
from tapewatch.runtime.behind import Behind
from tapewatch.runtime.delivery import Outside, Pace
from tapewatch.runtime.pump import Pump
from tapewatch.runtime.spill import Spill
from tapewatch.stores.parquet import Parquet, ParquetConfig
from tapewatch.stores.sqlite import Sqlite
from tests.rows import at, coverage, trade

PER_BATCH = 20
LOST_EVERY = 97


class Telling(Behind):
    """Says on stdout what is acknowledged: everything up to this id."""

    async def write(self, batch: Batch) -> None:
        await super().write(batch)
        ids = [int(event.id) for event in batch if type(event).__name__ == "Trade"]
        if ids:
            sys.stdout.write(f"{max(ids)}\n")
            sys.stdout.flush()


def batches(first: int, secs: float, rate: float):
    for start in itertools.count(first, PER_BATCH):
        rows: Batch = []
        for number in range(start, start + PER_BATCH):
            if number % LOST_EVERY == 0:
                rows.append(coverage(number, number, Holding.LOST, "left out"))
            else:
                rows.append(trade(number, secs + (number - first) / rate))
                rows.append(coverage(number, number))
        yield rows


async def main(folder: Path, first: int, secs: float, rate: float) -> None:
    def clock() -> Micros:
        return at(secs)

    parquet = Parquet(folder, clock=clock, config=ParquetConfig(grace_secs=0.0))
    sqlite = Sqlite(folder / "tapewatch.sqlite", clock=clock)
    await parquet.open()
    await sqlite.open()
    await sqlite.trim(await parquet.stored())
    sink = Telling(parquet, sqlite)
    bus = LocalBus()
    reader = bus.subscribe("store", sink.wants, Buffer(10_000))
    outside = Outside(clock, bus.publish)
    pump = Pump(sink, reader, Spill(folder / "spill"), outside, Pace(max_age_secs=0.01))
    running = asyncio.create_task(pump.run())
    for rows in batches(first, secs, rate):
        await bus.publish(rows)
        await asyncio.sleep(0.0005)
        if running.done():
            break
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
