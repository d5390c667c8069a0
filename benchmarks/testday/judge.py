"""What was planted against what was told.

A planted event is **found** if a rule that must tell it fires on its instrument at some moment of
its time (of a cascade each instrument with liquidations counts by itself). A firing is **right** if
it begins in the time of a planted event of its rule and instrument, or in a window in which the
market did the same by itself; it **does not count** if it begins in a window at the border of the
definition; else it is **wrong**.

    recall = found / planted          precision = right / (right + wrong)
"""

from msgspec import Struct, field

from benchmarks.testday.day import Day, Spell
from benchmarks.testday.floor import SECOND
from benchmarks.testday.plants import Expected
from benchmarks.testday.truth import Window, windows

_SETTLE = 60 * SECOND  # what a planted event stirs up may go on for so long


class Tally(Struct):
    rule: str
    planted: int = 0
    missed: list[tuple[str, Expected]] = field(default_factory=list)  # with its kind
    right: int = 0
    border: int = 0
    wrong: list[Spell] = field(default_factory=list)

    @property
    def recall(self) -> float | None:
        return (self.planted - len(self.missed)) / self.planted if self.planted else None

    @property
    def precision(self) -> float | None:
        told = self.right + len(self.wrong)
        return self.right / told if told else None


def judge(day: Day, usual: dict[str, float]) -> dict[str, Tally]:
    tallies = {rule: Tally(rule) for rule in day.rules}
    expected = [(plant.kind, each) for plant, each_of in day.plants for each in each_of]
    for kind, each in expected:
        if each.rule in tallies:
            tally = tallies[each.rule]
            tally.planted += 1
            if not any(_finds(spell, each) for spell in day.spells):
                tally.missed.append((kind, each))
    planted = [
        Window(each.rule, each.inst, each.since, each.until + _SETTLE, sure=True)
        for _, each in expected
    ]
    own = windows(day.truths, usual)
    for spell in day.spells:
        _count(tallies[spell.rule], spell, [*planted, *own])
    return tallies


def _finds(spell: Spell, each: Expected) -> bool:
    same = (spell.rule, spell.inst) == (each.rule, each.inst)
    return same and spell.since <= each.until and each.since <= spell.until


def _count(tally: Tally, spell: Spell, known: list[Window]) -> None:
    around = [
        window.sure
        for window in known
        if (window.rule, window.inst) == (spell.rule, spell.inst)
        and window.since <= spell.since <= window.until
    ]
    if any(around):
        tally.right += 1
    elif around:
        tally.border += 1
    else:
        tally.wrong.append(spell)
