"""`GET /alerts/rules` and `/alerts/events`: the rules in force, where they stand, what they said.

Events are asked of the store, like everything of the past: they are there after a restart.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct

from tapewatch.model.events import AlertState, InstrumentId, Micros
from tapewatch.model.times import DAY, SECOND, iso
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context

MAX_EVENTS = 1_000
_COLUMNS = (
    'ts, recv, inst, id, "rule", state, severity, "value", "text", quality, threshold, baseline,'
    ' "window", since, labels, notify, evidence, value_now'
)


class StandingView(Struct, kw_only=True):
    """Where a rule is pending or fires."""

    inst: str
    symbol: str
    state: str
    since: str


class RuleView(Struct, kw_only=True):
    name: str
    when: str
    resolve_when: str
    instruments: list[str]
    hold_secs: float
    forget_secs: float
    cooldown_secs: float
    repeat_secs: float
    severity: str
    labels: dict[str, str]
    message: str
    notify: list[str]
    enabled: bool
    standing: list[StandingView]


class LeftOut(Struct, kw_only=True):
    """A ready-made rule that is not in force."""

    name: str
    reason: str


class Rules(Struct, kw_only=True):
    rules: list[RuleView]
    left_out: list[LeftOut]


class AlertView(Struct, kw_only=True):
    """One change in the life of an alert; `id` is the same from pending to its end.

    The numbers are those of its beginning, also at its end.
    """

    timestamp: str
    ts: Micros
    id: str
    rule: str
    inst: str
    symbol: str
    exchange: str
    state: str
    severity: str
    value: float
    threshold: float | None
    baseline: float | None
    window: str
    since: str
    quality: str
    text: str
    labels: list[str]
    notify: list[str]
    evidence: list[str]
    value_now: float | None  # at its end


class AlertEvents(Struct, kw_only=True):
    start: str
    end: str
    count: int
    has_more: bool
    alerts: list[AlertView]


async def get_rules(context: Context, ask: Ask) -> Rules:
    ask.done()
    standing: dict[str, list[StandingView]] = {}
    for processor in context.processors:
        if isinstance(processor, Rulebook):
            for each in processor.standing():
                view = StandingView(
                    inst=each.inst,
                    symbol=context.native(each.inst),
                    state=each.stage.value,
                    since=iso(each.since),
                )
                standing.setdefault(each.rule, []).append(view)
    return Rules(
        rules=[_rule(rule, standing.get(rule.name, [])) for rule in context.rules.rules],
        left_out=[LeftOut(name=name, reason=why) for name, why in context.rules.left_out],
    )


async def get_events(context: Context, ask: Ask) -> AlertEvents:
    limit = ask.whole("limit", 100, 1, MAX_EVENTS)
    start, end = ask.span(DAY)
    state = ask.text("state")
    states = [each.value for each in AlertState]
    if state and state not in states:
        ask.fault("state", "is no state of an alert", f"one of {', '.join(states)}")
    ask.done()
    symbol = ask.text("symbol")
    wanted = {
        "inst": context.instrument(symbol).id if symbol else ask.text("inst"),
        "rule": ask.text("rule"),
        "state": state,
    }
    columns, rows = await context.query.sql(_statement(start, end, wanted, limit + 1))
    found = [_alert(context, dict(zip(columns, row, strict=True))) for row in rows[:limit]]
    has_more = len(rows) > limit
    return AlertEvents(
        start=iso(start), end=iso(end), count=len(found), has_more=has_more, alerts=found
    )


def _statement(start: Micros, end: Micros, wanted: dict[str, str], limit: int) -> str:
    """Write the question. A quote in what a person wrote is doubled, and so ends nothing."""
    where = [f"ts >= TIMESTAMPTZ '{iso(start)}'", f"ts < TIMESTAMPTZ '{iso(end)}'"]
    where += [
        f"\"{name}\" = '{text.replace(chr(39), chr(39) * 2)}'"
        for name, text in wanted.items()
        if text
    ]
    return (
        f"SELECT {_COLUMNS} FROM alerts WHERE {' AND '.join(where)}"  # noqa: S608 - see above
        f" ORDER BY ts DESC, id, state LIMIT {limit:d}"
    )


def _rule(rule: Rule, standing: list[StandingView]) -> RuleView:
    return RuleView(
        name=rule.name,
        when=rule.when,
        resolve_when=rule.resolve_when,
        instruments=list(rule.instruments),
        hold_secs=rule.hold_secs,
        forget_secs=rule.forget_secs,
        cooldown_secs=rule.cooldown_secs,
        repeat_secs=rule.repeat_secs,
        severity=rule.severity,
        labels=rule.labels,
        message=rule.message,
        notify=list(rule.notify),
        enabled=rule.enabled,
        standing=standing,
    )


def _alert(context: Context, row: dict[str, Any]) -> AlertView:
    inst: InstrumentId = row["inst"]
    return AlertView(
        timestamp=iso(_micros(row["ts"])),
        ts=_micros(row["ts"]),
        id=row["id"],
        rule=row["rule"],
        inst=inst,
        symbol=context.native(inst),
        exchange=inst.partition(":")[0],
        state=row["state"],
        severity=row["severity"],
        value=row["value"],
        threshold=row["threshold"],
        baseline=row["baseline"],
        window=row["window"],
        since=iso(Micros(row["since"])),
        quality=row["quality"],
        text=row["text"],
        labels=row["labels"] or [],
        notify=row["notify"] or [],
        evidence=row["evidence"] or [],
        value_now=row["value_now"],
    )


def _micros(moment: datetime) -> Micros:
    """Not `timestamp() * 10**6`, which rounds."""
    return Micros(int(moment.timestamp()) * SECOND + moment.microsecond)
