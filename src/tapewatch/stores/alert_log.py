"""What became of each alert: who was told, with which attempts, who was not and why.

It is spool and log in one SQLite file. The state of the grouping and what it said are written in
one transaction, so a killed process neither tells twice nor loses a notice: a notice is `waiting`
from the moment it is made until its channel has it.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from tapewatch.model.channel import Notice
from tapewatch.model.events import Alert, Micros
from tapewatch.model.times import DAY
from tapewatch.ports import Clock, Counters
from tapewatch.rules.notices import State, Suppressed, Word, title
from tapewatch.rules.story import Attempt, Line, Story
from tapewatch.stores import _alert_rows as rows
from tapewatch.stores._alert_rows import DROPPED, FAILED, SENT, WAITING
from tapewatch.stores._sqlite_file import SqliteFile, look_into, transaction

__all__ = ["DROPPED", "FAILED", "FILE", "SENT", "WAITING", "AlertLog", "Waiting", "read"]

log = logging.getLogger("tapewatch.stores.alert_log")

FILE = "alerts.sqlite"
KEEP_DAYS = 90.0
T = TypeVar("T")


class Waiting(Struct, frozen=True):
    """A notice that a former run did not bring to its channel."""

    notice: Notice
    attempts: int


class AlertLog:
    def __init__(self, path: Path, *, clock: Clock, keep_days: float = KEEP_DAYS) -> None:
        self.counters = Counters()
        self._clock = clock
        self._keep = int(keep_days * DAY)
        self._file = SqliteFile(path, rows.MIGRATIONS, clock=clock, counters=self.counters)

    async def recall(self) -> tuple[State, list[Waiting]]:
        """What a former run left: the state, and the notices that wait, the oldest first."""
        return await self._file.call(self._recall)

    async def write(self, state: State, alerts: Sequence[Alert], words: Sequence[Word]) -> None:
        """Keep one step. Raises Unavailable; nothing of it is written then."""
        body = msgspec.msgpack.encode(state)
        await self._file.call(partial(_write, body, tuple(alerts), tuple(words)))

    async def attempted(self, notice_id: str, attempt: Attempt, status: str) -> None:
        """Note what came of one try, and how the notice stands now."""
        await self._file.call(partial(_attempted, notice_id, attempt, status))

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        return await self._file.call(question)

    async def history(
        self, since: Micros, until: Micros, limit: int, channel: str = ""
    ) -> list[Line]:
        return await self.ask(lambda base: rows.history(base, since, until, limit, channel))

    async def story(self, alert_id: str) -> Story:
        return await self.ask(lambda base: rows.story(base, alert_id))

    async def newest_ids(self, limit: int) -> list[str]:
        return await self.ask(lambda base: rows.newest_ids(base, limit))

    async def prune(self) -> None:
        before = Micros(self._clock() - self._keep)
        await self.ask(lambda base: rows.prune(base, before))

    async def close(self) -> None:
        await self._file.close()

    def _recall(self, base: sqlite3.Connection) -> tuple[State, list[Waiting]]:
        found = base.execute("SELECT body FROM state").fetchone()
        state = _state(found[0]) if found else State()
        waiting = base.execute(
            "SELECT body, (SELECT count(*) FROM attempts WHERE notice = id)"
            " FROM notices WHERE status = 'waiting' ORDER BY at, id"
        )
        decode = msgspec.msgpack.Decoder(Notice).decode
        return state, [Waiting(decode(body), tries) for body, tries in waiting]


def _state(body: bytes) -> State:
    try:
        return msgspec.msgpack.decode(body, type=State)
    except msgspec.DecodeError:  # of a version that kept it in another way
        log.exception("alerts_start_fresh", extra={"fields": {"kept": "nothing"}})
        return State()


def read(folder: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    """Ask the log of a data folder, whether tapewatch runs or not. Raises Unavailable."""
    return look_into(folder / FILE, question)


def _write(
    body: bytes, alerts: tuple[Alert, ...], words: tuple[Word, ...], base: sqlite3.Connection
) -> None:
    encode = msgspec.msgpack.encode
    notices = [word for word in words if isinstance(word, Notice)]
    suppressed = [word for word in words if isinstance(word, Suppressed)]
    with transaction(base):
        base.execute("INSERT OR REPLACE INTO state VALUES (1, ?)", (body,))
        base.executemany(
            "INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?)",
            [(one.id, one.state.value, one.recv, encode(one)) for one in alerts],
        )
        base.executemany(
            "INSERT OR IGNORE INTO notices VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (one.id, one.channel, one.at, title(one), len(one.alerts), WAITING, encode(one))
                for one in notices
            ],
        )
        base.executemany(
            "INSERT OR IGNORE INTO told VALUES (?, ?)",
            [(alert.id, one.id) for one in notices for alert in one.alerts],
        )
        base.executemany(
            "INSERT OR IGNORE INTO suppressed VALUES (?, ?, ?, ?)",
            [(one.alert, one.channel, one.at, one.reason) for one in suppressed],
        )


def _attempted(notice_id: str, attempt: Attempt, status: str, base: sqlite3.Connection) -> None:
    with transaction(base):
        base.execute(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?)",
            (notice_id, attempt.at, attempt.ok, attempt.said, attempt.took_ms),
        )
        base.execute("UPDATE notices SET status = ? WHERE id = ?", (status, notice_id))
