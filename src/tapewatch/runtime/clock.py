"""The one wall clock of the process, and the watch that tells when it is set.

Stamps come from the wall clock, durations from the loop's monotonic time, so a clock that is set
hurts nobody; but `recv` then jumps, and people who compare times should know why.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import Counters

log = logging.getLogger("tapewatch.runtime.clock")

_TOLERATED_SECS = 0.5  # a busy machine and a slewing NTP daemon stay below


def wall_clock() -> Micros:
    return Micros(time.time_ns() // 1000)


class ClockWatch:
    """A worker: compares the wall clock with the monotonic one, about once a second."""

    def __init__(
        self,
        wall: Callable[[], Micros] = wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = "clock"
        self.counters = Counters()
        self._wall = wall
        self._monotonic = monotonic
        self._sleep = sleep

    async def run(self) -> None:
        before = self._offset()
        while True:
            await self._sleep(1.0)
            offset = self._offset()
            step = offset - before
            before = offset
            if abs(step) > _TOLERATED_SECS:
                way = "back" if step < 0 else "forward"
                self.counters.error(f"clock stepped {way}")
                log.warning(
                    "clock_stepped",
                    extra={"fields": {"way": way, "secs": round(abs(step), 3)}},
                )

    def _offset(self) -> float:
        return self._wall() / SECOND - self._monotonic()
