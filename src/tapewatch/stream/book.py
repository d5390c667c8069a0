"""One order book, kept from a snapshot and the changes after it, as a Struct that can be saved.

It trusts its input: that changes are in step is proven by the venue's BookSync before they get
here. It does not repair, and it does not decide what to do about a crossed book; it says so.

    change --> pending (the changes as they came)
                  | somebody reads, or too many wait
                  v
    each side: sizes (by price)  --new prices-->  prices (sorted)

A book changes far more often than it is read. So a change is one `append`, and the levels are
worked on when somebody reads, all that wait of one book in a row: a dict that was not touched for
a while costs three times as much as one that is in the processor's cache. Levels that are gone
stay with size zero until they are as many as the others, because deleting and inserting costs more
than skipping. Reading more or less often gives the same levels.

What a snapshot did not reach is unknown until it changes: `known` says how far the book is whole.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import islice
from math import fsum, inf
from operator import mul

from msgspec import Struct, field

from tapewatch.model.events import BookDelta, BookSnapshot, Level, Micros

MAX_LEVELS = 10_000  # a side; a venue's book can grow for ever far from the price
MAX_PENDING = 50  # changes that wait; 5 s of a venue that tells ten a second
MAX_WAITING = 200  # levels of a change that may wait: a larger one gains nothing and pins memory

_ROOM = 128  # levels that may always be gone before they are looked for
_FEW = 32  # up to so many new prices are put in their places one by one

_CHANNELS = ("depth", "books", "orderbook", "level2")


def is_book_channel(channel: str) -> bool:
    """Tell the channels that books are made of (`depth`, `depth@100ms`, `books5`) from others."""
    return channel.startswith(_CHANNELS)


class Half(Struct, array_like=True):
    """One side. The key of a price is itself for bids and its negative for asks: best is largest.

    `prices` holds the prices of `sizes`, ascending.
    """

    sign: float
    sizes: dict[float, float] = field(default_factory=dict)  # zero: gone
    prices: list[float] = field(default_factory=list)
    room: int = _ROOM  # with more levels than this we look for those that are gone
    known: float = inf  # every level at or above this key is in hand
    trimmed: int = 0  # levels that were let go because there were too many

    def load(self, levels: tuple[Level, ...]) -> None:
        """Replace everything. `levels` are best first."""
        self.sizes = dict(levels)
        self._clean()
        self.known = self._worst() if self.prices else inf

    def change(self, changes: Iterable[tuple[Level, ...]]) -> None:
        """Bring these into `sizes` and `prices`."""
        sizes, prices = self.sizes, self.prices
        before = len(sizes)
        for levels in changes:
            sizes.update(levels)
        count = len(sizes) - before
        if len(sizes) > self.room:
            self._clean()
        elif count > _FEW:
            prices.extend(islice(reversed(sizes), count))  # a dict has its new keys at its end
            prices.sort()
        else:
            for price in islice(reversed(sizes), count):
                insort(prices, price)

    def top(self, count: int) -> list[Level]:
        sizes = self.sizes
        found = ((price, size) for price in self._best_first() if (size := sizes[price]))
        return list(islice(found, count))

    def best(self) -> float | None:
        sizes = self.sizes
        return next((price for price in self._best_first() if sizes[price]), None)

    def within(self, key: float) -> float:
        """Sum of price times size of all levels whose key is not below `key`."""
        sizes, prices = self.sizes, self.prices
        if self.sign > 0:
            reached = prices[bisect_left(prices, key) :]
        else:
            reached = prices[: bisect_right(prices, -key)]
        is_all = len(reached) == len(prices)  # then no look-ups are needed
        amounts = sizes.values() if is_all else map(sizes.__getitem__, reached)
        # fsum: exact, so neither the order of a dict nor the Python version shows in the last bit
        # (from 3.12 on `sum` compensates, before it did not).
        return fsum(map(mul, sizes if is_all else reached, amounts))

    def _clean(self) -> None:
        """Let go what is gone, and if there are too many levels the worst of them."""
        sizes = self.sizes
        for price in [price for price, size in sizes.items() if not size]:
            del sizes[price]
        self.prices = sorted(sizes)
        if len(sizes) > MAX_LEVELS:
            self._trim()
        self.room = min(2 * len(sizes) + _ROOM, MAX_LEVELS)

    def _trim(self) -> None:
        keep = MAX_LEVELS - MAX_LEVELS // 10  # some room, so that not every change trims again
        self.trimmed += len(self.prices) - keep
        self.prices = self.prices[-keep:] if self.sign > 0 else self.prices[:keep]
        self.sizes = {price: self.sizes[price] for price in self.prices}
        self.known = max(self.known, self._worst())

    def _worst(self) -> float:
        return self.prices[0] if self.sign > 0 else -self.prices[-1]

    def _best_first(self) -> Iterator[float]:
        return reversed(self.prices) if self.sign > 0 else iter(self.prices)


class Book(Struct, array_like=True):
    """Empty and not `live` until a snapshot comes, and again after `void`.

    Fields are as of the last reading; read by the methods, which bring the book up to date.
    """

    bids: Half = field(default_factory=lambda: Half(1.0))
    asks: Half = field(default_factory=lambda: Half(-1.0))
    seq: int = 0
    ts: Micros = Micros(0)
    live: bool = False
    pending: list[BookDelta] = field(default_factory=list)

    def apply(self, event: BookSnapshot | BookDelta) -> None:
        """Take what comes next. Changes without a snapshot before them are left out."""
        if type(event) is BookSnapshot:
            self._load(event.bids, event.asks)
            self.live, self.seq, self.ts = True, event.seq, event.ts
        elif self.live and type(event) is BookDelta:
            self.change(event)

    def change(self, event: BookDelta) -> None:
        """Take a change of a live book: all that is done for most of them."""
        pending = self.pending
        pending.append(event)
        if len(pending) >= MAX_PENDING or len(event.bids) + len(event.asks) > MAX_WAITING:
            self.settle()

    def settle(self) -> None:
        """Work in what is pending."""
        pending = self.pending
        if pending:
            self.bids.change([event.bids for event in pending])
            self.asks.change([event.asks for event in pending])
            self.seq, self.ts = pending[-1].seq, pending[-1].ts
            self.pending = []

    def void(self) -> None:
        """Forget everything: what was here is not proven any more."""
        self._load((), ())
        self.live = False

    def top(self, count: int) -> tuple[list[Level], list[Level]]:
        """Give the best `count` bids and asks, best first."""
        self.settle()
        return self.bids.top(count), self.asks.top(count)

    def best(self) -> tuple[float | None, float | None]:
        """Give the best bid and the best ask."""
        self.settle()
        return self.bids.best(), self.asks.best()

    def within(self, low: float, high: float) -> tuple[float, float]:
        """Give what the bids from `low` up and the asks up to `high` are worth."""
        self.settle()
        return self.bids.within(low), self.asks.within(-high)

    @property
    def crossed(self) -> bool:
        """Say whether somebody bids as much as somebody asks: then the book is not true."""
        bid, ask = self.best()
        return bid is not None and ask is not None and bid >= ask

    @property
    def known(self) -> tuple[float, float]:
        """Lowest bid and highest ask up to which no level can be missing."""
        self.settle()
        return self.bids.known, -self.asks.known

    @property
    def astray(self) -> bool:
        """Say whether a best price has left the range that the snapshot covered."""
        bid, ask = self.best()
        return (bid is not None and ask is not None) and (
            bid < self.bids.known or -ask < self.asks.known
        )

    def _load(self, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> None:
        self.pending = []
        self.bids.load(bids)
        self.asks.load(asks)
