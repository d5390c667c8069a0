"""The tasks of one feed: the first that fails fails the feed, and all end together.

Not `asyncio.TaskGroup`: tasks are started from socket callbacks too, also in the moment in which
the group is being cancelled, where a TaskGroup raises; and one failure should stay one exception.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Crew:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def fail(self, error: BaseException) -> None:
        """Let `wait` raise this, unless something failed before."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def wait(self) -> None:
        """Wait for the first failure and raise it."""
        await self._failure

    async def disband(self) -> None:
        """Cancel all and wait until they have put their things away."""
        self._failure.cancel()  # from here on failures are told by the task that ends us
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)
