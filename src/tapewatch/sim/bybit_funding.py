"""Rates of funding that were paid: those of the past are made up, later ones are what was told."""

from random import Random

from tapewatch.sim.bars import HOUR
from tapewatch.sim.bybit_listing import FUNDING_HOURS
from tapewatch.sim.market import Mark

PERIOD = FUNDING_HOURS * HOUR
_USUAL, _SPREAD = 1e-4, 5e-5


class Fundings:
    """All linear instruments. To be shown every mark now and then."""

    def __init__(self) -> None:
        self._told: dict[str, Mark] = {}
        self._paid: dict[tuple[str, int], float] = {}

    def see(self, symbol: str, mark: Mark) -> None:
        """When the time of the next payment moves on, the last rate told before it was paid."""
        before = self._told.get(symbol)
        if before is not None and before.next_funding < mark.next_funding:
            self._paid[symbol, before.next_funding] = before.funding_rate
        self._told[symbol] = mark

    def rate(self, symbol: str, ts: int) -> float:
        """What was paid at `ts`, a multiple of the period."""
        paid = self._paid.get((symbol, ts))
        if paid is not None:
            return paid
        return round(Random(f"{symbol}/{ts}").gauss(_USUAL, _SPREAD), 8)

    def rates(self, symbol: str, start: int, end: int, limit: int) -> list[tuple[int, float]]:
        """At most `limit` payments within `start`..`end`, newest first."""
        newest = end - end % PERIOD
        times = range(newest, max(start, newest - limit * PERIOD + 1) - 1, -PERIOD)
        return [(ts, self.rate(symbol, ts)) for ts in times][:limit]
