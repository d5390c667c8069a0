"""Reads files of trials and runs them: `tapewatch test-rules`.

rules: / defaults: / thresholds:     what is on trial; without all three the rules in force
trials:                              series in, alerts out (see rules/trial.py)
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from tapewatch.ports import Measure
from tapewatch.rules import trial
from tapewatch.rules.defaults import in_force, of_thresholds, ready_made
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook, words_of
from tapewatch.rules.trial import Expected, Flaw, Outcome, Series, Trial
from tapewatch.runtime.rule_file import RuleFile
from tapewatch.settings.node import Section, place_of
from tapewatch.settings.schema import Thresholds


class Trials(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file."""

    trials: tuple[Trial, ...]
    rules: tuple[Rule, ...] = ()
    defaults: bool = False
    thresholds: Thresholds | None = None

    def own_rules(self, measures: Sequence[Measure]) -> tuple[Rule, ...]:
        usual = ready_made() if self.defaults else ()
        if self.thresholds is not None:
            given = self.thresholds
            usual += of_thresholds(given.pct_24h, given.pct_short, given.cooldown_ms)
        return in_force(self.rules, usual, measures).rules


class Tried(Struct, frozen=True):
    """One trial that was run, and where it is written."""

    name: str
    place: str
    outcome: Outcome


def read(source: str, text: bytes, rules: Sequence[Rule], measures: Sequence[Measure]) -> "Ready":
    """Read a file of trials; `rules` are those in force. Raises InvalidSettings with all faults."""
    file = RuleFile(source, text)
    found = file.read(Trials)
    words = words_of(measures)
    for path, rule in file.parts("rules.*", Rule):
        file.check(path, rule, words)
    for path, each in file.parts("trials.*", Trial):
        _complain(file, path, trial.flaws(each))
    for path, series in file.parts("trials.*.series.*", Series):
        _complain(file, path, trial.flaws_of_series(series, words))
    for path, expected in file.parts("trials.*.expect.*", Expected):
        _complain(file, path, trial.flaws_of_expected(expected))
    file.refuse()
    assert found is not None  # else something was complained of
    return Ready(file.root, found, found.own_rules(measures) or tuple(rules), measures)


def _complain(file: RuleFile, path: str, flaws: Iterable[Flaw]) -> None:
    for flaw in flaws:
        message, _, hint = str(flaw).partition("; ")
        file.complain(f"{path}.{flaw.field}", message, hint)


class Ready:
    """A file without faults."""

    def __init__(
        self, root: Section, file: Trials, rules: Sequence[Rule], measures: Sequence[Measure]
    ) -> None:
        self._root = root
        self._file = file
        self._rules = rules
        self._measures = measures

    def run(self) -> Iterator[Tried]:
        for index, each in enumerate(self._file.trials):
            place = place_of(self._root, ("trials", str(index), "name"))
            where = f"{place.source}:{place.line}" if place else ""
            outcome = trial.run(each, Rulebook(self._rules, self._measures))
            yield Tried(each.name, where, outcome)
