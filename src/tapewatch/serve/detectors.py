"""What is computed, by which settings, and whether each detector has shown that it can fire."""

import sys
from typing import Any

import msgspec

from tapewatch.analysis.selftest import Outcome
from tapewatch.ports import Measure, Processor
from tapewatch.serve import views
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context

_NONE = "it measures and judges nothing"
_PENDING = "it is tried within seconds of the start"


async def get_detectors(context: Context, ask: Ask) -> views.Detectors:
    ask.done()
    return views.Detectors([_view(context, each) for each in context.processors])


def outcomes(context: Context) -> dict[str, str]:
    """How the self-test of each processor that has one stands."""
    found = {each.name: self_test(context, each.name).outcome for each in context.processors}
    return {name: outcome for name, outcome in found.items() if outcome != "none"}


def problems(context: Context) -> list[str]:
    return [
        f"the detector {name} is broken, its silence means nothing: {result.words}"
        for name, result in context.proofs.items()
        if result.outcome is Outcome.BROKEN
    ]


def self_test(context: Context, name: str) -> views.SelfTest:
    result = context.proofs.get(name)
    if result is not None:
        return views.SelfTest(outcome=result.outcome.value, words=result.words)
    detector = context.detectors.get(name)
    if detector is None or detector.proof is None:
        return views.SelfTest(outcome="none", words=_NONE)
    return views.SelfTest(outcome="pending", words=_PENDING)


def _view(context: Context, processor: Processor[Any]) -> views.Detector:
    detector = context.detectors.get(processor.name)
    settings = {} if detector is None else msgspec.to_builtins(detector.here.config)
    return views.Detector(
        name=processor.name,
        wants=views.names(processor.wants),
        gives=views.names(processor.gives),
        text=_text(processor),
        measures=[_measure(each) for each in processor.measures],
        settings=settings,
        self_test=self_test(context, processor.name),
    )


def _text(processor: Processor[Any]) -> str:
    """Give the docstring of its file: a detector is one file, which says what it does."""
    module = sys.modules.get(type(processor).__module__)
    return ((module.__doc__ if module else None) or "").strip()


def _measure(measure: Measure) -> views.MeasureView:
    return views.MeasureView(
        name=measure.name,
        windows=list(measure.windows),
        words=list(measure.words()),
        unit=measure.unit,
        text=measure.text,
        sparse=measure.sparse,
    )
