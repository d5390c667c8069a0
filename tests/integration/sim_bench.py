"""A simulated exchange driven by hand, and clients that read all the time, for tests."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
from msgspec.structs import replace

from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.market import open_market
from tapewatch.sim.venues import open_venue

START = 1_790_000_000_000_000
SECOND = 1_000_000
DEADLINE = 60.0


class Clock:
    """Each look is a second later, so that requests are never too many; or it stands still."""

    def __init__(self):
        self.now = 1_000.0
        self.runs = True

    def __call__(self):
        self.now += 1.0 if self.runs else 0.0
        return self.now


# Where a market runs as fast as the machine lets it, nothing may be judged by another clock than
# its own: on a slow machine a test would be cut as idle, or held up by a pace of the real second.


def market_clock(market):
    """For `SimulatedExchange`: idle times and ages in the time of the market."""
    return lambda: market.now / SECOND


def allowing(rules):
    """As much in a second as anybody wants: what a venue allows is tried in tests of its own."""
    return replace(rules, inbound_per_sec=10_000, connects=10_000, weight=10**9)


def unpaced(limits):
    """The other side of the same: our own limits wait by the real clock."""
    return replace(limits, frames_per_sec=10_000, connects=10_000, weight=10**9)


class ByHand(SimulatedExchange):
    """Looks after its connections when a test says so (`sockets.tend`), never by the real second.

    On a slow machine it would find clients idle that a quick one never looks at.
    """

    async def _keep_alive(self):
        await asyncio.Event().wait()


class Client:
    """Reads all the time; frames by stream, other texts apart."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []
        self.answers = []
        self.code = None
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self):
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
            self._news.set()
        self.code = self.socket.close_code
        self._news.set()

    def _take(self, text):
        try:
            decoded = json.loads(text)
        except json.JSONDecodeError:
            decoded = text
        is_answer = isinstance(decoded, dict) and ("result" in decoded or "code" in decoded)
        (self.answers if is_answer else self.frames).append(decoded)

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def ask(self, method, params=None, request_id=1):
        request = {"method": method, "id": request_id}
        if params is not None:
            request["params"] = params
        return await self.say(json.dumps(request))

    async def say(self, text):
        count = len(self.answers)
        await self.socket.send_str(text)
        await self.until(lambda: len(self.answers) > count)
        return self.answers[-1]

    async def settle(self):
        """All that was sent before now is here when this returns."""
        await self.ask("LIST_SUBSCRIPTIONS", request_id="settle")

    async def ended(self):
        await self.until(lambda: self._task.done() or self.code is not None)
        return self.code

    def of(self, stream):
        return [f["data"] for f in self.frames if isinstance(f, dict) and f.get("stream") == stream]

    async def close(self):
        await self.socket.close()
        await self._task


class Bench:
    def __init__(self, exchange, session, clock):
        self.exchange = exchange
        self.session = session
        self.clock = clock
        self.clients = []

    async def connect(self, path="/stream", **options):
        url = self.exchange.ws_url + path
        client = Client(await self.session.ws_connect(url, **options))
        self.clients.append(client)
        return client

    async def listen(self, *streams):
        client = await self.connect()
        assert await client.ask("SUBSCRIBE", list(streams)) == {"result": None, "id": 1}
        return client

    async def get(self, path, **query):
        async with self.session.get(self.exchange.rest_url + path, params=query) as response:
            return response.status, await response.json(content_type=None), response.headers

    async def advance(self, secs):
        await self.exchange.advance(int(secs * SECOND))

    async def add(self, **fault):
        url = self.exchange.rest_url + "/sim/faults"
        async with self.session.post(url, json=fault) as response:
            assert response.status == 200, await response.text()

    async def heard(self, client, secs=2):
        """The ids of BTCUSDT trades that come in the next seconds."""
        client.frames.clear()
        await self.advance(secs)
        await client.settle()
        return [row["t"] for row in client.of("btcusdt@trade")]


def make(clock, rules=None, venue=None, **market):
    options = {"start": START, "symbols": 4, **market}
    if venue is None:
        return ByHand(open_market(**options), live=False, clock=clock, rules=rules)
    world, make_venue, own = open_venue(venue, **options)
    return ByHand(world, venue=make_venue, live=False, clock=clock, rules=rules or own)


@asynccontextmanager
async def benches():
    """A function that opens benches; all are closed at the end."""
    opened = []

    async def open_bench(rules=None, venue=None, **market):
        clock = Clock()
        exchange = make(clock, rules, venue, **market)
        await exchange.start()
        opened.append(Bench(exchange, aiohttp.ClientSession(), clock))
        return opened[-1]

    try:
        yield open_bench
    finally:
        for bench in opened:
            for client in bench.clients:
                await client.close()
            await bench.session.close()
            await bench.exchange.stop()
