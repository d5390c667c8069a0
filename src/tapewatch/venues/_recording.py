"""Orphans: snapshots of books in a recording, which say neither their symbol nor what asked.

A REST body carries no symbol, and it may stand before the first change of its book, or after
many. An update id belongs to one symbol's counter, and a change covers a handful of ids among
thousands of millions; so a snapshot is matched by proof: it is the snapshot of that book whose
changes follow it without a hole. Nearness alone would put one symbol's prices into another's book.
"""

from collections import deque

from msgspec.structs import replace

from tapewatch.model.events import Batch, BookSnapshot, InstrumentId, Micros
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
            if book.offer(replace(snapshot, inst=inst), now, out):
                self._bodies.remove(snapshot)
                return
