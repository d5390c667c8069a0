"""The bus inside one process: every reader has its own bounded buffer and its own policy.

The unit is the batch. A batch is handed to a reader as it is when the reader wants all of its
types, filtered when it wants some, not at all when it wants none; so the cost of a reader that
does not care is one set comparison a batch.

    offer ──> for each reader: BLOCK        full: nobody gets anything, the producer waits
                               DROP_OLDEST  full: its oldest batches go, counted
                               CONFLATE     full: the newest of each type and instrument stays

A batch belongs to the bus once it is offered: neither side may change it afterwards.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from tapewatch.model.events import Batch, Event
from tapewatch.ports import Buffer, Counters, Reader, WhenFull


class LocalReader:
    """One reader's end. It wakes at most once for all that came since it last looked."""

    def __init__(self, name: str, wants: frozenset[type[Event]], buffer: Buffer) -> None:
        self.name = name
        self.wants = wants
        self.buffer = buffer
        self.counters = Counters()
        self._batches: deque[Batch] = deque()
        self._count = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._room: list[asyncio.Future[None]] = []

    def has_room(self, count: int) -> bool:
        """Say whether `count` events fit. One batch that is larger than all fits when empty."""
        return not self._count or self._count + count <= self.buffer.max_events

    def put(self, batch: Batch) -> None:
        if self._ended:
            self.counters.drop("reader closed", len(batch))
            return
        counters = self.counters
        counters.received += len(batch)
        self._batches.append(batch)
        self._count += len(batch)
        if self._count > self.buffer.max_events and self.buffer.when_full is not WhenFull.BLOCK:
            self._shed()
        counters.buffered = self._count
        self._wake()

    async def room(self) -> None:
        """Wait until somebody has read something."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.append(future)
        await future

    def end(self) -> None:
        self._ended = True
        self._wake()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        while True:
            while self._batches:
                batch = self._batches.popleft()
                self._count -= len(batch)
                self.counters.buffered = self._count
                self.counters.sent += len(batch)
                self._make_room()
                yield batch
            if self._ended:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def commit(self) -> None:
        """Do nothing: what is in memory does not survive a crash, with or without a mark."""

    async def close(self) -> None:
        self._ended = True
        if self._count:
            self.counters.drop("reader closed", self._count)
        self._batches.clear()
        self._count = self.counters.buffered = 0
        self._make_room()
        self._wake()

    def _shed(self) -> None:
        if self.buffer.when_full is WhenFull.CONFLATE:
            self._conflate()
        while self._count > self.buffer.max_events and len(self._batches) > 1:
            oldest = self._batches.popleft()
            self._count -= len(oldest)
            self.counters.drop("buffer full", len(oldest))

    def _conflate(self) -> None:
        newest = {
            (type(event), getattr(event, "inst", "")): event
            for batch in self._batches
            for event in batch
        }
        self.counters.drop("conflated", self._count - len(newest))
        self._batches.clear()
        self._batches.append(list(newest.values()))
        self._count = len(newest)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _make_room(self) -> None:
        waiting, self._room = self._room, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class LocalBus:
    """Hands each batch to every reader that wants something of it."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._readers: list[LocalReader] = []
        self._closed = False

    @property
    def readers(self) -> tuple[LocalReader, ...]:
        return tuple(self._readers)

    def subscribe(self, name: str, wants: frozenset[type[Event]], buffer: Buffer) -> LocalReader:
        reader = LocalReader(name, wants, buffer)
        self._readers.append(reader)
        if self._closed:
            reader.end()
        return reader

    def offer(self, events: Batch) -> bool:
        return self._try(events, None) is None

    async def publish(self, events: Batch, skip: Reader | None = None) -> None:
        while (full := self._try(events, skip)) is not None:
            await full.room()

    async def close(self) -> None:
        self._closed = True
        for reader in self._readers:
            reader.end()

    def _try(self, events: Batch, skip: Reader | None) -> LocalReader | None:
        """Hand over to all but `skip`, or to nobody; give the reader that has no room."""
        if not events:
            return None
        types = set(map(type, events))
        shares: list[tuple[LocalReader, Batch]] = []
        for reader in self._readers:
            wants = reader.wants
            if wants >= types and reader is not skip:
                share = events
            elif reader is skip or wants.isdisjoint(types):
                continue
            else:
                share = [event for event in events if type(event) in wants]
            if reader.buffer.when_full is WhenFull.BLOCK and not reader.has_room(len(share)):
                return reader
            shares.append((reader, share))
        for reader, share in shares:
            reader.put(share)
        self.counters.received += len(events)
        return None
