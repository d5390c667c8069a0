"""Rings of buckets over event time: constant work an event, a bounded size, nothing that drifts.

A ring never asks for the time and never scans; what is older than it can hold is overwritten.
"""

from bisect import bisect_left, insort
from math import fsum

from msgspec import Struct, field

from tapewatch.model.events import Micros


class Samples(Struct, array_like=True):
    """A series as it stood at each multiple of `width`, as far back as `count` of them.

    `slots[i % count]` is the value that held at the moment `i * width`: the last one before it.
    """

    width: int  # microseconds
    count: int
    slots: list[float] = field(default_factory=list)
    newest: int = 0  # number of the youngest moment that is filled
    oldest: int = 0  # number of the first one ever; those before it are not known

    def reach(self, ts: Micros, value: float) -> None:
        """Note that `value` held at each moment since the last one, up to and including `ts`."""
        moment = ts // self.width
        if not self.slots:
            self.slots = [value] * self.count
            self.newest = self.oldest = moment
            return
        for number in range(max(self.newest + 1, moment - self.count + 1), moment + 1):
            self.slots[number % self.count] = value
        self.newest = max(self.newest, moment)

    def at(self, ts: Micros) -> float | None:
        """Give the value at the last moment not after `ts`; the oldest if that is not known.

        None before anything was reached.
        """
        if not self.slots:
            return None
        oldest = max(self.oldest, self.newest - self.count + 1)
        number = min(max(ts // self.width, oldest), self.newest)
        return self.slots[number % self.count]


class Sums(Struct, array_like=True):
    """The sum of what came in the last `count` buckets of `width`, the running one included.

    The total is made anew from the buckets once a turn of the ring, so it cannot drift; of a window in
    which nothing is left it is exactly 0, and not what floats leave behind.
    """

    width: int  # microseconds
    count: int
    slots: list[float] = field(default_factory=list)
    total: float = 0.0
    newest: int = 0  # number of the running bucket
    oldest: int = 0  # number of the first one ever
    filled: int = 0  # buckets that are not 0

    def add(self, ts: Micros, value: float) -> None:
        """Put a value where it belongs; one from before the window is left out."""
        number = ts // self.width
        if number > self.newest or not self.slots:
            self.reach(ts)
        if value and number > self.newest - self.count:
            at = number % self.count
            if not self.slots[at]:
                self.filled += 1
            self.slots[at] += value
            self.total += value

    def reach(self, ts: Micros) -> None:
        """Let time pass: what is too old by now leaves."""
        number, count = ts // self.width, self.count
        if not self.slots:
            self.slots = [0.0] * count
            self.newest = self.oldest = number
            return
        if number - self.newest >= count:
            self.slots = [0.0] * count
            self.total, self.filled = 0.0, 0
            self.newest = number
            return
        slots = self.slots
        while self.newest < number:
            self.newest += 1
            at = self.newest % count
            if slots[at]:
                self.total -= slots[at]
                slots[at] = 0.0
                self.filled -= 1
                if not self.filled:
                    self.total = 0.0
            if not at:
                self.total = fsum(slots)

    @property
    def begins(self) -> Micros:
        """The beginning of the window."""
        return Micros((self.newest - self.count + 1) * self.width)

    @property
    def is_whole(self) -> bool:
        """Say whether there is history for all of it."""
        return bool(self.slots) and self.newest - self.oldest >= self.count - 1


class Recent(Struct, array_like=True):
    """The last `count` values and what is usual among them, which a few wild ones do not move."""

    count: int
    values: list[float] = field(default_factory=list)  # in the order of coming, a ring
    ordered: list[float] = field(default_factory=list)
    at: int = 0

    def push(self, value: float) -> None:
        if len(self.values) < self.count:
            self.values.append(value)
        else:
            gone = self.values[self.at]
            self.values[self.at] = value
            self.at = (self.at + 1) % self.count
            del self.ordered[bisect_left(self.ordered, gone)]
        insort(self.ordered, value)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def median(self) -> float:
        return _middle(self.ordered)

    @property
    def deviation(self) -> float:
        """Like a standard deviation, from the median of the distances to the median."""
        median = self.median
        return 1.4826 * _middle(sorted(abs(value - median) for value in self.ordered))


def _middle(ordered: list[float]) -> float:
    if not ordered:
        return 0.0
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0
