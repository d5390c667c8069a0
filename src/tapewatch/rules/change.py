"""A rule in force, with something about it wished otherwise; or a new one."""

from collections.abc import Iterable
from difflib import get_close_matches

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.model.errors import NotFound
from tapewatch.rules.rule import Rule


class Change(Struct, frozen=True, kw_only=True):
    """What is None or empty stays as it is."""

    rule: str
    when: str | None = None
    resolve_when: str | None = None
    instruments: tuple[str, ...] = ()
    hold_secs: float | None = None

    def of(self, rules: Iterable[Rule]) -> Rule:
        """Give the rule that is meant. Raises NotFound with the nearest."""
        known = {rule.name: rule for rule in rules}
        rule = known.get(self.rule)
        if rule is None:
            if not self.when:
                near = get_close_matches(self.rule, known, n=3) or known
                raise NotFound("rule (a condition makes a new one)", self.rule, tuple(near))
            rule = Rule(name=self.rule, when=self.when)
        wishes = {
            "when": self.when,
            "resolve_when": self.resolve_when,
            "instruments": self.instruments or None,
            "hold_secs": self.hold_secs,
        }
        return replace(rule, **{name: value for name, value in wishes.items() if value is not None})
