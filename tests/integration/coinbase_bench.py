"""The real feed with both Coinbase dialects against the simulated exchange, on loopback.

As `fault_bench`: the market moves only when a test says so, and the feed's clock shows its time.
A book has no numbers that the market knows, so it is compared whenever all is settled.
"""

import asyncio
import random
from contextlib import asynccontextmanager

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.events import BookDelta, BookSnapshot, DeadLetter, Gap, Side
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState, Subscription
from tapewatch.runtime import plugins
from tapewatch.sim.faults import Fault
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue
from tests.integration.sim_bench import ByHand, allowing, market_clock, unpaced
from tests.integration.truth import TOLD, Ledger, true_book
from tests.talk import Basket

START = 1_790_000_000_000_000
GRID = 100_000  # microseconds
DEADLINE = 60.0
ONE = 100_000_000
SIZE = Size(levels=100, trades=100_000, history_minutes=30)
BTC, ETH = "BTC-USD", "ETH-USD"
TRADES = {"coinbase": "matches", "coinbase_advanced": "market_trades"}
BOOKS = {"coinbase": "level2_batch", "coinbase_advanced": "level2"}


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


class Rig:
    def __init__(self, name, exchange, config, wanted, resume):
        self.name = name
        self.exchange = exchange
        self.market = exchange.market
        self.wanted = wanted
        self.basket = Basket()
        self.books = {}
        self.compared = 0
        self._read = 0
        plugin = plugins.load("venues", name)
        settings = plugin.config(**config)
        dialect = plugin.build(name, settings)
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

    # --- names ---

    def inst(self, native):
        base, _, quote = native.partition("-")
        return f"{self.name}:{base}/{quote}"

    def native(self, inst):
        return inst.partition(":")[2].replace("/", "-")

    def sub(self, native, channel):
        return Subscription(self.inst(native), channel)

    @property
    def trades(self):
        return TRADES[self.name]

    @property
    def events(self):
        return self.basket.events

    @property
    def letters(self):
        return self.basket.of(DeadLetter)

    @property
    def lives(self):
        return [life for session in self.feed._sessions for life in session._lives]

    def add(self, kind, target="", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)

    def count(self, kind):
        return self.exchange.faults.counts[kind]

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

    async def watch(self, secs):
        """As `advance`, but nothing is compared, and the feed looks at the time at each step."""
        for _ in range(round(secs * 10)):
            await self._step()
            await self.settle()
            seen = {life: life._beat_at for life in self.lives}
            await self.standing(lambda s=seen: all(life._beat_at != s[life] for life in s))

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

    async def end(self):
        """Wait for what the venue still collects, and end as the product does."""
        await self.whole()
        await self.stop()

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
        native = self.native(sub.inst)
        flow = self.feed._streams.state.get(sub)
        if sub.channel == BOOKS[self.name]:
            return flow is not None and flow.state.value == "live"
        if sub.channel != self.trades or native not in self.market.symbols:
            return True
        newest = self.market.newest_ids(native)[0]
        begun = flow is not None and flow.next >= 0
        return begun and not flow.holes and not flow._late and flow.next == newest + 1

    # --- judgement ---

    def shown(self, native):
        """Read on in the events, and give the book as they show it now."""
        for event in self.events[self._read :]:
            is_gap = type(event) is Gap and event.channel == BOOKS[self.name]
            if is_gap or type(event) in (BookSnapshot, BookDelta):
                self.books.setdefault(event.inst, Shown()).take(event)
        self._read = len(self.events)
        return self.books.setdefault(self.inst(native), Shown())

    def compare(self):
        """Every book that is shown is the true one."""
        for sub in self.wanted:
            native = self.native(sub.inst)
            if sub.channel == BOOKS[self.name] and self.shown(native).live:
                truth = true_book(self.market.book(native))
                assert self.shown(native).sides == truth, f"{native}: not the true book"
                self.compared += 1

    def judge(self, *, altered=frozenset()):
        """Compare all trades with the truth; gives the ids that were told to be lost."""
        lost = set()
        for sub in sorted(self.wanted):
            native = self.native(sub.inst)
            if sub.channel != self.trades or native not in self.market.symbols:
                continue
            rows = {t.id: self._row(t) for t in self.market.trades(native)}
            ledger = Ledger(self.events, sub.inst, sub.channel)
            ledger.check(rows, altered=altered)
            assert max(ledger.ids(*TOLD)) == self.market.newest_ids(native)[0], f"{sub}: the end"
            lost |= ledger.lost
        return lost

    def _row(self, true):
        side = Side.SELL if true.buyer_is_maker else Side.BUY
        return side, true.price / ONE, true.qty / ONE, true.ts, 1


@asynccontextmanager
async def rigs(name, *channels, natives=(BTC, ETH), symbols=4, rate=1.0, **config):
    """An exchange and a feed, every book in step and every chain begun."""
    market, make, rules = open_venue(name, start=START, symbols=symbols, rate=rate, size=SIZE)
    channels = channels or (TRADES[name], BOOKS[name])
    insts = ["{}:{}/{}".format(name, *native.split("-")) for native in natives]
    wanted = frozenset(Subscription(inst, channel) for inst in insts for channel in channels)
    resume = config.pop("resume", {})
    _, make_history, history_rules = open_venue("coinbase", start=START, symbols=1)
    async with (
        ByHand(
            market, venue=make, rules=allowing(rules), live=False, clock=market_clock(market)
        ) as exchange,
        # The same market behind the REST of the Exchange: where past trades are asked for by id.
        ByHand(
            market, venue=make_history, rules=allowing(history_rules), live=False,
            faults=exchange.faults, clock=market_clock(market),
        ) as history,
    ):  # fmt: skip
        urls = {"ws_url": exchange.ws_url, "rest_url": exchange.rest_url}
        if name == "coinbase_advanced":
            urls["history_url"] = history.rest_url
        settings = {**urls, "reconnect_delay": 0.01, "max_reconnect_delay": 0.05, **config}
        rig = Rig(name, exchange, settings, wanted, resume)
        try:
            await rig.whole()
            yield rig
        finally:
            await rig.stop()
