import asyncio
import random

from tapewatch.model.events import Micros
from tapewatch.ports import Stage
from tapewatch.runtime.supervisor import Restart, Supervisor

AT_ONCE = Restart(first_delay_secs=0.0, max_delay_secs=0.0)


class Looping:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append(self.name)


class Draining:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.end = asyncio.Event()

    async def run(self) -> None:
        await self.end.wait()
        self.log.append(self.name)


class Failing:
    def __init__(self, times: int) -> None:
        self.name, self.left, self.runs = "failing", times, 0
        self.well = asyncio.Event()

    async def run(self) -> None:
        self.runs += 1
        if self.left:
            self.left -= 1
            raise ValueError("broken")
        self.well.set()
        await asyncio.Event().wait()


def supervisor(**more) -> Supervisor:
    return Supervisor(clock=lambda: Micros(0), rng=random.Random(1), **more)


async def test_a_worker_that_raises_is_restarted_and_the_failure_is_kept():
    boss, worker, stop = supervisor(), Failing(3), asyncio.Event()
    boss.add(Stage.INGEST, worker, AT_ONCE)
    task = asyncio.ensure_future(boss.run(stop))
    await worker.well.wait()
    [health] = boss.health()
    assert (health.state, health.restarts, health.error) == ("running", 3, "ValueError: broken")
    stop.set()
    assert await task == 0


async def test_too_many_restarts_end_the_process_with_code_1():
    boss, worker = supervisor(), Failing(100)
    boss.add(Stage.STORE, worker, Restart(0.0, 0.0, max_per_hour=5))
    assert await boss.run(asyncio.Event()) == 1
    assert worker.runs == 6
    assert boss.health()[0].state == "failed"


async def test_stages_end_in_order_and_each_end_is_told():
    log: list[str] = []
    store = Draining("store", log)

    async def on_stage_end(stage: Stage) -> None:
        log.append(f"end of {stage.name}")
        if stage is Stage.PROCESS:
            store.end.set()

    boss, stop = supervisor(on_stage_end=on_stage_end), asyncio.Event()
    boss.add(Stage.SERVE, Looping("serve", log))
    boss.add(Stage.STORE, store)
    boss.add(Stage.INGEST, Looping("ingest", log))
    task = asyncio.ensure_future(boss.run(stop))
    await asyncio.sleep(0)
    stop.set()
    assert await task == 0
    assert log == [
        "ingest", "end of INGEST", "end of PROCESS", "store", "end of STORE", "serve",
        "end of SERVE",
    ]  # fmt: skip


async def test_what_does_not_drain_is_cancelled_and_told_by_the_exit_code():
    log: list[str] = []
    boss, stop = supervisor(drain_secs=0.0), asyncio.Event()
    boss.add(Stage.STORE, Draining("stuck", log))
    task = asyncio.ensure_future(boss.run(stop))
    await asyncio.sleep(0)
    stop.set()
    assert await task == 1
    assert log == []


async def test_one_failure_leaves_the_others_running():
    log: list[str] = []
    boss, bad, stop = supervisor(), Failing(2), asyncio.Event()
    boss.add(Stage.INGEST, bad, AT_ONCE)
    boss.add(Stage.SERVE, Looping("other", log))
    task = asyncio.ensure_future(boss.run(stop))
    await bad.well.wait()
    assert log == []
    assert [h.state for h in boss.health()] == ["running", "running"]
    stop.set()
    await task
