"""The real feed with the OKX dialect against the simulated exchange, on loopback.

As `fault_bench`: the market moves only when a test says so, and the feed's clock shows its time.
A book is compared whenever all is settled.
"""

import asyncio
import functools
import random
from contextlib import asynccontextmanager

import pytest

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.events import BookDelta, BookSnapshot, DeadLetter, Gap, Holding, Side
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState, Subscription
from tapewatch.runtime import plugins
from tapewatch.sim.faults import Fault
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue
from tests.integration.sim_bench import ByHand, allowing, market_clock, unpaced
from tests.integration.truth import TOLD, Ledger
from tests.talk import Basket

START = 1_790_000_000_000_000
GRID = 100_000  # microseconds
DEADLINE = 60.0
ONE = 100_000_000
SIZE = Size(levels=100, trades=100_000, history_minutes=30)
SPOT, SWAP, INVERSE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"
INSTS = {
    "BTC-USDT": "okx:BTC/USDT",
    "BTC-USDT-SWAP": "okx:BTC/USDT:USDT",
    "BTC-USD-SWAP": "okx:BTC/USD:BTC",
    "ETH-USDT": "okx:ETH/USDT",
    "ETH-USDT-SWAP": "okx:ETH/USDT:USDT",
}
NATIVES = {inst: native for native, inst in INSTS.items()}
NUMBERED = ("trades", "trades-all")


def true_book(market, native):
    """The market counts in base units; what was sent as contracts is a float's breadth beside."""
    view = market.book(native)
    return tuple(
        {p / ONE: pytest.approx(q / ONE, rel=1e-9) for p, q in levels}
        for levels in (view.bids, view.asks)
    )


class Shown:
    """One book as the events show it."""

    def __init__(self):
        self.live = False
        self.snapshots = self.deltas = self.gaps = 0
        self.sides = ({}, {})

    def take(self, event):
        match event:
            case BookSnapshot():
                self.live, self.snapshots = True, self.snapshots + 1
                self.sides = (dict(event.bids), dict(event.asks))
            case BookDelta():
                assert self.live, "a change of a book that is not shown"
                self.deltas += 1
                for side, levels in zip(self.sides, (event.bids, event.asks), strict=True):
                    for price, size in levels:
                        if size:
                            side[price] = size
                        else:
                            side.pop(price, None)
            case Gap():
                self.live, self.gaps = False, self.gaps + 1


class Fills(Ledger):
    """A stream whose trades stand for as many ids as they have fills."""

    def check_fills(self, fills):
        ids = [n for trade in self.trades for n in self._span(trade)]
        assert len(ids) == len(set(ids)), f"{self.name}: a fill came twice"
        told = sorted(self.ids(*TOLD))
        assert told == list(range(told[0], told[-1] + 1)), f"{self.name}: no partition"
        in_hand = set(self.ids(Holding.HAVE, Holding.REPAIRED))
        assert in_hand == set(ids), f"{self.name}: the ledger and the trades differ"
        assert set(self.ids(Holding.MISSING)) <= set(told), f"{self.name}: what became of it?"
        for trade in self.trades:
            self._check_row(trade, [fills[n] for n in self._span(trade)])
        self._check_order()

    def _span(self, trade):
        return range(int(trade.id) - trade.count + 1, int(trade.id) + 1)

    def _check_row(self, trade, parts):
        last = parts[-1]
        assert trade.side is (Side.SELL if last.buyer_is_maker else Side.BUY)
        assert {part.price / ONE for part in parts} == {trade.price}
        size = sum(part.qty / ONE for part in parts)
        assert trade.size == pytest.approx(size, rel=1e-9), f"{self.name}: {trade}"
        assert trade.ts == last.ts // 1000 * 1000


