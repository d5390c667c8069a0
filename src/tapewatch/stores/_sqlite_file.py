"""One SQLite file and its one thread: opened late, migrated, moved aside when it is damaged.

In WAL mode, so that the command line reads while we write, and a killed process leaves a good file.
Each transaction is on the disk when it returns: what is kept here is little and must not be lost.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from tapewatch.model.errors import ConfigError, Unavailable
from tapewatch.ports import Clock, Counters

log = logging.getLogger("tapewatch.stores.sqlite_file")
T = TypeVar("T")


class SqliteFile:
    def __init__(
        self, path: Path, migrations: tuple[str, ...], *, clock: Clock, counters: Counters
    ) -> None:
        self._path = path
        self._migrations = migrations
        self._clock = clock
        self._counters = counters
        self._base: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do this in the file's thread. Raises Unavailable if the disk does not take it now."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, self._path.stem)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(self._guarded, work))

    async def close(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._shut)
            thread.shutdown()

    # --- in the thread ---------------------------------------------------------------------------

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._connection())
        except (sqlite3.OperationalError, OSError) as error:
            raise Unavailable(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise  # a statement of ours is wrong: the file is good
            self._move_aside(error)
        try:
            return work(self._connection())
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"{self._path}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._base is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: transactions begin where they are needed, in `transaction`.
            base = sqlite3.connect(
                self._path, timeout=5.0, isolation_level=None, check_same_thread=False
            )
            try:
                base.execute("PRAGMA journal_mode = WAL")
                base.execute("PRAGMA synchronous = FULL")
                self._migrate(base)
            except BaseException:
                base.close()
                raise
            self._base = base
        return self._base

    def _migrate(self, base: sqlite3.Connection) -> None:
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version > len(self._migrations):
            raise ConfigError(
                f"{self._path} was written by a newer tapewatch (version {version}, this one"
                f" knows {len(self._migrations)}): use the newer one, or another data_dir"
            )
        for number, script in enumerate(self._migrations[version:], version + 1):
            base.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        self._shut()
        aside = self._path.with_name(f"{self._path.name}.damaged-{self._clock()}")
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        if self._path.exists():
            self._path.replace(aside)
        self._counters.error("damaged")
        fields = {"file": str(self._path), "kept_as": str(aside), "error": str(error)}
        log.error("file_damaged", extra={"fields": fields})

    def _shut(self) -> None:
        base, self._base = self._base, None
        if base is not None:
            base.close()


@contextmanager
def transaction(base: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it or nothing."""
    base.execute("BEGIN IMMEDIATE")
    try:
        yield base
        base.execute("COMMIT")
    except BaseException:
        base.execute("ROLLBACK")
        raise


def look_into(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """Read a file that another process may be writing. Raises Unavailable."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            return work(base)
    except sqlite3.Error as error:
        raise Unavailable(f"{path}: {error}") from error
