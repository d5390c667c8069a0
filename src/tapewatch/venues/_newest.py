"""Newest: a stream without ids of its own, shared by the connections that carry it."""

from msgspec import Struct

from tapewatch.model.events import Micros
from tapewatch.model.times import MINUTE


class Newest(Struct):
    """What was passed on last."""

    seq: int = -1
    ts: Micros = Micros(0)

    @property
    def place(self) -> int:
        """Moves with every message."""
        return self.seq if self.seq >= 0 else self.ts

    def repeats(self, ts: Micros) -> bool:
        """Say whether a message of this time came already. Much older: another session."""
        if 0 <= self.ts - ts < MINUTE:
            return True
        self.ts = ts
        return False
