"""A limit order book with a counter of changes, and a short memory of how it came to be.

Every change of one level takes the next update id. The last changes are remembered, bounded, so
that the book can be told as it was a moment ago: that is what a REST snapshot shows.
It never lets itself be crossed: who places levels must ask `best` first; `set` refuses.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

Level = tuple[int, int]  # price, quantity; both in units of 10^-8


class View(Struct, frozen=True):
    """The book at one update id; bids from the highest, asks from the lowest."""

    update_id: int
    bids: list[Level]
    asks: list[Level]


class Changes(Struct, frozen=True):
    """Levels that changed within `first`..`last`, with what they hold now; 0 is gone."""

    first: int
    last: int
    bids: dict[int, int]
    asks: dict[int, int]


class Side:
    """One half. `keys` ascend and the best is the last, on both sides: asks are kept negative."""

    def __init__(self, sign: int) -> None:
        self.sign = sign  # +1 bids, -1 asks
        self.keys: list[int] = []
        self.levels: dict[int, int] = {}

    @property
    def best(self) -> int:
        """The best price; 0 for an empty side."""
        return self.keys[-1] * self.sign if self.keys else 0

    def price(self, rank: int) -> int:
        """The price at `rank`, 0 being the best, -1 the worst."""
        return self.keys[-1 - rank] * self.sign if rank >= 0 else self.keys[0] * self.sign

    def put(self, price: int, qty: int) -> int:
        """Set a level and return what it held before."""
        before = self.levels.get(price, 0)
        if qty:
            self.levels[price] = qty
            if not before:
                insort(self.keys, price * self.sign)
        elif before:
            del self.levels[price]
            del self.keys[bisect_left(self.keys, price * self.sign)]
        return before

    def top(self, count: int) -> list[Level]:
        """The best `count` levels, best first."""
        keys = self.keys[-count:]
        keys.reverse()
        prices = keys if self.sign > 0 else [-key for key in keys]
        return list(zip(prices, map(self.levels.__getitem__, prices), strict=True))


class Book:
    """Both sides, the counter and the memory."""

    def __init__(self, first_id: int, memory: int) -> None:
        self.bids = Side(1)
        self.asks = Side(-1)
        self.update_id = first_id
        self._taken = first_id
        self._changed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        # (time, is_bid, price, quantity before), oldest first
        self._undo: deque[tuple[int, bool, int, int]] = deque(maxlen=memory)

    def set(self, ts: int, side: Side, price: int, qty: int) -> None:
        """Let a level hold `qty`; 0 removes it. A change takes the next update id."""
        is_bid = side is self.bids
        other = self.asks if is_bid else self.bids
        if qty and other.keys and price * side.sign >= other.best * side.sign:
            raise ValueError(f"a level at {price} would cross the book at {other.best}")
        before = side.put(price, qty)
        if before == qty:
            return
        self.update_id += 1
        self._changed[0 if is_bid else 1][price] = qty
        self._undo.append((ts, is_bid, price, before))

    def top(self) -> tuple[int, int, int, int]:
        """Best bid, its quantity, best ask, its quantity."""
        bid, ask = self.bids.best, self.asks.best
        return bid, self.bids.levels.get(bid, 0), ask, self.asks.levels.get(ask, 0)

    def take_changes(self) -> Changes | None:
        """What changed since the last call, or None. Ids of successive answers join."""
        if self.update_id == self._taken:
            return None
        bids, asks = self._changed
        self._changed = ({}, {})
        first, self._taken = self._taken + 1, self.update_id
        return Changes(first, self.update_id, bids, asks)

    def view(self, limit: int | None = None) -> View:
        """The book now."""
        count = limit or max(len(self.bids.keys), len(self.asks.keys), 1)
        return View(self.update_id, self.bids.top(count), self.asks.top(count))

    def view_at(self, ts: int, limit: int | None = None) -> View:
        """The book as it was at `ts`, or as far back as the memory goes."""
        bids, asks = dict(self.bids.levels), dict(self.asks.levels)
        update_id = self.update_id
        for when, is_bid, price, before in reversed(self._undo):
            if when <= ts:
                break
            levels = bids if is_bid else asks
            if before:
                levels[price] = before
            else:
                levels.pop(price, None)
            update_id -= 1
        return View(
            update_id,
            _best(bids.items(), limit, descending=True),
            _best(asks.items(), limit, descending=False),
        )


def _best(levels: Iterable[Level], limit: int | None, *, descending: bool) -> list[Level]:
    return sorted(levels, reverse=descending)[:limit]
