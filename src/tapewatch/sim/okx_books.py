"""The channel `books`: a snapshot for who comes, then differences each 100 ms in one chain.

`seqId` is the counter of the book, so that trades and best prices share it. Every message says
which one came before it (`prevSeqId`), also one that says nothing: after a minute without change
an empty message repeats the number. A reset lets the numbers begin anew, smaller than before,
while the chain holds. The chain goes on whether anybody listens or not.
A book is sent whole: the simulated ones are less deep than the 400 levels of the channel.
"""

from collections.abc import Callable
from typing import Self

from tapewatch.sim import okx_frames as frames
from tapewatch.sim.book import Book, Changes, View
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.listing import Listing
from tapewatch.sim.messages import Message
from tapewatch.sim.okx_client import client_of

STREAM = "books|"
_FIRST = 300_000_000_000  # the venue's ids do not fit 38 bits
_AFRESH = 1_000_000  # where ids go on after a reset
_KEEPALIVE = 60_000_000  # microseconds
_CHECKED = 25


class Sequence:
    """`seqId` of one instrument, from the update ids of its book."""

    def __init__(self) -> None:
        self._shift = _FIRST

    def of(self, update_id: int) -> int:
        """The number of the state after this change."""
        return self._shift + update_id

    def reset(self, update_id: int) -> None:
        """Count anew from here, as after maintenance."""
        self._shift = _AFRESH - update_id


class BookMessage(Message):
    """A difference, and for clients that have nothing yet a snapshot in its place."""

    def __init__(self, stream: str, update: str, snapshot: str) -> None:
        super().__init__(stream, lambda _: update or snapshot)
        self._has_update = bool(update)
        self.snapshot = Message(stream, lambda _: snapshot) if snapshot else None

    def frame_for(self, link: Link) -> bytes:
        """Nothing, if the message was delayed and the client came after it was made."""
        fresh = client_of(link).fresh
        if self.stream not in fresh:
            return super().frame_for(link) if self._has_update else b""
        if self.snapshot is None:
            return b""
        fresh.discard(self.stream)
        return self.snapshot.frame_for(link)

    def altered(self, change: Callable[[str], str]) -> Self:
        """Both texts changed."""
        other = super().altered(change)
        other.snapshot = self.snapshot and self.snapshot.altered(change)
        return other


class BookFeed:
    """The chain of one instrument."""

    def __init__(self, listing: Listing, book: Book, hub: Hub, *, checksums: bool) -> None:
        self.sequence = Sequence()
        self._listing = listing
        self._book = book
        self._hub = hub
        self._checksums = checksums
        self._stream = STREAM + listing.symbol
        self._sent = self.sequence.of(book.update_id)
        self._told_at = 0

    def reset(self) -> None:
        """Let the numbers begin anew; the next message tells it."""
        self.sequence.reset(self._book.update_id)

    def tick(self, now: int) -> None:
        """Each 100 ms: take the changes, and tell them if anybody listens."""
        changes = self._book.take_changes()
        previous, self._sent = self._sent, self.sequence.of(self._book.update_id)
        listeners = self._hub.listeners(self._stream)
        if not listeners:
            self._told_at = now
            return
        silent = now - self._told_at >= _KEEPALIVE
        moved = changes is not None or previous != self._sent or silent
        fresh = any(self._stream in client_of(link).fresh for link in listeners)
        update = self._update(changes, previous, now) if moved else ""
        snapshot = self._snapshot(now) if fresh else ""
        if moved:
            self._told_at = now
        if moved or fresh:
            self._hub.send(BookMessage(self._stream, update, snapshot), now)

    def _update(self, changes: Changes | None, previous: int, now: int) -> str:
        bids, asks = (changes.bids, changes.asks) if changes is not None else ({}, {})
        shown = View(self._sent, sorted(bids.items(), reverse=True), sorted(asks.items()))
        ids = (self._sent, previous)
        return frames.book(self._listing, "update", shown, now, ids, self._checksum())

    def _snapshot(self, now: int) -> str:
        ids = (self._sent, -1)
        return frames.book(self._listing, "snapshot", self._book.view(), now, ids, self._checksum())

    def _checksum(self) -> int:
        """Zero since 2026-06-23; before, and when asked for, the CRC32."""
        if not self._checksums:
            return 0
        return frames.checksum(self._listing, self._book.view(_CHECKED))
