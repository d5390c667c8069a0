"""The real feed with the Binance USD-M dialect against the simulated exchange, on loopback.

As `fault_bench`: the market moves only when a test says so, and the feed's clock shows its time.
There are two connections, `/public` and `/market`. What is true is read as the venue's own rows.
"""

import asyncio
import json
import random
from contextlib import asynccontextmanager

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.events import DeadLetter, Side
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState, Subscription
from tapewatch.sim.faults import Fault
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue
from tapewatch.venues.binance_futures import PLUGIN
from tests.integration.sim_bench import ByHand, allowing, market_clock, unpaced
from tests.integration.truth import TOLD, Ledger, Shelf, true_rows
from tests.talk import Basket

VENUE = "binance_futures"
START = 1_790_000_000_000_000
GRID = 100_000  # microseconds; books are published at these times
DEADLINE = 60.0
NUMBERED = ("trade", "aggTrade")
SIZE = Size(levels=100, trades=100_000, history_minutes=30)
BTC, ETH, SOL = "BTCUSDT", "ETHUSDT", "SOLUSDT"


def inst_of(native):
    return f"{VENUE}:{native.removesuffix('USDT')}/USDT:USDT"


def subs(natives, channels):
    return frozenset(Subscription(inst_of(n), c) for n in natives for c in channels)


def side_of(is_buyer_maker):
    return Side.SELL if is_buyer_maker else Side.BUY


