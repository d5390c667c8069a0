"""Rings of buckets over event time: constant work an event, a bounded size, nothing that drifts.

A ring never asks for the time and never scans; what is older than it can hold is overwritten.
"""

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
