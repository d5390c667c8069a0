"""The real feed with a Bybit dialect against the simulated exchange, on loopback.

As `fault_bench`: the market moves only when a test says so, and the feed's clock shows its time.
Trades have no numbers, so they are judged by what they say: each true trade was told once, or lies
where a Gap says that something may be missing. A book is compared whenever all is settled.
"""

import asyncio
import random
from collections import Counter, deque
from contextlib import asynccontextmanager

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.events import BookDelta, BookSnapshot, DeadLetter, Gap, Side, Trade
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState, Subscription
from tapewatch.runtime import plugins
from tapewatch.sim.faults import Fault
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue
from tests.integration.sim_bench import ByHand, allowing, market_clock, unpaced
from tests.talk import Basket

START = 1_790_000_000_000_000
GRID = 10_000  # microseconds; books are published at these times
DEADLINE = 60.0
ONE = 100_000_000
SIZE = Size(levels=200, trades=100_000, history_minutes=30)
DEPTH = 50
TRADES, BOOK = "publicTrade", f"orderbook.{DEPTH}"
BTC, ETH = "BTC", "ETH"


def row_of(trade):
    """What a true trade says: side, price, size, milliseconds."""
    side = Side.SELL if trade.buyer_is_maker else Side.BUY
    return side, trade.price / ONE, trade.qty / ONE, trade.ts // 1000


