"""Drives one sink: batches, retries, spills to disk, catches up in order, counts.

    DIRECT ──Unavailable, or no answer in write_secs──> SPILLING
      ^      what is held goes to disk; what comes         |
      |      meanwhile too, at most a second later         | tries again and again, oldest first
      +------------------ the disk queue is empty ---------+

What was read is in the sink, on disk, or held in memory for about `max_age_secs` and
`max_events`; so a kill costs a second and memory is bounded however long the sink is away. If the
disk queue cannot take it either (full, or the same full disk), `when_full` decides: BLOCK stops
reading, which stops the venue's connections, and nothing is lost here; DROP_OLDEST lets what is
held go, counted, for a store that may not stop the others. At the end of the stream everything
held is written; what the sink will not take stays on disk for the next start.

Only Unavailable and Rejected are dealt with. Anything else is a bug of the sink: it ends `run`,
what is held stays held, and the supervisor starts it again.
"""

import asyncio
import logging
from contextlib import suppress

from tapewatch.model.codec import encode_msgpack
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Batch
from tapewatch.ports import Counters, Reader, Sink, WhenFull
from tapewatch.runtime.delivery import Delivery, Outside, Pace
from tapewatch.runtime.spill import Spill

log = logging.getLogger("tapewatch.runtime.pump")


