"""Two sinks as one: what the second says about the first is written behind it, never before.

The ledger claims which trades are stored. Were it written by a pump of its own, a kill could
leave a claim without its trades. Here each batch goes to the store first and then to the ledger;
in the stream a `Coverage` comes after the trades it covers; so a claim is never ahead of the disk.

The second one failing does not fail the batch (the first would write it again): its events wait,
bounded, and go before the next ones. After a kill it is merely behind, and set right at start.
"""

import logging

from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.model.events import Batch, Event
from tapewatch.ports import Counters, Sink

log = logging.getLogger("tapewatch.runtime.behind")

MAX_WAITING = 200_000


class Behind:
    """A `Sink`. `first` must not want what `second` wants."""

    def __init__(self, first: Sink, second: Sink) -> None:
        self.name = first.name
        self.wants: frozenset[type[Event]] = first.wants | second.wants
        self.counters = Counters()
        self._first = first
        self._second = second
        self._waiting: Batch = []
        self._well = True

    async def open(self) -> None:
        await self._first.open()
        await self._second.open()

    async def write(self, batch: Batch) -> None:
        theirs = self._second.wants
        firsts = batch
        if not theirs.isdisjoint(set(map(type, batch))):
            firsts = [event for event in batch if type(event) not in theirs]
        rejected: Rejected | None = None
        if firsts:
            try:
                await self._first.write(firsts)
            except Rejected as error:
                rejected = error
        if len(firsts) < len(batch) or self._waiting:
            await self._follow([event for event in batch if type(event) in theirs])
        if rejected is not None:
            rows = [index for index, event in enumerate(batch) if type(event) not in theirs]
            raise Rejected(rejected.reason, frozenset(rows[row] for row in rejected.rows))

    async def close(self) -> None:
        await self._first.close()
        if self._waiting:
            await self._follow([])
        await self._second.close()

    async def _follow(self, events: Batch) -> None:
        self._waiting += events
        try:
            await self._second.write(list(self._waiting))
        except Unavailable as error:
            if self._well:
                log.warning("ledger_behind", extra={"fields": {"reason": error.reason}})
            self._well = False
            self.counters.error("unavailable")
            self._shorten()
        else:
            self._waiting = []
            self._well = True

    def _shorten(self) -> None:
        surplus = len(self._waiting) - MAX_WAITING
        if surplus > 0:
            del self._waiting[:surplus]
            self.counters.drop("second sink away", surplus)
            log.error("ledger_entries_dropped", extra={"fields": {"events": surplus}})
