"""Orphans: snapshots of books in a recording, which say neither their symbol nor what asked.

A REST body carries no symbol, and it may stand before the first change of its book, or after
many. A snapshot is matched by proof: it is the snapshot of that book whose changes follow it
without a hole. Where each symbol counts for itself that is enough, since a change covers a handful
of ids among thousands of millions. Where all symbols share one counter (USD-M) any snapshot is
followed by the changes of every book; so the prices must agree as well. Nearness alone would put
one symbol's prices into another's book.
"""

from collections import deque
from collections.abc import Sequence
from math import inf

from msgspec.structs import replace

from tapewatch.model.events import Batch, BookDelta, BookSnapshot, InstrumentId, Micros
from tapewatch.venues._book import BookSync, State

MAX_ORPHANS = 64


class Orphans:
    def __init__(self) -> None:
        self._bodies: deque[BookSnapshot] = deque(maxlen=MAX_ORPHANS)

    def add(self, snapshot: BookSnapshot) -> None:
        self._bodies.append(snapshot)

    def offer(self, book: BookSync, inst: InstrumentId, now: Micros, out: Batch) -> None:
        """Begin the book with the newest snapshot that its held changes prove."""
        if book.state is not State.EMPTY:
            return
        for snapshot in reversed(self._bodies):
            if not book.may_begin_with(snapshot) or not agrees(snapshot, book.held):
                continue
            if book.offer(replace(snapshot, inst=inst), now, out):
                self._bodies.remove(snapshot)
                return


def agrees(snapshot: BookSnapshot, held: Sequence[BookDelta]) -> bool:
    """The newest change is among the prices of the snapshot, and none makes it crossed."""
    if not (held and snapshot.bids and snapshot.asks):
        return True
    low, high = snapshot.bids[-1][0], snapshot.asks[-1][0]
    newest = (*held[-1].bids, *held[-1].asks)
    if not any(low <= price <= high for price, _ in newest):
        return False
    bids, asks = dict(snapshot.bids), dict(snapshot.asks)
    for delta in held:
        if delta.seq > snapshot.seq:
            bids.update(delta.bids)
            asks.update(delta.asks)
    best_bid = max((price for price, size in bids.items() if size), default=0.0)
    best_ask = min((price for price, size in asks.items() if size), default=inf)
    return best_bid < best_ask