class Rig:
    def __init__(self, exchange, config, wanted, dialect=None):
        self.exchange = exchange
        self.market = exchange.market
        self.wanted = wanted
        self.basket = Basket()
        self.books = {}  # native: update id: the true book
        dialect = dialect or PLUGIN.build(VENUE, config)
        dialect.limits = unpaced(dialect.limits)
        self.feed = ExchangeFeed(
            dialect,
            config,
            clock=lambda: self.market.now,
            catalogue=Catalogue(),
            wanted=wanted,
            resume={},
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
        return [event for event in self.basket.of(kind) if event.inst == inst_of(native)]

    def add(self, kind, target="", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)

    def count(self, kind):
        return self.exchange.faults.counts[kind]

    async def want(self, wanted):
        self.wanted = wanted
        await self.feed.want(wanted)

    # --- time ---

    async def settle(self):
        """Until all that the exchange has sent is heard, and all that was asked is answered."""
        async with asyncio.timeout(DEADLINE):
            while not self._level():
                self._alive()
                await asyncio.sleep(0)

    async def advance(self, secs):
        """Market time, with everything settled in each tenth of a second."""
        for _ in range(round(secs * 10)):
            await self._step()
            await self.settle()

    async def rush(self, secs):
        """Market time without waiting for anybody."""
        for _ in range(round(secs * 10)):
            await self._step()

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._alive()
                await self._step()

    async def standing(self, condition):
        """Let the loop go on, but not the market, until something is so."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._alive()
                await asyncio.sleep(0)

    async def whole(self):
        """Go on until every chain is whole and every book is shown."""
        async with asyncio.timeout(DEADLINE):
            await self.settle()
            while not all(map(self._is_whole, self.wanted)):
                await self.advance(0.1)

    async def heal(self):
        """End all faults, and let what they broke be mended."""
        self.exchange.faults.clear()
        await self.rush(0.5)
        await self.whole()

    async def stop(self):
        """End the feed as the product does; what it still knows is told."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _step(self):
        await self.exchange.advance(GRID - self.market.now % GRID)
        for native in {native for native, channel in self._named() if channel == "depth"}:
            row = self.truth("book", native)
            sides = ({float(p): float(q) for p, q in row[name]} for name in ("bids", "asks"))
            self.books.setdefault(native, {})[row["lastUpdateId"]] = tuple(sides)

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

    def _named(self):
        natives = {inst_of(native): native for native in self.market.symbols}
        return [(natives[s.inst], s.channel) for s in sorted(self.wanted) if s.inst in natives]

    def _is_whole(self, sub):
        flow = self.feed._streams.state.get(sub)
        if sub.channel == "depth":
            return flow is not None and flow.state.value == "live"
        if sub.channel not in NUMBERED:
            return True
        begun = flow is not None and flow.next >= 0
        native = next(n for n in self.market.symbols if inst_of(n) == sub.inst)
        return (
            begun
            and not flow.holes
            and not flow._late
            and flow.next > self.sent(native, sub.channel)
        )

    # --- judgement ---

    def truth(self, what, native, **query):
        return json.loads(self.exchange.venue.truth(what, {"symbol": native, **query}))

    def rows(self, native, channel):
        """By id, as an event should tell it."""
        if channel == "trade":
            return true_rows(self.market, native, channel)
        return {
            row["a"]: (
                side_of(row["m"]), float(row["p"]), float(row["q"]), row["T"] * 1000,
                row["l"] - row["f"] + 1,
            )
            for row in self._aggregates(native)
        }  # fmt: skip

    def _aggregates(self, native):
        """All pages from the oldest on: without `fromId` the venue gives the newest thousand."""
        rows = page = self.truth("aggTrades", native, limit="1000", fromId="0")
        while len(page) == 1000:
            page = self.truth("aggTrades", native, limit="1000", fromId=str(page[-1]["a"] + 1))
            rows = [*rows, *page]
        return rows

    def sent(self, native, channel):
        """The newest id that was sent for sure: aggregates are collected for 100 ms."""
        if channel == "trade":
            return self.market.newest_ids(native)[0]
        rows = self.rows(native, channel)
        return max(number for number, row in rows.items() if row[3] < self.market.now - 2 * GRID)

    def ledger(self, native, channel):
        return Ledger(self.events, inst_of(native), channel)

    def shelf(self, native):
        return Shelf(inst_of(native), self.books[native]).follow(self.events)

    def judge(self, *, altered=None):
        """Compare every numbered stream and every book with the truth. Gives the lost ids."""
        lost = {}
        for native, channel in self._named():
            if channel in NUMBERED:
                rows, ledger = self.rows(native, channel), self.ledger(native, channel)
                ledger.check(rows, altered=(altered or {}).get((native, channel), frozenset()))
                end = max(ledger.ids(*TOLD))
                assert end >= self.sent(native, channel), f"{native} {channel}: the end"
                if ledger.lost:
                    lost[native, channel] = ledger.lost
            elif channel == "depth":
                shelf = self.shelf(native)
                assert shelf.compared > 2, f"{native}: compared {shelf.compared} times only"
        return lost


@asynccontextmanager
async def exchanges(*, symbols=3, rate=1.0, seed=1, rules=None, clock=None):
    market, make, usual = open_venue(
        VENUE, start=START, seed=seed, symbols=symbols, rate=rate, size=SIZE
    )
    async with ByHand(
        market, venue=make, rules=allowing(rules or usual), live=False,
        clock=clock or market_clock(market),
    ) as exchange:  # fmt: skip
        yield exchange


@asynccontextmanager
async def feeding(exchange, wanted, *, dialect=None, **config):
    settings = PLUGIN.config(**{
        "ws_url": exchange.ws_url,
        "rest_url": exchange.rest_url,
        "reconnect_delay": 0.01,
        "max_reconnect_delay": 0.05,
        **config,
    })  # fmt: skip
    rig = Rig(exchange, settings, wanted, dialect and dialect(VENUE, settings))
    try:
        yield rig
    finally:
        await rig.stop()


@asynccontextmanager
async def rigs(*channels, natives=(BTC, ETH), symbols=3, rate=1.0, rules=None, **config):
    """Both, with every book in step and every chain begun."""
    wanted = subs(natives, channels or (*NUMBERED, "depth"))
    async with (
        exchanges(symbols=symbols, rate=rate, rules=rules) as exchange,
        feeding(exchange, wanted, **config) as rig,
    ):
        await rig.whole()
        yield rig
