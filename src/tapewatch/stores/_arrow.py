"""Events to Arrow and back: the columns of Parquet files and of SQL views.

The only module that knows pyarrow's types; it is imported by the child that makes Parquet and by
the query store, never by the sink. Columns come from the fields of the event, so that a new field
is a new column; `docs/data.md` lists them, and a test compares.
"""

import types
import typing
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin

import msgspec
import pyarrow as pa

from tapewatch.model.events import AnyEvent, BookSnapshot, Event
from tapewatch.stores._kinds import KINDS

E = TypeVar("E", bound=Event)

TIME = pa.timestamp("us", tz="UTC")
WORD = pa.dictionary(pa.int32(), pa.string())  # few different values in a file
LEVELS = pa.list_(pa.struct([("price", pa.float64()), ("size", pa.float64())]))

_WORDS = {"inst", "channel", "interval", "name", "window", "rule", "severity", "source"}
_BOOK = pa.schema(
    [
        ("ts", TIME),
        ("recv", TIME),
        ("inst", WORD),
        ("kind", WORD),  # snapshot, delta
        ("first_seq", pa.int64()),  # of a snapshot: its seq
        ("seq", pa.int64()),
        ("bids", LEVELS),
        ("asks", LEVELS),
    ]
)


def schema(kind: str) -> pa.Schema:
    if kind == "orderbook":
        return _BOOK
    fields = msgspec.structs.fields(KINDS[kind].events[0])
    return pa.schema([(field.name, _arrow_type(field.name, field.type)) for field in fields])


def to_batch(kind: str, events: Sequence[Any]) -> pa.RecordBatch:
    """Make columns. Raises pa.ArrowException or OverflowError if a value fits no column."""
    wanted = schema(kind)
    if kind == "orderbook":
        arrays = _book_columns(events)
    else:
        arrays = [
            pa.array(_column(events, field), type=_plain(column.type))
            for field, column in zip(
                msgspec.structs.fields(KINDS[kind].events[0]), wanted, strict=True
            )
        ]
    cast = [array.cast(column.type) for array, column in zip(arrays, wanted, strict=True)]
    return pa.RecordBatch.from_arrays(cast, schema=wanted)


def from_table(event: type[E], table: pa.Table) -> list[E]:
    """Make events of rows. What an older file has no value for gets the field's default."""
    names = table.column_names
    columns: list[list[Any]] = []
    for name in names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns.append(column.to_pylist())
    optional = {f.name for f in msgspec.structs.fields(event) if f.default is not msgspec.NODEFAULT}
    rows = [
        {n: v for n, v in zip(names, row, strict=True) if v is not None or n not in optional}
        for row in zip(*columns, strict=True)
    ]
    return [msgspec.convert(row, event, strict=False) for row in rows]


def _arrow_type(name: str, annotation: Any) -> pa.DataType:
    kind = _naked(annotation)
    if name in {"ts", "recv", "next_funding", "published"}:
        return TIME
    if name in _WORDS or (isinstance(kind, type) and issubclass(kind, Enum)):
        return WORD
    if get_origin(kind) is tuple:
        return pa.list_(pa.string())
    return {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}[kind]


def _naked(annotation: Any) -> Any:
    """Take `| None` and NewType off."""
    if get_origin(annotation) in (types.UnionType, typing.Union):
        annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
    return getattr(annotation, "__supertype__", annotation)


def _plain(wanted: pa.DataType) -> pa.DataType:
    """What to build before the cast: building dictionaries from Python values is slower."""
    if pa.types.is_dictionary(wanted):
        return pa.string()
    return pa.int64() if pa.types.is_timestamp(wanted) else wanted


def _column(events: Sequence[Any], field: msgspec.structs.FieldInfo) -> list[Any]:
    name = field.name
    kind = _naked(field.type)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [getattr(event, name)._value_ for event in events]  # .value is a slow property
    return [getattr(event, name) for event in events]


def _book_columns(events: Sequence[Any]) -> list[pa.Array]:
    whole = [type(event) is BookSnapshot for event in events]
    return [
        pa.array([e.ts for e in events], pa.int64()),
        pa.array([e.recv for e in events], pa.int64()),
        pa.array([e.inst for e in events], pa.string()),
        pa.array(["snapshot" if w else "delta" for w in whole], pa.string()),
        pa.array(
            [e.seq if w else e.first_seq for e, w in zip(events, whole, strict=True)], pa.int64()
        ),
        pa.array([e.seq for e in events], pa.int64()),
        _levels(events, lambda e: e.bids),
        _levels(events, lambda e: e.asks),
    ]


def _levels(events: Sequence[Any], side: Callable[[Any], tuple[Any, ...]]) -> pa.Array:
    """One flat array of prices, one of sizes, and where each row begins."""
    sides = [side(event) for event in events]
    offsets = [0]
    for levels in sides:
        offsets.append(offsets[-1] + len(levels))
    prices = pa.array([price for levels in sides for price, _ in levels], pa.float64())
    sizes = pa.array([size for levels in sides for _, size in levels], pa.float64())
    pairs = pa.StructArray.from_arrays([prices, sizes], fields=list(LEVELS.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs, type=LEVELS)


def accepts(event: AnyEvent) -> bool:
    """Say whether this one row fits its columns."""
    kind = next(kind for kind in KINDS.values() if type(event) in kind.events)
    try:
        to_batch(kind.name, [event])
    except (pa.ArrowException, OverflowError, UnicodeError):
        return False
    return True
