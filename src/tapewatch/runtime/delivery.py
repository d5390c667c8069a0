"""One attempt to bring a batch into a sink, and how long to wait before the next.

Knows nothing of queues: what to do with a batch that did not get in is the pump's business. An
attempt that is not answered in time is taken for a failure; the sink may still finish it, which
does no harm because sinks write by natural key.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import msgspec

from tapewatch.model.codec import encode_json
from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.model.events import AnyEvent, Batch, DeadLetter
from tapewatch.ports import Clock, Counters, Sink, WhenFull

log = logging.getLogger("tapewatch.runtime.pump")
T = TypeVar("T")

Sleep = Callable[[float], Awaitable[None]]
Letters = Callable[[Batch], Awaitable[None]]


class Pace(msgspec.Struct, frozen=True):
    """How much is written at once, and how patient the pump is."""

    max_events: int = 10_000
    max_bytes: int = 8 * 1024 * 1024  # estimated from one event of each batch
    max_age_secs: float = 0.5
    write_secs: float = 10.0  # no answer for so long is the same as Unavailable
    first_retry_secs: float = 0.5
    max_retry_secs: float = 30.0
    when_full: WhenFull = WhenFull.BLOCK  # or DROP_OLDEST


class Outside(msgspec.Struct, frozen=True):
    """What a pump gets from the world, so that a test can be the world."""

    clock: Clock
    letters: Letters  # takes the dead letters of rows that a sink can never store
    sleep: Sleep = asyncio.sleep
    rng: random.Random = msgspec.field(default_factory=random.Random)


class Delivery:
    def __init__(self, sink: Sink, pace: Pace, outside: Outside, counters: Counters) -> None:
        self._sink = sink
        self._pace = pace
        self._outside = outside
        self._counters = counters
        self._opened = False

    async def attempt(self, batch: Batch, secs: float) -> Unavailable | None:
        """Try once. Give why the sink cannot take it now; None if it is in."""
        try:
            if not self._opened:
                await self.within(self._sink.open(), secs)
                self._opened = True
            await self.within(self._sink.write(batch), secs)
        except Unavailable as error:
            self._counters.error("unavailable")
            return error
        except TimeoutError:
            self._counters.error("timeout")
            return Unavailable(f"no answer within {secs:g} s")
        except Rejected as error:
            self._counters.sent += len(batch) - len(error.rows)
            await self._reject(batch, error)
        else:
            self._counters.sent += len(batch)
        return None

    async def close(self) -> None:
        if self._opened:
            self._opened = False
            await self._sink.close()

    def delays(self) -> Iterator[float]:
        """Seconds between attempts: exponential with full jitter, capped."""
        ceiling = self._pace.first_retry_secs
        while True:
            yield self._outside.rng.uniform(0, ceiling)
            ceiling = min(2 * ceiling, self._pace.max_retry_secs)

    async def within(self, work: Awaitable[T], secs: float) -> T:
        """Wait for `work` at most so long by the given sleep. Raise TimeoutError after that."""
        working = asyncio.ensure_future(work)
        limit = asyncio.ensure_future(self._outside.sleep(secs))
        try:
            await asyncio.wait({working, limit}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise TimeoutError
        finally:
            limit.cancel()
            working.cancel()

    async def _reject(self, batch: Batch, error: Rejected) -> None:
        self._counters.drop("rejected", len(error.rows))
        fields = {"sink": self._sink.name, "rows": len(error.rows), "reason": error.reason}
        log.error("rows_rejected", extra={"fields": fields})
        now = self._outside.clock()
        await self._outside.letters(
            [
                DeadLetter(now, now, self._sink.name, "store", error.reason, _text(batch[row]))
                for row in sorted(error.rows)
            ]
        )


def _text(event: AnyEvent) -> str:
    """As JSON if it can be, else as Python shows it: a row that no store takes may be odd."""
    try:
        return encode_json(event).decode()
    except (ValueError, TypeError):
        return repr(event)
