"""A simulated exchange, a data folder and a backfill between them; and what must come of it.

The market stands still, and the backfill's clock shows little more than the market's time.
"""

import asyncio
from contextlib import asynccontextmanager

import msgspec

from tapewatch.model.events import Micros
from tapewatch.process.candles import PLUGIN as CANDLES
from tapewatch.runtime import past_reader
from tapewatch.runtime.backfill import Backfill, Wanted
from tapewatch.runtime.plan import Venue
from tapewatch.runtime.plugins import load
from tapewatch.sim import okx_rest
from tapewatch.sim.bars import HOUR, SECOND
from tapewatch.sim.market import Size
from tapewatch.sim.venues import open_venue
from tapewatch.stores import _compact
from tapewatch.stores._compactor import Compactor
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stores.sqlite import Sqlite
from tapewatch.wire import http
from tests.integration.sim_bench import ByHand, Clock

START = 1_790_000_000_000_000 // HOUR * HOUR + HOUR // 2
ONE = 100_000_000
SYMBOLS = {
    "binance": "BTC/USDT",
    "binance_futures": "BTC/USDT:USDT",
    "okx": "BTC/USDT",
    "bybit": "BTC/USDT",
    "bybit_linear": "BTC/USDT:USDT",
    "coinbase": "BTC/USD",
    "coinbase_advanced": "BTC/USD",
}


def quick(monkeypatch):
    """Shorten what the product waits for by the real clock."""
    monkeypatch.setattr(http, "_FIRST_DELAY_SECS", 0.001)
    monkeypatch.setattr(http, "_MAX_DELAY_SECS", 0.002)
    monkeypatch.setattr(past_reader, "RETRY_SECS", (0.001,) * 3)
    # Our own pace, and OKX's windows, which follow the market's time: it stands still here.
    monkeypatch.setattr(past_reader, "budget", lambda limits: 1_000_000)
    monkeypatch.setattr(okx_rest, "_WINDOW_SECS", 0.0)
    monkeypatch.setattr(Compactor, "_run_child", compacted_here)


def compacted_here(compactor, jobs):
    """As the child does, without the start of one, which costs more than the work.

    That and how a real one converts is tried in `test_kill`, `test_backfill_kill` and the tests of
    the store.
    """
    found = [_compact.compact(msgspec.json.decode(j, type=_compact.Job)) for j in jobs.splitlines()]
    return {done.target: compactor._report(msgspec.json.encode(done)) for done in found}


def config_of(venue, url):
    fields = {"rest_url": url}
    if venue == "coinbase_advanced":
        fields["history_url"] = url
    return load("venues", venue).config(**fields)


class Bench:
    def __init__(self, exchange, venue, folder):
        self.exchange = exchange
        self.market = exchange.market
        self.venue = venue
        self.folder = folder
        self.stop = asyncio.Event()
        self.now = self.market.now
        self.url = exchange.rest_url

    def clock(self):
        """Each look is a millisecond later, so that pages differ by their receive time."""
        self.now += 1_000
        return Micros(self.now)

    def wanted(self, since, until=None, **fields):
        config = config_of(self.venue, self.url)
        dialect = load("venues", self.venue).build(self.venue, config)
        return Wanted(
            venue=Venue(self.venue, dialect, config),
            symbol=fields.pop("symbol", SYMBOLS[self.venue]),
            since=Micros(since),
            until=Micros(self.market.now - 5 * SECOND if until is None else until),
            asked=fields.pop("asked", f"{since} {until}"),
            **fields,
        )

    def backfill(self, since, until=None, **fields):
        return Backfill(
            self.wanted(since, until, **fields),
            self.folder,
            clock=self.clock,
            candles=CANDLES.build("candles", CANDLES.config()),
            stop=self.stop,
            tell=self.tell,
        )

    def tell(self, outcome):
        """Overwritten by tests that want to hear it."""

    async def run(self, since, until=None, **fields):
        return await self.backfill(since, until, **fields).run()

    async def trades(self, inst):
        query = DuckDb(self.folder)
        try:
            return await query.trades(inst, Micros(0), Micros(2**53), 10**7)
        finally:
            query.close()

    async def candles(self, inst, interval="1m"):
        query = DuckDb(self.folder)
        try:
            return await query.candles(inst, interval, Micros(0), Micros(2**53), 10**7)
        finally:
            query.close()

    async def sql(self, statement):
        query = DuckDb(self.folder)
        try:
            return (await query.sql(statement))[1]
        finally:
            query.close()

    async def ledger(self):
        sqlite = Sqlite(self.folder / "tapewatch.sqlite", clock=lambda: Micros(self.now))
        await sqlite.open()
        try:
            return [(s.first, s.last, s.holding, s.reason) for s in await sqlite.coverage()]
        finally:
            await sqlite.close()


@asynccontextmanager
async def benches(folder, venue="binance", minutes=600, start=START, rules=None, **more):
    simulated = venue.removesuffix("_linear")
    market, make, own = open_venue(
        simulated, start=start, symbols=4, size=Size(history_minutes=minutes), alone=True
    )
    options = {"live": False, "rules": rules or own, "clock": Clock(), **more}
    async with ByHand(market, venue=make, **options) as exchange:
        yield Bench(exchange, venue, folder)


def native_of(bench):
    """How the market calls what is asked for."""
    for symbol in bench.market.symbols:
        listing = bench.market.listing(symbol)
        settled = "" if listing.kind == "spot" else f":{listing.quote}"
        if f"{listing.base}/{listing.quote}{settled}" == SYMBOLS[bench.venue]:
            return symbol
    raise AssertionError(bench.market.symbols)


def price(number):
    return number / ONE
