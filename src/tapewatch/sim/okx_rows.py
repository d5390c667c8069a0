"""Rows of the present: what a channel would send now. REST and a new subscription ask for them.

It reads the market and sends nothing.
"""

from collections.abc import Mapping

from tapewatch.sim import okx_frames as frames
from tapewatch.sim.bars import DAY, HOUR, Bar, following, opened
from tapewatch.sim.listing import Listing
from tapewatch.sim.market import Market
from tapewatch.sim.okx_books import Sequence
from tapewatch.sim.okx_frames import Sods
from tapewatch.sim.okx_listing import family
from tapewatch.sim.okx_swaps import Swaps

# `bar` of OKX to an interval of ours. Bars from six hours on open in UTC with this suffix; those
# that open in UTC+8 are not offered.
BARS = {
    "1s": "1s", "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h",
    "2H": "2h", "4H": "4h", "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1d", "3Dutc": "3d",
    "1Wutc": "1w", "1Mutc": "1M",
}  # fmt: skip


class Rows:
    """Of all instruments. `symbol` is an `instId` everywhere."""

    def __init__(self, market: Market, sequences: Mapping[str, Sequence], swaps: Swaps) -> None:
        self.swaps = swaps
        self._market = market
        self._sequences = sequences
        # an index is that of the first swap on it
        self.indices = {family(self._of(s)): s for s in reversed(swaps.symbols)}
        self._sods: dict[str, tuple[int, Sods]] = {}

    def seq(self, symbol: str, update_id: int) -> int:
        """`seqId` of a state of the book."""
        return self._sequences[symbol].of(update_id)

    def best(self, symbol: str) -> str:
        """`bbo-tbt`."""
        view = self._market.book(symbol, 1)
        seq = self.seq(symbol, view.update_id)
        return frames.best(self._of(symbol), view, self._market.now, seq)

    def top_five(self, symbol: str) -> str:
        """`books5`."""
        view = self._market.book(symbol, 5)
        seq = self.seq(symbol, view.update_id)
        return frames.top_five(self._of(symbol), view, self._market.now, seq)

    def ticker(self, symbol: str) -> str:
        """`tickers`."""
        market = self._market
        day, top, trades = market.day(symbol), market.live_book(symbol).top(), market.trades(symbol)
        last_qty = trades[-1].qty if trades else market.listing(symbol).lot
        return frames.ticker(self._of(symbol), day, top, last_qty, self._start_of_day(symbol))

    def candle(self, symbol: str, bar: Bar, interval: str) -> str:
        """`candle*`; closed when its time is over."""
        closed = following(bar.open_ts, interval) <= self._market.now
        return frames.candle(self._of(symbol), bar, closed=closed)

    def mark_price(self, symbol: str) -> str:
        """`mark-price`."""
        mark = self._market.mark(symbol).mark
        return frames.mark_price(self._of(symbol), mark, self._market.now)

    def index_ticker(self, index: str) -> str:
        """`index-tickers`. The day is that of the spot pair, if there is one."""
        swap = self.indices[index]
        pair = index if index in self._market.symbols else swap
        price = self._market.mark(swap).index
        day, sods = self._market.day(pair), self._start_of_day(pair)
        return frames.index_ticker(self._of(swap), price, day, sods)

    def funding_rate(self, symbol: str) -> str:
        """`funding-rate`."""
        return frames.funding_rate(self._of(symbol), self.swaps.funding(symbol))

    def open_interest(self, symbol: str) -> str:
        """`open-interest`; every quote counts as a dollar."""
        interest, price = self.swaps.interest(symbol), self._market.mark(symbol).mark
        return frames.open_interest(self._of(symbol), interest, price, self._market.now)

    def _of(self, symbol: str) -> Listing:
        return self._market.listing(symbol)

    def _start_of_day(self, symbol: str) -> Sods:
        """Kept until the next of both midnights."""
        utc0 = opened(self._market.now, "1d")
        utc8 = utc0 + 16 * HOUR
        if utc8 > self._market.now:
            utc8 -= DAY
        known = self._sods.get(symbol)
        if known is None or known[0] != utc0 + utc8:
            first, second = (self._market.bar(symbol, "1m", ts).open for ts in (utc0, utc8))
            known = self._sods[symbol] = (utc0 + utc8, Sods(first, second))
        return known[1]
