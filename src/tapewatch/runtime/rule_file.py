"""Files with rules that are no settings: trials, rules to be tried on the past.

Each part is read by itself, so that a fault in one place hides none in another: all are told at
once, each with its line and column.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from msgspec import Struct

from tapewatch.model.errors import ConfigError
from tapewatch.rules.rule import Rule
from tapewatch.runtime.rules_settings import complaints
from tapewatch.settings.document import parse
from tapewatch.settings.node import Items, Node, Path, Section, Text, find, key_place, place_of
from tapewatch.settings.problems import InvalidSettings, Problem, in_order, within
from tapewatch.settings.values import Values

T = TypeVar("T")


class Rules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file with several rules; one with a single rule is that rule."""

    rules: tuple[Rule, ...]


class RuleFile:
    """One file. Faults are collected; `refuse` raises them."""

    def __init__(self, source: str, text: bytes) -> None:
        self.root, self._problems = parse(source, text, {})

    def read(self, struct: type[T]) -> T | None:
        """Read the whole; None if its faults leave nothing."""
        values = Values(_no_sections)
        found: T | None = values.read(self.root, struct)
        self._problems += values.problems
        return found

    def parts(self, pattern: str, struct: type[T]) -> Iterator[tuple[str, T]]:
        """Give what can be read at `trials.*.series.*`, with its path. `read` notes the faults."""
        for path, node in _fitting(self.root, tuple(pattern.split("."))):
            part = Values(_no_sections).read(node, struct) if isinstance(node, Section) else None
            if part is not None:
                yield ".".join(path), part

    def check(self, path: str, rule: Rule, words: Mapping[str, object]) -> None:
        """Complain about each mistake of the rule at a path; an empty one is the file itself."""
        for name, message, hint, column in complaints(rule, words):
            self.complain(f"{path}.{name}" if path else name, message, hint, column)

    def complain(self, path: str, message: str, hint: str, column: int | None = None) -> None:
        """`column` counts from 0 within the text that stands at the path."""
        steps = tuple(path.split("."))
        place = place_of(self.root, steps) or key_place(self.root, steps)
        node = find(self.root, steps)
        if place is not None and column is not None and isinstance(node, Text):
            place = within(place, node.text, column)
        self._problems.append(Problem("CFG011", message, place, path, hint))

    def refuse(self) -> None:
        if self._problems:
            raise InvalidSettings(in_order(self._problems))


def rules_in(source: str, text: bytes, words: Mapping[str, object]) -> tuple[Rule, ...]:
    """Read a file with a rule, or with `rules:`. Raises InvalidSettings with all faults."""
    file = RuleFile(source, text)
    if "rules" in file.root.fields:
        found = file.read(Rules)
        for path, rule in file.parts("rules.*", Rule):
            file.check(path, rule, words)
        rules = found.rules if found is not None else ()
    else:
        single = file.read(Rule)
        rules = () if single is None else (single,)
        for rule in rules:
            file.check("", rule, words)
    file.refuse()
    if not rules:
        raise ConfigError(f"{source} has no rule: give `name` and `when`, or `rules` with several")
    return rules


def _fitting(node: Node | None, pattern: Path) -> Iterator[tuple[Path, Node]]:
    if node is None or not pattern:
        if node is not None:
            yield (), node
        return
    step, rest = pattern[0], pattern[1:]
    many = range(len(node.items)) if step == "*" and isinstance(node, Items) else ()
    for name in map(str, many) if step == "*" else (step,):
        for path, found in _fitting(find(node, (name,)), rest):
            yield (name, *path), found


def _no_sections(kind: str, name: str) -> type:
    raise ConfigError(f"there is no section {name} of {kind} in a file of rules")
