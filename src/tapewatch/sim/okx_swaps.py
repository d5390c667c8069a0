"""What only swaps have: open interest and funding, kept beside the market.

Each order opens or closes positions: the interest goes up or down by what was traded. Funding is
the market's own; what was settled last is remembered when the eight hours are over.
"""

from msgspec import Struct

from tapewatch.sim.bars import HOUR
from tapewatch.sim.decimals import ONE
from tapewatch.sim.happenings import Aggregate
from tapewatch.sim.market import Market
from tapewatch.sim.okx_frames import Funding

_PERIOD = 8 * HOUR
_ORDERS = 20_000  # of the usual size are open at the start
_USUAL_RATE = 0.0001


class _Settled(Struct):
    next_at: int
    rate: float
    running: float


class Swaps:
    """All swaps of a market."""

    def __init__(self, market: Market) -> None:
        self.symbols = tuple(s for s in market.symbols if market.listing(s).kind != "spot")
        self._market = market
        self._interest = {symbol: self._opening(symbol) for symbol in self.symbols}
        self._floor = {symbol: value // 2 for symbol, value in self._interest.items()}
        self._settled: dict[str, _Settled] = {}

    def count(self, order: Aggregate) -> None:
        """Let an order change the interest; spot orders have none."""
        before = self._interest.get(order.symbol)
        if before is None:
            return
        closes = order.last % 2 == 1 and before - order.qty > self._floor[order.symbol]
        self._interest[order.symbol] = before + (-order.qty if closes else order.qty)

    def interest(self, symbol: str) -> int:
        """Open interest in base."""
        return self._interest[symbol]

    def funding(self, symbol: str) -> Funding:
        """The running estimate."""
        mark = self._market.mark(symbol)
        known = self._settled.setdefault(symbol, _Settled(mark.next_funding, _USUAL_RATE, 0.0))
        if known.next_at != mark.next_funding:
            known.next_at, known.rate = mark.next_funding, known.running
        known.running = mark.funding_rate
        return Funding(
            rate=mark.funding_rate,
            settled_rate=known.rate,
            premium=(mark.mark - mark.index) / mark.index,
            at=self._market.now,
            next_at=mark.next_funding,
            previous_at=mark.next_funding - _PERIOD,
        )

    def _opening(self, symbol: str) -> int:
        """So many orders of the usual size, in whole lots; every quote is about a dollar."""
        listing, price = self._market.listing(symbol), self._market.live_book(symbol).bids.best
        lots = listing.typical_usd * _ORDERS * ONE * ONE / (price * listing.lot)
        return max(1, int(lots)) * listing.lot
