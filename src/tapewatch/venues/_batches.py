"""Batches: rows without ids that come once, in batches, and cannot be had again.

Two connections bring the same batches while one follows the other. A row is known by what it says;
equal rows of one batch are as many as the batch has. After an outage a Gap says that some may be
missing: nobody gives them again.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

from tapewatch.model.events import Batch, Gap, InstrumentId, Micros
from tapewatch.ports import Answer, Asks

MAX_KNOWN = 2_000

R = TypeVar("R", bound=Hashable)


class Batches:
    key = ""  # of a Fetch: there is none
    place = 0  # never moves: its silences have no rhythm

    def __init__(self, inst: InstrumentId, channel: str, *, lenient: bool) -> None:
        self.ts = Micros(0)  # of the newest row; the venue writes it
        self.carriers: set[object] = set()  # live conversations that carry it
        self._inst = inst
        self._channel = channel
        self._lenient = lenient
        self._known: dict[Hashable, int] = {}  # how many of each, oldest first

    def fresh(self, rows: Sequence[R]) -> list[R]:
        """Give the rows of a batch that did not come before."""
        found: list[R] = []
        for row, count in Counter(rows).items():
            known = self._known.get(row, 0)
            if count > known:
                self._known[row] = count
                found.extend([row] * (count - known))
        while len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return found

    def left(self, by: object, reason: str, now: Micros, out: Batch) -> None:
        """This connection carries it no more."""
        was_carried = by in self.carriers
        self.carriers.discard(by)
        if was_carried and not self.carriers and not self._lenient:
            out.append(Gap(self.ts or now, now, self._inst, self._channel, reason))

    def answer(self, _answer: Answer, _now: Micros, _out: Batch) -> Asks:
        return ()

    def abandon(self) -> None:
        """Nothing is ever asked for by HTTP."""

    def tick(self, _now: Micros, _out: Batch) -> Asks:
        return ()
