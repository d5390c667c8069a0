"""A tree of workers: what fails is restarted, and stopping is the end of the stream.

    running --raises--> restarting --delay--> running
       | returns            | too many in an hour
       v                    v
     ended                failed: the process ends with code 1, whoever started it starts it anew

Stopping: the stages end one after the other. Ingest is cancelled (nothing new comes in); its end
is told to `on_stage_end`, which closes the bus; the workers behind see the end of the stream,
finish what they hold, and return. After `drain_secs` in all, the rest is cancelled and named.
There are no sentinels and no `running` flags.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

from tapewatch.ports import Clock, Stage, Worker, WorkerHealth

log = logging.getLogger("tapewatch.runtime.supervisor")


class Restart(Struct, frozen=True):
    """How patient to be with one worker."""

    first_delay_secs: float = 0.5
    max_delay_secs: float = 30.0
    max_per_hour: int = 60


class _Charge:
    """One worker under supervision: its task, its health, its recent failures."""

    def __init__(self, worker: Worker, restart: Restart, health: WorkerHealth) -> None:
        self.worker = worker
        self.restart = restart
        self.health = health
        self.failures: deque[float] = deque()  # loop times within the last hour
        self.task: asyncio.Task[None] | None = None


class Supervisor:
    def __init__(
        self,
        *,
        clock: Clock,
        drain_secs: float = 20.0,
        on_stage_end: Callable[[Stage], Awaitable[None]] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._drain_secs = drain_secs
        self._on_stage_end = on_stage_end
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets
        self._charges: list[_Charge] = []
        self._gave_up: asyncio.Event | None = None

    def add(self, stage: Stage, worker: Worker, restart: Restart | None = None) -> None:
        health = WorkerHealth(worker.name, stage, "running", self._clock())
        self._charges.append(_Charge(worker, restart or Restart(), health))

    def health(self) -> list[WorkerHealth]:
        return [charge.health for charge in self._charges]

    async def run(self, stop: asyncio.Event) -> int:
        """Run until `stop` is set or a worker cannot be kept up. Give the exit code."""
        self._gave_up = asyncio.Event()
        for charge in self._charges:
            charge.task = asyncio.create_task(self._keep_up(charge), name=charge.worker.name)
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._gave_up)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            drained = await self._drain()
        return 1 if self._gave_up.is_set() or not drained else 0

    async def _keep_up(self, charge: _Charge) -> None:
        while True:
            try:
                await charge.worker.run()
            except Exception as error:  # noqa: BLE001 - the one place where any bug of a worker ends
                if not await self._recover(charge, error):
                    return
            else:
                self._note(charge, "ended")
                return

    async def _recover(self, charge: _Charge, error: Exception) -> bool:
        now = asyncio.get_running_loop().time()
        failures = charge.failures
        failures.append(now)
        while failures[0] < now - 3600:
            failures.popleft()
        text = f"{type(error).__name__}: {error}"
        charge.health.restarts += 1
        if len(failures) > charge.restart.max_per_hour:
            self._note(charge, "failed", text)
            log.error("worker_gave_up", extra=_fields(charge, text), exc_info=error)
            assert self._gave_up is not None
            self._gave_up.set()
            return False
        self._note(charge, "restarting", text)
        log.error("worker_failed", extra=_fields(charge, text), exc_info=error)
        ceiling = charge.restart.first_delay_secs * 2.0 ** min(len(failures) - 1, 16)
        await asyncio.sleep(self._rng.uniform(0, min(ceiling, charge.restart.max_delay_secs)))
        self._note(charge, "running", text)
        return True

    def _note(self, charge: _Charge, state: str, error: str | None = None) -> None:
        charge.health.state = state
        charge.health.since = self._clock()
        if error is not None:
            charge.health.error = error

    async def _drain(self) -> bool:
        """End the stages in order. Say whether all ended by themselves."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_secs
        drained = True
        for stage in Stage:
            tasks = self._tasks(stage)
            if stage in (Stage.INGEST, Stage.SERVE):  # these run until they are told otherwise
                for task in tasks:
                    task.cancel()
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=max(0.0, deadline - loop.time()))
                drained = await self._cancel(late) and drained
            if self._on_stage_end is not None:
                await self._on_stage_end(stage)
        return drained

    def _tasks(self, stage: Stage) -> list[asyncio.Task[None]]:
        return [c.task for c in self._charges if c.task is not None and c.health.stage is stage]

    async def _cancel(self, late: set[asyncio.Task[None]]) -> bool:
        for task in late:
            log.error(
                "worker_not_drained",
                extra={"fields": {"worker": task.get_name(), "drain_secs": self._drain_secs}},
            )
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=2.0)
        return not late


def _fields(charge: _Charge, error: str) -> dict[str, object]:
    return {
        "fields": {
            "worker": charge.worker.name,
            "error": error,
            "restarts": charge.health.restarts,
        }
    }
