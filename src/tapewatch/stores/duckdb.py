"""Read what the Parquet store wrote: Parquet files and open journals as one, by DuckDB.

For the API's questions and for SQL that a person wrote. The latter may read the views and
nothing else: one SELECT, in a memory-only database that may open no file outside of the data
folders, install nothing, attach nothing, change no setting, and see no Python variable; memory
and time are limited. (A SELECT may name a file of ours by its path. It holds what the views show.)

Needs no lock and no running tapewatch: reading goes on while another process writes. What is in
the pump is not seen yet, at most a second. pyarrow and DuckDB (70 MB) come with the first query.
"""

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tapewatch.model.events import Candle, Event, InstrumentId, Micros, Trade
from tapewatch.model.times import SECOND, Interval, iso
from tapewatch.ports import Plugin
from tapewatch.stores._kinds import KINDS

if TYPE_CHECKING:  # pyarrow is imported with the first query, not before
    import pyarrow as pa

    from tapewatch.stores._engine import Engine

E = TypeVar("E", bound=Event)
T = TypeVar("T")

_LAST = 253_402_300_799 * SECOND  # year 9999, the last that a timestamp's text can say
_CATALOGUE = re.compile(r"\bshow\b|\binformation_schema\b|\bduckdb_", re.IGNORECASE)
# Our own candle if it saw everything, else the venue's, which always did, else ours.
_BETTER = (
    "CASE WHEN origin = 'own' AND quality IN ('complete', 'repaired') THEN 0"
    " WHEN origin = 'venue' THEN 1 ELSE 2 END"
)


class DuckDbConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `storage: duckdb:`."""

    memory_mb: int = 512
    threads: int = 2
    timeout_secs: float = 30.0
    max_rows: int = 100_000  # of one SQL answer


class DuckDb:
    """A `Query`. Raises ValueError for a question that cannot be asked, Unavailable for a limit."""

    def __init__(
        self, data_dir: Path, *, config: DuckDbConfig | None = None, name: str = "duckdb"
    ) -> None:
        self.name = name
        self._dir = data_dir
        self._config = config or DuckDbConfig()
        self._engine: Engine | None = None
        self._making = threading.Lock()
        self._threads = ThreadPoolExecutor(2, "duckdb")

    async def candles(
        self,
        inst: InstrumentId,
        interval: str,
        since: Micros,
        until: Micros,
        limit: int,
        *,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Candle]:
        page = _Page(since, until, limit, offset, newest)
        return await self._call(partial(self._candles, inst, Interval.parse(interval), page))

    async def trades(
        self,
        inst: InstrumentId,
        since: Micros,
        until: Micros,
        limit: int,
        *,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Trade]:
        """Give each fill once: what another channel told as well (`echo`) is left out."""
        page = _Page(since, until, limit, offset, newest)
        return await self._call(partial(self._trades, inst, page))

    async def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        table = await self._call(partial(self.table, statement))
        columns = [column.to_pylist() for column in table.columns]
        return table.column_names, list(zip(*columns, strict=True))

    async def between(
        self, kind: str, columns: str, where: str, since: Micros, until: Micros
    ) -> "pa.Table":
        """Give columns of one kind as Arrow, from the files that may hold that time only."""
        page = _Page(since, until, 0, 0, newest=False)
        statement = f"SELECT {columns} FROM {kind} WHERE {page.where} AND ({where})"  # noqa: S608 - ours
        ask = partial(self._made().ask, statement, [kind], since=since, until=until)
        return await self._call(ask)

    async def instruments(self) -> list[InstrumentId]:
        """Give all instruments that candles or trades are stored of."""
        return await self._call(self._instruments)

    def close(self) -> None:
        self._threads.shutdown()
        if self._engine is not None:
            self._engine.close()

    # --- in a thread; also for the command line, which has no loop -------------------------------

    def table(self, statement: str, max_rows: int | None = None) -> "pa.Table":
        """Run one SELECT that a person wrote."""
        mentioned = [
            kind
            for kind in KINDS
            if re.search(rf"\b{kind}\b", statement, re.IGNORECASE) or _CATALOGUE.search(statement)
        ]
        rows = self._config.max_rows if max_rows is None else max_rows
        table = self._made().ask(statement, mentioned, max_rows=rows, foreign=True)
        if table.num_rows > rows:
            raise ValueError(f"more than {rows:,} rows: ask for fewer, with WHERE or LIMIT")
        return table

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _made(self) -> "Engine":
        with self._making:
            if self._engine is None:
                from tapewatch.stores._engine import Engine

                config = self._config
                self._engine = Engine(
                    self._dir, config.memory_mb, config.threads, config.timeout_secs
                )
            return self._engine

    def _trades(self, inst: InstrumentId, page: "_Page") -> list[Trade]:
        statement = (
            "SELECT * FROM trades WHERE inst = $inst AND NOT coalesce(echo, false)"  # noqa: S608 - times, numbers
            f" AND {page.where} {page.order('ts', 'try_cast(id AS BIGINT)', 'id')}"
        )
        return page.ascending(self._events(Trade, "trades", statement, inst, page))

    def _candles(self, inst: InstrumentId, interval: Interval, page: "_Page") -> list[Candle]:
        stored = self._intervals(inst, page)
        if interval in stored or not stored:
            return page.ascending(self._stored_candles(inst, interval, page))
        from tapewatch.process.rollup import largest_divisor, rollup

        base = largest_divisor(interval, stored)
        made = rollup(self._stored_candles(inst, base, page.widened(interval, base)), interval)
        made = [candle for candle in made if page.since <= candle.ts < page.until]
        return page.cut(made)

    def _intervals(self, inst: InstrumentId, page: "_Page") -> list[Interval]:
        statement = (
            'SELECT DISTINCT "interval" AS name FROM candles'  # noqa: S608 - times of ours
            f" WHERE inst = $inst AND {page.where}"
        )
        table = self._made().ask(
            statement, ["candles"], {"inst": inst}, since=page.since, until=page.until
        )
        return [Interval.parse(name) for name in table.column("name").to_pylist()]

    def _stored_candles(
        self, inst: InstrumentId, interval: Interval, page: "_Page"
    ) -> list[Candle]:
        statement = (
            "SELECT * EXCLUDE (nth) FROM (SELECT *, row_number() OVER"  # noqa: S608 - times of ours
            f" (PARTITION BY ts ORDER BY {_BETTER}) AS nth FROM candles"
            f" WHERE inst = $inst AND \"interval\" = '{interval.name}' AND {page.where})"
            f" WHERE nth = 1 {page.order('ts')}"
        )
        return self._events(Candle, "candles", statement, inst, page)

    def _events(
        self, event: type[E], kind: str, statement: str, inst: InstrumentId, page: "_Page"
    ) -> list[E]:
        from tapewatch.stores._arrow import from_table

        table = self._made().ask(
            statement, [kind], {"inst": inst}, since=page.since, until=page.until
        )
        return from_table(event, table)

    def _instruments(self) -> list[InstrumentId]:
        table = self._made().ask(
            "SELECT DISTINCT inst FROM (SELECT inst FROM candles UNION ALL SELECT inst FROM trades)"
            " ORDER BY inst",
            ["candles", "trades"],
        )
        found: list[InstrumentId] = table.column("inst").to_pylist()
        return found


class _Page(msgspec.Struct, frozen=True):
    """A part of a time range: `limit` rows after `offset`, counted from one of its ends."""

    since: Micros
    until: Micros
    limit: int
    offset: int
    newest: bool

    @property
    def where(self) -> str:
        """A comparison with constants, so that DuckDB skips what cannot match."""
        since, until = (iso(Micros(min(max(at, 0), _LAST))) for at in (self.since, self.until))
        return f"ts >= TIMESTAMPTZ '{since}' AND ts < TIMESTAMPTZ '{until}'"

    def order(self, *columns: str) -> str:
        way = "DESC" if self.newest else "ASC"
        by = ", ".join(f"{column} {way}" for column in columns)
        return f"ORDER BY {by} LIMIT {max(self.limit, 0):d} OFFSET {max(self.offset, 0):d}"

    def ascending(self, events: list[E]) -> list[E]:
        return events[::-1] if self.newest else events

    def widened(self, interval: Interval, base: Interval) -> "_Page":
        """Base candles for this page of larger ones: whole groups, one more than can be cut."""
        since = interval.floor(self.since)
        if since < self.since:
            since = Micros(since + interval.micros)
        until = interval.floor(Micros(self.until - 1)) + interval.micros
        groups = self.limit + self.offset + 1
        return _Page(
            since, Micros(until), groups * (interval.micros // base.micros), 0, self.newest
        )

    def cut(self, candles: list[Candle]) -> list[Candle]:
        if self.newest:
            end = len(candles) - self.offset
            return candles[max(0, end - self.limit) : max(0, end)]
        return candles[self.offset : self.offset + self.limit]


def build(name: str, config: DuckDbConfig, **runtime: Any) -> DuckDb:
    return DuckDb(config=config, name=name, **runtime)


PLUGIN = Plugin(config=DuckDbConfig, build=build)
