"""Rules that are there without being written: the ready-made ones, and those of the four thresholds.

A written rule of the same name takes the place of a ready-made one; with `enabled: false` there is
none. One whose metric nobody measures is left out, which `tapewatch check` tells.
"""

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from tapewatch.ports import Measure
from tapewatch.rules.expression import named
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import words_of

STALE_FEED = "stale_feed"  # by this name other alerts are inhibited while a feed is silent
SIGMA = 3.0
_HALF_HOUR = 1_800.0
_HOUR = 3_600.0


class RuleSet(Struct, frozen=True):
    """The rules in force, and which ready-made ones are not, each with the reason."""

    rules: tuple[Rule, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    measures: tuple[Measure, ...] = ()  # what rules may name


def ready_made(sigma: float = SIGMA) -> tuple[Rule, ...]:
    """Give the default rules. `sigma` is LIQ_SPIKE_SIGMA."""
    return (
        Rule(
            name="big_trade",
            when="big_trade > 4",
            cooldown_secs=300.0,
            severity="info",
            message="{symbol} on {venue}: an order {value:.1f} deviations above the usual ({evidence})",
        ),
        Rule(
            name="liq_spike",
            when=f"liq_spike_volume > {sigma:g} or liq_spike_count > {sigma:g}",
            resolve_when=f"liq_spike_volume < {sigma / 2:g} and liq_spike_count < {sigma / 2:g}",
            cooldown_secs=600.0,
            message="{symbol} on {venue}: {metric} {value:.1f} deviations above the usual",
        ),
        Rule(
            name="volume_surge",
            when="volume_surge_5m > 4",
            resolve_when="volume_surge_5m < 2",
            cooldown_secs=_HALF_HOUR,
            message="{symbol} on {venue}: {value:.1f} times the usual volume in {window}",
        ),
        Rule(
            name="depeg",
            when="abs(depeg_bps) > 50",
            resolve_when="abs(depeg_bps) < 25",
            hold_secs=60.0,
            cooldown_secs=_HOUR,
            severity="critical",
            message="{symbol}: {value:+.0f} bps from the dollar",
        ),
        Rule(
            name="divergence",
            when="abs(divergence_bps) > 50",
            resolve_when="abs(divergence_bps) < 25",
            hold_secs=10.0,
            cooldown_secs=_HALF_HOUR,
            message="{symbol} on {venue}: {value:+.0f} bps from the median of the venues",
        ),
        Rule(
            name=STALE_FEED,
            when="feed_silent_secs > 60",
            resolve_when="feed_silent_secs < 10",
            cooldown_secs=_HALF_HOUR,
            severity="critical",
            message="{venue} has been silent for {value:.0f} s",
        ),
        Rule(
            name="candle_mismatch",
            when="candle_mismatch > 0",
            forget_secs=_HALF_HOUR,
            cooldown_secs=_HOUR,
            message="{symbol} on {venue}: our {window} candle is not the venue's ({evidence})",
        ),
    )


def of_thresholds(pct_24h: float, pct_short: float, cooldown_ms: int) -> tuple[Rule, ...]:
    """Give the rules of `alerts.thresholds`. Its fourth key is the window of `change_short`."""
    return tuple(
        Rule(
            name=name,
            when=f"abs({metric}) >= {least:g}",
            cooldown_secs=cooldown_ms / 1_000,
            message="{symbol} on {venue}: {value:+.2%} in {window} (limit {threshold:.2%})",
        )
        for name, metric, least in (
            ("pct_24h", "change_24h", pct_24h),
            ("pct_short", "change_short", pct_short),
        )
    )


def in_force(
    written: Sequence[Rule], usual: Iterable[Rule], measures: Iterable[Measure]
) -> RuleSet:
    """Put what is written over what is usual. What cannot be measured is only left out of that."""
    known = tuple(measures)
    words = words_of(known)
    taken = {rule.name for rule in written}
    rules: list[Rule] = []
    left_out: list[tuple[str, str]] = []
    for rule in usual:
        missing = _unmeasured(rule, words)
        if rule.name in taken:
            continue
        if missing:
            left_out.append((rule.name, f"nobody measures {', '.join(missing)}"))
        else:
            rules.append(rule)
    return RuleSet((*rules, *written), tuple(left_out), known)


def _unmeasured(rule: Rule, words: Collection[str]) -> list[str]:
    names = dict.fromkeys((*named(rule.when), *named(rule.resolve_when)))
    return [name for name in names if name not in words]
