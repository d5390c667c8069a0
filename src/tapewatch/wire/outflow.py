"""What all conversations of one feed say, in the order in which they said it, once a wake-up.

    frame, frame, frame, tick, answer ──> batch ──call_soon──> outlet.offer
                                                                  | refused
                              links read again <── published <── links pause, publish waits

There is one batch for all links of a feed, so the order on the outlet is the order of the calls
into the conversations; a tape of these calls therefore gives the same events in the same order.
Waking a task for each frame would cost more than decoding it: a batch costs one `call_soon`.

While the outlet is full nobody reads and nobody ticks, so nothing piles up here and no
conversation judges silence by frames that wait unread in the kernel.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from tapewatch.model.events import Batch, Candle, Micros
from tapewatch.ports import Clock, Counters, Outlet


class Speaker(Protocol):
    """A connection that reads."""

    def spoke(self, events: int, ts: Micros, recv: Micros) -> None:
        """Hear what came of a turn: how many events, and the time of the last one."""
        ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Outflow:
    """`batch` is where conversations append; call `turn` or `aside` before that."""

    def __init__(
        self,
        outlet: Outlet,
        clock: Clock,
        counters: Counters,
        on_failure: Callable[[BaseException], None],
        on_handed: Callable[[Micros], None] | None = None,
    ) -> None:
        self.batch: Batch = []
        self.speaker: Speaker | None = None  # whose turn it is
        self.recv = Micros(0)  # of this turn
        self._outlet = outlet
        self._clock = clock
        self._counters = counters
        self._on_failure = on_failure
        self._on_handed = on_handed  # a tape
        self._began = 0  # where the speaker's own events begin in the batch
        self._scheduled = False
        self._publishing: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._speakers: set[Speaker] = set()

    @property
    def full(self) -> bool:
        return self._publishing is not None

    async def room(self) -> None:
        """Wait while the outlet is full."""
        await self._room.wait()

    def join(self, speaker: Speaker) -> None:
        self._speakers.add(speaker)
        if self.full:
            speaker.pause()

    def leave(self, speaker: Speaker) -> None:
        self._end_turn()
        self._speakers.discard(speaker)

    def turn(self, speaker: Speaker) -> Micros:
        """The speaker's read returned; the answer is the receive time of all that it brought."""
        self._end_turn()
        self.speaker = speaker
        self._began = len(self.batch)
        self.recv = self._clock()
        self._schedule()
        return self.recv

    def aside(self) -> Micros:
        """Something that is no frame is about to be said: a tick, an answer. Give the time."""
        self._end_turn()
        self._schedule()
        return self._clock()

    async def close(self) -> None:
        """Hand over what is left. Raises what the outlet raises."""
        self._end_turn()
        if self._publishing is None and self.batch:
            self._publish_later()
        if self._publishing is not None:
            try:
                await self._publishing
            finally:
                if self.batch:
                    self._counters.drop("not handed over at the end", len(self.batch))

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _end_turn(self) -> None:
        speaker, self.speaker = self.speaker, None
        if speaker is not None:
            events = len(self.batch) - self._began
            speaker.spoke(events, self._told_at() if events else Micros(0), self.recv)

    def _told_at(self) -> Micros:
        """The venue's time of the newest event. A candle's is when it opened: it tells nothing."""
        last = self.batch[-1]
        return self.recv if type(last) is Candle else last.ts

    def _flush(self) -> None:
        self._scheduled = False
        self._end_turn()
        batch = self.batch
        if not batch or self._publishing is not None:  # what waits goes first
            return
        self.batch = []
        taken = False
        try:
            taken = self._outlet.offer(batch)
        finally:  # an outlet that raises here raises again in `publish`, where the feed hears it
            if taken:
                self._count(batch)
            else:
                self.batch = batch
                self._publish_later()

    def _publish_later(self) -> None:
        for speaker in self._speakers:
            speaker.pause()
        self._room.clear()
        self._publishing = asyncio.get_running_loop().create_task(self._publish())
        self._publishing.add_done_callback(self._published)

    async def _publish(self) -> None:
        batch: Batch = []
        try:
            while self.batch:
                batch, self.batch = self.batch, []
                await self._outlet.publish(batch)
                self._count(batch)
                batch = []
        finally:
            self.batch[:0] = batch  # nothing, unless this was cancelled or failed

    def _published(self, task: asyncio.Task[None]) -> None:
        self._publishing = None
        self._room.set()
        for speaker in self._speakers:
            speaker.resume()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    def _count(self, batch: Batch) -> None:
        self._counters.sent += len(batch)
        self._counters.last_ts = batch[-1].ts
        if self._on_handed is not None:
            self._on_handed(self._clock())
