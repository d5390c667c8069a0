"""What both feeds of Coinbase read off the moving market: orders, best prices, sequences.

The venue counts all messages of a product in one `sequence`, books and trades together. Here it is
the sum of the book's update id and the trade id: it rises with either, and a client that gets only
some of the channels sees gaps, as it must.
"""

from collections.abc import Iterator

from tapewatch.sim.book import Changes
from tapewatch.sim.coinbase_frames import Last
from tapewatch.sim.happenings import Aggregate, Happening, Top, Trade
from tapewatch.sim.market import Market

GRID = 50_000  # microseconds between two batches of book changes
TICKER_EVERY = STATUS_EVERY = 5_000_000


class Floor:
    """One market, advanced by one publisher. `tops` is as of the order just given."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.tops: dict[str, Top] = {}
        self._updates: dict[str, int] = {}
        self._last: dict[str, Trade] = {}
        self._matched: dict[str, int] = {}  # the sequence of the last trade
        for symbol in market.symbols:
            book = market.live_book(symbol)
            self.tops[symbol] = Top(symbol, book.update_id, *book.top())
            self._updates[symbol] = book.update_id

    def advance(self, to: int) -> Iterator[list[Trade]]:
        """Let time pass; the fills of each taker order, when `tops` shows what it left."""
        order: list[Trade] = []
        for happening in self.market.advance(to):
            if order and not _belongs(happening, order[-1]):
                yield order
                order = []
            if isinstance(happening, Trade):
                order.append(happening)
                self._last[happening.symbol] = happening
                self._matched[happening.symbol] = self._updates[happening.symbol] + happening.id
            elif isinstance(happening, Top):
                self.tops[happening.symbol] = happening
                self._updates[happening.symbol] = happening.update_id
        if order:
            yield order

    def collect(self) -> dict[str, Changes | None]:
        """Changes of every book since the last call: nothing may pile up where nobody listens."""
        found: dict[str, Changes | None] = {}
        for symbol in self.market.symbols:
            book = self.market.live_book(symbol)
            found[symbol] = book.take_changes()
            self._updates[symbol] = book.update_id
        return found

    def sequence(self, symbol: str) -> int:
        """The sequence now."""
        return self._updates[symbol] + self.market.newest_ids(symbol)[0]

    def sequence_of(self, trade: Trade) -> int:
        """The sequence of the last trade, or of one in the same order."""
        last = self.newest(trade.symbol)
        return self._matched.get(trade.symbol, self._updates[trade.symbol] + last.id) - (
            last.id - trade.id
        )

    def newest(self, symbol: str) -> Trade:
        """The last trade, from history if there was none since the start."""
        found = self._last.get(symbol)
        if found is None:
            found = self._last[symbol] = newest(self.market, symbol, 1)[0]
        return found

    def ticker(self, symbol: str) -> Last:
        """What a ticker shows now."""
        return Last(self.newest(symbol), self.tops[symbol], self.market.day(symbol))


def newest(market: Market, symbol: str, count: int) -> list[Trade]:
    """The last fills, newest first."""
    last = market.newest_ids(symbol)[0]
    return market.trades_from(symbol, last + 1 - count, count)[::-1]


def sequence_at(market: Market, symbol: str, update_id: int, ts: int) -> int:
    """The sequence of a product when its book had `update_id`, at `ts`."""
    trades = market.trades(symbol)
    later = 0
    for trade in reversed(trades):
        if trade.ts <= ts:
            break
        later += 1
    return update_id + market.newest_ids(symbol)[0] - later


def _belongs(happening: Happening, fill: Trade) -> bool:
    if isinstance(happening, Trade | Aggregate):
        return (happening.symbol, happening.ts) == (fill.symbol, fill.ts)
    return isinstance(happening, Top) and happening.symbol == fill.symbol
