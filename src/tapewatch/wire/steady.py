"""Stamps that never go back, made of a wall clock that may.

A wall clock that is set back would make every deadline inside a conversation late by as much.
So while the wall clock stands behind what was already said, stamps go on at half the speed of the
loop's monotonic time, until the wall clock has caught up. Durations never come from here: they
are differences of `loop.time()`.
"""

import logging
from collections.abc import Callable

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import Clock

log = logging.getLogger("tapewatch.wire.steady")


class Steady:
    """A Clock. `timer` gives monotonic seconds."""

    def __init__(self, clock: Clock, timer: Callable[[], float]) -> None:
        self._clock = clock
        self._timer = timer
        self._last = Micros(0)
        self._behind_since: float | None = None  # monotonic time of the last stamp made up

    def __call__(self) -> Micros:
        wall = self._clock()
        if wall >= self._last:
            self._last = wall
            self._behind_since = None
            return wall
        return self._make_up(wall)

    def _make_up(self, wall: Micros) -> Micros:
        now = self._timer()
        if self._behind_since is None:
            log.warning("clock_went_back", extra={"fields": {"secs": (self._last - wall) / SECOND}})
        else:
            self._last = Micros(self._last + int((now - self._behind_since) * SECOND) // 2)
        self._behind_since = now
        return self._last
