"""The child process that turns journals into Parquet: `python -m tapewatch.stores._compact`.

A process of its own, so that the event loop of the parent never waits for it and the memory it
takes goes back to the system with it. DuckDB sorts, because it can do so beyond its memory limit.

    read what is there: Parquet of the hour, journals ──> one row for each key, in order
      ──> temporary file ──> fsync ──> rename ──> remove the journals

Killed between any two steps, the same job done again gives the same file: the journals are
removed only when their rows are in place, and rows that are in both are one row. A lock keeps two
children apart (one may outlive a parent that was killed). What is written into a file by hand is
kept; nothing is ever deleted but journals that were read whole.

Jobs come on stdin, one JSON object a line; results go to stdout the same way.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tapewatch.model.codec import decode_msgpack_batch
from tapewatch.stores._arrow import accepts, schema, to_batch
from tapewatch.stores._folder import FolderLock
from tapewatch.stores._journal import Scan
from tapewatch.stores._kinds import KINDS, Kind

LOCK_NAME = "compact.lock"
_ROWS_PER_GROUP = 131_072


class Job(msgspec.Struct, frozen=True):
    kind: str
    target: str
    journals: tuple[str, ...]
    memory_mb: int = 512


class Done(msgspec.Struct):
    """What became of a job. `error` is empty if it is done."""

    target: str
    rows: int = 0
    doubled: int = 0  # rows told twice, kept once
    damaged: int = 0  # blocks that are not what was written
    misfits: int = 0  # rows that fit no column: their journal is kept as *.kept
    error: str = ""


class Source:
    """Rows of one hour from wherever they are, as Arrow batches; counts on the way."""

    def __init__(self, kind: Kind, target: Path, journals: Iterable[Path]) -> None:
        self.kind = kind
        self.target = target
        self.journals = [path for path in journals if path.exists()]
        self.schema = schema(kind.name)
        self.rows = 0
        self.damaged = 0
        self.misfits = 0
        self.keep: set[Path] = set()

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self.schema, self._counted())

    def _counted(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches():
            self.rows += batch.num_rows
            yield batch

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self.target.exists():
            with pq.ParquetFile(self.target) as file:
                for batch in file.iter_batches(_ROWS_PER_GROUP):
                    yield widen(batch, self.schema)
        for path in self.journals:
            scan = Scan(path)
            for block in scan:
                yield self._decode(path, block.payload)
            self.damaged += scan.damaged

    def _decode(self, path: Path, payload: bytes) -> pa.RecordBatch:
        events = decode_msgpack_batch(payload)
        try:
            return to_batch(self.kind.name, events)
        except (pa.ArrowException, OverflowError, UnicodeError):
            good = [event for event in events if accepts(event)]
            self.misfits += len(events) - len(good)
            self.keep.add(path)
            return to_batch(self.kind.name, good)


def widen(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    """Give an older file's rows today's columns: a column that it has not is null."""
    arrays = [
        batch.column(field.name).cast(field.type)
        if field.name in batch.schema.names
        else pa.nulls(batch.num_rows, field.type)
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def compact(job: Job) -> Done:
    target = Path(job.target)
    done = Done(job.target)
    source = Source(KINDS[job.kind], target, map(Path, job.journals))
    if not source.journals:
        return done  # another child did it before us
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        done.rows = _write(source, temporary, job.memory_mb)
        if done.rows:  # a journal may hold nothing: its first write failed or was torn
            temporary.replace(target)
            _sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
    for path in source.journals:
        if path in source.keep:
            path.replace(path.with_name(path.name + ".kept"))
        else:
            path.unlink()
    done.doubled = source.rows - done.rows
    done.damaged, done.misfits = source.damaged, source.misfits
    return done


def _write(source: Source, temporary: Path, memory_mb: int) -> int:
    """Sort and write; raise if what can be read back is not what was written."""
    rows = 0
    with _engine(memory_mb, temporary.parent) as engine, temporary.open("wb") as file:
        engine.register("source", source.reader())
        result = engine.sql(one_of_each(source.kind, "SELECT * FROM source", source.schema.names))
        with pq.ParquetWriter(file, source.schema, compression="zstd") as writer:
            for batch in result.to_arrow_reader(_ROWS_PER_GROUP):
                writer.write_batch(widen(batch, source.schema), row_group_size=_ROWS_PER_GROUP)
                rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    found = pq.read_metadata(temporary).num_rows
    if found != rows:
        raise OSError(f"{temporary} holds {found} rows, {rows} were written")
    return rows


def one_of_each(kind: Kind, source: str, columns: Iterable[str]) -> str:
    """SQL: of the rows with one key the best, in the order of the file."""
    names = ", ".join(f'"{name}"' for name in columns)
    return (
        f"SELECT {names} FROM (SELECT *, row_number() OVER"  # noqa: S608 - our own names only
        f" (PARTITION BY {kind.key} ORDER BY {kind.best}) AS nth FROM ({source}))"
        f" WHERE nth = 1 ORDER BY {kind.order}"
    )


@contextlib.contextmanager
def _engine(memory_mb: int, folder: Path) -> Iterator[Any]:
    spill = folder / ".sort"
    engine = duckdb.connect(
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": "1",
            "temp_directory": str(spill),
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    try:
        engine.execute("SET TimeZone = 'UTC'")
        yield engine
    finally:
        engine.close()
        with contextlib.suppress(OSError):
            spill.rmdir()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last. Windows cannot, and needs not."""
    if sys.platform != "win32":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def main() -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)  # the live parent comes first
    decode, encode = msgspec.json.Decoder(Job).decode, msgspec.json.encode
    for line in sys.stdin.buffer:
        job = decode(line)
        lock = FolderLock(Path(job.target).parent.parent / LOCK_NAME)
        lock.take(wait=True)
        try:
            done = compact(job)
        except (OSError, pa.ArrowException, duckdb.Error, msgspec.MsgspecError) as error:
            done = Done(job.target, error=f"{type(error).__name__}: {error}")
        finally:
            lock.free()
        sys.stdout.buffer.write(encode(done) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
