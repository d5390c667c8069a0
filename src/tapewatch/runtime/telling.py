"""Puts together what tells people of alerts: the log, a courier for each channel, the worker."""

from collections.abc import Iterable
from typing import Any

from tapewatch.model.events import Alert, AlertState
from tapewatch.ports import Clock, Processor, Reader
from tapewatch.rules.lifecycle import Stage
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook, Standing
from tapewatch.runtime.alerting import Alerting
from tapewatch.runtime.courier import Courier, Patience, World
from tapewatch.runtime.plan import Plan
from tapewatch.stores.alert_log import FILE, KEEP_DAYS, AlertLog


def assemble(plan: Plan, reader: Reader, clock: Clock) -> tuple[Alerting, list[Courier]]:
    keep_days = plan.keep_days.get("alerts", KEEP_DAYS)
    log = AlertLog(plan.data_dir / FILE, clock=clock, keep_days=keep_days)
    couriers = [
        Courier(each.notifier, each.type, log, Patience(send_secs=each.send_secs), World(clock))
        for each in plan.telling.channels
    ]
    alerting = Alerting(
        reader,
        log,
        plan.telling.policy,
        {courier.status.name: courier for courier in couriers},
        clock=clock,
        site=plan.telling.site,
    )
    return alerting, couriers


def firing(processors: Iterable[Processor[Any]], rules: Iterable[Rule]) -> list[Alert]:
    """What fires by the rules' own memory, told as far as that goes: not with its numbers."""
    by_name = {rule.name: rule for rule in rules}
    return [
        _alert(standing, by_name[standing.rule])
        for processor in processors
        if isinstance(processor, Rulebook)
        for standing in processor.standing()
        if standing.stage is Stage.FIRING and standing.rule in by_name
    ]


def _alert(standing: Standing, rule: Rule) -> Alert:
    return Alert(
        standing.since,
        standing.since,
        standing.inst,
        f"{rule.name}/{standing.inst}/{standing.since}",
        rule.name,
        AlertState.FIRING,
        rule.severity,
        0.0,
        f"{rule.name}: it fires since before a restart, in which its numbers were lost",
        since=standing.since,
        labels=tuple(sorted(f"{key}={value}" for key, value in rule.labels.items())),
        notify=rule.notify,
    )
