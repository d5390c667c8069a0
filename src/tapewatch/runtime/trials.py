"""Reads files of trials and runs them: `tapewatch test-rules`.

rules: / defaults: / thresholds:     what is on trial; without all three the rules in force
trials:                              series in, alerts out (see rules/trial.py)
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from tapewatch.model.errors import ConfigError
from tapewatch.ports import Measure
from tapewatch.rules import trial
from tapewatch.rules.defaults import in_force, of_thresholds, ready_made
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook, words_of
from tapewatch.rules.trial import Flaw, Outcome, Trial
from tapewatch.runtime.rules_settings import complaints
from tapewatch.settings.document import parse
from tapewatch.settings.node import Section, Text, find, key_place, place_of
from tapewatch.settings.problems import InvalidSettings, Place, Problem, within
from tapewatch.settings.schema import Thresholds
from tapewatch.settings.values import Values


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
    root, problems = parse(source, text, {})
    values = Values(_no_sections)
    found = values.read(root, Trials)
    problems += values.problems
    if not isinstance(found, Trials) or problems:
        raise InvalidSettings(problems)
    words = words_of(measures)
    problems += [
        _problem(root, f"rules.{path}", message, hint, column)
        for path, message, hint, column in complaints(found.rules, words)
    ]
    problems += [
        _problem(root, f"trials.{index}.{flaw.path}", *_halves(flaw))
        for index, each in enumerate(found.trials)
        for flaw in trial.flaws(each, words)
    ]
    if problems:
        raise InvalidSettings(problems)
    return Ready(root, found, found.own_rules(measures) or tuple(rules), measures)


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


def _problem(
    root: Section, path: str, message: str, hint: str, column: int | None = None
) -> Problem:
    steps = tuple(path.split("."))
    place: Place | None = place_of(root, steps) or key_place(root, steps)
    node = find(root, steps)
    if place is not None and column is not None and isinstance(node, Text):
        place = within(place, node.text, column)
    return Problem("CFG011", message, place, path, hint)


def _halves(flaw: Flaw) -> tuple[str, str]:
    message, _, hint = str(flaw).partition("; ")
    return message, hint


def _no_sections(kind: str, name: str) -> type:
    raise ConfigError(f"trials have no section {name} of {kind}")
