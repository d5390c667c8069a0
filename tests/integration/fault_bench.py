"""The real feed with the real Binance dialect against the simulated exchange, on loopback.

The market moves only when a test says so, and the feed's clock shows the market's time: what takes
minutes there takes milliseconds here, and nothing is waited for but sockets.
"""

import asyncio
import random
from contextlib import asynccontextmanager
from math import inf

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.events import DeadLetter
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState, Subscription
from tapewatch.sim.faults import Fault
from tapewatch.sim.limits import Rules
from tapewatch.sim.listing import listings
from tapewatch.sim.market import Size, open_market
from tapewatch.venues.binance import PLUGIN
from tapewatch.wire import http, life, session
from tests.integration.sim_bench import ByHand, allowing, unpaced
from tests.integration.truth import TOLD, Ledger, Shelf, true_book, true_rows
from tests.talk import Basket

START = 1_790_000_000_000_000
GRID = 100_000  # microseconds; books are published at these times
DEADLINE = 60.0
NUMBERED = ("trade", "aggTrade")
# Small books are quick to compare; all trades of a test are remembered.
SIZE = Size(levels=100, trades=100_000, history_minutes=30)
CHANNELS = ("trade", "aggTrade", "depth", "bookTicker", "ticker")


def quick(monkeypatch):
    """Shorten what the product waits for by the real clock."""
    monkeypatch.setattr(life, "TICK_SECS", 0.004)
    monkeypatch.setattr(session, "OVERLAP_SECS", 0.05)
    monkeypatch.setattr(http, "_FIRST_DELAY_SECS", 0.004)


async def renew(rig, rounds):
    """Let all connections get old at once, so many times, until only successors live.

    Their age is set, not waited for: while half a second went by on the real clock, the market
    would run as far as the machine lets it, and beyond what a venue remembers.
    """
    for _ in range(rounds):
        old = set(rig.lives)
        for each in old:
            each._renew_at = 0.0
        await rig.until(lambda gone=old: not gone & set(rig.lives) and all_stream(rig))
        await rig.settle()


async def silence(rig):
    """Let all connections have been silent for too long, until each is replaced.

    As above: a limit short enough to be waited for would also hit a machine that stands still.
    """
    old = set(rig.lives)

    def replaced():
        for each in old:
            each._heard_at = -inf
        return not old & set(rig.lives) and all_stream(rig)

    await rig.standing(replaced)


def all_stream(rig):
    streaming = [each for each in rig.lives if each.state is LinkState.STREAMING]
    return len(streaming) == len(rig.lives) == len(rig.feed._sessions)


_INSTS = {pair.symbol: f"binance:{pair.base}/{pair.quote}" for pair in listings(100)}


def inst_of(native):
    return _INSTS[native]


def subs(natives, channels=CHANNELS):
    return frozenset(Subscription(inst_of(n), c) for n in natives for c in channels)


