"""Which stretches of time of one trade stream are whole, so that each candle can say how good it is.

Nothing is known to be whole until the ledger has vouched for the stream (`Coverage`): before that,
and for a feed that keeps no ledger, everything is PARTIAL. From then on:

    Gap ------------> a hole, from the last trade before it until the first trade after it
    Coverage(REPAIRED) of all its ids ------------> the hole becomes a mended stretch
    anything else --> the hole stays

A candle that touches a hole is PARTIAL, one that touches a mended stretch is REPAIRED. Lists are
bounded: when there are too many, neighbours are joined, which can only make a mark worse.
"""

from itertools import pairwise

from msgspec import Struct, field

from tapewatch.model.events import Micros, Quality
from tapewatch.model.times import SECOND

MAX_STRETCHES = 32
_MAX_RANGES = 32  # ranges of ids that one hole may fall apart into while it is mended
_OPEN = Micros(1 << 62)  # a hole whose end is not known yet


class Stretch(Struct, array_like=True):
    """From `since` to `until`, both inclusive. `ids`: what is missing; None if nobody can say."""

    since: Micros
    until: Micros
    ids: list[tuple[int, int]] | None = None


class Proof(Struct, array_like=True):
    vouched: bool = False
    holes: list[Stretch] = field(default_factory=lambda: [Stretch(Micros(0), _OPEN)])
    mended: list[Stretch] = field(default_factory=list)

    def gap(self, since: Micros, first: int, last: int) -> None:
        """Open a hole behind the trade at `since`; `first > last` means that no ids are known."""
        self.holes.append(Stretch(since, _OPEN, [(first, last)] if first <= last else None))
        _join(self.holes)

    def resumed(self, ts: Micros) -> None:
        """Close the holes: the stream goes on with a trade at `ts`."""
        if self.vouched:
            for hole in self.holes:
                if hole.until == _OPEN:
                    hole.until = ts

    def repaired(self, ts: Micros) -> None:
        """Note a trade that came by REST."""
        last = self.mended[-1] if self.mended else None
        if last is not None and last.since <= ts <= last.until + SECOND:
            last.until = max(last.until, ts)
            return
        self.mended.append(Stretch(ts, ts))
        self.mended.sort(key=_since)
        _join(self.mended)

    def mend(self, first: int, last: int) -> list[Stretch]:
        """Take ids off the holes. The answer: the holes that have none left and are no more."""
        for hole in self.holes:
            if hole.ids is not None:
                ranges = _without(hole.ids, first, last)
                hole.ids = ranges if len(ranges) <= _MAX_RANGES else None
        whole = [hole for hole in self.holes if hole.ids == []]
        if whole:
            self.holes = [hole for hole in self.holes if hole.ids != []]
            self.mended = sorted([*self.mended, *whole], key=_since)
            _join(self.mended)
        return whole

    def quality(self, since: Micros, until: Micros) -> Quality:
        """Judge `[since, until)`."""
        for hole in self.holes:
            if hole.since < until and since <= hole.until:
                return Quality.PARTIAL
        for stretch in self.mended:
            if stretch.since < until and since <= stretch.until:
                return Quality.REPAIRED
        return Quality.COMPLETE

    def forget(self, before: Micros) -> None:
        """Drop what no candle that can still change touches."""
        self.holes = [hole for hole in self.holes if hole.until >= before]
        self.mended = [stretch for stretch in self.mended if stretch.until >= before]


def _since(stretch: Stretch) -> Micros:
    return stretch.since


def _join(stretches: list[Stretch]) -> None:
    """Keep the list short: join the two that lie nearest to each other; ids are lost by it."""
    while len(stretches) > MAX_STRETCHES:
        apart = [b.since - a.until for a, b in pairwise(stretches)]
        at = apart.index(min(apart))
        one, other = stretches[at], stretches.pop(at + 1)
        one.since = min(one.since, other.since)
        one.until = max(one.until, other.until)
        one.ids = None


def _without(ranges: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    for low, high in ranges:
        if last < low or high < first:
            left.append((low, high))
            continue
        if low < first:
            left.append((low, first - 1))
        if last < high:
            left.append((last + 1, high))
    return left
