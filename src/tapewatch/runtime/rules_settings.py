"""From the section `alerts:` to the rules in force; each complaint at the line where it belongs."""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from msgspec import structs

from tapewatch.model.times import MINUTE, SECOND, interval_name
from tapewatch.ports import Measure, Processor
from tapewatch.process.liquidation_spike import LiquidationSpikeConfig
from tapewatch.process.rolling import RollingConfig
from tapewatch.rules.defaults import SIGMA, RuleSet, in_force, of_thresholds, ready_made
from tapewatch.rules.rule import Rule, mistakes_of
from tapewatch.rules.rulebook import Rulebook, measures_of, words_of
from tapewatch.settings.loader import Loaded
from tapewatch.settings.schema import Settings
from tapewatch.stream.keyed import EVERYWHERE

_DEFAULT = "default"
_WINDOW = "alerts.thresholds.window_short_ms"
_SHORT = "detectors.rolling.short"
_RULES = "alerts.rules"


def detectors_of(loaded: Loaded) -> dict[str, Any]:
    """Give the detectors' sections, with the short window that the thresholds ask for."""
    sections = dict(loaded.settings.detectors)
    thresholds = loaded.settings.alerts.thresholds
    if thresholds is None or loaded.origin(_WINDOW) == _DEFAULT:
        return sections
    micros = thresholds.window_short_ms * 1_000
    whole = max(MINUTE, micros - micros % SECOND)
    name = interval_name(whole)
    if whole != micros:
        message = f"changes are measured over whole seconds, a minute at least: {name} here"
        loaded.note(_WINDOW, message)
    rolling = sections.get("rolling") or RollingConfig()
    if loaded.origin(_SHORT) != _DEFAULT and rolling.short != name:
        message = f"{_SHORT} says {rolling.short} and this says {name}: there is one short window"
        loaded.complain(_WINDOW, message, "give one of them", "CFG006")
    sections["rolling"] = structs.replace(rolling, short=name)
    return sections


def rules_of(loaded: Loaded, measures: Sequence[Measure]) -> RuleSet:
    """Check what is written and put it over what is usual. Complaints are raised by `refuse`."""
    settings = loaded.settings
    found = in_force(settings.alerts.rules, usual_rules(settings), measures)
    words = words_of(measures)
    first: dict[str, int] = {}
    for index, rule in enumerate(settings.alerts.rules):
        path = f"{_RULES}.{index}"
        if first.setdefault(rule.name, index) != index:
            message = f"two rules are called `{rule.name}`"
            hint = f"the other one is {loaded.origin(f'{_RULES}.{first[rule.name]}.name')}"
            loaded.complain(f"{path}.name", message, hint, "CFG011")
        _note_venues(loaded, f"{path}.instruments", rule.instruments)
        for name, message, hint, column in complaints(rule, words):
            loaded.complain(f"{path}.{name}", message, hint, "CFG011", column)
    return found


def _note_venues(loaded: Loaded, path: str, patterns: Sequence[str]) -> None:
    """A pattern over a venue that is not collected waits for ever."""
    venues = [name for name, each in loaded.settings.exchanges.items() if each.enabled]
    for index, pattern in enumerate(patterns):
        venue, colon, _ = pattern.partition(":")
        if colon and not any(fnmatchcase(name, venue) for name in (*venues, EVERYWHERE)):
            there = ", ".join(venues) or "none"
            loaded.note(f"{path}.{index}", f"no exchange `{venue}` is collected; there is {there}")


def usual_rules(settings: Settings) -> tuple[Rule, ...]:
    """The ready-made ones, and those of the thresholds."""
    alerts = settings.alerts
    usual = ready_made_of(settings)
    if alerts.thresholds is not None:
        given = alerts.thresholds
        usual += of_thresholds(given.pct_24h, given.pct_short, given.cooldown_ms)
    return usual


def ready_made_of(settings: Settings) -> tuple[Rule, ...]:
    if not settings.alerts.defaults:
        return ()
    section = settings.detectors.get("liquidation_spike")
    return ready_made(section.sigma if isinstance(section, LiquidationSpikeConfig) else SIGMA)


def usual_in_force(settings: Settings, found: RuleSet) -> tuple[Rule, ...]:
    """Those of the ready-made ones in whose place no other is written."""
    usual = ready_made_of(settings)
    return tuple(rule for rule in found.rules if rule in usual)


def with_rules(processors: Sequence[Processor[Any]], found: RuleSet) -> tuple[Processor[Any], ...]:
    """Put the rules behind the processors whose metrics they name. Raises Mistake."""
    return (*processors, Rulebook(found.rules, found.measures))


def with_usual_rules(processors: Sequence[Processor[Any]]) -> tuple[Processor[Any], ...]:
    """Put those rules behind them that are in force without settings."""
    return with_rules(processors, in_force((), ready_made(), measures_of(processors)))


def complaints(
    rule: Rule, words: Mapping[str, object]
) -> Iterator[tuple[str, str, str, int | None]]:
    """Give field, message, hint and column of every mistake in a rule."""
    for mistake in mistakes_of(rule, words):
        message, _, hint = str(mistake).partition("; ")
        yield mistake.field, message, hint, mistake.column