class Rig:
    def __init__(self, exchange, config, wanted, *, tape=None, catalogue=None, resume=None):
        self.exchange = exchange
        self.market = exchange.market
        self.wanted = wanted
        self.basket = Basket()
        self.books = {}  # native: update id: the true book
        self._natives = {inst_of(native): native for native in self.market.symbols}
        dialect = PLUGIN.build("binance", config)
        dialect.limits = unpaced(dialect.limits)
        self.feed = ExchangeFeed(
            dialect,
            config,
            clock=lambda: self.market.now,
            catalogue=catalogue or Catalogue(),
            wanted=wanted,
            resume=resume or {},
            tape=tape,
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

    def flow(self, native, channel):
        """The feed's own chain or book: to know when it is done, never to judge it."""
        return self.feed._streams.state[Subscription(inst_of(native), channel)]

    def add(self, kind, target="", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)

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
        """Market time without waiting for anybody: what happens when is up to the sockets."""
        for _ in range(round(secs * 10)):
            await self._step()

    async def until(self, condition):
        """Let time go on until something is so."""
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

    async def heal(self):
        """End all faults, and let what they broke be mended."""
        self.exchange.faults.clear()
        await self.rush(0.5)
        await self.whole()

    async def whole(self):
        """Go on until every chain is whole and every book is shown."""
        async with asyncio.timeout(DEADLINE):
            await self.settle()
            while not all(map(self._is_whole, self.wanted)):
                await self.advance(0.1)

    async def stop(self):
        """End the feed as the product does; what it still knows is told."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def _step(self):
        await self.exchange.advance(GRID - self.market.now % GRID)
        for sub in self.wanted:
            native = self._natives.get(sub.inst)
            if native is not None and sub.channel == "depth":
                self._note_book(native)

    def _note_book(self, native):
        truths = self.books.setdefault(native, {})
        seq = self.market.live_book(native).update_id
        if seq not in truths:
            truths[seq] = true_book(self.market.book(native))

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
        return heard == sent and handed_over and not self._asking()

    def _asking(self):
        return any(getattr(flow, "key", "") for flow in self.feed._streams.state.values())

    def _is_whole(self, sub):
        native = self._natives.get(sub.inst)
        if native is None or sub.channel not in (*NUMBERED, "depth"):
            return True
        flow = self.feed._streams.state.get(sub)
        if sub.channel == "depth":
            return flow is not None and flow.state.value == "live"
        newest = self.market.newest_ids(native)[0 if sub.channel == "trade" else 1]
        # a chain of which nothing came yet cannot know that something is missing
        begun = flow is not None and flow.next >= 0
        return not begun or (not flow.holes and not flow._late and flow.next == newest + 1)

    def begun(self):
        """Say whether every numbered stream has spoken: losses before that nobody can know."""
        flows = (self.feed._streams.state[s] for s in self.wanted if s.channel in NUMBERED)
        return all(flow.next >= 0 for flow in flows)

    # --- judgement ---

    def ledger(self, native, channel):
        return Ledger(self.events, inst_of(native), channel)

    def shelf(self, native):
        return Shelf(inst_of(native), self.books[native]).follow(self.events)

    def judge(self, *, altered=None):
        """Compare every numbered stream and every book with the truth. Gives the lost ids."""
        lost = {}
        for sub in sorted(self.wanted):
            native = self._natives.get(sub.inst)
            if native is not None and sub.channel in NUMBERED and self.market.trades(native):
                ledger = self.ledger(native, sub.channel)
                strange = (altered or {}).get((native, sub.channel), frozenset())
                ledger.check(true_rows(self.market, native, sub.channel), altered=strange)
                newest = self.market.newest_ids(native)[0 if sub.channel == "trade" else 1]
                assert max(ledger.ids(*TOLD)) == newest, f"{sub}: the end is not told"
                if ledger.lost:
                    lost[native, sub.channel] = ledger.lost
            elif native is not None and sub.channel == "depth":
                shelf = self.shelf(native)
                assert shelf.compared > 2, f"{sub}: compared {shelf.compared} times only"
        return lost


@asynccontextmanager
async def exchanges(*, symbols=3, rate=1.0, seed=1, rules=None, **more):
    """A simulated exchange, started. Keep-alive and limits are out of the way."""
    market = open_market(start=START, seed=seed, symbols=symbols, rate=rate, size=SIZE)
    rules = allowing(rules or Rules(ping_secs=3_600))
    async with ByHand(market, live=False, rules=rules, **more) as exchange:
        yield exchange


@asynccontextmanager
async def feeding(exchange, wanted=None, *, tape=None, catalogue=None, resume=None, **config):
    """A feed against this exchange, from its first moment to its end."""
    settings = PLUGIN.config(**{
        "ws_url": exchange.ws_url,
        "rest_url": exchange.rest_url,
        "reconnect_delay": 0.01,
        "max_reconnect_delay": 0.05,
        **config,
    })  # fmt: skip
    wanted = subs(exchange.market.symbols) if wanted is None else wanted
    rig = Rig(exchange, settings, wanted, tape=tape, catalogue=catalogue, resume=resume)
    try:
        yield rig
    finally:
        await rig.stop()


@asynccontextmanager
async def rigs(wanted=None, *, symbols=3, rate=1.0, seed=1, rules=None, **config):
    """Both, with every book in step and every chain begun."""
    async with (
        exchanges(symbols=symbols, rate=rate, seed=seed, rules=rules) as exchange,
        feeding(exchange, wanted, **config) as rig,
    ):
        await rig.whole()
        if symbols <= 10:
            await rig.until(rig.begun)
        yield rig