class Rig:
    def __init__(self, exchange, name, config, channels, bases):
        self.exchange = exchange
        self.market = exchange.market
        self.name = name
        self.wanted = frozenset(Subscription(self.inst(b), c) for b in bases for c in channels)
        self.basket = Basket()
        self.compared = 0
        self._books = {}
        self._truths = {}
        self._newest = {}  # update id and truth
        self.behind = 0
        self._read = 0
        plugin = plugins.load("venues", name)
        settings = plugin.config(**config)
        self.dialect = plugin.build(name, settings)
        self.dialect.limits = unpaced(self.dialect.limits)
        self.feed = ExchangeFeed(
            self.dialect,
            settings,
            clock=lambda: self.market.now,
            catalogue=Catalogue(),
            wanted=self.wanted,
            resume={},
            rng=random.Random(1),
        )
        self._task = asyncio.create_task(self.feed.run(self.basket))

    def inst(self, base):
        return f"{self.name}:{base}/USDT" + (":USDT" if self.name == "bybit_linear" else "")

    def native(self, inst):
        """The simulator's name of a market."""
        category = "linear" if self.name == "bybit_linear" else "spot"
        return f"{category}/{inst.partition(':')[2].partition('/')[0]}USDT"

    @property
    def events(self):
        return self.basket.events

    @property
    def letters(self):
        return self.basket.of(DeadLetter)

    @property
    def lives(self):
        return [life for session in self.feed._sessions for life in session._lives]

    def gaps(self, channel):
        """Without those that only say that a stream begins."""
        gaps = (gap for gap in self.basket.of(Gap) if gap.channel == channel)
        return [gap for gap in gaps if not gap.reason.startswith("the stream begins")]

    def add(self, kind, target="", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)

    def count(self, kind):
        return self.exchange.faults.counts[kind]

    # --- time ---

    async def settle(self):
        """Until all that the exchange has sent is heard, and all that was asked is answered."""
        async with asyncio.timeout(DEADLINE):
            while not self._level():
                self._alive()
                await asyncio.sleep(0)

    async def advance(self, secs):
        """Market time; each tenth of a second is settled, and every live book compared."""
        for n in range(round(secs * 100)):
            await self._step()
            if n % 10 == 9:
                await self.settle()
                self.compare()

    async def rush(self, secs):
        """Market time without waiting for anybody."""
        for _ in range(round(secs * 100)):
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
        """Go on until every stream is joined and every book is shown."""
        async with asyncio.timeout(DEADLINE):
            await self.settle()
            while not all(map(self._is_whole, self.wanted)):
                await self.rush(0.1)
                await self.settle()

    async def heal(self):
        """End all faults, and let what they broke be mended."""
        self.exchange.faults.clear()
        await self.rush(0.5)
        await self.whole()
        await self.advance(1)

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _step(self):
        await self.exchange.advance(GRID - self.market.now % GRID)
        for sub in self.wanted:
            if sub.channel == BOOK:
                self._truths.setdefault(sub.inst, deque(maxlen=2_000)).append(self._truth(sub.inst))

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
        flow = self.feed._streams.state.get(sub)
        if sub.channel == BOOK:
            return flow is not None and flow.state.value == "live"
        if sub.channel == TRADES:
            return flow is not None and bool(flow._joined) and flow._cut is flow._doubt is None
        return True

    # --- judgement ---

    def compare(self):
        """Every book that is shown is the true one, or was it a moment ago."""
        for event in self.events[self._read :]:
            if type(event) in (BookSnapshot, BookDelta) or (
                type(event) is Gap and event.channel == BOOK
            ):
                self._take(event)
        self._read = len(self.events)
        for inst, sides in self._books.items():
            if sides is not None:
                is_now = sides == self._truth(inst)
                assert is_now or sides in self._truths[inst], f"{inst}: not a true book"
                self.compared += 1
                self.behind += not is_now

    def _truth(self, inst):
        """Most hundredths of a second change nothing: then it is the one that was made before."""
        native = self.native(inst)
        number = self.market.live_book(native).update_id
        known, truth = self._newest.get(inst, (None, None))
        if number != known:
            view = self.market.book(native, DEPTH)
            truth = tuple({p / ONE: q / ONE for p, q in s} for s in (view.bids, view.asks))
            self._newest[inst] = number, truth
        return truth

    def _take(self, event):
        if type(event) is Gap:
            self._books[event.inst] = None
        elif type(event) is BookSnapshot:
            self._books[event.inst] = (dict(event.bids), dict(event.asks))
        else:
            sides = self._books[event.inst]
            assert sides is not None, "a change of a book that is not shown"
            for side, levels in zip(sides, (event.bids, event.asks), strict=True):
                for price, size in levels:
                    side[price] = size
                    if not size:
                        del side[price]

    def judge(self):
        """Compare all trades with the truth; gives how many are missing where a Gap says so."""
        missing = 0
        for sub in self.wanted:
            if sub.channel == TRADES:
                missing += self._judge(sub.inst)
        return missing

    def _judge(self, inst):
        own = [e for e in self.events if type(e) in (Trade, Gap) and e.inst == inst]
        own = [e for e in own if e.channel == TRADES]
        told = [e for e in own if type(e) is Trade]
        assert told, f"{inst}: nothing was told"
        assert len({e.id for e in told}) == len(told), f"{inst}: a trade came twice"
        rows = Counter((e.side, e.price, e.size, e.ts // 1000) for e in told)
        truth = [row_of(t) for t in self.market.trades(self.native(inst))]
        assert not rows - Counter(truth), f"{inst}: a trade that never was"
        first = truth.index((told[0].side, told[0].price, told[0].size, told[0].ts // 1000))
        lost = Counter(truth[first:]) - rows
        spans = [self._span(own, place) for place, e in enumerate(own) if type(e) is Gap]
        for row in lost:
            assert any(a <= row[3] <= b for a, b in spans), f"{inst}: {row} is lost in silence"
        return lost.total()

    def _span(self, own, place):
        """From the trade before a Gap to the first live one after it that is newer."""
        since = own[place].ts // 1000
        after = (e.ts // 1000 for e in own[place:] if type(e) is Trade and e.ts > own[place].ts)
        return since, next(after, 1 << 62)


@asynccontextmanager
async def exchanges(*, symbols=4, rate=1.0, rules=None, clock=None):
    market, make, usual = open_venue("bybit", start=START, symbols=symbols, rate=rate, size=SIZE)
    async with ByHand(
        market, venue=make, rules=allowing(rules or usual), live=False,
        clock=clock or market_clock(market),
    ) as exchange:  # fmt: skip
        yield exchange


@asynccontextmanager
async def rigs(name, *channels, bases=(BTC, ETH), rate=1.0, rules=None, clock=None, **config):
    """An exchange and a feed, with every book in step and every stream begun."""
    async with exchanges(rate=rate, rules=rules, clock=clock) as exchange:
        urls = {"ws_url": exchange.ws_url, "rest_url": exchange.rest_url}
        settings = {**urls, "reconnect_delay": 0.01, "max_reconnect_delay": 0.05, **config}
        rig = Rig(exchange, name, settings, channels or (TRADES, BOOK), bases)
        try:
            await rig.whole()
            yield rig
        finally:
            await rig.stop()
