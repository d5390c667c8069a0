"""What the journals hold, read at start: ids to set the ledger right, events to catch up with.

Only journals are read. That is enough: they hold everything that was written since the last hour
became Parquet, at least the last minute, and the ledger is written behind the trades. Ids are
read without building events: 0.2 us a row, half a second for a busy hour.
"""

from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import TypeAlias

import msgspec

from tapewatch.model.codec import decode_msgpack_batch
from tapewatch.model.events import Batch, Micros
from tapewatch.ports import Subscription
from tapewatch.stores._folder import list_files
from tapewatch.stores._journal import Scan

Runs: TypeAlias = list[tuple[int, int]]  # inclusive, ascending, not touching


class Stored(msgspec.Struct, frozen=True):
    """Of one stream. `live`: some of it came live, so nothing newer of it lies anywhere else."""

    runs: Runs
    live: bool


class _Row(msgspec.Struct, gc=False, tag_field="type", tag="trade"):
    inst: str
    id: str
    channel: str = "trade"
    repaired: bool = False


class _Found(msgspec.Struct):
    ids: list[int]
    live: bool = False


_decode = msgspec.msgpack.Decoder(list[_Row]).decode


def stored_ids(data_dir: Path) -> dict[Subscription, Stored]:
    """Give the runs of ids of each numbered trade stream. Ids that are no numbers are left out."""
    found: dict[tuple[str, str], _Found] = {}
    for journals in list_files(data_dir, "trades").journals.values():
        for path in journals:
            _read(path, found)
    return {
        Subscription(*stream): Stored(runs(seen.ids), seen.live) for stream, seen in found.items()
    }


def _read(path: Path, found: dict[tuple[str, str], _Found]) -> None:
    try:
        for block in Scan(path):
            for row in _decode(block.payload):
                if row.id.isdecimal():
                    seen = found.get((row.inst, row.channel))
                    if seen is None:
                        seen = found[row.inst, row.channel] = _Found([])
                    seen.ids.append(int(row.id))
                    seen.live = seen.live or not row.repaired
    except FileNotFoundError:
        return  # it has become Parquet meanwhile


def received_since(data_dir: Path, kinds: Iterable[str], mark: Micros) -> Batch:
    """Give the events that were received after `mark`, in the order in which they were."""
    found: Batch = []
    for kind in kinds:
        for journals in list_files(data_dir, kind).journals.values():
            for path in journals:
                for block in Scan(path):
                    events = decode_msgpack_batch(block.payload)
                    found += [event for event in events if event.recv > mark]
    found.sort(key=_received)  # stable: one journal is in order already
    return found


_received = attrgetter("recv")


def runs(ids: Iterable[int]) -> Runs:
    """`3 1 2 2 7` to `(1, 3) (7, 7)`."""
    merged: Runs = []
    for number in sorted(ids):
        if merged and number <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], number)
        else:
            merged.append((number, number))
    return merged
