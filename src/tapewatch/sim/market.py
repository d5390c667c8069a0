"""One simulated world: assets that move, pits that trade, and the truth about both.

Time comes in through `advance`; there is no clock. The same seed, start and settings give the same
events, however `advance` is cut into steps: activity is planned in slices of 200 ms, and each
pair trades with chances of its own.
Markets of several venues with one seed and start are one world: the assets move alike, and a burst
at one venue moves only its own price, for some seconds. A market without venue is a world alone.
Prices and quantities are whole numbers in units of 10^-8, times are microseconds.
"""

import math
from collections.abc import Sequence
from itertools import islice
from random import Random

from msgspec import Struct

from tapewatch.sim.assets import Assets, Shock
from tapewatch.sim.bars import Bar, opened
from tapewatch.sim.book import Book, View
from tapewatch.sim.chart import Chart, Day
from tapewatch.sim.decimals import ONE
from tapewatch.sim.happenings import Aggregate, Happening, Liquidation, Top, Trade
from tapewatch.sim.history import History
from tapewatch.sim.listing import Listing, assets, listings
from tapewatch.sim.perpetual import Mark, Perpetual
from tapewatch.sim.pit import Pit

__all__ = [
    "Aggregate", "Happening", "Liquidation", "Mark", "Market", "Shock", "Size", "Top", "Trade",
    "open_market",
]  # fmt: skip

_SLICE = 200_000
_CALM = 0.55  # activity outside bursts
_COOLING = 0.8  # what is left of a burst after one slice
_BURST = 0.006  # chance of a burst, for a symbol and slice
_EVERYBODY = 0.002  # the same for the whole market
_HOTTEST = 20.0
_MAKERS = 0.6  # power by which makers get hot: less than takers, as recorded
_FADING = math.exp(-_SLICE / 7e6)  # what is left of a premium after one slice
_LIQUIDATIONS = 1_000  # remembered
_ORDERS = 0.4  # taker orders for one fill: an order makes about 2.5 fills


class Size(Struct, frozen=True):
    """How much the market keeps in memory, for each symbol."""

    levels: int = 300  # a side of the book
    trades: int = 20_000  # newest fills, and as many aggregates
    book_changes: int = 4_000  # by which the book can be told as it was
    history_minutes: int = 1_440

    @classmethod
    def fitting(cls, symbols: int) -> "Size":
        """Less of everything when there are hundreds of symbols."""
        if symbols <= 100:
            return cls()
        return cls(levels=60, trades=2_000, book_changes=400, history_minutes=60)


