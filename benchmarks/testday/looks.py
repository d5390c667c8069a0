"""What the running product tells of its feeds each few seconds: silence is no event of a venue."""

from benchmarks.testday.floor import SECOND, Floor
from tapewatch.model.events import Batch, Micros
from tapewatch.ports import LinkState, LinkStatus
from tapewatch.runtime.telemetry import Processing
from tapewatch.runtime.vitals import PACE_SECS, Facts, Vitals


class _Feed:
    """One link, on which data came in each second in which the venue was not silent."""

    def __init__(self, floor: Floor, source: str) -> None:
        self._floor = floor
        self._link = LinkStatus(source, "link", LinkState.STREAMING, subscriptions=1)

    def status(self) -> list[LinkStatus]:
        if not self._floor.is_muted(self._link.venue):
            self._link.last_data = Micros(self._floor.now)
        return [self._link]


class Looks:
    """The product's own worker, driven by the time of the markets."""

    def __init__(self, floor: Floor) -> None:
        self._vitals = Vitals(
            Facts(
                clock=lambda: Micros(floor.now),
                feeds={source: _Feed(floor, source) for source in floor.sources},
                processing=Processing(),
                readers=list,
                counters=dict,
                mark=lambda: Micros(floor.now),
                timer=lambda: floor.now / SECOND,
            ),
            self._nobody,
        )

    def look(self, sec: int) -> Batch:
        return self._vitals.look() if sec % PACE_SECS == 0 else []

    async def _nobody(self, batch: Batch) -> None:
        """Nothing is published: who drives it takes what it says."""
