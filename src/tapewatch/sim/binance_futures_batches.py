"""What the futures venue makes of fills and book changes before it tells them.

Fills are put together for 100 ms, by price and taker side; numbers of aggregates are given when a
window closes. Book changes are told in windows of three lengths, each a chain of its own, in which
ids are skipped: `U` is not `pu` + 1.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.sim.book import Changes
from tapewatch.sim.happenings import Aggregate

_IDS_A_CHANGE = 7


def told_id(update_id: int) -> int:
    """The id by which the venue tells a change of the book."""
    return update_id * _IDS_A_CHANGE


class Batches:
    """Aggregates of one instrument, live ones from `first_id` on."""

    def __init__(self, first_id: int, keep: int = 20_000) -> None:
        self.first_id = first_id
        self.kept: deque[Aggregate] = deque(maxlen=keep)
        self._next_id = first_id
        self._open: list[Aggregate] = []

    @property
    def newest(self) -> int:
        """The last number given."""
        return self._next_id - 1

    def add(self, fills: Aggregate) -> None:
        """Neighbours at one price on one side become one."""
        last = self._open[-1] if self._open else None
        if (
            last is None
            or last.price != fills.price
            or last.buyer_is_maker != fills.buyer_is_maker
        ):  # fmt: skip
            self._open.append(fills)
            return
        self._open[-1] = replace(last, qty=last.qty + fills.qty, last=fills.last)

    def close(self) -> list[Aggregate]:
        """End the window: what it holds, numbered."""
        closed = [replace(each, id=self._next_id + n) for n, each in enumerate(self._open)]
        self._next_id += len(closed)
        self._open = []
        self.kept += closed
        return closed

    def since(self, from_id: int) -> Iterator[Aggregate]:
        """Those that are kept, from this number on."""
        skipped = max(0, from_id - self.kept[0].id) if self.kept else 0
        return islice(self.kept, skipped, None)


class Told(Struct, frozen=True):
    """One frame of differences: ids as the venue tells them."""

    first: int
    last: int
    previous: int
    bids: dict[int, int]
    asks: dict[int, int]


class Window:
    """Changes of one book, collected for `every` microseconds."""

    def __init__(self, every: int, update_id: int) -> None:
        self.every = every
        self.told: Told | None = None  # of the window that ended last; None: nothing changed
        self._previous = update_id
        self._last = update_id
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def add(self, changes: Changes) -> None:
        """Later levels win."""
        self._last = changes.last
        self._bids.update(changes.bids)
        self._asks.update(changes.asks)

    def close(self) -> None:
        """End the window."""
        self.told = None
        if self._last == self._previous:
            return
        first = told_id(self._previous + 1)
        first -= self._previous % _IDS_A_CHANGE  # somewhere behind the id before
        self.told = Told(
            first, told_id(self._last), told_id(self._previous), self._bids, self._asks
        )
        self._previous, self._bids, self._asks = self._last, {}, {}


class Windows:
    """All windows of one book."""

    def __init__(self, lengths: Iterable[int], update_id: int) -> None:
        self._windows = {every: Window(every, update_id) for every in lengths}

    def add(self, changes: Changes | None, now: int) -> None:
        """Take the changes up to `now`, and close the windows that end now."""
        for every, window in self._windows.items():
            if changes is not None:
                window.add(changes)
            if now % every == 0:
                window.close()

    def told(self, every: int) -> Told | None:
        """What the window of this length that ended last holds."""
        return self._windows[every].told


def within(rows: Sequence[Aggregate], start: int, end: int) -> list[Aggregate]:
    """Those whose time is within `start`..`end`, both inclusive."""
    return [each for each in rows if start <= each.ts <= end]
