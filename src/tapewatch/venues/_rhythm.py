"""Rhythm: whether a stream is silent for longer than it ever is.

A quiet market and a dead stream look the same for a while. Each stream is judged by its own past:
the longest silence of late, slowly forgotten, times PATIENCE. A book that moves ten times a second
is found dead in seconds; a pair that trades once a minute is left alone for many.

A stream is looked at with each tick, by its place: a number that moves with every message. So the
hot path does not know that it is watched.

    learning --enough steps--> known --silent beyond its rhythm--> stalled --moves--> known
"""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from msgspec import Struct

from tapewatch.model.events import Micros
from tapewatch.model.times import MINUTE, SECOND

ENOUGH_STEPS = 20  # moves seen before anything is said
PATIENCE = 6  # times the longest silence of late
SHORTEST = 3 * SECOND  # nobody is called silent sooner
FORGET = 0.995  # what is left of the longest silence after each move
_OWN_DELAY = SECOND  # between two ticks: it was us who did not look
_AGAIN = MINUTE  # a stream that stays silent is told so often

K = TypeVar("K", bound=Hashable)


class Silence(Struct, Generic[K], frozen=True):
    key: K
    silent_secs: float
    usual_secs: float  # its longest silence of late


class _Pace(Struct):
    place: int
    since: Micros  # of the last move
    longest: float = 0.0
    steps: int = 0
    told: Micros = Micros(0)


class Rhythm(Generic[K]):
    def __init__(self) -> None:
        self.stalled: set[K] = set()
        self._paces: dict[K, _Pace] = {}
        self._looked_at = Micros(0)

    def look(self, places: Iterable[tuple[K, int]], now: Micros) -> list[Silence[K]]:
        """Note where each stream is now; gives those that are silent beyond their rhythm."""
        passed = now - self._looked_at
        if not 0 <= passed <= _OWN_DELAY:  # we slept, or the clock jumped: no stream is to blame
            for pace in self._paces.values():
                pace.since = Micros(min(pace.since + passed, now))
        self._looked_at = now
        found = (self._step(key, place, now) for key, place in places)
        return [silence for silence in found if silence is not None]

    def all_stalled(self) -> bool:
        """Say whether every stream whose rhythm is known is silent beyond it."""
        known = {key for key, pace in self._paces.items() if pace.steps >= ENOUGH_STEPS}
        return bool(known) and known <= self.stalled

    def forget(self, key: K) -> None:
        """Not watched any more."""
        self._paces.pop(key, None)
        self.stalled.discard(key)

    def _step(self, key: K, place: int, now: Micros) -> Silence[K] | None:
        pace = self._paces.get(key)
        if pace is None:
            self._paces[key] = _Pace(place, now)
            return None
        if place != pace.place:
            self._moved(key, pace, place, now)
            return None
        silent = now - pace.since
        if pace.steps < ENOUGH_STEPS or silent < max(SHORTEST, PATIENCE * pace.longest):
            return None
        if key in self.stalled and now - pace.told < _AGAIN:
            return None
        self.stalled.add(key)
        pace.told = now
        return Silence(key, silent / SECOND, pace.longest / SECOND)

    def _moved(self, key: K, pace: _Pace, place: int, now: Micros) -> None:
        silent: float = now - pace.since
        if key in self.stalled:  # an outage is no part of the rhythm, but perhaps it was none
            self.stalled.discard(key)
            silent = min(silent, 2 * pace.longest)
        pace.longest = max(silent, pace.longest * FORGET)
        pace.steps += 1
        pace.place = place
        pace.since = now
