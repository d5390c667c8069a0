"""A rule as people write it, and as it is applied: its condition read, its message checked."""

import difflib
import string
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from tapewatch.model.events import InstrumentId
from tapewatch.model.times import SECOND
from tapewatch.rules.expression import Expression, Unreadable, parse

Secs = Annotated[float, Meta(ge=0, le=31 * 86_400)]
FIELDS = (
    "rule", "inst", "symbol", "venue", "value", "threshold", "baseline", "window", "metric",
    "severity", "quality", "evidence",
)  # fmt: skip


class Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An entry of `alerts.rules`."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    when: str
    resolve_when: str = ""  # empty: when `when` holds no more
    instruments: tuple[str, ...] = ("*",)  # patterns over ids: `binance:*`, `*:BTC/USDT`
    hold_secs: Secs = 0.0  # the condition must hold so long
    cooldown_secs: Secs = 0.0  # after a notice none of the same alert for so long
    repeat_secs: Secs = 0.0  # a firing alert is told again so often; 0: never
    forget_secs: Annotated[float, Meta(gt=0, le=86_400 * 2)] = 300.0  # older values are unknown
    severity: Literal["info", "warning", "critical"] = "warning"
    labels: dict[str, str] = field(default_factory=dict)
    message: str = ""  # with the fields of FIELDS: "{symbol} moved {value:+.1%}"
    notify: tuple[str, ...] = ()
    enabled: bool = True


class Mistake(ValueError):
    """Something is wrong with a rule: in which of its fields, and where in its text."""

    def __init__(self, field_name: str, reason: str, column: int | None = None) -> None:
        super().__init__(reason)
        self.field = field_name
        self.column = column

    def __reduce__(self) -> tuple[type["Mistake"], tuple[str, str, int | None]]:
        return Mistake, (self.field, str(self), self.column)  # so that it can leave a process


class Compiled(Struct, frozen=True):
    rule: Rule
    when: Expression
    resolve: Expression | None
    names: tuple[str, ...]  # the metrics that it wants
    forget: int  # microseconds

    def fits(self, inst: InstrumentId) -> bool:
        return any(fnmatchcase(inst, pattern) for pattern in self.rule.instruments)


def compile_rule(rule: Rule, words: Mapping[str, object]) -> Compiled:
    """Read what is text in it. Raises Mistake; `words` are the metrics there are."""
    when = _when(rule, words)
    resolve = _resolve(rule, words)
    _check_message(rule.message)
    _check_instruments(rule)
    names = dict.fromkeys((*when.names, *(resolve.names if resolve else ())))
    return Compiled(rule, when, resolve, tuple(names), int(rule.forget_secs * SECOND))


def mistakes_of(rule: Rule, words: Mapping[str, object]) -> list[Mistake]:
    """Give the mistake of each of its fields that has one."""
    found = []
    reads: tuple[Callable[[], object], ...] = (
        lambda: _when(rule, words),
        lambda: _resolve(rule, words),
        lambda: _check_message(rule.message),
        lambda: _check_instruments(rule),
    )
    for read in reads:
        try:
            read()
        except Mistake as mistake:
            found.append(mistake)
    return found


def _when(rule: Rule, words: Mapping[str, object]) -> Expression:
    when = _condition("when", rule.when, words)
    if not when.names:
        raise Mistake("when", "it names no metric, so it is always the same", 0)
    return when


def _resolve(rule: Rule, words: Mapping[str, object]) -> Expression | None:
    return _condition("resolve_when", rule.resolve_when, words) if rule.resolve_when else None


def _condition(name: str, text: str, words: Mapping[str, object]) -> Expression:
    try:
        return parse(text, words)
    except Unreadable as mistake:
        raise Mistake(name, str(mistake), mistake.column) from mistake


def _check_instruments(rule: Rule) -> None:
    """An id is a venue, a colon and a symbol: what has no colon and no star fits none."""
    for number, pattern in enumerate(rule.instruments):
        if ":" not in pattern and "*" not in pattern:
            reason = (
                f"`{pattern}` fits no instrument; write *:{pattern}, or {pattern}:* for a venue"
            )
            raise Mistake(f"instruments.{number}", reason)


def _check_message(message: str) -> None:
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(message) if name is not None]
        for name in fields:
            if name not in FIELDS:
                near = difflib.get_close_matches(name, FIELDS, n=1)
                hint = f"did you mean {{{near[0]}}}?" if near else f"there is {', '.join(FIELDS)}"
                column = message.find(f"{{{name}")
                raise Mistake("message", f"unknown field {{{name}}}; {hint}", max(0, column))
        _sample(message)
    except (ValueError, TypeError) as error:
        if isinstance(error, Mistake):
            raise
        raise Mistake("message", f"it cannot be filled in: {error}") from error


def _sample(message: str) -> str:
    numbers = dict.fromkeys(("value", "threshold", "baseline"), 1.0)
    return message.format(**(dict.fromkeys(FIELDS, "x") | numbers))
