"""The whole product over four simulated venues whose trades are numbered, on one market time.

Feeds, gate, processors, journals, Parquet, ledger: all as `tapewatch run` builds them, from a
settings file. Only time is the market's: it goes on when a test says so, and every clock of the
product and of the venues shows it. So what happens does not depend on how fast the machine is.

What is true is noted beside the markets, step by step: a market forgets its oldest trades, as a
venue's REST does, and what it has forgotten is what may be lost.
"""

import asyncio
import functools
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import inf

from msgspec.structs import replace

from tapewatch.ports import LinkState, Subscription
from tapewatch.runtime import launch
from tapewatch.runtime.wiring import App
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue

ONE = 100_000_000
START = 1_790_002_770_000_000  # half a minute before a whole hour
GRID = 100_000  # microseconds; everything that is collected is sent at these times
INTERVALS = ("10s", "1m")  # of candles; short ones, so that there are many
DEADLINE = 120.0  # for what hangs; nothing is measured by it


@dataclass(frozen=True)
class Words:
    """How a venue calls things."""

    trades: str
    book: str
    natives: tuple[str, ...]  # a busy one first
    insts: tuple[str, ...]
    stream: str  # of frames, for faults
    history: str  # of past trades by REST

    def target(self, channel: str, native: str) -> str:
        return self.stream.format(channel=channel, native=native, lower=native.lower())


VENUES = {
    "binance": Words(
        "aggTrade", "depth", ("BTCUSDT", "ETHUSDT"), ("binance:BTC/USDT", "binance:ETH/USDT"),
        "{lower}@{channel}*", "/api/v3/aggTrades*",
    ),
    "binance_futures": Words(
        "aggTrade", "depth", ("BTCUSDT", "ETHUSDT"),
        ("binance_futures:BTC/USDT:USDT", "binance_futures:ETH/USDT:USDT"),
        "{lower}@{channel}*", "/fapi/v1/aggTrades*",
    ),
    "okx": Words(
        "trades-all", "books", ("BTC-USDT", "BTC-USDT-SWAP"), ("okx:BTC/USDT", "okx:BTC/USDT:USDT"),
        "{channel}|{native}", "/api/v5/market/history-trades*",
    ),
    "coinbase": Words(
        "matches", "level2_batch", ("BTC-USD", "ETH-USD"), ("coinbase:BTC/USD", "coinbase:ETH/USD"),
        "{channel}|{native}", "*trades*",
    ),
}  # fmt: skip


class Truth:
    """All trades of one instrument by id, as a stored row should tell them."""

    def __init__(self, venue, native, inst):
        self.venue = venue
        self.native = native
        self.inst = inst
        self.channel = VENUES[venue].trades
        self.rows = {}
        self.newest = -1

    def note(self, exchange):
        """Read on in what the market remembers."""
        for each in reversed(self._remembered(exchange)):
            if each.id <= self.newest:
                break
            self.rows[each.id] = self._row(each)
        self.newest = max(self.rows, default=-1)

    def forget(self, exchange, kept):
        """Let the venue forget all but the newest; gives the ids that REST cannot give any more."""
        memory = self._remembered(exchange)
        while len(memory) > kept:
            memory.popleft()
        return {number for number in self.rows if number < memory[0].id}

    def _remembered(self, exchange):
        if self.venue == "binance_futures":
            return exchange.venue.publisher.instruments[self.native].batches.kept
        if self.venue == "binance":
            return exchange.market.aggregates(self.native)
        return exchange.market.trades(self.native)

    def _row(self, each):
        side = "sell" if each.buyer_is_maker else "buy"
        count = each.last - each.first + 1 if hasattr(each, "first") else 1
        ts = each.ts if self.venue == "coinbase" else each.ts // 1_000 * 1_000
        return side, each.price / ONE, each.qty / ONE, ts, count


