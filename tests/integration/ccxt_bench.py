"""The real CCXT, through our feed, against the simulated exchanges on loopback.

The market moves only when a test says so. CCXT's addresses are replaced as a user would: by
`urls` of the section.
"""

import asyncio
import random
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager

from tapewatch.feeds.ccxt import CcxtFeed
from tapewatch.feeds.ccxt_config import CcxtConfig
from tapewatch.model.events import BookSnapshot, Gap, Side, Trade
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Subscription
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue
from tests.talk import Basket

START = 1_790_000_000_000_000
GRID = 100_000  # microseconds
DEADLINE = 60.0
ONE = 100_000_000
SIZE = Size(levels=100, trades=100_000, history_minutes=30)
PLENTY = Rules(weight=1_000_000, connects=10_000, inbound_per_sec=10_000)

# Section: the simulated venue, and the beginnings of CCXT's addresses that lead there.
VENUES = {
    "ccxt_binance": ("binance", "https://api.binance.com", "wss://stream.binance.com:9443"),
    "ccxt_okx": ("okx", "https://www.okx.com", "wss://ws.okx.com:443"),
    "ccxt_bybit": ("bybit", "https://api.bybit.com", "wss://stream.bybit.com"),
    "binanceusdm": (
        "binance_futures",
        "https://fapi.binance.com",
        "wss://fstream.binance.com",
    ),
    "ccxt_coinbase": (
        "coinbase_advanced",
        "https://api.coinbase.com",
        "wss://advanced-trade-ws.coinbase.com",
    ),
    "coinbaseexchange": (
        "coinbase",
        "https://api.exchange.coinbase.com",
        "wss://ws-feed.exchange.coinbase.com",
    ),
}
# The simulated Binance is spot alone. A snapshot of 1,000 levels costs so much of the budget that
# CCXT asks for one in two seconds.
OPTIONS = {"ccxt_binance": {"fetchMarkets": {"types": ["spot"]}, "watchOrderBookLimit": 100}}


def inst_of(section, listing):
    """The instrument of a market's listing, as CCXT writes it."""
    pair = f"{section}:{listing.base}/{listing.quote}"
    perpetual = getattr(listing, "perpetual", None)
    settle = getattr(perpetual, "settle", "") if perpetual is not None else ""
    return f"{pair}:{settle}" if settle else pair


def config_for(exchange, section, **more):
    rest, ws = VENUES[section][1:]
    given = {
        "reconnect_delay": 0.02,
        "max_reconnect_delay": 0.1,
        "books_per_sec": 100.0,
        "urls": {rest: exchange.rest_url, ws: exchange.ws_url},
        "options": OPTIONS.get(section, {}),
    }
    return CcxtConfig(**{**given, **more})


class Rig:
    def __init__(self, exchange, section, config, wanted):
        self.section = section
        self.exchange = exchange
        self.market = exchange.market
        self.basket = Basket()
        self.feed = CcxtFeed(
            section,
            config,
            clock=lambda: self.market.now,
            catalogue=Catalogue(),
            wanted=frozenset(wanted),
            rng=random.Random(1),
        )
        self._task = asyncio.create_task(self.feed.run(self.basket))

    def link(self, route):
        return next((each for each in self.feed.status() if each.route == route), None)

    def live(self, route):
        link = self.link(route)
        return link is not None and link.accepted == link.subscriptions > 0

    def add(self, kind, target="", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)

    def of(self, kind, symbol):
        return [e for e in self.basket.of(kind) if e.inst == f"{self.section}:{symbol}"]

    def gaps(self, channel):
        return [gap for gap in self.basket.of(Gap) if gap.channel == channel]

    # --- time ---

    async def step(self, secs=0.1):
        await self.exchange.advance(int(secs * 1e6) - self.market.now % GRID)

    async def until(self, condition):
        """Let time go on until something is so."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.alive()
                await self.step()
                await asyncio.sleep(0.001)

    async def standing(self, condition):
        """Let the loop go on, but not the market, until something is so."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.alive()
                await asyncio.sleep(0.001)

    def alive(self):
        if self._task.done():
            self._task.result()
            raise AssertionError("the feed ended")

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    # --- truth ---

    def shown(self, symbol):
        """The book as it was last passed on; None after a Gap."""
        inst = f"{self.section}:{symbol}"
        for event in reversed(self.basket.events):
            if isinstance(event, Gap) and event.inst == inst and event.channel == "orderbook":
                return None
            if isinstance(event, BookSnapshot) and event.inst == inst:
                return event.bids, event.asks
        return None

    def true_book(self, native, levels):
        view = self.market.book(native)
        return tuple(
            tuple((p / ONE, q / ONE) for p, q in side[:levels]) for side in (view.bids, view.asks)
        )

    def told(self, symbol):
        """What was traded at a time, at a price, by a side: venues join fills differently."""
        sums = defaultdict(float)
        for trade in self.of(Trade, symbol):
            sums[trade.ts // 1000, trade.price, trade.side] += trade.size
        return {key: round(size, 8) for key, size in sums.items()}

    def true_trades(self, native, since, until):
        sums = Counter()
        for trade in self.market.trades(native):
            if since <= trade.ts // 1000 <= until:
                side = Side.SELL if trade.buyer_is_maker else Side.BUY
                sums[trade.ts // 1000, trade.price / ONE, side] += trade.qty
        return {key: round(qty / ONE, 8) for key, qty in sums.items()}


def subs(section, symbols, *channels):
    return [Subscription(f"{section}:{symbol}", c) for symbol in symbols for c in channels]


@asynccontextmanager
async def rig(section, symbols, *channels, count=6, rate=5.0, alone=True, **config):
    """One venue and its feed, not yet live."""
    market, make, rules = open_venue(
        VENUES[section][0], start=START, symbols=count, rate=rate, size=SIZE, alone=alone
    )
    exchange = SimulatedExchange(market, venue=make, rules=rules, live=False)
    async with exchange:
        made = Rig(
            exchange,
            section,
            config_for(exchange, section, **config),
            subs(section, symbols, *channels),
        )
        try:
            yield made
        finally:
            await made.stop()


@asynccontextmanager
async def rigs(*wanted, **config):
    """Many at once: (section, symbols, channels)."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(rig(section, symbols, *channels, **config))
            for section, symbols, channels in wanted
        ]
