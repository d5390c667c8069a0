"""Share a batch out over the files it belongs in: by kind and by hour of event time.

The inner loop of the store: 0.1 us a row. It takes only what is stored of each kind; of candles
that is the closed ones.
"""

import msgspec

from tapewatch.model.codec import encode_msgpack
from tapewatch.model.events import AnyEvent, Batch, Candle
from tapewatch.model.times import HOUR, SECOND
from tapewatch.stores._folder import Hour
from tapewatch.stores._kinds import KIND_OF, KINDS

_LAST_HOUR = 253_402_300_800 * SECOND // HOUR  # year 9999, as far as file names go


class Group(msgspec.Struct):
    """Rows of one batch that go into one journal."""

    kind: str
    hour: Hour
    rows: Batch


def groups(batch: Batch) -> list[Group]:
    """Nearly always all rows are of one hour, so the extremes are looked at first.

    Raises ValueError for a time that no file name can have.
    """
    found = []
    for kind, rows in _by_kind(batch):
        times = [event.ts for event in rows]
        low, high = min(times) // HOUR, max(times) // HOUR
        if not 0 <= low <= high < _LAST_HOUR:
            raise ValueError("its time is outside of the years 1970 to 9999")
        if low == high:
            found.append(Group(kind, low, rows))
            continue
        hours: dict[Hour, Batch] = {}
        for event in rows:
            hours.setdefault(event.ts // HOUR, []).append(event)
        found += [Group(kind, hour, part) for hour, part in hours.items()]
    return found


def storable(event: AnyEvent) -> bool:
    """Say whether this one row can be written at all."""
    try:
        for group in groups([event]):
            encode_msgpack(group.rows)
    except (ValueError, OverflowError, TypeError):
        return False
    return True


def _by_kind(batch: Batch) -> list[tuple[str, Batch]]:
    shares: dict[str, Batch] = {}
    for kind in {found for event in set(map(type, batch)) if (found := KIND_OF.get(event))}:
        wanted = KINDS[kind].events
        if wanted == (Candle,):
            rows: Batch = [e for e in batch if type(e) is Candle and e.closed]
        elif len(wanted) == 1:
            only = wanted[0]
            rows = [event for event in batch if type(event) is only]
        else:
            rows = [event for event in batch if type(event) in wanted]
        if rows:
            shares[kind] = rows
    return list(shares.items())
