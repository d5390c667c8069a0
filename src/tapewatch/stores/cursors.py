"""How far each backfill is: a small SQLite file, so that a killed one can be taken up again.

A job is known by what a person asked for, word for word: `--from -24h` asked for again goes on with
the range that it meant the first time. It is written behind the rows and the ledger, so after a
kill it is at most behind: one page is fetched again, and its rows are known by their keys.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import InstrumentId, Micros

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS jobs (
        inst TEXT NOT NULL, what TEXT NOT NULL, asked TEXT NOT NULL,
        since INTEGER NOT NULL, until INTEGER NOT NULL, begun INTEGER NOT NULL,
        cursor TEXT NOT NULL, reached INTEGER NOT NULL, rows INTEGER NOT NULL, first INTEGER,
        lost INTEGER NOT NULL, absent TEXT NOT NULL,
        PRIMARY KEY (inst, what, asked)
    ) WITHOUT ROWID;
"""


class Job(Struct):
    """One backfill that is not done."""

    inst: InstrumentId
    what: str  # "trades", or "candles 1m"
    asked: str  # the range as it was written
    since: Micros
    until: Micros
    begun: Micros
    cursor: str = ""
    reached: Micros = Micros(0)
    rows: int = 0  # that the venue gave
    first: Micros | None = None  # event time of the first of them
    lost: int = 0  # ids that the venue does not have
    absent: str = ""  # what cannot be had, in words


class Cursors:
    """Each call opens the file and closes it again: once a page, which costs a millisecond."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, inst: InstrumentId, what: str, asked: str) -> Job | None:
        """Give the job that was asked for so and is not done."""
        with closing(self._open()) as base:
            row = base.execute(
                "SELECT * FROM jobs WHERE inst = ? AND what = ? AND asked = ?", (inst, what, asked)
            ).fetchone()
        return None if row is None else Job(*row)

    def keep(self, job: Job) -> None:
        values = [getattr(job, name) for name in Job.__struct_fields__]
        marks = ", ".join("?" * len(values))
        self._do(f"INSERT OR REPLACE INTO jobs VALUES ({marks})", values)  # noqa: S608 - question marks

    def forget(self, job: Job) -> None:
        """It is done."""
        self._do(
            "DELETE FROM jobs WHERE inst = ? AND what = ? AND asked = ?",
            [job.inst, job.what, job.asked],
        )

    def _do(self, statement: str, values: list[object]) -> None:
        try:
            with closing(self._open()) as base, base:
                base.execute(statement, values)
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            base = sqlite3.connect(self._path, timeout=5.0)
            base.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise Unavailable(
                f"{self._path} cannot be used ({error}); it only says how far backfills are:"
                " delete it, and they begin anew"
            ) from error
        return base
