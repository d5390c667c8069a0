"""How long an alert takes from the bus to the mail server, while trades flow.

    python -m benchmarks alerts
    python -m benchmarks.alerts [--rate 5000] [--secs 20] [--wait 0]

The whole product runs in this process: every processor, a rule, stores, the delivery log, mail over
STARTTLS with a password to a server in a child process. Trades of 50 instruments are published at the
given rate; now and then one makes a rule fire. It is timed from the moment that stands in the trade as
that of its receipt to the moment at which the server has said that it took the mail. Which mail is of
which trade is read from the alert's id, so that no lateness is hidden. `--wait` is `group_wait_secs`,
2 if nobody sets it: with it nearly the whole figure is waiting for others of the group.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from benchmarks.table import Figure, Row
from tapewatch.model.events import AnyEvent, Batch, Event, Metric, Micros, Quality, Side, Trade
from tapewatch.ports import Measure
from tapewatch.rules.defaults import RuleSet
from tapewatch.rules.notices import Policy
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import measures_of
from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.rules_settings import with_rules
from tapewatch.runtime.wiring import App
from tests.integration.mail import PASSWORD, USER, MailServer

INSTRUMENTS = 50
SIGNAL = 7_777.0  # the size of a trade that makes the rule fire
EVERY_SECS = 0.25
BATCHES_PER_SEC = 100
WARM_UP = 8  # alerts that are not counted: the first loads the library
_FIRED = re.compile(r"FIRING(?:[^\n]*\n)(?:  [^\n]*\n)*?  http\S*%2F(\d+)")  # one block of a mail


class Outcome(Struct, frozen=True):
    """What became of the alerts of one run."""

    rate: float  # trades a second that were reached
    alerts: int
    lost: int  # that no mail told of
    delays: list[float]  # ms, sorted, without those of the warming up

    @property
    def median(self) -> float:
        return statistics.median(self.delays)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.delays, n=100, method="inclusive")[98]

    def __str__(self) -> str:
        if len(self.delays) < 2:
            return f"{self.alerts} alerts, {self.lost} of them in no mail: nothing is measured"
        return (
            f"{self.rate:,.0f} trades/s, {self.alerts} alerts, {self.lost} of them in no mail;"
            f" median {self.median:.1f} ms, p99 {self.p99:.1f} ms, worst {self.delays[-1]:.1f} ms"
        )


class Seen(Struct):
    """Says 1 at a trade of that size, 0 at the next one."""

    inst: str
    is_on: bool = False

    def on_event(self, event: Any) -> Sequence[AnyEvent]:
        if event.size == SIGNAL or self.is_on:
            self.is_on = event.size == SIGNAL
            value = 1.0 if self.is_on else 0.0
            return (Metric(event.ts, event.recv, self.inst, "seen", value, "1s", Quality.COMPLETE),)
        return ()

    def on_timer(self, at: Micros) -> Sequence[AnyEvent]:  # noqa: ARG002 - the port's
        return ()

    def next_timer(self) -> Micros | None:
        return None


class Beacon:
    name = "beacon"
    wants: frozenset[type[Event]] = frozenset({Trade})
    gives: frozenset[type[Event]] = frozenset({Metric})
    state = Seen
    measures = (Measure("seen", ("1s",), "count", "a trade of the benchmark was seen"),)

    def key(self, event: Any) -> str:
        return str(event.inst)

    def fresh(self, key: str) -> Seen:
        return Seen(key)

    def adopt(self, state: Seen) -> Seen:
        return state


async def serve_mail(folder: Path) -> None:
    """The child: prints the address, then a line for each mail when it has it."""
    async with MailServer(folder, auth=True) as server:
        plain = server.postman.handle_DATA

        async def handle(*call: Any) -> str:
            said = await plain(*call)
            text = server.postman.mails[-1][1].get_body(("plain",)).get_content()
            print(time.time_ns() // 1000, json.dumps(text), flush=True)
            return str(said)

        server.postman.handle_DATA = handle
        print(server.port, server.ca_file, flush=True)
        await asyncio.Event().wait()


def app_of(folder: Path, port: int, ca_file: str, wait_secs: float) -> App:
    (folder / "tapewatch.yaml").write_text(
        json.dumps(
            {
                "exchanges": {"binance": {"enabled": False}},
                "news": {"enabled": True, "sources": ["none=http://127.0.0.1:9/"]},
                "storage": {"data_dir": str(folder / "data")},
                "server": {"port": 0},
                "notify": {
                    "site": "http://127.0.0.1",  # so that the id stands in the mail
                    "group_wait_secs": wait_secs, "group_interval_secs": 0,
                    "email": {
                        "smtp_host": "localhost", "smtp_port": port, "security": "starttls",
                        "username": USER, "password": PASSWORD, "from_addr": "a@b.example",
                        "to_addrs": ["c@d.example"], "ca_file": ca_file,
                    },
                },
            }
        )
    )  # fmt: skip
    plan = launch.plan_of(launch.load(folder / "tapewatch.yaml", environ={}, folder=folder))
    rule = Rule(name="beacon", when="seen > 0.5", message="{symbol} seen {evidence}")
    bare = (*(p for p in plan.processors if p.name != "rules"), Beacon())
    rules = RuleSet((rule,), measures=tuple(measures_of(bare)))
    policy = Policy({"beacon": rule}, ("email",), (), wait_secs, 0.0)
    plan = structs.replace(
        plan,
        processors=with_rules(bare, rules),
        telling=structs.replace(plan.telling, policy=policy),
        rules=rules,
    )
    plan.data_dir.mkdir()
    return App(plan, wall_clock)


class Flow:
    """Trades at a rate; `sent` has the times of those that make the rule fire."""

    def __init__(self, app: App, rate: int) -> None:
        self._app = app
        self._per_batch = rate // BATCHES_PER_SEC
        self._number = 0
        self.sent: list[Micros] = []

    async def run(self, secs: float) -> float:
        """Give the rate that was reached."""
        began = time.perf_counter()
        count, next_signal = 0, began + EVERY_SECS
        while (now := time.perf_counter()) < began + secs:
            signal = now >= next_signal
            next_signal += EVERY_SECS if signal else 0.0
            batch = self._batch(signal=signal)
            await self._app.bus.publish(batch)
            count += len(batch)
            due = began + count / (self._per_batch * BATCHES_PER_SEC)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        return count / (time.perf_counter() - began)

    def _batch(self, *, signal: bool) -> Batch:
        now = wall_clock()
        batch: Batch = []
        for n in range(self._per_batch):
            self._number += 1
            inst = f"binance:A{self._number % INSTRUMENTS}/USDT"
            size = SIGNAL if signal and n == self._per_batch - 1 else 0.5
            price = 100.0 + self._number % 17
            batch.append(
                Trade(now, now, inst, str(self._number), Side.BUY, price, size, "aggTrade")
            )
        if signal:
            self.sent.append(now)
        return batch


async def measure(rate: int, secs: float, wait_secs: float) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.alerts", "--mail", name,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert child.stdout is not None
        try:
            port, ca_file = (await child.stdout.readline()).decode().split()
            app = app_of(folder, int(port), ca_file, wait_secs)
            await app.start()
            stop = asyncio.Event()
            running = asyncio.create_task(app.run(stop))
            flow = Flow(app, rate)
            mails: list[tuple[int, str]] = []
            reading = asyncio.create_task(read_mails(child.stdout, mails))
            reached = await flow.run(secs)
            await asyncio.sleep(wait_secs + 2.0)  # for what is on its way
            stop.set()
            await running
            reading.cancel()
            return outcome(flow, mails, reached)
        finally:
            child.kill()
            await child.wait()


async def read_mails(stream: asyncio.StreamReader, mails: list[tuple[int, str]]) -> None:
    """Note when each mail was there, and its text."""
    while line := await stream.readline():
        at, _, text = line.decode().partition(" ")
        mails.append((int(at), json.loads(text)))


def outcome(flow: Flow, mails: Sequence[tuple[int, str]], reached: float) -> Outcome:
    """Pair each alert with the mail that told it first."""
    told: dict[int, int] = {}
    for at, text in mails:
        for since in _FIRED.findall(text):
            told.setdefault(int(since), at)
    delays = [(told[since] - since) / 1_000 for since in flow.sent if since in told]
    return Outcome(reached, len(flow.sent), len(flow.sent) - len(delays), sorted(delays[WARM_UP:]))


def rows(*, quick: bool) -> list[Row]:
    """For the table of `python -m benchmarks`."""
    secs = 10.0 if quick else 60.0
    at_once = asyncio.run(measure(5_000, secs, 0.0))
    usual = asyncio.run(measure(5_000, secs / 2, 2.0))
    note = f"{at_once}; without waiting for others of the group (group_wait_secs: 0)"
    met = at_once.p99 < 250.0 and not at_once.lost
    return [
        Row("from a trade to the mail server, median", "ms", ours=Figure.of([at_once.median])),
        Row(
            "from a trade to the mail server, p99", "ms", 250.0, Figure.of([at_once.p99]),
            target="under 250 ms", met=met, note=note,
        ),
        Row(
            "the same with the usual group_wait_secs of 2, p99", "ms",
            ours=Figure.of([usual.p99]), note=str(usual),
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--secs", type=float, default=20.0)
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--mail", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.mail:
        asyncio.run(serve_mail(given.mail))
    else:
        print(asyncio.run(measure(given.rate, given.secs, given.wait)))


if __name__ == "__main__":
    main()
