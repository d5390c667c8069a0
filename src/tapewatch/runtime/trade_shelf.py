"""Puts backfilled trades where they belong, and says of each id what became of it.

* Trades that are on disk are left out: at the next start the processors are given what was stored
  after their checkpoint, and would count them twice.
* Ids that the venue does not have become LOST, with a Gap, unless they are in hand already.
* Ids between what was stored and what came become MISSING, so that they can be asked for. Behind
  the last stored id a Gap says so too: a restart would find an unbroken stream there else.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from tapewatch.model.events import Batch, Coverage, Gap, Holding, Micros, Trade
from tapewatch.model.times import HOUR
from tapewatch.ports import Clock, Sink, Subscription
from tapewatch.runtime.stored_ids import StoredIds

_NOT_FETCHED = "not fetched: between what was stored and a backfill"
_IN_HAND = frozenset({Holding.HAVE, Holding.REPAIRED})


class TradeShelf:
    """`known`: what the ledger says of the stream before the backfill, ascending."""

    def __init__(
        self,
        sink: Sink,
        ids: StoredIds,
        stream: Subscription,
        known: Sequence[Coverage],
        clock: Clock,
    ) -> None:
        self.lost = 0  # ids; the caller takes them off
        self._sink = sink
        self._ids = ids
        self._stream = stream
        self._known = known
        self._clock = clock
        self._last: int | None = None

    async def write(self, events: Batch) -> int:
        """Write a page; give how many trades were new."""
        trades = [event for event in events if type(event) is Trade]
        accounts = [event for event in events if type(event) is Coverage]
        if not accounts:
            return 0
        before = self._before(accounts[0].first, trades) if self._last is None else []
        self._last = accounts[-1].last
        new = await self._ids.without(trades)
        said: Batch = []
        for account in accounts:
            said += self._lost(account, trades) if account.holding is Holding.LOST else [account]
        await self._sink.write([*before, *_in_order_of_receipt(new), *said])
        return len(new)

    async def finish(self) -> None:
        """Say what is not known between the last id that came and the next one that is stored."""
        above = [
            span.first for span in self._known if self._last is not None and span.last > self._last
        ]
        if self._last is None or not above or min(above) <= self._last + 1:
            return
        await self._sink.write([self._account(self._last + 1, min(above) - 1, Holding.MISSING)])

    def _before(self, first: int, trades: Sequence[Trade]) -> Batch:
        """Say the same of what lies before the first id, and that it breaks the stream there."""
        below = [span.last for span in self._known if span.first < first]
        if not below:
            return []
        said: Batch = []
        in_hand = [span.last for span in self._known if span.holding in _IN_HAND]
        if in_hand and max(in_hand) < first - 1 and trades:
            # Played before the trades at the next start: by receive time.
            recv = Micros(trades[0].recv - 1)
            ts, (inst, channel) = trades[0].ts, (self._stream.inst, self._stream.channel)
            said.append(Gap(ts, recv, inst, channel, _NOT_FETCHED, max(in_hand) + 1, first - 1))
        if max(below) < first - 1:
            said.append(self._account(max(below) + 1, first - 1, Holding.MISSING))
        return said

    def _lost(self, account: Coverage, trades: Sequence[Trade]) -> Batch:
        said: Batch = []
        for first, last in _outside(account.first, account.last, self._known):
            self.lost += last - first + 1
            after = next((t for t in trades if int(t.id) > last), trades[-1] if trades else None)
            if after is not None:
                inst, channel = self._stream.inst, self._stream.channel
                said.append(Gap(after.ts, after.recv, inst, channel, account.reason, first, last))
            said.append(self._account(first, last, Holding.LOST, account.reason))
        return said

    def _account(
        self, first: int, last: int, holding: Holding, reason: str = _NOT_FETCHED
    ) -> Coverage:
        now = self._clock()
        inst, channel = self._stream.inst, self._stream.channel
        return Coverage(now, now, inst, channel, first, last, holding, reason)


def _in_order_of_receipt(trades: Sequence[Trade]) -> list[Trade]:
    """Let a later hour be received later, by a microsecond.

    A page has one receive time, its hours are in several journals, and a start plays journals to
    the processors by receive time: ties would bring the hours in any order.
    """
    if not trades:
        return []
    first = trades[0].ts // HOUR
    return [
        replace(trade, recv=Micros(trade.recv + hours))
        if (hours := trade.ts // HOUR - first) > 0
        else trade
        for trade in trades
    ]


def _outside(first: int, last: int, known: Sequence[Coverage]) -> list[tuple[int, int]]:
    """Parts of `first..last` that are not in hand."""
    found, at = [], first
    for span in known:
        if span.holding not in _IN_HAND or span.last < at or span.first > last:
            continue
        if span.first > at:
            found.append((at, span.first - 1))
        at = span.last + 1
    if at <= last:
        found.append((at, last))
    return found
