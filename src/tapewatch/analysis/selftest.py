"""Every detector proves that it can fire: on a made-up positive, and not on a quiet stream.

Who trusts silence wants to know that it is not a detector that cannot speak. It is tried as it is
set. One that does not pass so is tried once more as it comes:

    as it is set  --passes--> proven
        | does not
    as it comes   --passes--> settings: it works, but its settings ask for something else than
        | does not                      its proof shows
        +-----------------------------> broken
"""

from collections.abc import Callable, Generator, Iterable
from enum import Enum
from itertools import islice
from typing import Any, Self, TypeVar

from msgspec import Struct, field, structs

from tapewatch.model.events import Alert, AlertState, AnyEvent, DeadLetter, Metric
from tapewatch.ports import Processor, Proof
from tapewatch.stream.pipeline import Pipeline

SLICE = 64  # events after which others get a turn: a millisecond or so

T = TypeVar("T")


class Outcome(Enum):
    PROVEN = "proven"
    SETTINGS = "settings"
    BROKEN = "broken"


class Setting(Struct, frozen=True, kw_only=True):
    """How a detector may be set, and which rules must speak on its positive."""

    config: Any
    rules: tuple[str, ...] = ()
    rulebook: Callable[[], Processor[Any]] | None = None  # these rules, with no time to hold


class Detector(Struct, frozen=True, kw_only=True):
    """A processor as it is set, and what it takes to build it as it comes."""

    processor: Processor[Any]
    here: Setting
    usual: Setting
    build: Callable[[str, Any], Processor[Any]]
    proof: Proof | None = None  # one that only measures has none

    @property
    def name(self) -> str:
        return self.processor.name

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """The settings that are not as they come: what is set, and what comes."""
        here, usual = structs.asdict(self.here.config), structs.asdict(self.usual.config)
        return {key: (here[key], usual[key]) for key in here if here[key] != usual[key]}


class Verdict(Struct, frozen=True):
    name: str
    fired: bool  # on what must make it fire
    quiet: bool  # on what must not
    highest: float  # of its metric, on the positive
    words: str
    raised: bool = False

    @property
    def ok(self) -> bool:
        return self.fired and self.quiet


class Result(Struct, frozen=True):
    """What is told of a detector."""

    name: str
    outcome: Outcome
    words: str

    @classmethod
    def of(cls, outcome: Outcome, verdict: Verdict, more: str = "") -> Self:
        return cls(verdict.name, outcome, f"{verdict.words}; {more}" if more else verdict.words)


def examine(detector: Detector) -> Generator[None, None, Result]:
    """Try a detector that has a proof, a slice at a time: in between others may work."""
    here = yield from _trying_with(detector, detector.here)
    if here.ok:
        return Result.of(Outcome.PROVEN, here)
    if here.raised or not detector.changed:
        return Result.of(Outcome.BROKEN, here)
    usual = yield from _trying_with(detector, detector.usual)
    if not usual.ok:
        return Result.of(Outcome.BROKEN, here, "nor does it pass with its usual settings")
    changes = ", ".join(
        f"{key} {ours} (usually {was})" for key, (ours, was) in detector.changed.items()
    )
    return Result.of(
        Outcome.SETTINGS, here, f"with its usual settings it passes; here is {changes}"
    )


def _trying_with(detector: Detector, setting: Setting) -> Generator[None, None, Verdict]:
    assert detector.proof is not None
    return _trying(
        detector.name,
        lambda: detector.build(detector.name, setting.config),
        detector.proof,
        setting,
    )


def prove(name: str, build: Callable[[], Processor[Any]], proof: Proof) -> Verdict:
    """Run both streams through a processor of its own."""
    return finish(_trying(name, build, proof, Setting(config=None)))


def finish(steps: Generator[None, None, T]) -> T:
    """Go through all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


def _trying(
    name: str, build: Callable[[], Processor[Any]], proof: Proof, setting: Setting
) -> Generator[None, None, Verdict]:
    try:
        loud = yield from _heard(build(), proof.metric, proof.positive(), setting)
        calm = yield from _heard(build(), proof.metric, proof.quiet(), setting)
    except Exception as error:  # noqa: BLE001 - a proof's bug costs its detector this verdict
        why = str(error) if type(error) is _Failed else f"{type(error).__name__}: {error}"
        return Verdict(name, fired=False, quiet=False, highest=0.0, words=why, raised=True)
    silent = [rule for rule in setting.rules if rule not in loud.rules]
    return Verdict(
        name,
        fired=loud.highest >= proof.level and not silent,
        quiet=calm.highest < proof.level and not calm.rules,
        highest=loud.highest,
        words="; ".join(_words(proof, loud, calm, silent)),
    )


def _words(proof: Proof, loud: "_Heard", calm: "_Heard", silent: list[str]) -> Iterable[str]:
    reached = f"{proof.metric} reached {loud.highest:.3g} (must: {proof.level:g})"
    yield f"{reached}, in a quiet market {calm.highest:.3g}"
    if silent:
        yield f"the rule {', '.join(silent)} did not speak"
    if calm.rules:
        yield f"the rule {', '.join(sorted(calm.rules))} spoke in a quiet market"


class _Failed(Exception):
    """The processor raised on its own proof."""


class _Heard(Struct):
    highest: float = 0.0
    rules: set[str] = field(default_factory=set)


def _heard(
    processor: Processor[Any], metric: str, events: Iterable[AnyEvent], setting: Setting
) -> Generator[None, None, _Heard]:
    heard = _Heard()
    pipeline = Pipeline([processor, *([setting.rulebook()] if setting.rulebook else [])])
    coming = iter(events)
    while batch := list(islice(coming, SLICE)):
        for event in pipeline.process(batch):
            if type(event) is DeadLetter:
                raise _Failed(event.error)
            if type(event) is Metric and event.name == metric:
                heard.highest = max(heard.highest, event.value)
            if type(event) is Alert and event.state is AlertState.FIRING:
                heard.rules.add(event.rule)
        yield
    return heard
