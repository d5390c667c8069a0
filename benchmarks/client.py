"""What every measuring client of ours does: count, ask for the flood, keep the time, report."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from msgspec import Struct

from benchmarks.frames import CASES, Case

LIMIT_SECS = 200.0


class Plan(Struct, frozen=True):
    """What the flood server was started with."""

    port: int
    case: Case
    symbols: int
    count: int

    @property
    def warm_up(self) -> int:
        return self.symbols * len(self.case.channels)

    @classmethod
    def from_arguments(cls) -> "Plan":
        port, case, symbols, count = sys.argv[1:5]
        return cls(int(port), CASES[case], int(symbols), int(count))


class Stopwatch:
    """Processor time of this process, all threads, user and system; and the wall's."""

    def __init__(self) -> None:
        self.cpu_secs = time.process_time()
        self.wall_secs = time.perf_counter()

    def reading(self, messages: int, **more: Any) -> dict[str, Any]:
        return {
            "messages": messages,
            "cpu_secs": time.process_time() - self.cpu_secs,
            "wall_secs": time.perf_counter() - self.wall_secs,
            **more,
        }


async def go(port: int) -> None:
    """Ask the flood server to send everything."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /bench/go HTTP/1.1\r\nHost: flood\r\n\r\n")
    await writer.drain()


class Goal:
    """A count that somebody waits for."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.reached = asyncio.get_running_loop().create_future()

    def at(self, count: int) -> None:
        if count >= self.target and not self.reached.done():
            self.reached.set_result(None)


def report(
    measure: Callable[[Plan], Coroutine[Any, Any, dict[str, Any]]],
    state: Callable[[], object] = lambda: "",
) -> None:
    """Run a client on the loop that the product uses and print its reading, or why there is none."""

    async def bounded() -> dict[str, Any]:
        try:
            async with asyncio.timeout(LIMIT_SECS):
                return await measure(Plan.from_arguments())
        except TimeoutError:
            return {"not_measured": f"no end after {LIMIT_SECS:.0f} s; seen: {state()}"}

    try:
        reading = uvloop.run(bounded())
    except ImportError as error:
        reading = {"not_measured": f"a part is not there: {error}"}
    print(json.dumps(reading), flush=True)
