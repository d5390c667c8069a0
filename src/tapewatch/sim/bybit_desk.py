"""What Bybit keeps for one instrument: the cross sequence, and the fills with their place in it.

`seq` is the update id of the market's book after the event: rising, shared by trades and all book
depths, and not contiguous where anybody looks. All fills of one taker order have the same `seq`,
and a book frame with the `seq` of a trade has the time of that trade as `cts` (measured on
recorded frames).
"""

from collections.abc import Iterable

from tapewatch.sim.bybit_frames import Fill
from tapewatch.sim.bybit_listing import SPOT, category, name
from tapewatch.sim.bybit_numbers import Numbers
from tapewatch.sim.happenings import Trade
from tapewatch.sim.listing import Listing

_REMEMBERED = 20_000  # fills whose place in the sequence is known
_IDS_PER_TRADE = 4  # as if history had changed four levels for a trade
_BACK = 1_000  # microseconds; a quote is that much older than the frame that shows it


class Desk:
    """One instrument. The publisher tells it what happens, in order."""

    def __init__(self, listing: Listing, seq: int, now: int) -> None:
        self.symbol = listing.symbol
        self.name = name(listing.symbol)
        self.category = category(listing.symbol)
        self.is_spot = self.category == SPOT
        self.numbers = Numbers(listing)
        self.seq = seq
        self.cts = now - _BACK
        self.matched = now  # when the last fill was
        self.direction = "ZeroPlusTick"
        self._price = 0
        self._seqs: dict[int, int] = {}

    def filled(self, trades: Iterable[Trade], seq: int) -> list[Fill]:
        """The fills of one taker order, which left the book at `seq`."""
        self.seq = max(seq, self.seq + 1)
        return [self._fill(trade) for trade in trades]

    def settle(self, seq: int, now: int) -> None:
        """The book is at `seq` now: later than the last fill, if there were quotes since."""
        if seq > self.seq:
            self.seq = seq
            self.cts = max(self.cts, now - _BACK)

    def seq_of(self, trade_id: int) -> int:
        """The place of a fill; one from before the start comes before all others."""
        return self._seqs.get(trade_id, trade_id * _IDS_PER_TRADE)

    def _fill(self, trade: Trade) -> Fill:
        self.cts = self.matched = trade.ts
        self._turn(trade.price)
        self._seqs[trade.id] = self.seq
        if len(self._seqs) > _REMEMBERED:
            del self._seqs[next(iter(self._seqs))]
        return Fill(trade, self.seq, "" if self.is_spot else self.direction)

    def _turn(self, price: int) -> None:
        """`PlusTick` above the last price, `ZeroPlusTick` at a price that was reached from below."""
        if price == self._price:
            self.direction = "Zero" + self.direction.removeprefix("Zero")
        elif self._price:
            self.direction = "PlusTick" if price > self._price else "MinusTick"
        self._price = price
