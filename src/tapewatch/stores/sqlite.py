"""One small SQLite file: the ledger of ids, and the subscriptions made at run time.

In WAL mode, so that readers and the one writer do not wait for each other and a killed process
leaves a good file. All work is done in one thread: the loop never waits for a disk. A file that
is damaged is moved aside and a new one begun; the ledger then knows only what the journals show.

What is stored about a stream is decided in `_ledger.py`; here it is only kept.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tapewatch.model.errors import ConfigError, Rejected, Unavailable
from tapewatch.model.events import Batch, Coverage, Event, Holding, Micros
from tapewatch.ports import Clock, Counters, Plugin, Subscription
from tapewatch.stores._ledger import Span, cut, overlay
from tapewatch.stores._stored import Stored

log = logging.getLogger("tapewatch.stores.sqlite")
T = TypeVar("T")

# One entry a version: what brings a file from the version before to this one.
MIGRATIONS = (
    """
    CREATE TABLE spans (
        inst TEXT NOT NULL, channel TEXT NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL,
        holding TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (inst, channel, first)
    ) WITHOUT ROWID;
    CREATE TABLE subscriptions (
        inst TEXT NOT NULL, channel TEXT NOT NULL, wanted INTEGER NOT NULL,
        PRIMARY KEY (inst, channel)
    ) WITHOUT ROWID;
    """,
)
_MAX_ID = 2**63 - 1
# Spans do not overlap, so of those that begin before ours only the nearest can touch it.
_NEAR = """
    SELECT first, last, holding, reason, at FROM spans
    WHERE inst = :inst AND channel = :channel AND first <= :last + 1 AND first >= coalesce(
        (SELECT max(first) FROM spans
         WHERE inst = :inst AND channel = :channel AND first < :first), :first)
    ORDER BY first
"""


class SqliteConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `storage: sqlite:`. Nothing to say yet: the file lies in the data folder."""