class Market:
    """Made by `open_market`."""

    def __init__(
        self, start: int, rate: float, rng: Random, world: Assets,
        pits: dict[str, Pit], pasts: dict[str, History], *, alone: bool,
    ) -> None:  # fmt: skip
        self._now = start
        self._rate = rate
        self._rng = rng
        self._assets = world
        self._pits = pits
        self._pasts = pasts
        self._alone = alone
        self._deviations: list[Shock] = []
        self._rushes: list[tuple[str, int]] = []  # symbol, until when
        self._rows = tuple(pits.values())
        self._planned_to = start
        # (time, pit, is_take), latest first
        self._agenda: list[tuple[int, int, bool]] = []

    @property
    def now(self) -> int:
        """Up to when everything has happened."""
        return self._now

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in their order of listing."""
        return tuple(self._pits)

    @property
    def whales(self) -> int:
        """How many orders were far above the usual size."""
        return sum(pit.whales for pit in self._rows)

    def advance(self, to: int) -> list[Happening]:
        """Let time pass; what happened, in order."""
        happened: list[Happening] = []
        agenda = self._agenda
        while True:
            while agenda and agenda[-1][0] <= to:
                ts, index, is_take = agenda.pop()
                pit = self._rows[index]
                happened += pit.take(ts) if is_take else pit.quote(ts)
            if agenda or self._planned_to > to:
                break
            self._plan()
        self._now = max(self._now, to)
        return happened

    def skip(self, to: int) -> None:
        """Let time pass while nothing happens, as after the sleep of a laptop."""
        delta = to - self._now
        if delta <= 0:
            return
        self._agenda = [(ts + delta, index, is_take) for ts, index, is_take in self._agenda]
        self._planned_to += delta
        self._now = to

    def shock(self, shock: Shock) -> None:
        """Let prices fall (or jump) and come back; trading gets hot meanwhile."""
        self._assets.shock(shock)

    def deviate(self, shock: Shock) -> None:
        """Let the prices of this venue alone go away from those of the others, and come back."""
        self._deviations.append(shock)

    def rush(self, symbol: str, until: int) -> None:
        """Let a pair be traded many times as much as usual, at prices that do not mind."""
        self._rushes.append((symbol, until))

    def order(self, symbol: str, usd: float, *, buys: bool) -> list[Happening]:
        """Trade at once for so many dollars, as far as the book goes."""
        return self._pits[symbol].order(self._now, usd, buys=buys)

    @property
    def rate(self) -> float:
        """How many times the usual activity; may be changed, as between day and night."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate

    def listing(self, symbol: str) -> Listing:
        """The trading rules. KeyError for an unknown symbol, as everywhere here."""
        return self._pits[symbol].listing

    def live_book(self, symbol: str) -> Book:
        """The book itself, for who publishes its changes."""
        return self._pits[symbol].book

    def book(self, symbol: str, limit: int | None = None, at: int | None = None) -> View:
        """The true book now, or at a moment not long ago."""
        book = self._pits[symbol].book
        return book.view(limit) if at is None else book.view_at(at, limit)

    def trades(self, symbol: str) -> Sequence[Trade]:
        """The fills that are remembered since the start, oldest first."""
        return self._pits[symbol].trades

    def aggregates(self, symbol: str) -> Sequence[Aggregate]:
        """The aggregates that are remembered since the start, oldest first."""
        return self._pits[symbol].aggregates

    def mark(self, symbol: str) -> Mark:
        """Index, mark and funding of a derivative. KeyError for what is spot."""
        return self._perpetual(symbol).mark(self._now)

    def liquidations(self, symbol: str) -> Sequence[Liquidation]:
        """Those of a derivative that are remembered, oldest first. KeyError for what is spot."""
        return self._perpetual(symbol).liquidations

    def trades_from(self, symbol: str, from_id: int, limit: int) -> list[Trade]:
        """Fills by id, history included; from the oldest that is known if `from_id` is older."""
        past, live = self._pasts[symbol], self._pits[symbol].trades
        found = list(islice(past.trades(from_id), limit)) if from_id < past.next_trade else []
        skipped = max(0, from_id - live[0].id) if live else 0
        return found + list(islice(live, skipped, skipped + limit - len(found)))

    def aggregates_from(self, symbol: str, from_id: int, limit: int) -> list[Aggregate]:
        """Aggregates by id, history included."""
        past, live = self._pasts[symbol], self._pits[symbol].aggregates
        is_past = from_id < past.next_aggregate
        found = list(islice(past.aggregates(from_id), limit)) if is_past else []
        skipped = max(0, from_id - live[0].id) if live else 0
        return found + list(islice(live, skipped, skipped + limit - len(found)))

    def aggregates_since(self, symbol: str, start: int, end: int, limit: int) -> list[Aggregate]:
        """The first `limit` aggregates within `start`..`end`, both inclusive."""
        past, live = self._pasts[symbol], self._pits[symbol].aggregates
        found = list(islice(past.aggregates_since(start), limit)) if start < past.end else []
        newer = (a for a in live if a.ts >= start)
        found += islice(newer, limit - len(found))
        return [a for a in found if a.ts <= end]

    def newest_ids(self, symbol: str) -> tuple[int, int]:
        """The last trade id and the last aggregate id."""
        pit = self._pits[symbol]
        return pit.next_trade - 1, pit.next_aggregate - 1

    def klines(
        self, symbol: str, interval: str, start: int | None, end: int | None, limit: int
    ) -> list[Bar]:
        """True candles, the running one included."""
        chart = self._pits[symbol].chart
        chart.roll(self._now)
        return chart.klines(interval, start, min(self._now, end or self._now), limit)

    def bar(self, symbol: str, interval: str, open_ts: int) -> Bar:
        """The true candle that opens at `open_ts`."""
        chart = self._pits[symbol].chart
        chart.roll(self._now)
        return chart.bar(interval, open_ts)

    def day(self, symbol: str) -> Day:
        """The rolling 24 hours."""
        return self._pits[symbol].chart.day(self._now)

    def _perpetual(self, symbol: str) -> Perpetual:
        found = self._pits[symbol].perpetual
        if found is None:
            raise KeyError(symbol)
        return found

    def _plan(self) -> None:
        """Move the assets by one slice and draw what will happen in it."""
        start, self._planned_to = self._planned_to, self._planned_to + _SLICE
        self._assets.step(start, _SLICE / 1e6)
        self._deviations = [each for each in self._deviations if not each.over(start)]
        self._rushes = [each for each in self._rushes if each[1] > start]
        rushed = {symbol for symbol, _ in self._rushes}
        everybody = self._rng.random() < _EVERYBODY
        size = self._rng.uniform(5.0, _HOTTEST)
        for index, pit in enumerate(self._rows):
            pit.premium *= _FADING
            deviation = self._deviation(pit.listing.base, start)
            set_fair(pit, self._assets, deviation)
            stirred = deviation != 0.0 or pit.listing.symbol in rushed
            self._heat(pit, size if everybody else 0.0, stirred=stirred)
            takes = pit.listing.fills_per_sec * _ORDERS * pit.heat
            quotes = pit.listing.quotes_per_sec * pit.heat**_MAKERS
            self._draw(index, True, takes * self._rate, start)
            self._draw(index, False, quotes * self._rate, start)
        self._agenda.sort(reverse=True)

    def _heat(self, pit: Pit, burst: float, *, stirred: bool) -> None:
        pit.heat = _CALM + (pit.heat - _CALM) * _COOLING
        if self._rng.random() < _BURST:
            burst = max(burst, self._rng.uniform(5.0, _HOTTEST))
            self._jump(pit, self._rng.gauss(0.0, 2.5))
        # alone, a market is as it always was: recordings of it are kept
        shaken = stirred or (not self._alone and self._assets.shaken(pit.listing.quote))
        if shaken or self._assets.shaken(pit.listing.base):
            burst = max(burst, 8.0)
        pit.heat = max(pit.heat, burst)

    def _jump(self, pit: Pit, sigmas: float) -> None:
        base = pit.listing.base
        if self._alone:
            self._assets.jump(base, sigmas)
        else:
            pit.premium += sigmas * self._assets.volatility(base)

    def _deviation(self, base: str, ts: int) -> float:
        return sum(s.offset(ts) for s in self._deviations if s.asset in {None, base})

    def _draw(self, index: int, is_take: bool, per_sec: float, start: int) -> None:  # noqa: FBT001 - positional in the hot loop
        secs, draw = _SLICE / 1e6, self._rng.expovariate
        at = draw(per_sec)
        while at < secs:
            self._agenda.append((start + int(at * 1e6), index, is_take))
            at += draw(per_sec)


