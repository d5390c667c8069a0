"""Several simulated venues, collected at once and on tape; time is the markets' own.

What the processors say while it is collected is kept, to be compared with a replay.
"""

import asyncio
import hashlib
import random

from tapewatch.feeds.exchange import ExchangeFeed, add_all, fetch_catalogue
from tapewatch.model.codec import encode_json
from tapewatch.model.events import Micros
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Subscription
from tapewatch.process.validate import validate
from tapewatch.runtime import launch, plugins
from tapewatch.runtime.rules_settings import with_usual_rules
from tapewatch.sim.market import Shock
from tapewatch.sim.world import open_world
from tapewatch.stream.pipeline import Pipeline
from tapewatch.wire.http import Http
from tapewatch.wire.tape import TapeWriter

START = Micros(1_790_812_800_000_000)
STREAMS = {
    "binance": ("aggTrade", "bookTicker"),
    "okx": ("trades", "bbo-tbt"),
    "bybit": ("trades", "quote"),
}
_STEP = 50_000


class Collected:
    """The outlet of all feeds: gate and processors, as in the product, and what came of it."""

    def __init__(self):
        self.pipeline = Pipeline(with_usual_rules(launch.processors_of({})))
        self.output = hashlib.sha256()
        self.said = []  # derived events

    def offer(self, events):
        sane, letters = validate(events)
        # event by event, as `replay` writes; that batches change nothing is proven elsewhere
        for event in [*sane, *letters]:
            self.output.update(encode_json(event) + b"\n")
            derived = self.pipeline.process([event])
            self.said += derived
            for each in derived:
                self.output.update(encode_json(each) + b"\n")
        return True

    async def publish(self, events):
        self.offer(events)

    def of(self, kind):
        return [event for event in self.said if type(event) is kind]


async def collect(folder, *, seed, rate, astray_secs, until):
    """Collect until `until(collected)`; OKX goes 1.5 % astray. Give what was collected."""
    world = open_world(tuple(STREAMS), start=START, seed=seed, symbols=1, rate=rate, live=False)
    collected = Collected()
    market = world.exchanges["okx"].market
    market.deviate(
        Shock(at=START + int(astray_secs * 1e6), change=0.015, fall_secs=4.0, recover_secs=40.0)
    )
    async with world:
        feeds, tapes = [], []
        for venue in STREAMS:
            tapes.append(TapeWriter(folder / f"{venue}.tape.gz"))
            feeds.append(await _feed(venue, world, tapes[-1], lambda: Micros(market.now)))
        running = [asyncio.create_task(feed.run(collected)) for feed in feeds]
        try:
            async with asyncio.timeout(120):
                while not until(collected):
                    await world.advance(_STEP)
                    await asyncio.sleep(0.001)  # sockets and their readers
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    for tape in tapes:
        tape.close()
    return collected


async def _feed(venue, world, tape, clock):
    ws_url, rest_url = world.addresses[venue]
    plugin = plugins.load("venues", venue)
    settings = plugin.config(ws_url=ws_url, rest_url=rest_url, streams=STREAMS[venue])
    dialect = plugin.build(venue, settings)
    http = Http(venue, dialect.limits, random.Random(1))
    catalogue = Catalogue()
    add_all(catalogue, await fetch_catalogue(dialect, http))
    await http.close()
    wanted = frozenset(
        Subscription(f"{venue}:BTC/USDT", dialect.channel(stream)) for stream in STREAMS[venue]
    )
    return ExchangeFeed(
        dialect, settings, clock=clock, catalogue=catalogue, wanted=wanted, resume={}, tape=tape,
        rng=random.Random(2),
    )  # fmt: skip