class Sqlite:
    """A `Sink` of Coverage, the `Ledger` and the `Registry`."""

    wants: frozenset[type[Event]] = frozenset({Coverage})

    def __init__(self, path: Path, *, clock: Clock, name: str = "sqlite") -> None:
        self.name = name
        self.counters = Counters()
        self._path = path
        self._clock = clock
        self._base: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """May be called again. Raise Unavailable, or ConfigError for a file of the future."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "sqlite")
        await self._call(self._connection)

    async def write(self, batch: Batch) -> None:
        await self._call(partial(self._write, batch))

    async def close(self) -> None:
        if self._thread is not None:
            await self._call(self._close)
            self._thread.shutdown()
            self._thread = None

    async def resume(self) -> dict[Subscription, int]:
        """Give the last id in hand of each stream."""
        rows = await self._call(
            partial(
                self._select,
                "SELECT inst, channel, max(last) FROM spans"
                " WHERE holding IN ('have', 'repaired') GROUP BY inst, channel",
            )
        )
        return {Subscription(inst, channel): last for inst, channel, last in rows}

    async def coverage(self, inst: str | None = None, channel: str | None = None) -> list[Coverage]:
        rows = await self._call(
            partial(
                self._select,
                "SELECT at, inst, channel, first, last, holding, reason FROM spans"
                " WHERE (?1 IS NULL OR inst = ?1) AND (?2 IS NULL OR channel = ?2)"
                " ORDER BY inst, channel, first",
                (inst, channel),
            )
        )
        return [
            Coverage(at, at, name, word, first, last, Holding(holding), reason)
            for at, name, word, first, last, holding, reason in rows
        ]

    async def trim(self, stored: Mapping[Subscription, Stored]) -> None:
        """Make the ledger agree with the disk, at start.

        Of each stream in `stored` (from `Parquet.stored()`): what is claimed behind the last id
        on disk is forgotten, what lies on disk and is not claimed is put down as held. Other
        streams are left alone: the ledger is written behind the trades, so they are right.
        """
        await self._call(partial(self._trim, stored))

    async def forget(self, venue: str) -> None:
        """Take back what is said of ids of this venue: they prove nothing."""
        await self._call(partial(self._forget, venue))

    async def load(self) -> list[tuple[Subscription, bool]]:
        rows = await self._call(
            partial(self._select, "SELECT inst, channel, wanted FROM subscriptions ORDER BY 1, 2")
        )
        return [(Subscription(inst, channel), bool(wanted)) for inst, channel, wanted in rows]

    async def save(self, subscriptions: Iterable[Subscription], *, wanted: bool) -> None:
        rows = [(one.inst, one.channel, wanted) for one in subscriptions]
        await self._call(partial(self._save, rows))

    async def _call(self, work: Callable[[], T]) -> T:
        assert self._thread is not None, "open() comes first"
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(self._guarded, work)
        )

    # --- in the thread ---------------------------------------------------------------------------

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self._path}: {error}; it is tried again") from error
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
            raise Unavailable(f"{self._path} was damaged ({error}); a new one is begun") from error

    def _connection(self) -> sqlite3.Connection:
        if self._base is None:
            self._base = self._connect()
        return self._base

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
            return self._open_file()

    def _open_file(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise sqlite3.OperationalError(f"no folder for it: {error.strerror}") from error
        # autocommit: transactions are begun where they are needed, in `with _transaction`.
        base = sqlite3.connect(
            self._path, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        try:
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = NORMAL")
            _check(base)
            self._migrate(base)
        except BaseException:
            base.close()
            raise
        return base

    def _migrate(self, base: sqlite3.Connection) -> None:
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise ConfigError(
                f"{self._path} was written by a newer tapewatch (version {version}, this one"
                f" knows {len(MIGRATIONS)}): use the newer one, or another data_dir"
            )
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            base.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        self._close()
        aside = self._path.with_name(f"{self._path.name}.damaged-{self._clock()}")
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        if self._path.exists():
            self._path.replace(aside)
        self.counters.error("damaged")
        fields = {"file": str(self._path), "kept_as": str(aside), "error": str(error)}
        log.error("ledger_damaged", extra={"fields": fields})

    def _close(self) -> None:
        base, self._base = self._base, None
        if base is not None:
            base.close()

    def _select(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection().execute(statement, values).fetchall()

    def _save(self, rows: list[tuple[str, str, bool]]) -> None:
        with self._transaction() as base:
            base.executemany("INSERT OR REPLACE INTO subscriptions VALUES (?, ?, ?)", rows)

    def _write(self, batch: Batch) -> None:
        bad = []
        with self._transaction() as base:
            for index, event in enumerate(batch):
                if type(event) is not Coverage:
                    continue
                if not 0 <= event.first <= event.last < _MAX_ID:
                    bad.append(index)
                    continue
                span = Span(event.first, event.last, event.holding, event.reason, event.recv)
                self._lay(base, Subscription(event.inst, event.channel), span)
        self.counters.received += len(batch)
        if bad:
            raise Rejected("its ids are no range within 63 bits", frozenset(bad))

    def _lay(self, base: sqlite3.Connection, stream: Subscription, span: Span) -> None:
        where = {
            "inst": stream.inst, "channel": stream.channel, "first": span.first, "last": span.last,
        }  # fmt: skip
        rows = base.execute(_NEAR, where).fetchall()
        known = [_span(row) for row in rows]
        self._replace(base, stream, known, overlay(known, span))

    def _replace(
        self, base: sqlite3.Connection, stream: Subscription, old: list[Span], new: list[Span]
    ) -> None:
        kept = set(old) & set(new)
        key = (stream.inst, stream.channel)
        base.executemany(
            "DELETE FROM spans WHERE inst = ? AND channel = ? AND first = ?",
            [(*key, span.first) for span in old if span not in kept],
        )
        base.executemany(
            "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (*key, span.first, span.last, span.holding.value, span.reason, span.at)
                for span in new
                if span not in kept
            ],
        )

    def _trim(self, stored: Mapping[Subscription, Stored]) -> None:
        with self._transaction() as base:
            for stream, found in stored.items():
                if found.live:
                    self._cut(base, stream, found.runs[-1][1])
                for first, last in found.runs:
                    self._lay(base, stream, Span(first, last, Holding.HAVE, "", self._clock()))

    def _forget(self, venue: str) -> None:
        with self._transaction() as base:  # `;` comes right after `:`
            base.execute(
                "DELETE FROM spans WHERE inst >= ? AND inst < ?", (f"{venue}:", f"{venue};")
            )

    def _cut(self, base: sqlite3.Connection, stream: Subscription, last: int) -> None:
        rows = base.execute(
            "SELECT first, last, holding, reason, at FROM spans"
            " WHERE inst = ? AND channel = ? AND last > ?",
            (stream.inst, stream.channel, last),
        ).fetchall()
        known = [_span(row) for row in rows]
        self._replace(base, stream, known, cut(known, last))

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._connection())


def _span(row: tuple[int, int, str, str, int]) -> Span:
    first, last, holding, reason, at = row
    return Span(first, last, Holding(holding), reason, Micros(at))


def _check(base: sqlite3.Connection) -> None:
    """Raise DatabaseError if the file is not what SQLite wrote."""
    (verdict,) = base.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


class _Transaction:
    """All or nothing, at once exclusive for writing: `with` of the connection begins too late."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> sqlite3.Connection:
        self._base.execute("BEGIN IMMEDIATE")
        return self._base

    def __exit__(self, kind: object, *_: object) -> None:
        self._base.execute("COMMIT" if kind is None else "ROLLBACK")


def build(name: str, config: SqliteConfig, **runtime: Any) -> Sqlite:  # noqa: ARG001
    return Sqlite(name=name, **runtime)


PLUGIN = Plugin(config=SqliteConfig, build=build)