def set_fair(pit: Pit, world: Assets, deviation: float = 0.0) -> None:
    """Tell a pit what its pair is worth now."""
    fair = _worth(pit.listing, world)
    if pit.perpetual is not None:
        pit.perpetual.step(fair, _SLICE / 1e6)
        fair = pit.perpetual.fair
    away = pit.premium + deviation
    pit.fair = fair * math.exp(away) if away else fair
    pit.usd = world.ratio(pit.listing.quote, "USDT")


def _worth(pair: Listing, world: Assets) -> float:
    return world.ratio(pair.base, pair.quote) * pair.multiple * ONE


def open_market(
    *, start: int, seed: int = 1, symbols: int = 20, rate: float = 1.0, size: Size | None = None,
    pairs: tuple[Listing, ...] | None = None, venue: str = "",
) -> Market:  # fmt: skip
    """A market at the time `start` (microseconds), with `rate` times the usual activity.

    `pairs` in place of so many `symbols` of Binance spot; `venue` makes it part of a world.
    """
    if rate <= 0:
        raise ValueError(f"a rate of {rate} was asked for; it must be above 0")
    pairs = pairs or listings(symbols)
    world = Assets(assets(pairs), seed)
    kept = size or Size.fitting(len(pairs))
    root = f"{seed}/{venue}" if venue else f"{seed}"
    pits: dict[str, Pit] = {}
    pasts: dict[str, History] = {}
    for pair in pairs:
        price = max(1, round(_worth(pair, world) / pair.tick)) * pair.tick
        past = History(pair, seed, opened(start, "1m"), kept.history_minutes, price, venue)
        pit = _open_pit(pair, root, start, past, kept)
        set_fair(pit, world)
        pit.fill_book(start)
        pits[pair.symbol], pasts[pair.symbol] = pit, past
    return Market(start, rate, Random(f"{root}/market"), world, pits, pasts, alone=not venue)


def _open_pit(pair: Listing, root: str, start: int, past: History, size: Size) -> Pit:
    rng = Random(f"{root}/{pair.symbol}")
    perpetual = None
    if pair.kind != "spot":
        chance = Random(f"{root}/{pair.symbol}/perpetual")
        perpetual = Perpetual(pair, chance, float(past.price), _LIQUIDATIONS)
    book = Book(past.next_trade * 4, size.book_changes)
    chart = Chart(past, start, past.price)
    pit = Pit(pair, rng, book, chart, size.levels, size.trades, perpetual)
    pit.next_trade, pit.next_aggregate = past.next_trade, past.next_aggregate
    return pit
