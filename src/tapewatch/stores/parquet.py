"""The default store: an hour of one kind in one Parquet file, the open hour in a journal.

    write ──> journal of (kind, hour) ──hour over──> compactor ──> Parquet
                     ^                                   |
                     +---- late rows: a new journal <----+

An hour is over when rows are received that are more than `grace_secs` past its end, or, for what
a former process left behind, when the clock says so. A batch is written whole or not at all: if
one journal fails, the others are cut back, so that the same batch can come again.

It imports neither pyarrow nor DuckDB (70 MB that a collector need not carry), never waits for
the compactor, and gives nobody rows to read; `duckdb.py` does.
"""

import asyncio
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tapewatch.model.codec import encode_msgpack
from tapewatch.model.errors import ConfigError, Rejected
from tapewatch.model.events import Batch, Event, Micros
from tapewatch.model.times import HOUR, SECOND
from tapewatch.ports import Clock, Counters, Plugin, Subscription
from tapewatch.stores._compactor import Compactor
from tapewatch.stores._folder import (
    FolderLock,
    Hour,
    journal_path,
    list_files,
    words,
)
from tapewatch.stores._groups import Group, groups, storable
from tapewatch.stores._journal import Journal, cut_torn_end
from tapewatch.stores._kinds import KINDS, STORED
from tapewatch.stores._retention import sweep
from tapewatch.stores._stored import Stored, received_since, stored_ids

log = logging.getLogger("tapewatch.stores.parquet")
T = TypeVar("T")

LOCK_NAME = "tapewatch.lock"
_MAX_OPEN = 64  # journals; a backfill goes through many hours
_RETRY_SECS = 60
_BATCH = 10_000


class ParquetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `storage: parquet:`."""

    grace_secs: float = 60.0  # how long an hour waits for late rows before it becomes Parquet
    compact_memory_mb: int = 512  # of the child; it uses the disk beyond that


class _Open(msgspec.Struct):
    journal: Journal
    last: Micros  # receive time of the newest row when it was written


class Parquet:
    """A `Sink`. `open()` takes the folder for this process and may be called again."""

    wants: frozenset[type[Event]] = STORED

    def __init__(
        self,
        data_dir: Path,
        *,
        clock: Clock,
        config: ParquetConfig | None = None,
        keep_days: Mapping[str, float] | None = None,
        name: str = "parquet",
    ) -> None:
        config = config or ParquetConfig()
        self.name = name
        self.counters = Counters()
        self._dir = data_dir
        self._clock = clock
        self._grace = int(config.grace_secs * SECOND)
        self._keep_days = dict(keep_days or {})
        self._lock = FolderLock(data_dir / LOCK_NAME)
        self._memory_mb = config.compact_memory_mb
        self._compactor = Compactor(data_dir, self.counters, self._memory_mb)
        self._left: dict[tuple[str, Hour], list[Path]] = {}  # open hours of a former process
        self._open: OrderedDict[tuple[str, Hour], _Open] = OrderedDict()
        self._newest = Micros(0)  # receive time: our own clock, so no venue can end an hour
        self._check_at = Micros(0)
        self._swept: Hour = 0
        self._thread: ThreadPoolExecutor | None = None  # one: writes keep their order
        self._compacting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Recover what a former process left. Raise ConfigError if the folder cannot be used.

        Hours that are over become Parquet with the first write, not before: until then
        `stored` and `received_since` find all that was left in the journals.
        """
        if self._thread is not None:
            return
        self._thread = ThreadPoolExecutor(1, "parquet")
        try:
            await self._call(self._recover)
        except ConfigError:
            self._thread.shutdown()
            self._thread = None
            raise

    async def write(self, batch: Batch) -> None:
        await self._call(partial(self._write, batch))
        if self._newest >= self._check_at:
            await self._call(self._end_hours)
            self._compact_soon()

    async def close(self) -> None:
        """Leave the open hours as journals; a conversion under way is done at the next start."""
        if self._thread is None:
            return
        self._compactor.stop()
        if self._compacting is not None:
            await self._compacting
        await self._call(self._close_files)
        self._thread.shutdown()
        self._thread = None

    async def stored(self) -> dict[Subscription, Stored]:
        """Tell which trade ids the journals hold: what was written lately, exactly."""
        return await self._call(partial(stored_ids, self._dir))

    async def last_ids(self) -> dict[Subscription, int]:
        """Give the last trade id in the journals for each stream that has any there."""
        return {stream: seen.runs[-1][1] for stream, seen in (await self.stored()).items()}

    async def received_since(
        self, mark: Micros, kinds: Sequence[str] = ("trades", "gaps")
    ) -> list[Batch]:
        """Give what a former process stored after `mark`, from its journals, in order of receipt.

        Ask before the first write. Hours that have become Parquet are not looked at.
        """
        found = await self._call(partial(received_since, self._dir, kinds, mark))
        return [found[at : at + _BATCH] for at in range(0, len(found), _BATCH)]

    async def convert(self, before: Micros) -> None:
        """Make Parquet of what was written here into hours that ended by `before`; wait for it."""
        await self._call(partial(self._seal_until, before))
        for _ in range(2):  # a child may be at work on what was handed over before
            self._compact_soon()
            await self.compacted()

    async def compacted(self) -> None:
        """Wait until no hour that is over waits for its Parquet file."""
        if self._compacting is not None:
            await self._compacting

    async def _call(self, work: Callable[[], T]) -> T:
        assert self._thread is not None, "open() comes first"
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread ---------------------------------------------------------------------------

    def _recover(self) -> None:
        try:
            for kind in KINDS:
                (self._dir / kind).mkdir(parents=True, exist_ok=True)
            self._lock.take()
        except OSError as error:
            raise ConfigError(
                f"the data folder {self._dir} cannot be used: {error.strerror or error};"
                " name another with data_dir, or give this user the right to write there"
            ) from error
        self._compactor = Compactor(self._dir, self.counters, self._memory_mb)
        self._left = {}
        self._newest = self._clock()
        for kind in KINDS:
            for hour, journals in list_files(self._dir, kind).journals.items():
                for path in journals:
                    self._report_torn(path)
                self._left[kind, hour] = journals
        self._check_at = Micros(0)

    def _report_torn(self, path: Path) -> None:
        torn = cut_torn_end(path)
        if torn:
            self.counters.error("torn journal")
            log.warning("torn_end_cut", extra={"fields": {"file": str(path), "bytes": torn}})

    def _write(self, batch: Batch) -> None:
        try:
            shares = [(group, encode_msgpack(group.rows)) for group in groups(batch)]
        except (ValueError, OverflowError, TypeError) as error:
            bad = frozenset(i for i, event in enumerate(batch) if not storable(event))
            self._write([event for i, event in enumerate(batch) if i not in bad])
            raise Rejected(f"cannot be written: {error}", bad) from error
        done: list[tuple[Journal, int]] = []
        path = self._dir
        try:
            os.stat(self._dir)  # noqa: PTH116 - a lost disk must not be replaced by a new folder
            for group, payload in shares:
                path = journal_path(self._dir, group.kind, group.hour, 0)
                journal = self._journal(group.kind, group.hour)
                done.append((journal, journal.size))
                journal.append(payload)
        except OSError as error:
            for journal, size in done:
                journal.cut(size)
            self.counters.error("write failed")
            raise words(error, path) from error
        self._count(shares)

    def _count(self, shares: list[tuple[Group, bytes]]) -> None:
        for group, _ in shares:
            self._newest = max(self._newest, group.rows[-1].recv)
            self._open[group.kind, group.hour].last = self._newest
            self.counters.received += len(group.rows)
            self.counters.last_ts = max(self.counters.last_ts, group.rows[-1].ts)
        while len(self._open) > _MAX_OPEN:
            self._seal(next(iter(self._open)))

    def _journal(self, kind: str, hour: Hour) -> Journal:
        found = self._open.get((kind, hour))
        if found is not None:
            self._open.move_to_end((kind, hour))
            if not found.journal.at_home():
                found.journal.bring_home()
                self.counters.error("journal removed")
                log.warning("journal_restored", extra={"fields": {"file": str(found.journal.path)}})
            return found.journal
        journal = self._create(kind, hour)
        self._open[kind, hour] = _Open(journal, self._newest)
        return journal

    def _create(self, kind: str, hour: Hour) -> Journal:
        """Always a new file: the old ones may be in the hands of a compacting child."""
        number = 0
        while True:
            path = journal_path(self._dir, kind, hour, number)
            try:
                return Journal.create(path)
            except FileExistsError:
                number += 1
            except FileNotFoundError:
                path.parent.mkdir()  # only the kind's folder: FileNotFoundError if all is gone

    def _over(self, hour: Hour) -> bool:
        return self._newest >= (hour + 1) * HOUR + self._grace

    def _seal(self, key: tuple[str, Hour]) -> None:
        journal = self._open.pop(key).journal
        journal.close()
        self._compactor.add(*key, journal.path)

    def _end_hours(self) -> None:
        """Hand over journals of hours that are over and that nobody wrote into for the grace."""
        for key, found in list(self._open.items()):
            if self._over(key[1]) and self._newest >= found.last + self._grace:
                self._seal(key)
        for key in [key for key in self._left if self._over(key[1])]:
            for path in self._left.pop(key):
                self._compactor.add(*key, path)
        self._check_at = Micros(self._newest + min(self._grace, _RETRY_SECS * SECOND))
        hour = self._newest // HOUR
        if self._keep_days and hour > self._swept:
            self._swept = hour
            self._sweep()

    def _seal_until(self, before: Micros) -> None:
        for key in [key for key in self._open if (key[1] + 1) * HOUR <= before]:
            self._seal(key)

    def _sweep(self) -> None:
        try:
            count = sweep(self._dir, self._keep_days, self._clock())
        except OSError as error:
            self.counters.error("retention")
            log.warning("retention_failed", extra={"fields": {"error": str(error)}})
        else:
            log.info("old_files_deleted", extra={"fields": {"files": count}})

    def _close_files(self) -> None:
        for found in self._open.values():
            found.journal.close()
        self._open.clear()
        self._lock.free()

    # --- in the loop -----------------------------------------------------------------------------

    def _compact_soon(self) -> None:
        busy = self._compacting is not None and not self._compacting.done()
        if self._compactor.waiting and not busy:
            self._compacting = asyncio.create_task(self._compact(), name="compact")

    async def _compact(self) -> None:
        """In a thread of its own: it waits for a child process, writing must not wait with it."""
        worker = ThreadPoolExecutor(1, "compact")
        try:
            while await asyncio.get_running_loop().run_in_executor(worker, self._compactor.run):
                if not self._compactor.waiting:
                    return
        finally:
            worker.shutdown()


def build(name: str, config: ParquetConfig, **runtime: Any) -> Parquet:
    return Parquet(config=config, name=name, **runtime)


PLUGIN = Plugin(config=ParquetConfig, build=build)
