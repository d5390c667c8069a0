"""One order book, kept from a snapshot and the changes after it, as a Struct that can be saved.

It trusts its input: that changes are in step is proven by the venue's BookSync before they get
here. It does not repair, and it does not decide what to do about a crossed book; it says so.

Each side is a dict of all levels and a short sorted list of the best ones. Measured on recorded
Binance BTC/USDT changes (46 levels each, four fifths of them new or gone) in us a change: a whole
sorted key list 12.2, two parallel sorted lists 21, this 9.6. A dict that is sorted on each reading
costs 4.5, but then 100 us a reading, and readers come ten times a second. Most changes are far
from the top and then touch only the dict.

What a snapshot did not reach is unknown until it changes: `known` says how far the book is whole.
"""

from bisect import bisect_left, insort
from math import inf

from msgspec import Struct, field

from tapewatch.model.events import BookDelta, BookSnapshot, Level, Micros

NEAR = 64  # the sorted part of a side holds between this many levels and four times as many
MAX_LEVELS = 10_000  # a side; a venue's book can grow for ever far from the price

_CHANNELS = ("depth", "books", "orderbook", "level2")


def is_book_channel(channel: str) -> bool:
    """Tell the channels that books are made of (`depth`, `depth@100ms`, `books5`) from others."""
    return channel.startswith(_CHANNELS)


class Half(Struct, array_like=True):
    """One side. A key is the price for bids and minus the price for asks: the best is the largest.

    `near` holds exactly the keys that are not below `edge`, ascending.
    """

    sign: float
    sizes: dict[float, float] = field(default_factory=dict)
    near: list[float] = field(default_factory=list)
    edge: float = -inf
    known: float = inf  # every level at or above this key is in hand
    trimmed: int = 0  # levels that were let go because there were too many

    def load(self, levels: tuple[Level, ...]) -> None:
        """Replace everything. `levels` are best first."""
        sign = self.sign
        self.sizes = {price * sign: size for price, size in levels if size}
        self.known = min(self.sizes, default=inf)
        self._refill()

    def change(self, levels: tuple[Level, ...]) -> None:
        sign, sizes, near, edge = self.sign, self.sizes, self.near, self.edge
        for price, size in levels:
            key = price * sign
            if size:
                if key >= edge and key not in sizes:
                    insort(near, key)
                sizes[key] = size
            elif sizes.pop(key, 0.0) and key >= edge:
                del near[bisect_left(near, key)]
        few = len(near) < NEAR and edge != -inf
        if few or len(near) > 4 * NEAR or len(sizes) > MAX_LEVELS:
            self._refill()

    def top(self, count: int) -> list[Level]:
        keys = self.near
        if count > len(keys) and self.edge != -inf:
            keys = sorted(self.sizes)
        sign, sizes = self.sign, self.sizes
        return [(key * sign, sizes[key]) for key in keys[: -count - 1 : -1]]

    def best(self) -> float | None:
        return self.near[-1] * self.sign if self.near else None

    def within(self, key: float) -> float:
        """Sum of price times size of all levels whose key is not below `key`."""
        sizes = self.sizes
        if key >= self.edge:
            near = self.near
            worth = sum([k * sizes[k] for k in near[bisect_left(near, key) :]])
        else:
            worth = sum([k * size for k, size in sizes.items() if k >= key])
        return worth * self.sign

    def _refill(self) -> None:
        keys = sorted(self.sizes)
        if len(keys) > MAX_LEVELS:
            keep = MAX_LEVELS - MAX_LEVELS // 10  # some room, so that not every change trims again
            self.trimmed += len(keys) - keep
            keys = keys[-keep:]
            self.sizes = {key: self.sizes[key] for key in keys}
            self.known = max(self.known, keys[0])
        self.edge = keys[-2 * NEAR] if len(keys) > 2 * NEAR else -inf
        self.near = keys[-2 * NEAR :]


class Book(Struct, array_like=True):
    """Empty and not `live` until a snapshot comes, and again after `void`."""

    bids: Half = field(default_factory=lambda: Half(1.0))
    asks: Half = field(default_factory=lambda: Half(-1.0))
    seq: int = 0
    ts: Micros = Micros(0)
    live: bool = False

    def apply(self, event: BookSnapshot | BookDelta) -> None:
        """Take what comes next. Changes without a snapshot before them are left out."""
        if type(event) is BookSnapshot:
            self.bids.load(event.bids)
            self.asks.load(event.asks)
            self.live = True
        elif self.live:
            self.bids.change(event.bids)
            self.asks.change(event.asks)
        else:
            return
        self.seq = event.seq
        self.ts = event.ts

    def void(self) -> None:
        """Forget everything: what was here is not proven any more."""
        self.bids.load(())
        self.asks.load(())
        self.live = False

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Give the best `count` bids and asks, best first."""
        return self.bids.top(count), self.asks.top(count)

    @property
    def best_bid(self) -> float | None:
        return self.bids.best()

    @property
    def best_ask(self) -> float | None:
        return self.asks.best()

    @property
    def crossed(self) -> bool:
        """Say whether somebody bids as much as somebody asks: then the book is not true."""
        bids, asks = self.bids.near, self.asks.near
        return bool(bids and asks) and bids[-1] >= -asks[-1]

    @property
    def known(self) -> tuple[float, float]:
        """Lowest bid and highest ask up to which no level can be missing."""
        return self.bids.known, -self.asks.known

    @property
    def astray(self) -> bool:
        """Say whether a best price has left the range that the snapshot covered."""
        bids, asks = self.bids, self.asks
        return bool(bids.sizes and asks.sizes) and (
            bids.near[-1] < bids.known or asks.near[-1] < asks.known
        )
