"""Questions about stored data are answered in a process beside ours.

    first question ──> child started ──> answers ──> idle for a minute ──> child gone
                         ^     | died: the question is asked once more of a new one
                         +-----+

DuckDB and pyarrow are 90 MB and busy both cores while they work. Here neither the memory nor the
loop of the collector is touched, and a query that takes everything down takes itself down only.
"""

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

from tapewatch.model.events import Candle, InstrumentId, Micros, Trade
from tapewatch.ports import Query

IDLE_SECS = 60.0
_WORK = "work"

_query: Query | None = None  # in the child


class Aside:
    """A `Query`. `make` builds the real one, in the child; it must be importable there."""

    def __init__(self, make: Callable[[], Query], idle_secs: float = IDLE_SECS) -> None:
        self._make = make
        self._idle_secs = idle_secs
        self._pool: ProcessPoolExecutor | None = None
        self._under_way = 0
        self._rest: asyncio.TimerHandle | None = None

    async def candles(
        self,
        inst: InstrumentId,
        interval: str,
        since: Micros,
        until: Micros,
        limit: int,
        *,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Candle]:
        found: list[Candle] = await self._ask(
            "candles", inst, interval, since, until, limit, offset=offset, newest=newest
        )
        return found

    async def trades(
        self,
        inst: InstrumentId,
        since: Micros,
        until: Micros,
        limit: int,
        *,
        offset: int = 0,
        newest: bool = False,
    ) -> list[Trade]:
        found: list[Trade] = await self._ask(
            "trades", inst, since, until, limit, offset=offset, newest=newest
        )
        return found

    async def sql(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        found: tuple[list[str], list[tuple[Any, ...]]] = await self._ask("sql", statement)
        return found

    async def run(self, work: Callable[..., Awaitable[Any]], *values: Any) -> Any:
        """Let `work(query, *values)` be done there; what it is, is and gives must be picklable."""
        return await self._ask(_WORK, work, *values)

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        processes = self._pool._processes if self._pool is not None else None  # noqa: SLF001
        return next(iter(processes), None) if processes else None

    def close(self) -> None:
        """Let the child go; it ends with what it is doing."""
        if self._rest is not None:
            self._rest.cancel()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: str, *values: Any, **named: Any) -> Any:
        if self._rest is not None:
            self._rest.cancel()
        self._under_way += 1
        try:
            try:
                return await self._send(question, values, named)
            except BrokenProcessPool:  # it was killed, or ran out of memory
                self._pool = None
                return await self._send(question, values, named)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._rest = asyncio.get_running_loop().call_later(self._idle_secs, self.close)

    async def _send(self, question: str, values: Any, named: Any) -> Any:
        if self._pool is None:
            # spawn: a fork would copy our threads' locks in whatever state they are
            self._pool = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), _begin, (self._make,)
            )
        call = partial(_answer, question, values, named)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)


def _begin(make: Callable[[], Query]) -> None:
    """In the child, once. Ctrl-C goes to all of a terminal's processes: the parent decides."""
    global _query  # noqa: PLW0603 - what a pool's initializer is for
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _query = make()


def _answer(question: str, values: Any, named: Any) -> Any:
    assert _query is not None
    if question == _WORK:
        work, *rest = values
        return asyncio.run(work(_query, *rest))
    return asyncio.run(getattr(_query, question)(*values, **named))
