"""Trials of rules: written series of metrics in, the alerts that they must give out.

    values: 1 1 5x6 _ 3     five is told six times, then nothing, then three

Time is made of the steps of the series. A trial lists every alert that must come; one too many is a
mistake like one too few, so a rule that cries too often fails its trial.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from difflib import get_close_matches

from msgspec import Struct

from tapewatch.model.events import (
    Alert,
    AlertState,
    AnyEvent,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Tick,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import DAY, HOUR, MINUTE, SECOND, parse_time
from tapewatch.rules.rulebook import Rulebook
from tapewatch.stream.pipeline import Pipeline

_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 1_000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_VALUE = re.compile(
    r"(?P<value>_|[-+]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?P<percent>%)?(?:x(?P<times>\d+))?"
)
_MOST = 100_000  # values of one series
_START = "2026-01-01T00:00Z"


class Series(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One metric over time, as rules name it."""

    metric: str
    values: str
    inst: str = ""  # empty: that of the trial
    quality: Quality = Quality.COMPLETE
    baseline: float | None = None
    evidence: tuple[str, ...] = ()


class Expected(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One alert. What is not given is not compared."""

    at: str  # since the start: 20s, 1m30s
    state: AlertState
    rule: str = ""
    inst: str = ""
    value: float | None = None
    severity: str = ""
    quality: Quality | None = None
    text: str = ""  # a part of the alert's text


class Trial(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    series: tuple[Series, ...]
    expect: tuple[Expected, ...] = ()  # all that must come; empty: silence
    inst: str = "binance:BTC/USDT"
    every: str = "10s"  # between two values
    start: str = _START
    until: str = ""  # time goes on until here; empty: one step behind the last value


class Flaw(ValueError):
    """A part of a trial that cannot be read: which field of it, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Outcome(Struct, frozen=True):
    """`lines` are what came and what should have: marked `-` is missing, `+` too much."""

    passed: bool
    lines: tuple[str, ...]


def flaws(trial: Trial) -> list[Flaw]:
    """Give what of its own times cannot be read."""
    found = [*_flaw("every", _step, trial.every)]
    found += _flaw("start", parse_time, trial.start, Micros(0))
    return found + (_flaw("until", span, trial.until) if trial.until else [])


def flaws_of_series(series: Series, known: Collection[str]) -> list[Flaw]:
    found = _flaw("values", values_of, series.values)
    if series.metric not in known:
        near = get_close_matches(series.metric, known, n=2, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        found.insert(0, Flaw("metric", f"unknown metric {series.metric}{hint}"))
    return found


def flaws_of_expected(expected: Expected) -> list[Flaw]:
    return _flaw("at", span, expected.at)


def _flaw(field: str, read: Callable[..., object], *arguments: object) -> list[Flaw]:
    try:
        read(*arguments)
    except ValueError as error:
        return [Flaw(field, str(error))]
    return []


def run(trial: Trial, rulebook: Rulebook) -> Outcome:
    """Play one trial. It has no flaws; the rulebook is its own."""
    alerts: list[Alert] = []
    for event in Pipeline([rulebook]).process(list(_events(trial, rulebook))):
        if type(event) is not Alert:  # a dead letter: the rulebook itself failed
            raise AssertionError(str(event))
        alerts.append(event)
    return _compare(trial, alerts)


def span(text: str) -> Micros:
    """Read `20s`, `1m30s`, `0`. Raises ValueError."""
    found = _PARTS.findall(text)
    if text == "0" or (found and "".join(f"{n}{unit}" for n, unit in found) == text):
        return Micros(round(sum(float(number) * _UNITS[unit] for number, unit in found)))
    raise ValueError(f"{text!r} is no length of time: write 20s or 1m30s")


def values_of(text: str) -> list[float | None]:
    """Read `1 5x6 _ 2%`. Raises ValueError."""
    values: list[float | None] = []
    for word in text.split():
        match = _VALUE.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is no value: write 3, 2%, 3x10 for ten of them, _ for none")
        value = None if match["value"] == "_" else float(match["value"])
        if value is not None and match["percent"]:
            value /= 100.0
        values += [value] * min(int(match["times"] or 1), _MOST + 1)
        if len(values) > _MOST:
            raise ValueError(f"more than {_MOST:,} values")
    if not values:
        raise ValueError("no values")
    return values


def _step(text: str) -> Micros:
    step = span(text)
    if step <= 0:
        raise ValueError("the step between two values must be longer than nothing")
    return step


def _events(trial: Trial, rulebook: Rulebook) -> Iterator[AnyEvent]:
    start, step = parse_time(trial.start, Micros(0)), _step(trial.every)
    rows = [(series, values_of(series.values)) for series in trial.series]
    longest = max((len(values) for _, values in rows), default=0)
    venues = sorted({split_id(series.inst or trial.inst)[0] for series in trial.series})
    for number in range(longest):
        ts = Micros(start + number * step)
        yield from (Tick(Micros(ts - 1), Micros(ts - 1), venue) for venue in venues)
        for series, values in rows:
            value = values[number] if number < len(values) else None
            if value is not None:
                yield _metric(series, trial, rulebook, ts, value)
    end = Micros(start + (span(trial.until) if trial.until else longest * step))
    yield from (Tick(end, end, venue) for venue in venues)


def _metric(series: Series, trial: Trial, rulebook: Rulebook, ts: Micros, value: float) -> Metric:
    name, window = rulebook.words[series.metric]
    return Metric(
        ts, ts, series.inst or trial.inst, name, value, window, series.quality, series.baseline,
        series.evidence,
    )  # fmt: skip


# --- what came, beside what should have ---


class _Row(Struct, frozen=True):
    at: Micros
    mark: str
    text: str


def _compare(trial: Trial, alerts: Sequence[Alert]) -> Outcome:
    start = parse_time(trial.start, Micros(0))
    left = list(alerts)
    rows: list[_Row] = []
    for each in trial.expect:
        at = Micros(start + span(each.at))
        found = next((alert for alert in left if _is_meant(each, trial, alert, at)), None)
        if found is None:
            rows.append(_Row(at, "-", _expected_words(each, trial)))
            continue
        left.remove(found)
        wrong = _differences(each, found)
        rows.append(_Row(at, "!" if wrong else " ", _words(found)))
        rows += [_Row(at, "!", f"    {difference}") for difference in wrong]
    rows += [_Row(alert.ts, "+", _words(alert)) for alert in left]
    rows.sort(key=lambda row: row.at)
    lines = tuple(f"{row.mark} {_since(row.at - start):>8}  {row.text}" for row in rows)
    return Outcome(all(row.mark == " " for row in rows), lines)


def _is_meant(each: Expected, trial: Trial, alert: Alert, at: Micros) -> bool:
    inst: InstrumentId = each.inst or trial.inst
    same_rule = each.rule in ("", alert.rule)
    return same_rule and (alert.ts, alert.inst, alert.state) == (at, inst, each.state)


def _differences(each: Expected, alert: Alert) -> list[str]:
    found = []
    if each.value is not None and abs(each.value - alert.value) > 1e-9 * abs(each.value):
        found.append(f"value {alert.value:g}, expected {each.value:g}")
    if each.severity and each.severity != alert.severity:
        found.append(f"severity {alert.severity}, expected {each.severity}")
    if each.quality is not None and each.quality is not alert.quality:
        found.append(f"quality {alert.quality.value}, expected {each.quality.value}")
    if each.text not in alert.text:
        found.append(f"text {alert.text!r}, expected with {each.text!r}")
    return found


def _words(alert: Alert) -> str:
    return f"{alert.state.value:<9} {alert.rule}  {alert.inst}  {alert.text!r}"


def _expected_words(each: Expected, trial: Trial) -> str:
    return f"{each.state.value:<9} {each.rule or '(any rule)'}  {each.inst or trial.inst}"


def _since(micros: int) -> str:
    """`1m30s`, as trials are written."""
    left, parts = micros, []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"
