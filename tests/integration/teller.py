"""A child process of `test_alerts_kill.py`: tells numbered alerts to a webhook, until it is killed.

Arguments: data folder, first number, how many (0: for ever), address. Each alert resolves when the
third after it fires. Prints a number when its alert is in the log. Like the rules after a restart it
says again what it said lately, also of alerts that are over.
"""

import asyncio
import itertools
import random
import sys
from pathlib import Path

from tapewatch.bus.local import LocalBus
from tapewatch.model.events import AlertState
from tapewatch.model.secret import Secret
from tapewatch.notify.webhook import Webhook, WebhookConfig
from tapewatch.ports import Buffer
from tapewatch.rules.notices import Policy
from tapewatch.runtime.alerting import Alerting
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.courier import Courier, Patience, World
from tapewatch.stores.alert_log import FILE, AlertLog
from tests.notices import alert

AGAIN = 8
LENGTH = 3


class Telling(AlertLog):
    last = 0

    async def write(self, state, alerts, words):
        await super().write(state, alerts, words)
        if alerts:
            self.last = max(int(one.id.rpartition("/")[2]) for one in alerts)
            sys.stdout.write(f"{self.last}\n")
            sys.stdout.flush()


def said(number, state):
    now = wall_clock()
    return alert(state, id=f"surge/x/{number}", ts=now, since=now)


async def main(folder, first, count, url):
    bus = LocalBus()
    reader = bus.subscribe("alerting", Alerting.wants, Buffer())
    log = Telling(Path(folder) / FILE, clock=wall_clock)
    hook = Webhook("desk", WebhookConfig(url=Secret(url), allow_private=True))
    patience = Patience(first_retry_secs=0.01, max_retry_secs=0.05)
    courier = Courier(hook, "webhook", log, patience, World(wall_clock, rng=random.Random(1)))
    policy = Policy({}, ("desk",), (), group_wait_secs=0.0, group_interval_secs=0.0)
    alerting = Alerting(reader, log, policy, {"desk": courier}, clock=wall_clock)
    await alerting.open()
    tasks = [asyncio.create_task(worker.run()) for worker in (alerting, courier)]
    numbers = range(first, first + count) if count else itertools.count(first)
    for number in itertools.chain(range(max(1, first - AGAIN), first), numbers):
        await bus.publish([said(number, AlertState.FIRING)])
        if number > LENGTH:
            await bus.publish([said(number - LENGTH, AlertState.RESOLVED)])
        await asyncio.sleep(0.002)
    all_told = first + count - 1
    while courier.status.waiting or log.last < all_told or len(alerting.firing()) > LENGTH:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.01)
    await bus.close()
    await tasks[0]
    tasks[1].cancel()
    await asyncio.wait({tasks[1]})
    await log.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
