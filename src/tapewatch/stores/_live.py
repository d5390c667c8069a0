"""The open journals as Arrow tables for queries; each block is decoded once.

Remembers how far each journal is decoded and goes on from there, so that a query costs what is
new. A journal is known by its identity, not by its path: after its hour has become Parquet, late
rows open another of the same name. What it holds is bounded: beyond `max_bytes` the journals that
were asked for longest ago are forgotten and decoded again when they are needed.
"""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyarrow as pa

from tapewatch.model.codec import decode_msgpack_batch
from tapewatch.stores._arrow import accepts, schema, to_batch
from tapewatch.stores._journal import Scan, identity

_MERGE_AT = 64  # many small batches make a slow table


class _Decoded(msgspec.Struct):
    kind: str
    offset: int = 0
    batches: list[pa.RecordBatch] = msgspec.field(default_factory=list)
    size: int = 0


class Live:
    """Not thread-safe: one caller at a time."""

    def __init__(self, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._decoded: OrderedDict[bytes, _Decoded] = OrderedDict()

    def table(self, kind: str, journals: Iterable[Path]) -> pa.Table:
        """Give all rows of these journals, in the order in which they came, doubles included."""
        batches: list[pa.RecordBatch] = []
        for path in journals:
            try:
                batches += self._refreshed(kind, path)
            except FileNotFoundError:
                continue  # its hour became Parquet meanwhile; that file is listed after us
        self._forget()
        return pa.Table.from_batches(batches, schema=schema(kind))

    @property
    def bytes(self) -> int:
        return sum(decoded.size for decoded in self._decoded.values())

    def _refreshed(self, kind: str, path: Path) -> list[pa.RecordBatch]:
        name = identity(path)
        if name is None:
            return []  # nothing is written yet
        known = self._decoded.setdefault(name, _Decoded(kind))
        self._decoded.move_to_end(name)
        scan = Scan(path, known.offset)
        for block in scan:
            events = decode_msgpack_batch(block.payload)
            try:
                batch = to_batch(kind, events)
            except (pa.ArrowException, OverflowError, UnicodeError):
                batch = to_batch(kind, [event for event in events if accepts(event)])
            known.batches.append(batch)
            known.size += batch.nbytes
        known.offset = scan.end
        if len(known.batches) > _MERGE_AT:
            whole = pa.Table.from_batches(known.batches).unify_dictionaries().combine_chunks()
            known.batches = whole.to_batches()
            known.size = whole.nbytes
        return list(known.batches)

    def _forget(self) -> None:
        while self.bytes > self._max_bytes and len(self._decoded) > 1:
            self._decoded.popitem(last=False)
