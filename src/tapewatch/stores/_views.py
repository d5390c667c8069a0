"""One SQL view a kind: its Parquet files and its open journals as one table without doubles.

Hours that have no journal are read as they are: their file holds each row once. The others are
few; their rows are made unique by natural key, because a row may be in the journal twice, or both
in the journal and in the file that is just being made of it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa

from tapewatch.model.events import Micros
from tapewatch.model.times import HOUR
from tapewatch.stores._folder import Files, Hour, list_files
from tapewatch.stores._kinds import KINDS
from tapewatch.stores._live import Live

T = TypeVar("T")


class Rows(msgspec.Struct, frozen=True):
    """Where the rows of one kind are."""

    kind: str
    closed: tuple[Path, ...]  # Parquet of hours that have no journal
    reopened: tuple[Path, ...]  # Parquet of hours that have one
    live: pa.Table


def gather(
    data_dir: Path, kind: str, live: Live, since: Micros | None = None, until: Micros | None = None
) -> Rows:
    """Find what may hold rows of the time range. Journals first, so that nothing is missed."""
    files = list_files(data_dir, kind)
    journals = _within(files.journals, since, until)
    table = live.table(kind, (path for hour in sorted(journals) for path in journals[hour]))
    parquet = _within(_relisted(data_dir, kind, files), since, until)
    return Rows(
        kind,
        tuple(path for hour, path in sorted(parquet.items()) if hour not in journals),
        tuple(path for hour, path in sorted(parquet.items()) if hour in journals),
        table,
    )


def select(rows: Rows, live_name: str, where: str = "true") -> str:
    """SQL for these rows. `where` may only speak of what all doubles of a row have in common."""
    columns = ", ".join(f'"{name}"' for name in rows.live.schema.names)
    kind = KINDS[rows.kind]
    uncertain = f"SELECT * FROM {live_name}"  # noqa: S608 - names of ours, here and below
    if rows.reopened:
        uncertain += f" UNION ALL BY NAME SELECT * FROM {_read(rows.reopened)}"  # noqa: S608
    unique = (
        f"SELECT {columns} FROM (SELECT *, row_number() OVER"  # noqa: S608
        f" (PARTITION BY {kind.key} ORDER BY {kind.best}) AS nth FROM ({uncertain})"
        f" WHERE {where}) WHERE nth = 1"
    )
    if not rows.closed:
        return unique
    return (
        f"{unique} UNION ALL BY NAME"  # noqa: S608
        f" SELECT * FROM {_read(rows.closed)} WHERE {where}"
    )


def _relisted(data_dir: Path, kind: str, before: Files) -> dict[Hour, Path]:
    """List Parquet again: an hour may have become a file while its journals were decoded."""
    return {**before.parquet, **list_files(data_dir, kind).parquet}


def _within(files: dict[Hour, T], since: Micros | None, until: Micros | None) -> dict[Hour, T]:
    return {
        hour: found
        for hour, found in files.items()
        if (since is None or (hour + 1) * HOUR > since) and (until is None or hour * HOUR < until)
    }


def _read(paths: Iterable[Path]) -> str:
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"read_parquet([{names}], union_by_name = true)"
