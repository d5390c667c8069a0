"""The checksum that OKX sent with each book until June 2026: proof of the levels themselves.

CRC32, signed, over the best 25 levels as `bid:size:ask:size:...`, in the very texts that were sent.
So the texts are kept, and only where a checksum comes. Today it is always 0 and proves nothing.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel (checksum)
"""

import zlib
from collections.abc import Callable, Iterable
from heapq import nlargest, nsmallest
from itertools import chain, zip_longest

from msgspec import Struct
from msgspec.json import Decoder

_LEVELS = 25
_MOST = 2_000  # levels a side; beyond it the worst are let go: they are never summed
_KEPT = 1_000


class _Row(Struct, array_like=True):
    price: str
    size: str


class _Side(Struct):
    asks: tuple[_Row, ...]
    bids: tuple[_Row, ...]


class _Data(Struct):
    data: tuple[_Side, ...]


_decode = Decoder(_Data).decode


class Texts:
    """The levels of one book as they were written, by price."""

    def __init__(self) -> None:
        self._bids: dict[float, _Row] = {}
        self._asks: dict[float, _Row] = {}

    def apply(self, frame: bytes) -> int:
        """Take the levels of a snapshot or a change; gives the checksum they make."""
        for side in _decode(frame).data:
            _change(self._bids, side.bids, nlargest)
            _change(self._asks, side.asks, nsmallest)
        bids = [self._bids[price] for price in nlargest(_LEVELS, self._bids)]
        asks = [self._asks[price] for price in nsmallest(_LEVELS, self._asks)]
        rows = (row for row in chain(*zip_longest(bids, asks)) if row is not None)
        total = zlib.crc32(":".join(f"{row.price}:{row.size}" for row in rows).encode())
        return total - 2**32 if total >= 2**31 else total


def _change(
    levels: dict[float, _Row],
    rows: tuple[_Row, ...],
    best: Callable[[int, Iterable[float]], list[float]],
) -> None:
    for row in rows:
        price = float(row.price)
        if float(row.size):
            levels[price] = row
        else:
            levels.pop(price, None)
    if len(levels) > _MOST:
        for price in levels.keys() - set(best(_KEPT, levels)):
            del levels[price]