class Fleet:
    def __init__(self, exchanges, app):
        self.exchanges = exchanges
        self.app = app
        self.stopped = {}  # name of a venue that is away: when it comes back
        self.faults = 0
        self.truths = {
            (name, inst): Truth(name, native, inst)
            for name, words in VENUES.items()
            for native, inst in zip(words.natives, words.insts, strict=True)
        }
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(app.run(self._stop))

    @property
    def now(self):
        return self.exchanges["binance"].market.now

    def add(self, venue, kind, target="", **more):
        exchange = self.exchanges[venue]
        exchange.faults.add(Fault(kind=kind, target=target, **more), exchange.market.now)
        self.faults += 1

    async def outage(self, venue, secs):
        """Take a venue away, or for longer; it comes back when the market's time has come."""
        if venue not in self.stopped:
            await self.exchanges[venue].stop()
        self.stopped[venue] = self.now + int(secs * 1e6)
        self.faults += 1

    async def rush(self, secs):
        """Market time without waiting for anybody: what happens when is up to the sockets."""
        for _ in range(round(secs * 10)):
            await self._step()

    async def heal(self):
        """End all faults; go on until every chain is whole and every book is shown."""
        for venue in tuple(self.stopped):
            await self._come_back(venue)
        for exchange in self.exchanges.values():
            exchange.faults.clear()
        await self.rush(0.5)
        async with asyncio.timeout(DEADLINE):
            await self.settle()
            while not all(map(self._is_whole, self._subscriptions())):
                await self._step()
                await self.settle()

    async def settle(self):
        """Until all that was sent is heard, and all that was asked is answered."""
        async with asyncio.timeout(DEADLINE):
            while not all(map(self._level, VENUES)):
                self._alive()
                await asyncio.sleep(0)

    async def stop(self):
        """End as the product does: everything accepted is on disk when this returns."""
        self._stop.set()
        assert await self._running == 0

    async def _step(self):
        for venue, back_at in tuple(self.stopped.items()):
            if back_at <= self.now:
                await self._come_back(venue)
        for exchange in self.exchanges.values():
            await exchange.advance(GRID - exchange.market.now % GRID)
        for (venue, _), truth in self.truths.items():
            truth.note(self.exchanges[venue])
        self._alive()

    async def _come_back(self, venue):
        del self.stopped[venue]
        await self.exchanges[venue].start()

    def _alive(self):
        if self._running.done():
            self._running.result()
            raise AssertionError("the product has ended")

    def _level(self, venue):
        feed, links = self.app.feeds[venue], list(self.exchanges[venue]._hub.links.values())
        lives = [life for session in feed._sessions for life in session._lives]
        if not lives or len(lives) != len(links) or len(lives) != len(feed._sessions):
            return False
        if any(life.state is not LinkState.STREAMING for life in lives):
            return False
        if any(one.subscriptions - one.accepted - one.refused.keys() for one in lives):
            return False
        heard, sent = sum(life.frames for life in lives), sum(link.frames for link in links)
        asking = any(getattr(flow, "key", "") for flow in feed._streams.state.values())
        return heard == sent and not feed._shared.flow.batch and not asking

    def _subscriptions(self):
        return [
            Subscription(inst, channel)
            for words in VENUES.values()
            for inst in words.insts
            for channel in (words.trades, words.book)
        ]

    def _is_whole(self, sub):
        venue = sub.inst.partition(":")[0]
        flow = self.app.feeds[venue]._streams.state.get(sub)
        if flow is None:
            return False
        if sub.channel == VENUES[venue].book:
            return flow.state.value == "live"
        truth = self.truths[venue, sub.inst]
        return not flow.holes and not flow._late and flow.next == truth.newest + 1


def settings(folder, exchanges):
    """What a person would write to collect these."""
    sections = {
        name: {
            "ws_url": exchange.ws_url,
            "rest_url": exchange.rest_url,
            "symbols": list(VENUES[name].natives),
            "streams": [VENUES[name].trades, VENUES[name].book],
            "reconnect_delay": 0.01,
            "max_reconnect_delay": 0.05,
        }
        for name, exchange in exchanges.items()
    }
    return {
        "exchanges": sections,
        "storage": {"data_dir": str(folder / "data"), "batch_max_age_secs": 0.05},
        "detectors": {"candles": {"intervals": list(INTERVALS)}},
        "server": {"enabled": False},
    }


def plan_of(folder, exchanges):
    (folder / "tapewatch.yaml").write_text(json.dumps(settings(folder, exchanges)))
    plan = launch.plan_of(launch.load(folder / "tapewatch.yaml", environ={}, folder=folder))
    for venue in plan.venues:
        # What is paced by the real clock would take minutes of the market's.
        venue.dialect.limits = replace(
            venue.dialect.limits, frames_per_sec=1_000, connects=1_000, weight=100_000,
            weight_secs=0.05, ban_secs=0.0,
        )  # fmt: skip
    plan.data_dir.mkdir()
    return plan


def exchange_of(name, *, seed, rate):
    size = Size(levels=60, trades=100_000, history_minutes=30)
    market, make, rules = open_venue(name, start=START, seed=seed, symbols=2, rate=rate, size=size)
    if name == "okx":
        make = functools.partial(make, checksums=True)
    rules = replace(rules, inbound_per_sec=1_000, connects=100_000, ping_secs=inf, max_age_secs=inf)
    return SimulatedExchange(
        market, venue=make, rules=rules, live=False, clock=lambda: market.now / 1e6
    )


@asynccontextmanager
async def fleets(folder, *, seed=1, rate=1.0):
    """All venues, and the product, with every book in step and every chain begun."""
    async with AsyncExitStack() as stack:
        exchanges = {name: exchange_of(name, seed=seed, rate=rate) for name in VENUES}
        for exchange in exchanges.values():
            await stack.enter_async_context(exchange)
        app = App(plan_of(folder, exchanges), lambda: exchanges["binance"].market.now)
        await app.start()
        fleet = Fleet(exchanges, app)
        try:
            async with asyncio.timeout(DEADLINE):
                await fleet.settle()
                while not all(map(fleet._is_whole, fleet._subscriptions())):
                    await fleet._step()
                    await fleet.settle()
            yield fleet
        finally:
            if not fleet._running.done():
                await fleet.stop()
