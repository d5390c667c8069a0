"""Every detector proves that it can fire: on a made-up positive, and not on a quiet stream.

Who trusts silence wants to know that it is not a detector that cannot speak.
"""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from tapewatch.model.events import AnyEvent, DeadLetter, Metric
from tapewatch.ports import Processor, Proof
from tapewatch.stream.pipeline import Pipeline


class Verdict(Struct, frozen=True):
    name: str
    fired: bool  # on what must make it fire
    quiet: bool  # on what must not
    highest: float  # of its metric, on the positive
    words: str

    @property
    def ok(self) -> bool:
        return self.fired and self.quiet


def prove(name: str, build: Callable[[], Processor[Any]], proof: Proof) -> Verdict:
    """Run both streams through a processor of its own."""
    try:
        highest = _highest(build(), proof, proof.positive())
        calm = _highest(build(), proof, proof.quiet())
    except _Failed as failure:
        return Verdict(name, fired=False, quiet=False, highest=0.0, words=str(failure))
    fired, quiet = highest >= proof.level, calm < proof.level
    words = f"{proof.metric} reached {highest:.3g} (must: {proof.level:g}), in a quiet market {calm:.3g}"
    return Verdict(name, fired=fired, quiet=quiet, highest=highest, words=words)


class _Failed(Exception):
    """The processor raised on its own proof."""


def _highest(processor: Processor[Any], proof: Proof, events: Iterable[AnyEvent]) -> float:
    highest = 0.0
    for event in Pipeline([processor]).process(list(events)):
        if type(event) is DeadLetter:
            raise _Failed(event.error)
        if type(event) is Metric and event.name == proof.metric:
            highest = max(highest, event.value)
    return highest