class Rig:
    def __init__(self, exchange, config, wanted, resume):
        self.exchange = exchange
        self.market = exchange.market
        self.wanted = wanted
        self.basket = Basket()
        self.books = {}
        self.compared = 0
        self._read = 0
        plugin = plugins.load("venues", "okx")
        settings = plugin.config(**config)
        dialect = plugin.build("okx", settings)
        dialect.limits = unpaced(dialect.limits)
        self.feed = ExchangeFeed(
            dialect,
            settings,
            clock=lambda: self.market.now,
            catalogue=Catalogue(),
            wanted=wanted,
            resume=resume,
            rng=random.Random(1),
        )
        self._task = asyncio.create_task(self.feed.run(self.basket))

    @property
    def events(self):
        return self.basket.events

    @property
    def letters(self):
        return self.basket.of(DeadLetter)

    @property
    def lives(self):
        return [life for session in self.feed._sessions for life in session._lives]

    def of(self, kind, native):
        return [event for event in self.basket.of(kind) if event.inst == INSTS[native]]

    def add(self, kind, target="", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)

    def count(self, kind):
        return self.exchange.faults.counts[kind]

    async def want(self, wanted):
        self.wanted = wanted
        await self.feed.want(wanted)

    # --- time ---

    async def settle(self):
        async with asyncio.timeout(DEADLINE):
            while not self._level():
                self._alive()
                await asyncio.sleep(0)

    async def advance(self, secs):
        """Market time; each tenth of a second is settled, and every live book compared."""
        for _ in range(round(secs * 10)):
            await self._step()
            await self.settle()
            self.compare()

    async def rush(self, secs):
        for _ in range(round(secs * 10)):
            await self._step()

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._alive()
                await self._step()

    async def standing(self, condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._alive()
                await asyncio.sleep(0)

    async def whole(self):
        """Go on until every chain is whole and every book is shown."""
        async with asyncio.timeout(DEADLINE):
            await self.settle()
            while not all(map(self._is_whole, self.wanted)):
                await self._step()
                await self.settle()

    async def heal(self):
        self.exchange.faults.clear()
        await self.rush(0.5)
        await self.whole()

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _step(self):
        await self.exchange.advance(GRID - self.market.now % GRID)

    def _alive(self):
        if self._task.done():
            self._task.result()
            raise AssertionError("the feed has ended")

    def _level(self):
        links, lives = list(self.exchange._hub.links.values()), self.lives
        if not lives or len(lives) != len(links) or len(lives) != len(self.feed._sessions):
            return False
        if any(life.state is not LinkState.STREAMING for life in lives):
            return False
        if any(one.subscriptions - one.accepted - one.refused.keys() for one in lives):
            return False
        heard, sent = sum(life.frames for life in lives), sum(link.frames for link in links)
        handed_over = not self.feed._shared.flow.batch
        asking = any(getattr(f, "key", "") for f in self.feed._streams.state.values())
        return heard == sent and handed_over and not asking

    def _is_whole(self, sub):
        native = NATIVES.get(sub.inst)
        flow = self.feed._streams.state.get(sub)
        if sub.channel == "books":
            return flow is not None and flow.state.value == "live"
        if sub.channel not in NUMBERED or native not in self.market.symbols:
            return True
        newest = self.market.newest_ids(native)[0]
        begun = flow is not None and flow.next >= 0
        return begun and not flow.holes and not flow._late and flow.next == newest + 1

    # --- judgement ---

    def shown(self, native):
        """Read on in the events, and give the book as they show it now."""
        for event in self.events[self._read :]:
            is_gap = type(event) is Gap and event.channel == "books"
            if is_gap or type(event) in (BookSnapshot, BookDelta):
                self.books.setdefault(event.inst, Shown()).take(event)
        self._read = len(self.events)
        return self.books.setdefault(INSTS[native], Shown())

    def compare(self):
        """Every book that is shown is the true one."""
        for sub in self.wanted:
            native = NATIVES.get(sub.inst)
            if sub.channel == "books" and self.shown(native).live:
                truth = true_book(self.market, native)
                assert self.shown(native).sides == truth, f"{native}: not the true book"
                self.compared += 1

    def ledger(self, native, channel):
        return Fills(self.events, INSTS[native], channel)

    def judge(self):
        """Compare all trades with the truth; gives the ids that were told to be lost."""
        lost = {}
        for sub in sorted(self.wanted):
            native = NATIVES.get(sub.inst)
            if sub.channel not in NUMBERED or native not in self.market.symbols:
                continue
            fills = {fill.id: fill for fill in self.market.trades(native)}
            ledger = self.ledger(native, sub.channel)
            ledger.check_fills(fills)
            assert max(ledger.ids(*TOLD)) == self.market.newest_ids(native)[0], f"{sub}: the end"
            if ledger.lost:
                lost[native, sub.channel] = ledger.lost
        return lost


def subs(natives, channels):
    return frozenset(Subscription(INSTS[native], c) for native in natives for c in channels)


@asynccontextmanager
async def exchanges(*, symbols=5, rate=1.0, rules=None, clock=None, checksums=False):
    market, make, usual = open_venue("okx", start=START, symbols=symbols, rate=rate, size=SIZE)
    venue = functools.partial(make, checksums=checksums)
    async with ByHand(
        market, venue=venue, rules=allowing(rules or usual), live=False,
        clock=clock or market_clock(market),
    ) as exchange:  # fmt: skip
        yield exchange


@asynccontextmanager
async def feeding(exchange, wanted, *, resume=None, **config):
    """A feed, every book in step and every chain begun."""
    urls = {"ws_url": exchange.ws_url, "rest_url": exchange.rest_url}
    settings = {**urls, "reconnect_delay": 0.01, "max_reconnect_delay": 0.05, **config}
    rig = Rig(exchange, settings, wanted, resume or {})
    try:
        await rig.whole()
        yield rig
    finally:
        await rig.stop()


@asynccontextmanager
async def rigs(
    *channels, natives=(SPOT, SWAP), symbols=5, rate=1.0, rules=None, clock=None,
    checksums=False, **config,
):  # fmt: skip
    """Both."""
    world = {"symbols": symbols, "rate": rate, "rules": rules, "clock": clock}
    wanted = subs(natives, channels or ("trades", "books"))
    async with (
        exchanges(**world, checksums=checksums) as exchange,
        feeding(exchange, wanted, **config) as rig,
    ):
        yield rig
