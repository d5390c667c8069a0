"""What each venue quotes for one symbol now, and whether it counts: read from `cross_venue` in place."""

from tapewatch.model.events import Micros
from tapewatch.process._sights import count
from tapewatch.process.cross_venue import CrossVenueState
from tapewatch.serve.context import VenueQuote
from tapewatch.stream.keyed import EVERYWHERE
from tapewatch.stream.pipeline import Pipeline

KEEPER = "cross_venue"


class PipelineAcross:
    """Called with a symbol and the time."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, symbol: str, now: Micros) -> list[VenueQuote]:
        state = self._pipeline.state(KEEPER, f"{EVERYWHERE}:{symbol}")
        if not isinstance(state, CrossVenueState):
            return []
        found = count(state.sights, now, state.expire)
        reasons = found.others | dict.fromkeys(found.twins, "another feed of this market counts")
        return [
            VenueQuote(inst, sight.quote, reasons.get(inst, ""))
            for inst, sight in sorted(state.sights.items())
        ]
