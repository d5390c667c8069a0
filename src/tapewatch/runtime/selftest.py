"""The detectors' self-test at start: off the hot path, told once, kept for whoever asks.

    start ──> AFTER_SECS later: one detector after the other, a slice of a millisecond or so at
              a time ──> one log line; `/detectors`, `/health/detailed`; one that is broken makes
              the product degraded

All of it is some fifty milliseconds, spread out, while data flows. `tapewatch doctor` does the same at
once. The processors that run are not touched: each trial builds its own.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from tapewatch.analysis.selftest import Detector, Outcome, Result, Setting, examine, finish
from tapewatch.ports import Processor
from tapewatch.rules.defaults import ready_made
from tapewatch.rules.expression import named
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook, words_of
from tapewatch.runtime import plugins

log = logging.getLogger("tapewatch.runtime.selftest")

AFTER_SECS = 2.0  # the first data have come by then
MEANS = {
    Outcome.SETTINGS: "it stays silent on what it is made to tell: look at its settings",
    Outcome.BROKEN: "its silence means nothing: report it, and do not rely on it",
}


class SelfTest:
    """The worker. It ends when all are tried."""

    def __init__(self, detectors: Sequence[Detector], after_secs: float = AFTER_SECS) -> None:
        self.name = "self-test"
        self.results: dict[str, Result] = {}
        self._detectors = detectors
        self._after_secs = after_secs

    async def run(self) -> None:
        await asyncio.sleep(self._after_secs)
        for detector in self._detectors:
            if detector.proof is not None:
                self.results[detector.name] = await _gently(detector)
        tell(list(self.results.values()))


async def _gently(detector: Detector) -> Result:
    steps = examine(detector)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
        await asyncio.sleep(0)  # the market first


def tell(results: Sequence[Result]) -> None:
    """One line for all, and one for each that did not pass."""
    counts = {each.value: sum(r.outcome is each for r in results) for each in Outcome}
    log.info("detectors_proved", extra={"fields": counts})
    for result in results:
        if result.outcome is Outcome.PROVEN:
            continue
        fields = {"detector": result.name, "found": result.words, "means": MEANS[result.outcome]}
        if result.outcome is Outcome.BROKEN:
            log.error("detector_broken", extra={"fields": fields})
        else:
            log.warning("detector_silenced_by_settings", extra={"fields": fields})


def at_once(detectors: Sequence[Detector]) -> list[Result]:
    return [finish(examine(detector)) for detector in detectors if detector.proof is not None]


def detectors_of(
    processors: Sequence[Processor[Any]], sections: Mapping[str, Any], usual: Sequence[Rule]
) -> tuple[Detector, ...]:
    """Give each processor as it is set. `usual`: the ready-made rules in force."""
    built = plugins.loadable("process")
    proofs = plugins.proofs()
    found = []
    for processor in processors:
        plugin = built.get(processor.name)
        if plugin is None:
            continue
        config = plugin.config()
        found.append(
            Detector(
                processor=processor,
                here=_setting(processor, sections.get(processor.name) or config, usual),
                usual=_setting(processor, config, ready_made()),
                build=plugin.build,
                proof=proofs.get(processor.name),
            )
        )
    return tuple(found)


def _setting(processor: Processor[Any], config: Any, rules: Sequence[Rule]) -> Setting:
    """Take the rules that look at this detector alone, as if nothing had to hold for long."""
    words = words_of(processor.measures)
    mine = tuple(
        replace(rule, hold_secs=0.0)
        for rule in rules
        if all(name in words for name in (*named(rule.when), *named(rule.resolve_when)))
    )
    if not mine:
        return Setting(config=config)
    book = partial(Rulebook, mine, processor.measures)
    return Setting(config=config, rules=tuple(rule.name for rule in mine), rulebook=book)
