"""One simulated day through the product's own processors and ready-made rules."""

from typing import Any

from msgspec import Struct, field

from benchmarks.testday.floor import SECOND, START, VENUES, Floor, Truth
from benchmarks.testday.looks import Looks
from benchmarks.testday.plants import Expected, Plant, draw, pace
from tapewatch.model.events import Alert, AlertState, DeadLetter
from tapewatch.rules.defaults import RuleSet, in_force, ready_made
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import measures_of
from tapewatch.runtime import vitals
from tapewatch.runtime.launch import processors_of
from tapewatch.runtime.rules_settings import with_rules
from tapewatch.stream.pipeline import Pipeline

# There is no ready-made rule for whales: many want to see them, few to be woken by them.
WHALE = Rule(name="whale", when="whale_usd >= 500000")


class Spell(Struct):
    """From when to when a rule fired."""

    rule: str
    inst: str
    since: int
    until: int
    value: float


class Day(Struct):
    plants: list[tuple[Plant, list[Expected]]]
    truths: dict[str, Truth]
    spells: list[Spell]
    rules: list[str]
    left_out: list[str]


class Scene(Struct, frozen=True, kw_only=True):
    """Which day."""

    seed: int = 1
    rate: float = 0.15  # of the simulator's usual activity
    hours: float = 24.0
    venues: dict[str, tuple[str, ...]] = field(default_factory=VENUES.copy)
    sections: dict[str, Any] = {}  # settings of detectors
    plants: tuple[Plant, ...] | None = None  # None: drawn by seed


def run(scene: Scene, *, planted: bool) -> Day:
    floor = Floor(scene.seed, scene.rate, scene.venues)
    plants: list[Plant] = []
    if planted:
        drawn = draw(floor, scene.seed, scene.hours) if scene.plants is None else scene.plants
        plants = sorted(drawn, key=lambda plant: plant.at)
    processors = processors_of(scene.sections)
    measures = (*measures_of(processors), *vitals.MEASURES)
    found = in_force((WHALE,), ready_made(), measures)
    pipeline = Pipeline(with_rules(processors, found))
    spells = _spells(floor, plants, pipeline, int(scene.hours * 3_600))
    told = [(plant, plant.expected(floor)) for plant in plants]
    return Day(told, floor.truths, spells, _names(found), [name for name, _ in found.left_out])


def _names(found: RuleSet) -> list[str]:
    return [rule.name for rule in found.rules]


def _spells(floor: Floor, plants: list[Plant], pipeline: Pipeline, secs: int) -> list[Spell]:
    waiting, looks = list(plants), Looks(floor)
    spells: dict[str, Spell] = {}
    for sec in range(secs):
        floor.pace(pace(sec))
        while waiting and waiting[0].at <= START + sec * SECOND:
            waiting.pop(0).begin(floor)
        for event in pipeline.process([*floor.advance(), *looks.look(sec)]):
            if type(event) is DeadLetter:
                raise RuntimeError(f"a processor failed: {event.error}")
            if type(event) is Alert:
                _note(spells, event)
    return list(spells.values())


def _note(spells: dict[str, Spell], alert: Alert) -> None:
    if alert.state is AlertState.FIRING:
        never = 1 << 62
        spells[alert.id] = Spell(alert.rule, alert.inst, alert.ts, never, alert.value)
    elif alert.state is AlertState.RESOLVED and alert.id in spells:
        spells[alert.id].until = alert.ts
