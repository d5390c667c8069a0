"""How long an alert takes from the bus to the mail server, while trades flow.

    python -m benchmarks.alerts [--rate 5000] [--secs 20]

The whole product runs in this process: every processor, a rule, stores, the delivery log, mail over
STARTTLS with a password to a server in a child process. Trades of 50 instruments are published at the
given rate; now and then one makes a rule fire. `group_wait_secs` is 0, else it is the figure.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from tapewatch.model.events import AnyEvent, Batch, Event, Metric, Micros, Quality, Side, Trade
from tapewatch.ports import Measure
from tapewatch.rules.notices import Policy
from tapewatch.rules.rule import Rule
from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.rules_settings import with_rules
from tapewatch.runtime.wiring import App
from tests.integration.mail import PASSWORD, USER, MailServer

INSTRUMENTS = 50
SIGNAL = 7_777.0  # the size of a trade that makes the rule fire
EVERY_SECS = 0.25
BATCHES_PER_SEC = 100
WARM_UP = 8  # mails that are not counted: the first loads the library


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


def app_of(folder: Path, port: int, ca_file: str) -> App:
    (folder / "tapewatch.yaml").write_text(
        json.dumps(
            {
                "exchanges": {"binance": {"enabled": False}},
                "news": {"enabled": True, "sources": ["none=http://127.0.0.1:9/"]},
                "storage": {"data_dir": str(folder / "data")},
                "server": {"port": 0},
                "notify": {
                    "group_wait_secs": 0, "group_interval_secs": 0,
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
    policy = Policy({"beacon": rule}, ("email",), (), 0.0, 0.0)
    plan = structs.replace(
        plan,
        processors=with_rules(bare, structs.replace(plan.rules, rules=(rule,))),
        telling=structs.replace(plan.telling, policy=policy),
        rules=structs.replace(plan.rules, rules=(rule,)),
    )
    plan.data_dir.mkdir()
    return App(plan, wall_clock)


class Flow:
    """Trades at a rate; `sent` has when each signal was published, by its time."""

    def __init__(self, app: App, rate: int) -> None:
        self._app = app
        self._per_batch = rate // BATCHES_PER_SEC
        self._number = 0
        self.sent: dict[Micros, int] = {}

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
            self.sent[now] = time.time_ns() // 1000
        return batch


async def measure(rate: int, secs: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.alerts", "--mail", name,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert child.stdout is not None
        try:
            port, ca_file = (await child.stdout.readline()).decode().split()
            app = app_of(folder, int(port), ca_file)
            await app.start()
            stop = asyncio.Event()
            running = asyncio.create_task(app.run(stop))
            flow = Flow(app, rate)
            mails: list[tuple[int, str]] = []
            reading = asyncio.create_task(read_mails(child.stdout, mails))
            reached = await flow.run(secs)
            await asyncio.sleep(1.0)
            stop.set()
            await running
            reading.cancel()
            report(flow, mails, reached)
        finally:
            child.kill()
            await child.wait()


async def read_mails(stream: asyncio.StreamReader, mails: list[tuple[int, str]]) -> None:
    """Note when each mail was there, and its text."""
    while line := await stream.readline():
        at, _, text = line.decode().partition(" ")
        mails.append((int(at), json.loads(text)))


def report(flow: Flow, mails: Sequence[tuple[int, str]], reached: float) -> None:
    firing = [at for at, text in mails if "FIRING" in text]
    delays = []
    for at in firing:
        before = [sent for sent in flow.sent.values() if sent <= at]
        delays.append((at - max(before)) / 1_000)
    counted = sorted(delays[WARM_UP:])
    if len(counted) < 2:
        raise SystemExit(f"only {len(firing)} mails came: nothing is measured")
    p99 = statistics.quantiles(counted, n=100, method="inclusive")[98]
    print(f"{reached:,.0f} trades/s, {len(flow.sent)} alerts, {len(firing)} mails that say so")
    print(
        f"from the bus to the mail server: median {statistics.median(counted):.1f} ms,"
        f" p99 {p99:.1f} ms, worst {counted[-1]:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--secs", type=float, default=20.0)
    parser.add_argument("--mail", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    asyncio.run(serve_mail(given.mail) if given.mail else measure(given.rate, given.secs))


if __name__ == "__main__":
    main()
