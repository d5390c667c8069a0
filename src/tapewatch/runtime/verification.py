"""What `tapewatch verify` hears: the stored trades and the ledger of one data folder."""

import asyncio
from pathlib import Path

from tapewatch.analysis.completeness import Stream, completeness
from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Coverage, Micros
from tapewatch.ports import Ledger, Subscription
from tapewatch.runtime.analysis import choose
from tapewatch.runtime.clock import wall_clock
from tapewatch.stores.duckdb import DuckDb, DuckDbConfig
from tapewatch.stores.sqlite import Sqlite

_PATIENT = DuckDbConfig(memory_mb=1024, timeout_secs=600)


class NoLedger:
    """A folder that only has trades: nothing is known of their ids."""

    async def resume(self) -> dict[Subscription, int]:
        return {}

    async def coverage(self, inst: str | None = None, channel: str | None = None) -> list[Coverage]:
        del inst, channel
        return []


def verify(data_dir: Path, symbol: str | None, since: Micros, until: Micros) -> list[Stream]:
    """Raises ConfigError if there is no such folder, NotFound for a symbol that is not stored."""
    if not data_dir.is_dir():
        raise ConfigError(f"there is no data folder {data_dir}: give one with --data-dir")
    path = data_dir / "tapewatch.sqlite"
    sqlite = Sqlite(path, clock=wall_clock) if path.exists() else None
    return asyncio.run(_hear(DuckDb(data_dir, config=_PATIENT), sqlite, symbol, since, until))


async def _hear(
    query: DuckDb, sqlite: Sqlite | None, symbol: str | None, since: Micros, until: Micros
) -> list[Stream]:
    ledger: Ledger = sqlite or NoLedger()
    try:
        if sqlite is not None:
            await sqlite.open()
        insts = await query.instruments()
        inst = choose(insts, symbol) if symbol and insts else None
        return await completeness(query, ledger, inst, since, until)
    finally:
        query.close()
        if sqlite is not None:
            await sqlite.close()
