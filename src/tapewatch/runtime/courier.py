"""Brings the notices of one channel to it, one after the other, and writes down each attempt.

    waiting --sent--> sent
       | Unavailable: again after the channel's own wish, else with backoff; after a day: failed
       | Rejected: failed
       +--too many wait: the oldest is dropped

What waits is on disk (`stores.alert_log`) and comes back after a restart. Each channel has its own
courier, so that one that is slow or away delays nobody. Whatever a channel's code raises costs an
attempt, never the process.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct, field

from tapewatch.model.channel import ChannelStatus, Notice
from tapewatch.model.errors import Rejected, Unavailable, where
from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import Clock, Counters, Notifier
from tapewatch.rules.story import Attempt
from tapewatch.wire.backoff import Backoff

log = logging.getLogger("tapewatch.runtime.courier")

_MARGIN_SECS = 5.0  # a channel keeps its own time and says more of what was slow
WAITING, SENT, FAILED, DROPPED = "waiting", "sent", "failed", "dropped"


class Attempts(Protocol):
    """Where attempts are written down."""

    async def attempted(self, notice_id: str, attempt: Attempt, status: str) -> None: ...


class Patience(Struct, frozen=True):
    send_secs: float = 30.0  # what one attempt may take
    first_retry_secs: float = 2.0
    max_retry_secs: float = 300.0
    give_up_secs: float = 86_400.0  # after the notice was made
    max_waiting: int = 1_000
    goodbye_secs: float = 3.0  # for an attempt that is under way when we stop


class World(Struct, frozen=True):
    """What a courier gets from outside, so that a test can be the outside."""

    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    rng: random.Random = field(default_factory=random.Random)


class Courier:
    """A worker."""

    def __init__(
        self, notifier: Notifier, kind: str, log_: Attempts, patience: Patience, world: World
    ) -> None:
        self.name = f"notify-{notifier.name}"
        self.counters = Counters()
        self.status = ChannelStatus(notifier.name, kind)
        self._notifier = notifier
        self._log = log_
        self._patience = patience
        self._world = world
        self._waiting: deque[Notice] = deque()
        self._wake = asyncio.Event()
        self._unsaved: deque[tuple[str, Attempt, str]] = deque()
        self._backoff = Backoff(patience.first_retry_secs, patience.max_retry_secs, world.rng)

    def take(self, notice: Notice) -> None:
        """Put it behind the others. Never waits."""
        self.counters.received += 1
        self._waiting.append(notice)
        if len(self._waiting) > self._patience.max_waiting:
            # The first may be on its way; the one behind it is the oldest that is not.
            dropped = self._waiting[1]
            del self._waiting[1]
            self.status.dropped += 1
            self.counters.drop("too many wait")
            reason = f"dropped: more than {self._patience.max_waiting} notices wait"
            self._note(dropped, Attempt(self._world.clock(), False, reason), DROPPED)
        self._count()
        self._wake.set()

    async def run(self) -> None:
        try:
            while True:
                await self._save()
                if not self._waiting:
                    await self._idle()
                    continue
                await self._deliver(self._waiting[0])
        finally:
            await self._notifier.close()

    async def _idle(self) -> None:
        """Until there is something to bring, or the disk may take what it did not."""
        if self._unsaved:
            await self._world.sleep(self._patience.first_retry_secs)
        else:
            self._wake.clear()
            await self._wake.wait()

    async def _deliver(self, notice: Notice) -> None:
        attempt = asyncio.ensure_future(self._attempt(notice))
        try:
            wait_secs = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            # A mail that is half sent would be sent twice: let it end, for a moment.
            await asyncio.wait({attempt}, timeout=self._patience.goodbye_secs)
            attempt.cancel()
            await self._save()
            raise
        if wait_secs is not None:
            await self._save()
            self.status.retry_at = Micros(self._world.clock() + round(wait_secs * SECOND))
            await self._world.sleep(wait_secs)
            self.status.retry_at = None

    async def _attempt(self, notice: Notice) -> float | None:
        """Try once. Give the seconds until the next time, None if there is none."""
        began = self._world.clock()
        try:
            async with asyncio.timeout(self._patience.send_secs + _MARGIN_SECS):
                said = await self._notifier.send(notice)
        except Rejected as error:
            self._give_up(notice, began, error.reason)
            return None
        except (Unavailable, TimeoutError) as error:
            asked = getattr(error, "retry_after", None)
            reason = getattr(error, "reason", "") or "no answer in time"
            return self._try_later(notice, began, reason, asked)
        except Exception as error:  # noqa: BLE001 - a channel's bug costs an attempt, not the process
            # Not its text and no traceback: addresses with keys in them may stand there.
            reason = f"a fault in the channel's code: {type(error).__name__} ({where(error)})"
            return self._try_later(notice, began, reason, None)
        self._backoff.reset()
        self.status.error = ""
        self.status.sent += 1
        self.status.last_sent = self._world.clock()
        self.counters.sent += 1
        self.counters.last_ts = notice.at
        self._end(notice, self._tried(began, True, said), SENT)
        return None

    def _try_later(
        self, notice: Notice, began: Micros, reason: str, asked: float | None
    ) -> float | None:
        if began - notice.at > self._patience.give_up_secs * SECOND:
            self._give_up(notice, began, f"given up: {reason}")
            return None
        first = not self.status.error
        self.status.error = reason
        self.counters.error("unavailable")
        self._note(notice, self._tried(began, False, reason), WAITING)
        if first:
            log.warning("channel_unavailable", extra={"fields": self._fields(notice, reason)})
        return self._backoff.next(asked)

    def _give_up(self, notice: Notice, began: Micros, reason: str) -> None:
        self.status.error = reason
        self.status.failed += 1
        self.counters.error("rejected")
        log.error("notice_failed", extra={"fields": self._fields(notice, reason)})
        self._end(notice, self._tried(began, False, reason), FAILED)

    def _tried(self, began: Micros, ok: bool, said: str) -> Attempt:  # noqa: FBT001 - a verdict
        return Attempt(began, ok, said, (self._world.clock() - began) / 1_000)

    def _end(self, notice: Notice, attempt: Attempt, status: str) -> None:
        self._waiting.popleft()
        self._note(notice, attempt, status)
        self._count()

    def _note(self, notice: Notice, attempt: Attempt, status: str) -> None:
        self._unsaved.append((notice.id, attempt, status))

    async def _save(self) -> None:
        """What the disk does not take now goes with the next one."""
        while self._unsaved:
            try:
                await self._log.attempted(*self._unsaved[0])
            except Unavailable as error:
                self.counters.error("not saved")
                log.warning("attempt_not_saved", extra={"fields": {"reason": error.reason}})
                return
            self._unsaved.popleft()

    def _count(self) -> None:
        self.status.waiting = self.counters.buffered = len(self._waiting)

    def _fields(self, notice: Notice, reason: str) -> dict[str, object]:
        return {"channel": notice.channel, "notice": notice.id, "reason": reason}
