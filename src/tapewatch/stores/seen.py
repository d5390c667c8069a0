"""Which articles were given already, over restarts, and which version of each feed that was.

A small SQLite file beside the others. It is opened for each turn and closed again: a turn comes
twice a minute, so nothing has to be kept open, and a process that is killed leaves a good file.

An article that its feed still lists is never forgotten: listing it makes it young again. Of those
that are listed no more the newest are kept, because feeds bring old articles back.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Micros
from tapewatch.ports import Clock, Counters

MAX_KEYS = 5_000  # of one source; feeds list 20 to 100 articles
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS seen (
        source TEXT NOT NULL, key BLOB NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (source, key)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS versions (
        source TEXT PRIMARY KEY, place BLOB NOT NULL, etag TEXT NOT NULL, modified TEXT NOT NULL
    ) WITHOUT ROWID;
"""

log = logging.getLogger("tapewatch.stores.seen")
T = TypeVar("T")


class Seen:
    """What a news feed remembers. Memory leads; the file follows, and is read at the start."""

    def __init__(self, path: Path, *, clock: Clock, max_keys: int = MAX_KEYS) -> None:
        self.counters = Counters()
        self._path = path
        self._clock = clock
        self._max_keys = max_keys
        self._keys: dict[str, dict[bytes, Micros]] = {}  # the longest unlisted come first
        self._unsaved: dict[str, dict[bytes, Micros]] = {}
        self._turn = asyncio.Lock()

    async def recall(self, source: str, url: str) -> tuple[str, str]:
        """Read what is known of a source: ETag and Last-Modified of the version that we have.

        Raises Unavailable while the file cannot be read: without it everything would be new.
        """
        keys, version = await self._call(partial(self._load, source, url))
        self._keys[source] = dict(keys)
        return version

    def has(self, source: str, key: bytes) -> bool:
        return key in self._keys.get(source, ())

    async def mark(
        self, source: str, keys: Iterable[bytes], url: str, version: tuple[str, str]
    ) -> None:
        """Note that all these are dealt with, and that the feed was of this version.

        What the file does not take now stays in memory and goes with the next turn.
        """
        now = self._clock()
        known = self._keys.setdefault(source, {})
        unsaved = self._unsaved.setdefault(source, {})
        for key in keys:
            known.pop(key, None)
            known[key] = unsaved[key] = now
        for key in list(known)[: max(0, len(known) - self._max_keys)]:
            del known[key]
            unsaved.pop(key, None)
        try:
            await self._call(partial(self._save, source, dict(unsaved), url, version))
        except Unavailable as error:
            self.counters.error("not saved")
            log.warning("seen_not_saved", extra={"fields": {"reason": error.reason}})
        else:
            unsaved.clear()

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn:
            return await asyncio.to_thread(self._guarded, work)

    # --- in a thread -----------------------------------------------------------------------------

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._in_file(work)
        except (sqlite3.OperationalError, OSError) as error:
            raise Unavailable(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            self._move_aside(error)
        try:
            return self._in_file(work)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"{self._path}: {error}") from error

    def _in_file(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with closing(sqlite3.connect(self._path, timeout=5.0)) as base:
            base.executescript(_SCHEMA)
            with base:
                return work(base)

    def _load(
        self, source: str, url: str, base: sqlite3.Connection
    ) -> tuple[list[tuple[bytes, Micros]], tuple[str, str]]:
        keys = base.execute(
            "SELECT key, at FROM seen WHERE source = ? ORDER BY at", (source,)
        ).fetchall()
        found = base.execute(
            "SELECT etag, modified FROM versions WHERE source = ? AND place = ?",
            (source, _place(url)),
        ).fetchone()
        return keys, found or ("", "")

    def _save(
        self,
        source: str,
        keys: Mapping[bytes, Micros],
        url: str,
        version: tuple[str, str],
        base: sqlite3.Connection,
    ) -> None:
        base.executemany(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
            [(source, key, at) for key, at in keys.items()],
        )
        base.execute(
            "DELETE FROM seen WHERE source = ?1 AND key NOT IN"
            " (SELECT key FROM seen WHERE source = ?1 ORDER BY at DESC LIMIT ?2)",
            (source, self._max_keys),
        )
        base.execute(
            "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)",
            (source, _place(url), *version),
        )

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged-{self._clock()}")
        self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
        if self._path.exists():
            self._path.replace(aside)
        self.counters.error("damaged")
        fields = {"file": str(self._path), "kept_as": str(aside), "error": str(error)}
        log.error("seen_damaged", extra={"fields": fields})


def _place(url: str) -> bytes:
    """A version belongs to an address, in which there may be somebody's key."""
    return blake2b(url.encode(), digest_size=16).digest()
