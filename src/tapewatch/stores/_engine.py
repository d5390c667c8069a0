"""A locked-down DuckDB over the views of the data folder. One for a process, many threads.

Every question gets its own cursor with its own views, so nothing that is asked can change what
the next one sees. Files may be replaced or deleted while a question reads them; it is then asked
once more.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Micros
from tapewatch.stores._kinds import KINDS
from tapewatch.stores._live import Live
from tapewatch.stores._views import gather, select

_AGAIN_SECS = 0.05


class Engine:
    def __init__(self, data_dir: Path, memory_mb: int, threads: int, timeout_secs: float) -> None:
        self._dir = data_dir.resolve()
        self._timeout = timeout_secs
        self._live = Live()
        self._decoding = threading.Lock()
        self._base = _locked_down(self._dir, memory_mb, threads)

    def close(self) -> None:
        self._base.close()

    def ask(
        self,
        statement: str,
        kinds: Sequence[str],
        values: Mapping[str, Any] | None = None,
        *,
        since: Micros | None = None,
        until: Micros | None = None,
        max_rows: int | None = None,
        foreign: bool = False,
    ) -> pa.Table:
        """Give the answer, at most one row more than `max_rows`.

        Raise ValueError if the statement is wrong or may not be run, Unavailable if it takes
        too long or too much memory.
        """
        if foreign:
            statement = _only_reading(statement)
        try:
            return self._answer(statement, kinds, values, (since, until), max_rows)
        except (duckdb.IOException, FileNotFoundError):
            return self._last_try(statement, kinds, values, (since, until), max_rows)

    def _last_try(self, *question: Any) -> pa.Table:
        try:
            return self._answer(*question)
        except (duckdb.IOException, OSError) as error:
            raise Unavailable(f"{self._dir} cannot be read: {_first_line(error)}") from error

    def _answer(
        self,
        statement: str,
        kinds: Sequence[str],
        values: Mapping[str, Any] | None,
        times: tuple[Micros | None, Micros | None],
        max_rows: int | None,
    ) -> pa.Table:
        cursor = self._base.cursor()
        over = threading.Event()
        limit = threading.Thread(
            target=_interrupt_until, args=(over, cursor, self._timeout), daemon=True
        )
        limit.start()
        try:
            for kind in kinds:
                self._show(cursor, kind, *times)
            return _fetch(cursor, statement, values, max_rows)
        except duckdb.InterruptException as error:
            raise Unavailable(
                f"the query took longer than {self._timeout:g} s: narrow its time range"
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise Unavailable(
                "the query needs more memory than it may have: narrow it, or raise memory_mb"
            ) from error
        except duckdb.IOException:
            raise
        except duckdb.Error as error:
            raise ValueError(_in_words(error)) from error
        finally:
            over.set()
            limit.join()
            cursor.close()

    def _show(self, cursor: Any, kind: str, since: Micros | None, until: Micros | None) -> None:
        with self._decoding:
            rows = gather(self._dir, kind, self._live, since, until)
        name = f"open_{kind}"
        cursor.register(name, rows.live)
        cursor.execute(f"CREATE TEMP VIEW {kind} AS {select(rows, name)}")


def _locked_down(data_dir: Path, memory_mb: int, threads: int) -> Any:
    base = duckdb.connect(
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": str(threads),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
            "temp_directory": "",
        }
    )
    folders = ", ".join(
        f"'{str(data_dir / kind).replace(chr(39), chr(39) * 2)}/'" for kind in KINDS
    )
    base.execute("SET TimeZone = 'UTC'")
    base.execute(f"SET allowed_directories = [{folders}]")
    base.execute("SET enable_external_access = false")
    base.execute("SET lock_configuration = true")
    return base


def _only_reading(statement: str) -> str:
    """Let one SELECT through. Raise ValueError for anything else: EXPLAIN ANALYZE COPY copies."""
    try:
        found = duckdb.extract_statements(statement)
    except duckdb.Error as error:
        raise ValueError(_in_words(error)) from error
    if len(found) != 1:
        raise ValueError(f"one statement at a time, please: these are {len(found)}")
    if found[0].type.name != "SELECT":
        raise ValueError(
            f"{found[0].type.name} is not allowed here: only SELECT, the data is read-only"
        )
    return str(found[0].query)


def _interrupt_until(over: threading.Event, cursor: Any, secs: float) -> None:
    """End what takes longer. More than once: DuckDB forgets an interrupt between two statements."""
    while not over.wait(secs):
        cursor.interrupt()
        secs = _AGAIN_SECS


def _fetch(
    cursor: Any, statement: str, values: Mapping[str, Any] | None, max_rows: int | None
) -> pa.Table:
    relation = cursor.sql(statement, params=dict(values) if values else None)
    if relation is None:
        raise ValueError("the statement has no result")
    reader = relation.to_arrow_reader(8_192)
    batches, rows = [], 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if max_rows is not None and rows > max_rows:
            break
    return pa.Table.from_batches(batches, schema=reader.schema)


def _in_words(error: duckdb.Error) -> str:
    """Keep what the person can use: the message and the place, not the class of the error."""
    text = str(error).strip()
    if isinstance(error, duckdb.PermissionException):
        return f"not allowed: {_first_line(error)}; only the data folder's views can be read"
    return f"{text}\n\nviews: {', '.join(KINDS)}" if "does not exist" in text else text


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
