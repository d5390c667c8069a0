"""Where one pair is traded: a book, makers who follow the fair price, takers who hit them.

What happens: takers send orders that eat levels, fill by fill; makers move the best prices toward
the fair price, change quantities deeper down, and refill the far end. Every trade is at a price of
the book and every quantity is a whole number of lots. Chance comes from the pair's own generator.
"""

from collections import deque
from random import Random

from tapewatch.sim.book import Book, Side
from tapewatch.sim.chart import Chart
from tapewatch.sim.decimals import ONE
from tapewatch.sim.happenings import Aggregate, Happening, Top, Trade
from tapewatch.sim.listing import Listing
from tapewatch.sim.perpetual import Perpetual

_WHALE = 0.0015  # share of takers
_WHALE_TIMES = (60.0, 400.0)
_SWEEP = 40  # levels that one order may eat
_THIN = 8  # makers stop to cancel when so few levels are left
_DEPTH = 0.012  # of the price: how far the levels reach


class Pit:
    """One pair. `fair` and `usd` (dollars for one unit of quote) are set by the market."""

    def __init__(
        self, listing: Listing, rng: Random, book: Book, chart: Chart, levels: int, keep: int,
        perpetual: Perpetual | None = None,
    ) -> None:  # fmt: skip
        self.listing = listing
        self.book = book
        self.chart = chart
        self.perpetual = perpetual  # None: spot
        self.premium = 0.0  # of this venue over the others, as log price
        self.fair = 0.0  # in units of 10^-8
        self.usd = 1.0
        self.heat = 1.0  # how many times the mean rate
        self.next_trade = 0
        self.next_aggregate = 0
        self.trades: deque[Trade] = deque(maxlen=keep)
        self.aggregates: deque[Aggregate] = deque(maxlen=keep)
        self.whales = 0
        self._rng = rng
        self._levels = levels
        self._top = (0, 0, 0, 0)

    def fill_book(self, ts: int) -> None:
        """Put the first levels on both sides; they count as known, not as changes."""
        bid, ask = self._targets()
        for side, price in ((self.book.bids, bid), (self.book.asks, ask)):
            self.book.set(ts, side, price, self._level_qty())
            while len(side.keys) < self._levels and self._extend(ts, side):
                pass
        self.book.take_changes()
        self._top = self.book.top()

    def take(self, ts: int) -> list[Happening]:
        """A taker order: fills, an aggregate for each price, the new top."""
        buys = self._rng.random() < 0.5 + self._pressure()
        return self._execute(ts, self._order_qty(), buys=buys)

    def order(self, ts: int, usd: float, *, buys: bool) -> list[Happening]:
        """A taker order of somebody who knows what he wants, as far as the book goes."""
        return self._execute(ts, self._lots(usd), buys=buys)

    def _execute(self, ts: int, left: int, *, buys: bool) -> list[Happening]:
        side = self.book.asks if buys else self.book.bids
        happened: list[Happening] = []
        for _ in range(_SWEEP):
            if not left or len(side.keys) <= _THIN:
                break
            price = side.best
            there = side.levels[price]
            eaten = min(left, there)
            left -= eaten
            self.book.set(ts, side, price, there - eaten)
            happened += self._fill(ts, price, eaten, buys=buys)
        self._tend(ts, side)
        if self.perpetual is not None:
            fills = [each for each in happened if isinstance(each, Trade)]
            happened += self.perpetual.liquidated(ts, fills, buys=buys)
        return self._with_top(ts, happened)

    def quote(self, ts: int) -> list[Happening]:
        """Makers: the top of one side, and often some levels below it."""
        side = self.book.bids if self._rng.random() < 0.5 else self.book.asks
        self._move_top(ts, side)
        for _ in range(int(self._rng.random() * 3)):
            self._change_deep(ts, side)
        self._tend(ts, side)
        return self._with_top(ts, [])

    def _with_top(self, ts: int, happened: list[Happening]) -> list[Happening]:
        top = self.book.top()
        if top != self._top:
            self._top = top
            happened.append(Top(self.listing.symbol, self.book.update_id, *top, ts))
        return happened

    def _targets(self) -> tuple[int, int]:
        """Where makers want the best bid and ask: one tick apart around the fair price."""
        tick = self.listing.tick
        bid = max(1, int(self.fair / tick - 0.5)) * tick
        return bid, bid + tick

    def _pressure(self) -> float:
        """How much takers lean to buying (-0.45..0.45): they follow the fair price."""
        middle = (self.book.bids.best + self.book.asks.best) / 2
        lean = (self.fair - middle) / (self.fair * 2e-4 + self.listing.tick)
        return max(-0.45, min(0.45, lean * 0.25))

    def _move_top(self, ts: int, side: Side) -> None:
        target = self._targets()[0 if side is self.book.bids else 1]
        ahead = (side.best - target) * side.sign
        if ahead > 0 and self._rng.random() < 0.7:
            for _ in range(6):
                if (side.best - target) * side.sign <= 0 or len(side.keys) <= _THIN:
                    return
                self.book.set(ts, side, side.best, 0)
            return
        other = self.book.asks if side is self.book.bids else self.book.bids
        if ahead < 0 and (other.best - target) * side.sign > 0:
            self.book.set(ts, side, target, self._level_qty())
            return
        self.book.set(ts, side, side.best, self._level_qty())

    def _change_deep(self, ts: int, side: Side) -> None:
        """Away from the top: close a hole, else remove a level, else change one."""
        tick = self.listing.tick
        rank = 1 + int((len(side.keys) - 1) * self._rng.random() ** 3)
        price = side.price(rank)
        hole = abs(side.price(rank - 1) - price) // tick
        if hole > 1 and hole > self._mean_gap():
            between = price + side.sign * tick * (hole // 2)
            self.book.set(ts, side, between, self._level_qty())
        elif len(side.keys) > self._levels and self._rng.random() < 0.4:
            self.book.set(ts, side, price, 0)
        else:
            self.book.set(ts, side, price, self._level_qty())

    def _tend(self, ts: int, side: Side) -> None:
        """Keep the number of levels: refill the far end, or cut it."""
        for _ in range(4):
            if len(side.keys) >= self._levels or not self._extend(ts, side):
                break
        while len(side.keys) > self._levels + 20:
            self.book.set(ts, side, side.price(-1), 0)

    def _mean_gap(self) -> float:
        """Ticks between two levels, on average."""
        return max(1.0, self.fair * _DEPTH / self.listing.tick / self._levels)

    def _extend(self, ts: int, side: Side) -> bool:
        """One level further out; False at the floor of the price."""
        gap = 1 + int(self._rng.random() * 2 * (self._mean_gap() - 1) + 0.5)
        price = side.price(-1) - side.sign * gap * self.listing.tick
        if price < self.listing.tick:
            return False
        self.book.set(ts, side, price, self._level_qty())
        return True

    def _fill(self, ts: int, price: int, qty: int, *, buys: bool) -> list[Happening]:
        """Several makers wait at a price: split what was eaten among them."""
        symbol, first = self.listing.symbol, self.next_trade
        happened: list[Happening] = []
        for part in self._split(qty):
            trade = Trade(symbol, self.next_trade, price, part, ts, not buys)
            self.next_trade += 1
            self.trades.append(trade)
            self.chart.record(ts, price, part, trade.id, buys=buys)
            happened.append(trade)
        last = self.next_trade - 1
        whole = Aggregate(symbol, self.next_aggregate, price, qty, first, last, ts, not buys)
        self.next_aggregate += 1
        self.aggregates.append(whole)
        happened.append(whole)
        return happened

    def _split(self, qty: int) -> list[int]:
        lot = self.listing.lot
        left = qty // lot
        parts: list[int] = []
        while left > 1 and len(parts) < 12 and self._rng.random() < 0.55:
            part = max(1, int(left * self._rng.random() * 0.8))
            parts.append(part * lot)
            left -= part
        parts.append(left * lot)
        return parts

    def _order_qty(self) -> int:
        usd = self.listing.typical_usd * self._rng.lognormvariate(0.0, 1.4)
        if self._rng.random() < _WHALE:
            self.whales += 1
            usd *= self._rng.uniform(*_WHALE_TIMES)
        return self._lots(usd)

    def _level_qty(self) -> int:
        return self._lots(self.listing.typical_usd * 12 * self._rng.lognormvariate(0.0, 1.0))

    def _lots(self, usd: float) -> int:
        """What so many dollars buy, in units of 10^-8, at least one lot."""
        lots = usd * ONE * ONE / (self.fair * self.usd * self.listing.lot)
        return max(1, int(lots)) * self.listing.lot
