"""The whole product on five simulated exchanges, whose time the test moves: what it says of them.

Minutes of the market pass in seconds. The processors' time is the exchanges'; only the watch over
silence is on the wall clock, and is tried elsewhere.
"""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from tapewatch.cli.demo import _FEEDS
from tapewatch.model.events import Alert, Metric, Quality
from tapewatch.ports import Buffer, LinkState
from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.wiring import App
from tapewatch.sim.faults import Fault
from tapewatch.sim.scenarios import SCENARIOS
from tapewatch.sim.world import WORLD, open_world

pytestmark = pytest.mark.long

SECOND = 1_000_000
STEP = SECOND // 5
NUMBERED = {"binance", "binance_futures", "okx"}  # whose ids prove that nothing is missing


class Watched:
    """A running product, its world, and what it said."""

    def __init__(self, app, world, reader):
        self.app = app
        self.world = world
        self.said = []
        self._reader = reader

    async def listen(self):
        async for batch in self._reader:
            self.said += batch

    async def pass_time(self, secs):
        """No venue may run ahead of the others by more than a step, however slow the machine is."""
        for _ in range(round(secs * SECOND / STEP)):
            await self.world.advance(STEP)
            before, now = -1, self._place()
            while before != now:
                await asyncio.sleep(0.002)
                before, now = now, self._place()

    def _place(self):
        """Moves while anything is under way."""
        waiting = sum(reader.counters.buffered for reader in self.app.bus.readers)
        return sum(link.frames for link in self.app.links()) + waiting

    def metrics(self, name):
        return [event for event in self.said if type(event) is Metric and event.name == name]

    def alerts(self, rule):
        return [event for event in self.said if type(event) is Alert and event.rule == rule]

    async def until(self, question):
        async with asyncio.timeout(120):
            while not question():
                await self.pass_time(STEP / SECOND)


def sections(world):
    for section, venue, prefix, streams in _FEEDS:
        exchange = world.exchanges[venue]
        names = [n.removeprefix(prefix) for n in exchange.market.symbols if n.startswith(prefix)]
        yield f"exchanges.{section}.ws_url={exchange.ws_url}"
        yield f"exchanges.{section}.rest_url={exchange.rest_url}"
        yield f"exchanges.{section}.symbols=[{','.join(names)}]"
        yield f"exchanges.{section}.streams=[{streams}]"


@asynccontextmanager
async def watched(folder, *, symbols=2, rate=0.2):
    start = int(time.time()) * SECOND - 600 * SECOND
    world = open_world(WORLD, start=start, symbols=symbols, rate=rate, live=False)
    async with world:
        options = (*sections(world), f"storage.data_dir={folder / 'data'}", "server.enabled=false")
        plan = launch.plan_of(launch.load(None, options, {}, folder), demo=True)
        plan.data_dir.mkdir()
        app, stop = App(plan, wall_clock), asyncio.Event()
        reader = app.bus.subscribe("test", frozenset({Metric, Alert}), Buffer(1 << 20))
        await app.start()
        found = Watched(app, world, reader)
        listening = asyncio.create_task(found.listen())
        running = asyncio.create_task(app.run(stop))
        try:
            await found.until(lambda: all(_is_live(link) for link in app.links()))
            yield found
        finally:
            stop.set()
            code = await running
            await listening
        assert code == 0


def _is_live(link):
    return link.state is LinkState.STREAMING and link.accepted == link.subscriptions


async def test_on_sane_markets_no_candle_differs_and_all_numbered_ones_are_proven(tmp_path):
    async with watched(tmp_path) as product:
        await product.pass_time(200)

        def proven():
            told = product.metrics("candle_mismatch")
            whole = [m for m in told if m.quality is not Quality.PARTIAL]
            return {m.inst.partition(":")[0] for m in whole} >= NUMBERED

        await product.until(proven)
        told = product.metrics("candle_mismatch")
        assert [m for m in told if m.value] == []
        equal = [m for m in told if m.evidence[-1] == "ours is partial, and equal all the same"]
        assert any(m.inst.startswith("bybit:") for m in equal)
        assert product.alerts("candle_mismatch") == []
        assert product.alerts("divergence") == []


async def test_trades_that_cannot_be_had_again_make_a_candle_that_is_said_not_to_be_judged(
    tmp_path,
):
    async with watched(tmp_path) as product:
        await product.pass_time(70)
        faults, now = (
            product.world.exchanges["binance"].faults,
            product.world.exchanges["binance"].market.now,
        )
        faults.add(Fault(kind="drop", target="btcusdt@aggTrade", count=3), now)
        faults.add(Fault(kind="http", target="/api/v3/aggTrades*", count=None, status=400), now)
        await product.pass_time(150)
        btc = [m for m in product.metrics("candle_mismatch") if m.inst == "binance:BTC/USDT"]
        assert any("not judged: ours is partial" in m.evidence for m in btc[1:])
        assert [m for m in btc if m.value] == []


async def test_one_venue_that_goes_astray_and_one_coin_that_slips_are_told(tmp_path):
    async with watched(tmp_path, symbols=6, rate=0.5) as product:
        await product.pass_time(15)
        product.world.unleash(SCENARIOS["arbitrage"])
        product.world.unleash(SCENARIOS["depeg"])
        await product.pass_time(140)
        # Of perpetuals, whose quotes have times; those of Binance spot are ours, which run otherwise.
        states = [
            alert.state.value
            for alert in product.alerts("divergence")
            if alert.inst == "bybit_linear:BTC/USDT:USDT"
        ]
        assert "firing" in states
        assert states[-1] == "resolved"
        fired = {a.inst for a in product.alerts("divergence") if a.state.value == "firing"}
        assert {inst.partition(":")[0] for inst in fired} == {"bybit_linear"}
        spreads = [m for m in product.metrics("cross_spread_bps") if m.inst == "all:BTC/USDT:USDT"]
        assert min(m.value for m in spreads) < -50
        coins = [(a.inst, a.state.value) for a in product.alerts("depeg")]
        assert ("all:USDC/USD", "firing") in coins
        assert coins[-1] == ("all:USDC/USD", "resolved")
        assert {inst for inst, _ in coins} == {"all:USDC/USD"}
