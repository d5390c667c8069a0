"""One book topic of one instrument: what its listeners have been shown, and its counter `u`.

A topic shows the best `levels` of each side. A frame says how that window differs from the last
frame; a level that leaves the window is gone (`"0"`), though it still stands in the book. Each
depth has a counter of its own; `seq` is shared by all depths and by the trades.
"""

from msgspec import Struct

from tapewatch.sim.book import Book, Level
from tapewatch.sim.bybit_desk import Desk
from tapewatch.sim.bybit_frames import BookState, book

EVERY = {1: 10_000, 50: 20_000, 200: 100_000, 1_000: 200_000}  # microseconds, by depth
REPEAT_MICROS = 3_000_000  # depth 1 is repeated after so long without a change
_WHOLE = 1  # the depth of which every frame is a snapshot


class _Window(Struct, frozen=True):
    """The levels that a topic shows."""

    bids: dict[int, int]
    asks: dict[int, int]


class Depth:
    """`orderbook.<levels>.<name>`."""

    def __init__(self, desk: Desk, live: Book, levels: int, now: int) -> None:
        self.topic = f"orderbook.{levels}.{desk.name}"
        self.levels = levels
        self._desk = desk
        self._live = live
        # depths count apart; the deeper, the fewer frames there have been
        self._u = live.update_id // (levels + 1)
        self._seen = -1
        self._seq = self._ts = self._cts = 0
        self._window = _Window({}, {})
        self.renew(now)

    def tick(self, now: int) -> str | None:
        """The next frame, or None if there is nothing to say."""
        if self._live.update_id == self._seen:
            return self._repeated(now)
        before, after = self._window, self._look()
        if after == before:  # only levels outside the window have changed
            return self._repeated(now)
        self._take(after, now)
        if self.levels == _WHOLE:
            return self.snapshot()
        bids = _difference(before.bids, after.bids, descending=True)
        asks = _difference(before.asks, after.asks, descending=False)
        return self._frame("delta", bids, asks)

    def renew(self, now: int) -> None:
        """See the book as it is, though nobody was told of the changes."""
        window = self._look()
        if window != self._window:
            self._take(window, now)

    def restart(self, now: int, kind: str = "snapshot") -> str:
        """The whole book under `u` 1, as after a restart of the service."""
        self._take(self._look(), now)
        self._u = 1
        return self._whole(kind)

    def snapshot(self) -> str:
        """All that the last frame left its readers with, under the number and time of that frame."""
        return self._whole("snapshot")

    @property
    def state(self) -> BookState:
        """The last frame's number and times."""
        return BookState("snapshot", self._u, self._seq, self._ts, self._cts)

    def sides(self, limit: int) -> tuple[list[Level], list[Level]]:
        """The best levels that were shown."""
        bids, asks = list(self._window.bids.items()), list(self._window.asks.items())
        return bids[:limit], asks[:limit]

    def _look(self) -> _Window:
        self._seen = self._live.update_id
        bids, asks = self._live.bids.top(self.levels), self._live.asks.top(self.levels)
        return _Window(dict(bids), dict(asks))

    def _take(self, window: _Window, now: int) -> None:
        self._window = window
        self._u += 1
        self._stamp(now)

    def _stamp(self, now: int) -> None:
        self._seq, self._cts = self._desk.seq, self._desk.cts
        self._ts = now

    def _repeated(self, now: int) -> str | None:
        if self.levels != _WHOLE or now - self._ts < REPEAT_MICROS:
            return None
        self._stamp(now)
        return self.snapshot()

    def _whole(self, kind: str) -> str:
        return self._frame(kind, list(self._window.bids.items()), list(self._window.asks.items()))

    def _frame(self, kind: str, bids: list[Level], asks: list[Level]) -> str:
        desk = self._desk
        state = BookState(kind, self._u, self._seq, self._ts, self._cts)
        ts_first = desk.is_spot or self.levels == _WHOLE
        return book(self.topic, state, bids, asks, desk.numbers, ts_first=ts_first)


def _difference(before: dict[int, int], after: dict[int, int], *, descending: bool) -> list[Level]:
    """Levels that are new or changed, and those that left with 0; best first, as recorded."""
    changed = [level for level in after.items() if before.get(level[0]) != level[1]]
    changed += [(price, 0) for price in before if price not in after]
    return sorted(changed, reverse=descending)
