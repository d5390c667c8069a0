"""Puts together what tells people of alerts: the log, a courier for each channel, the worker."""

from collections.abc import Iterable
from typing import Any

from tapewatch.model.events import Alert
from tapewatch.ports import Clock, Processor, Reader
from tapewatch.rules.rulebook import Rulebook
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


def firing(processors: Iterable[Processor[Any]]) -> list[Alert]:
    """What fires by the rules' own memory."""
    books = (each for each in processors if isinstance(each, Rulebook))
    return [alert for book in books for alert in book.firing()]
