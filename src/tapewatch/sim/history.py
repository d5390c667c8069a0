"""What happened before the simulator was started, made up when somebody asks.

One pass over the minutes gives the closes (a walk backwards from the first price) and how many
aggregates and fills each minute had, so ids join the live ones without a hole. The fills of a
minute come from a small generator seeded by that minute, so bars, aggregates and trades agree
whenever they are asked for. History is thinner than live trading (about nine aggregates a minute,
with quantities to match): a day of it must cost milliseconds.
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, chain, islice
from random import Random
from zlib import crc32

from tapewatch.sim.bars import MINUTE, Bar, flat
from tapewatch.sim.decimals import ONE
from tapewatch.sim.happenings import Aggregate, Trade
from tapewatch.sim.listing import Listing

_MASK = (1 << 64) - 1
_FEWEST, _MOST = 6, 12  # aggregates in a minute


class History:
    """The past of one pair, up to `end`, which must be the start of a minute.

    With the name of a venue its ids are the venue's own, and its prices had the same ups and downs
    as those of the other venues.
    """

    def __init__(
        self, listing: Listing, seed: int, end: int, minutes: int, price: int, venue: str = ""
    ) -> None:
        told = f"{venue}/{listing.symbol}" if venue else listing.symbol
        self._own = f"{seed}/{told}"
        self._path = f"{seed}/past/{_moved_by(listing)}" if venue else f"{self._own}/past"
        self._listing = listing
        self._seed = seed
        self.end = end
        self._minutes = minutes
        self.price = price  # of the last trade before the start
        self.next_trade = 3_000_000_000 + crc32(told.encode())  # does not fit 32 bits
        self.next_aggregate = self.next_trade // 2

    @property
    def start(self) -> int:
        """When the first minute opens."""
        return self.end - self._minutes * MINUTE

    @cached_property
    def bars(self) -> list[Bar]:
        """One bar a minute, oldest first."""
        return [self._bar(minute) for minute in range(self._minutes)]

    def aggregates(self, from_id: int) -> Iterator[Aggregate]:
        """From this id on, oldest first, to the end of history."""
        minute = _last_at_most(self._aggregate_ids, from_id)
        found = chain.from_iterable(self._minute(m) for m in range(minute, self._minutes))
        return (a for a in found if a.id >= from_id)

    def aggregates_since(self, ts: int) -> Iterator[Aggregate]:
        """From this time on."""
        minute = max(0, (ts - self.start) // MINUTE)
        found = chain.from_iterable(self._minute(m) for m in range(minute, self._minutes))
        return (a for a in found if a.ts >= ts)

    def trades(self, from_id: int) -> Iterator[Trade]:
        """Fills from this id on, oldest first, to the end of history."""
        minute = _last_at_most(self._trade_ids, from_id)
        parts = chain.from_iterable(self._minute(m) for m in range(minute, self._minutes))
        found = chain.from_iterable(map(self._fills, parts))
        return (t for t in found if t.id >= from_id)

    @cached_property
    def _closes(self) -> list[int]:
        """`minutes` + 1 prices; minute m goes from the m-th to the one after it."""
        rng, tick = Random(self._path), self._listing.tick
        price = float(self.price)
        backwards = [self.price]
        for _ in range(self._minutes):
            price *= 1 + rng.gauss(0.0, 0.0009)
            backwards.append(max(tick, round(price / tick) * tick))
        return backwards[::-1]

    @cached_property
    def _counts(self) -> list[int]:
        rng = Random(f"{self._own}/counts")
        return [rng.randint(_FEWEST, _MOST) for _ in range(self._minutes)]

    @cached_property
    def _aggregate_ids(self) -> list[int]:
        """The first id of each minute."""
        first = self.next_aggregate - sum(self._counts)
        return list(accumulate(islice(self._counts, self._minutes - 1), initial=first))

    @cached_property
    def _trade_ids(self) -> list[int]:
        fills = [sum(_fill_count(m, j) for j in range(n)) for m, n in enumerate(self._counts)]
        first = self.next_trade - sum(fills)
        return list(accumulate(islice(fills, self._minutes - 1), initial=first))

    @cached_property
    def _lots(self) -> int:
        """A small quantity, so that a minute's volume is like that of a live one."""
        listing = self._listing
        worth = listing.typical_usd * listing.fills_per_sec * 60 / _MOST
        usd = self.price / ONE if listing.quote != "BTC" else 60_000 * self.price / ONE
        return max(2, round(worth / usd * ONE / listing.lot / 4))

    def _minute(self, minute: int) -> Iterator[Aggregate]:
        listing, count = self._listing, self._counts[minute]
        before, after = self._closes[minute], self._closes[minute + 1]
        first, trade_id = self._aggregate_ids[minute], self._trade_ids[minute]
        open_ts = self.start + minute * MINUTE
        noise = (self._seed * 0x9E3779B97F4A7C15 + minute * 0xBF58476D1CE4E5B9 + first) & _MASK
        for j in range(count):
            noise = (noise * 6364136223846793005 + 1442695040888963407) & _MASK
            path = before + (after - before) * (j + 1) // count
            wiggle = 0 if j == count - 1 else (noise >> 33) % 7 - 3
            price = (path // listing.tick + wiggle) * listing.tick
            fills = _fill_count(minute, j)
            yield Aggregate(
                symbol=listing.symbol,
                id=first + j,
                price=max(listing.tick, price),
                qty=self._lots * (1 + (noise >> 40) % 8) * listing.lot,
                first=trade_id,
                last=trade_id + fills - 1,
                ts=open_ts + (MINUTE * j + (noise >> 20) % 50_000_000) // count,
                buyer_is_maker=bool(noise >> 63),
            )
            trade_id += fills

    def _fills(self, part: Aggregate) -> Iterator[Trade]:
        """One or two trades; the first takes half of the lots."""
        left, lot = part.qty, self._listing.lot
        for trade_id in range(part.first, part.last + 1):
            qty = left if trade_id == part.last else part.qty // lot // 2 * lot
            left -= qty
            yield Trade(part.symbol, trade_id, part.price, qty, part.ts, part.buyer_is_maker)

    def _bar(self, minute: int) -> Bar:
        bar = flat(self.start + minute * MINUTE, self._closes[minute])
        for part in self._minute(minute):
            buys = not part.buyer_is_maker
            bar.record(part.price, part.qty, part.first, buys=buys)
            bar.last = part.last
        bar.trades = bar.last - bar.first + 1
        return bar


def _moved_by(listing: Listing) -> str:
    """Whose past the pair has: the base's, if it is priced in some dollar."""
    in_dollars = listing.quote.startswith("USD") or listing.quote.endswith("USD")
    return listing.base if in_dollars else f"{listing.base}/{listing.quote}"


def _fill_count(minute: int, index: int) -> int:
    return 1 + (minute + index) % 2


def _last_at_most(ascending: list[int], value: int) -> int:
    """The index of the last element that is not above `value`, or 0."""
    return max(0, bisect_right(ascending, value) - 1)