class Pump:
    """A Worker. It opens the sink with the first write and closes it when the stream has ended."""

    def __init__(
        self,
        sink: Sink,
        reader: Reader,
        spill: Spill,
        outside: Outside,
        pace: Pace | None = None,
    ) -> None:
        self.name = f"pump-{sink.name}"
        self.counters = Counters()
        self._pace = pace or Pace()
        self._reader = reader
        self._spill = spill
        self._outside = outside
        self._delivery = Delivery(sink, self._pace, outside, self.counters)
        self._held: list[Batch] = []
        self._bytes = 0
        self._flushing = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._ending = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._blocked = False

    @property
    def spilling(self) -> bool:
        return not self._spill.empty

    async def run(self) -> None:
        """Until the stream ends and all that was held is in the sink or on disk."""
        self._ending.clear()
        self._spill.open()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._read_all(self._tasks)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # one sentence in health, not a tree
        except asyncio.CancelledError:
            self._rescue()
            raise
        finally:
            self._spill.close()
        await self._delivery.close()

    async def _read_all(self, tasks: asyncio.TaskGroup) -> None:
        if self.spilling:
            log.warning("spill_found", extra=self._fields(bytes=self._spill.bytes))
            self._catch_up()
        timer = tasks.create_task(self._flush_by_age(), name=f"{self.name}-age")
        await self._read()
        async with self._flushing:  # not in the middle of a write
            timer.cancel()
        self._ending.set()
        await self._flush()

    async def _read(self) -> None:
        pace, held, counters = self._pace, self._held, self.counters
        if held:
            self._arrived.set()  # a former run of this worker left it
        async for batch in self._reader:
            if not batch:
                continue
            held.append(batch)
            counters.received += len(batch)
            counters.buffered += len(batch)
            self._bytes += _estimate(batch)
            if len(held) == 1:
                self._arrived.set()
            if counters.buffered >= pace.max_events or self._bytes >= pace.max_bytes:
                await self._flush()

    async def _flush_by_age(self) -> None:
        """Write what comes after a pause at once, and collect while that was not long ago."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._flush()
            await self._outside.sleep(self._pace.max_age_secs)

    async def _flush(self) -> None:
        """Bring what is held into the sink or onto the disk. It stays held until it is there."""
        async with self._flushing:
            delays = self._delivery.delays()
            number = len(self._held)
            batch = [event for part in self._held[:number] for event in part]
            while batch and not await self._deal_with(batch):
                await self._outside.sleep(next(delays))
            self._let_go(number, batch)
            if not self._held:
                await self._reader.commit()

    def _let_go(self, number: int, batch: Batch) -> None:
        del self._held[:number]
        counters = self.counters
        counters.buffered -= len(batch)
        self._bytes = sum(map(_estimate, self._held))
        if batch:
            counters.last_ts = max(counters.last_ts, batch[-1].ts)
        if self._held:
            self._arrived.set()  # came while it was written

    async def _deal_with(self, batch: Batch) -> bool:
        """Write or spill or drop; False if none of them is possible now."""
        if not self.spilling:
            error = await self._delivery.attempt(batch, self._pace.write_secs)
            if error is None:
                self._report_blocked("")
                return True
            if not self._blocked:
                log.warning("sink_unavailable", extra=self._fields(reason=str(error)))
            self.counters.trouble = str(error)
        try:
            self._spill.append(batch)
        except Unavailable as error:
            return self._nowhere(batch, error.reason)
        self._report_blocked("")
        self._catch_up()
        return True

    def _nowhere(self, batch: Batch, reason: str) -> bool:
        if self._pace.when_full is WhenFull.BLOCK:
            self._report_blocked(reason)
            return False
        self.counters.drop("spill full", len(batch))
        log.error("events_dropped", extra=self._fields(events=len(batch), reason=reason))
        return True

    def _report_blocked(self, reason: str) -> None:
        """Say it once when it begins and once when it is over."""
        if reason and not self._blocked:
            log.error("pump_blocked", extra=self._fields(reason=reason))
        elif self._blocked and not reason:
            log.warning("pump_unblocked", extra=self._fields())
        self._blocked = bool(reason)
        if reason or not self.spilling:
            self.counters.trouble = reason

    def _catch_up(self) -> None:
        if self._catching_up is None or self._catching_up.done():
            assert self._tasks is not None
            self._catching_up = self._tasks.create_task(self._drain(), name=f"{self.name}-drain")

    async def _drain(self) -> None:
        """Oldest first, until the disk queue is empty or the stream has ended in vain."""
        delays = self._delivery.delays()
        secs = 6 * self._pace.write_secs  # nobody waits for it: be patient
        while (batch := self._spill.head()) is not None:
            ending = self._ending.is_set()
            error = await self._delivery.attempt(batch, secs)
            self.counters.trouble = "" if error is None else str(error)
            if error is None:
                self._spill.pop()
                delays = self._delivery.delays()
            elif ending:
                log.warning(
                    "spill_left", extra=self._fields(bytes=self._spill.bytes, reason=str(error))
                )
                return
            else:
                await self._pause(error.retry_after or next(delays))
        if self._spill.damaged:
            self.counters.errors["spill damaged"] = self._spill.damaged
            log.error("spill_damaged", extra=self._fields(blocks=self._spill.damaged))
        log.warning("sink_caught_up", extra=self._fields())

    async def _pause(self, secs: float) -> None:
        """Wait, but not beyond the end of the stream."""
        with suppress(TimeoutError):
            await self._delivery.within(self._ending.wait(), secs)

    def _rescue(self) -> None:
        """Cancelled while the sink hangs: what is held goes to disk if it can, else it is lost."""
        batch = [event for part in self._held for event in part]
        if not batch:
            return
        try:
            self._spill.append(batch)
        except Unavailable as error:
            lost = len(batch) + self._reader.counters.buffered  # what was never read, too
            self.counters.drop("not written at stop", lost)
            fields = self._fields(events=lost, reason=error.reason.partition(";")[0])
            log.error("events_lost", extra=fields)  # noqa: TRY400 - no bug, no traceback
        self._held.clear()
        self.counters.buffered = 0

    def _fields(self, **fields: object) -> dict[str, object]:
        return {"fields": {"worker": self.name, **fields}}


def _estimate(batch: Batch) -> int:
    """Bytes by the size of one event: those of one batch come from one connection."""
    try:
        return len(encode_msgpack(batch[-1])) * len(batch)
    except (ValueError, OverflowError, TypeError):
        return 0  # a row that no store can take: the sink will say so
