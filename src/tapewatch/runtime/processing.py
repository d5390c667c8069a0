"""The gate in front of the bus, and the worker that drives the processors behind it."""

from collections import Counter
from collections.abc import Callable
from typing import get_args

from tapewatch.model.events import AnyEvent, Batch, Event, Micros
from tapewatch.ports import Bus, Counters, Reader
from tapewatch.process.validate import validate
from tapewatch.runtime.telemetry import Processing, source_of
from tapewatch.stream.pipeline import Pipeline

_TAGS: dict[type[Event], str] = {
    kind: str(kind.__struct_config__.tag) for kind in get_args(AnyEvent)
}


class Gate:
    """An Outlet: lets sane events on to the bus, turns the others into dead letters, counts."""

    def __init__(self, bus: Bus, processing: Processing) -> None:
        self._bus = bus
        self._processing = processing

    def offer(self, events: Batch) -> bool:
        sane = self._sane(events)
        if not self._bus.offer(sane):
            return False
        self._count(sane)
        return True

    async def publish(self, events: Batch) -> None:
        sane = self._sane(events)
        await self._bus.publish(sane)
        self._count(sane)

    def _sane(self, events: Batch) -> Batch:
        good, letters = validate(events)
        return [*good, *letters] if letters else good

    def _count(self, events: Batch) -> None:
        """Count by type and source. A batch comes from one connection, so from one source."""
        if not events:
            return
        source = source_of(events[0])
        totals = self._processing.events
        for kind, count in Counter(map(type, events)).items():
            totals[_TAGS[kind], source] += count


class PipelineWorker:
    """Reads batches, lets the processors work, publishes what they say."""

    def __init__(
        self,
        pipeline: Pipeline,
        reader: Reader,
        bus: Bus,
        processing: Processing,
        timer: Callable[[], float],
    ) -> None:
        self.name = "processors"
        self.counters = Counters()
        self.pipeline = pipeline
        self.mark = Micros(0)  # receive time of the last event that the processors have seen
        self._reader = reader
        self._bus = bus
        self._processing = processing
        self._timer = timer

    async def run(self) -> None:
        process, timer, spent = self.pipeline.process, self._timer, self._processing.spent
        counters = self.counters
        async for batch in self._reader:
            began = timer()
            derived = process(batch)
            spent(timer() - began, len(batch))
            counters.received += len(batch)
            self.mark = batch[-1].recv
            if derived:
                counters.sent += len(derived)
                await self._bus.publish(derived, skip=self._reader)
