"""Pulse: how far event time has come on one connection, and what a `Tick` may say for the venue.

While events come, event time is theirs. When a connection is quiet but alive, time passes there
as fast as here; the difference of the two clocks is the one of the last event, and MARGIN allows
for an event that is on its way. But where a stream speaks every second or two, a longer silence
is no quiet market: the venue stalls, and what happens meanwhile comes later. All connections of a
venue share one Watermark, because a Tick speaks for all of them: the slowest one counts. A
connection that is gone does not.
"""

from collections.abc import Iterable

from tapewatch.model.events import Micros, Tick
from tapewatch.model.times import DAY, SECOND

MARGIN = 2 * SECOND
STALLED = 3 * SECOND


class Pulse:
    """Handlers write both fields with every event that has a time."""

    __slots__ = ("lag", "never_rests", "recv", "ts")

    def __init__(self) -> None:
        self.lag = 0  # how far trades may be behind what else comes on this connection
        self.never_rests = False  # carries a stream that speaks every second or two
        self.ts = Micros(0)
        self.recv = Micros(0)

    def reached(self, now: Micros) -> Micros:
        passed = max(0, now - self.recv - MARGIN)
        at = self.ts - self.lag
        return Micros(at + (min(passed, STALLED) if self.never_rests else passed))


class Watermark:
    def __init__(self, source: str) -> None:
        self.pulses: set[Pulse] = set()  # of the connections that are up
        self._source = source
        self._told = Micros(0)
        self._at = Micros(0)

    def due(self, now: Micros) -> bool:
        return not 0 <= now - self._at < SECOND  # also when the clock jumped back

    def tick(self, held: Iterable[Micros], now: Micros) -> Tick | None:
        """`held`: event times beyond which trades wait. None: nothing new can be said."""
        self._at = now
        # A time of tomorrow is nonsense that one bad frame brought; it must not close candles.
        times = [pulse.reached(now) for pulse in self.pulses if 0 < pulse.ts < now + DAY]
        if not times:
            return None
        # Fills of one order have the same time, so more may come of the newest one's.
        ts = Micros(min(*times, *held, times[0]) - 1)
        if ts <= self._told:
            return None
        self._told = ts
        return Tick(ts, now, self._source)
