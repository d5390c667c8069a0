"""The newest numbers about one instrument, each with how good it is and what it rests on."""

from msgspec import Struct

from tapewatch.model.errors import NotFound
from tapewatch.model.events import Metric
from tapewatch.model.times import iso
from tapewatch.ports import Latest
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context


class Measured(Struct, kw_only=True):
    """One metric, as it was last told."""

    name: str
    window: str
    value: float
    quality: str
    baseline: float | None  # what is usual, where it is judged against something
    evidence: list[str]
    timestamp: str
    ts: int


class MeasuredOf(Struct, kw_only=True):
    inst: str
    metrics: list[Measured]


async def get_measured(context: Context, ask: Ask) -> MeasuredOf:
    """Take any spelling of a symbol, and what is about several venues: `all:BTC`."""
    names = set(ask.words("names"))
    ask.done()
    latest = _latest(context, ask.path["symbol"])
    found = latest.metrics.values()
    chosen = [metric for metric in found if not names or metric.name in names]
    chosen.sort(key=lambda metric: (metric.name, metric.window))
    return MeasuredOf(inst=latest.inst, metrics=[_view(metric) for metric in chosen])


def _latest(context: Context, text: str) -> Latest:
    latest = context.hot.get_latest(text)
    if latest is None:
        inst = context.instrument(text).id
        latest = context.hot.get_latest(inst)
        if latest is None:
            raise NotFound("metrics of an instrument", inst)
    return latest


def _view(metric: Metric) -> Measured:
    return Measured(
        name=metric.name,
        window=metric.window,
        value=metric.value,
        quality=metric.quality.value,
        baseline=metric.baseline,
        evidence=list(metric.evidence),
        timestamp=iso(metric.ts),
        ts=metric.ts,
    )
