"""Rows to people and files: aligned text, CSV, JSON, Parquet, Arrow. Data on stdout, talk on stderr."""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from tapewatch.model.errors import ConfigError

if TYPE_CHECKING:  # 40 MB that only a query needs
    import pyarrow as pa

_MAX_WIDTH = 60  # of a column on the screen


def write(table: "pa.Table", form: str, output: Path | None) -> None:
    """Write in one of FORMS. Raise ConfigError if that cannot go there."""
    if output is None and form in _BINARY and sys.stdout.isatty():
        raise ConfigError(f"{form} is binary: name a file with -o, or redirect the output")
    try:
        with nullcontext(sys.stdout.buffer) if output is None else output.open("wb") as file:
            FORMS[form](table, file)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"cannot write {output or 'the output'}: {error.strerror}") from error


def _text(table: "pa.Table", file: IO[bytes]) -> None:
    columns = [
        [name, *map(_cell, column.to_pylist())]
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    right = [_is_number(column.type) for column in table.columns]
    widths = [max(map(len, column), default=0) for column in columns]
    for row in zip(*columns, strict=True):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        file.write("  ".join(cells).rstrip().encode() + b"\n")


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".")
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value).replace("\n", " ")
    return text if len(text) <= _MAX_WIDTH else text[: _MAX_WIDTH - 1] + "…"


def _csv(table: "pa.Table", file: IO[bytes]) -> None:
    from pyarrow import csv

    csv.write_csv(_flat(table), file)


def _flat(table: "pa.Table") -> "pa.Table":
    """CSV has no lists: levels of a book become JSON text. Nor dictionaries. Times end in Z."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_nested(field.type):
            texts = [
                None if v is None else msgspec.json.encode(v).decode() for v in column.to_pylist()
            ]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
        elif pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, column.cast(field.type.value_type))
        elif pa.types.is_timestamp(field.type) and field.type.tz:
            utc = column.cast(pa.timestamp(field.type.unit, "UTC"))  # DuckDB says Etc/UTC
            table = table.set_column(index, field.name, utc)
    return table


def _ndjson(table: "pa.Table", file: IO[bytes]) -> None:
    encode = msgspec.json.encode
    for batch in table.to_batches(max_chunksize=8_192):
        file.write(b"".join(encode(row) + b"\n" for row in batch.to_pylist()))


def _json(table: "pa.Table", file: IO[bytes]) -> None:
    file.write(msgspec.json.encode(table.to_pylist()) + b"\n")


def _parquet(table: "pa.Table", file: IO[bytes]) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file, compression="zstd")


def _arrow(table: "pa.Table", file: IO[bytes]) -> None:
    from pyarrow import ipc

    with ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


FORMS: dict[str, Callable[["pa.Table", IO[bytes]], None]] = {
    "table": _text,
    "csv": _csv,
    "ndjson": _ndjson,
    "json": _json,
    "parquet": _parquet,
    "arrow": _arrow,
}
_BINARY = {"parquet", "arrow"}
