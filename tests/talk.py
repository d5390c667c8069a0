"""A made-up venue for tests of links, sessions and feeds: its dialect, its server, an outlet.

Frames are words. The venue says: `T a 7` (trade 7 of inst a), `OK a b`, `NO a why`, `FETCH key`,
`RENEW why`, `SHOUT text` (makes the conversation send), `QUIET` (nothing comes of it); anything
else cannot be read. We say `SUB a b` and `UNSUB a`.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import WSMsgType, web

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.events import Batch, Gap, Metric, Micros, Side, Tick, Trade
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import (
    Accepted,
    FeedConfig,
    Fetch,
    Limits,
    Refused,
    Renew,
    Route,
    Send,
    Subscription,
)

CHANNEL = "word"
NAMES = tuple("abcdefghij")
LIMITS = Limits(
    subscriptions=3,
    frames_per_sec=1000,
    connects=1000,
    connects_secs=1,
    weight=1000,
    weight_secs=1,
    idle_secs=60,
    max_age_secs=3600,
)


def sub(name: str) -> Subscription:
    return Subscription(f"talk:{name.upper()}/X", CHANNEL)


def subs(names: str) -> frozenset[Subscription]:
    return frozenset(map(sub, names))


def instrument(name: str) -> Instrument:
    return Instrument("talk", name.upper(), "X", name)


def catalogue() -> Catalogue:
    return Catalogue(map(instrument, NAMES))


class TalkConversation:
    def __init__(self, route, streams, rest_url):
        self.wanted = frozenset(route.subscriptions)
        self._streams = streams
        self._rest_url = rest_url

    def open(self, now):
        return [Send(f"SUB {self._names(self.wanted)}".encode())] if self.wanted else []

    def want(self, subscriptions, now, out):
        gone, new = self.wanted - subscriptions, subscriptions - self.wanted
        self.wanted = subscriptions
        asks = [Send(f"UNSUB {self._names(gone)}".encode())] if gone else []
        return [*asks, Send(f"SUB {self._names(new)}".encode())] if new else asks

    def decode(self, frame, recv, out):  # noqa: PLR0911 - one for each word
        verb, _, rest = frame.decode().partition(" ")
        match verb:
            case "T":
                return self._trade(*rest.split()[:2], recv, out)
            case "OK":
                return [Accepted(tuple(map(sub, rest.split())))]
            case "NO":
                name, _, why = rest.partition(" ")
                return [Refused((sub(name),), why)]
            case "FETCH":
                return [Fetch(rest, f"{self._rest_url}/{rest}")]
            case "RENEW":
                return [Renew(rest)]
            case "SHOUT":
                return [Send(rest.encode())]
            case "QUIET":
                return ()
        raise BadFrame(f"what does {verb[:20]!r} mean?")

    def answer(self, fetch, answer, recv, out):
        if answer.body.startswith(b"<html"):
            raise ValueError("a web page")
        out.append(Metric(recv, recv, "talk:*", fetch.key, answer.status, answer.body.decode()))
        if answer.body.startswith(b"more "):
            return [Fetch(answer.body[5:].decode(), f"{self._rest_url}/{answer.body[5:].decode()}")]
        return ()

    def tick(self, now, out):
        out.append(Tick(now, now, "talk"))
        return ()

    def resync(self, subscription, reason, now, out):
        out.append(Gap(now, now, subscription.inst, CHANNEL, reason))
        return [Send(f"AGAIN {self._names({subscription})}".encode())]

    def lost(self, reason, now, out):
        out.extend(Gap(now, now, each.inst, CHANNEL, reason) for each in sorted(self.wanted))

    def _trade(self, name, number, recv, out):
        inst, last = sub(name).inst, self._streams.state.get(name, 0)
        if int(number) > last:
            self._streams.state[name] = int(number)
            ts = Micros(recv - 3000)
            out.append(Trade(ts, recv, inst, number, Side.BUY, 1.0, 1.0, CHANNEL))
        return ()

    def _names(self, subscriptions):
        return " ".join(self._streams.catalogue[each.inst].native for each in sorted(subscriptions))


class Talk:
    name = "talk"

    def __init__(self, url="ws://127.0.0.1:1", limits=LIMITS):
        self.limits = limits
        self.numbered = True
        self.url = url

    @property
    def rest_url(self):
        return self.url.replace("ws://", "http://")

    def channel(self, text):
        if text != CHANNEL:
            raise NotFound("channel", text, (CHANNEL,))
        return text

    def catalogue(self):
        return [Fetch("all", f"{self.rest_url}/all")]

    def instruments(self, body):
        return [instrument(name) for name in body.decode().split()]

    def routes(self, wanted):
        most = self.limits.subscriptions
        shards = [tuple(wanted[n : n + most]) for n in range(0, len(wanted), most)]
        return [Route(f"talk-{n}", f"{self.url}/ws", shard) for n, shard in enumerate(shards)]

    def converse(self, route, streams):
        return TalkConversation(route, streams, self.rest_url)

    def recognise(self, frame, pending, streams):
        return None


def config(**more):
    return FeedConfig(**{"reconnect_delay": 0.01, "max_reconnect_delay": 0.02, **more})


class Basket:
    """An Outlet that keeps what it gets, and can be full."""

    def __init__(self):
        self.events: Batch = []
        self.batches: list[Batch] = []
        self.refused = 0
        self._room = asyncio.Event()
        self._room.set()
        self._news = asyncio.Event()

    def offer(self, events):
        if not self._room.is_set():
            self.refused += 1
            self._news.set()
            return False
        self._take(events)
        return True

    async def publish(self, events):
        await self._room.wait()
        self._take(events)

    def fill(self):
        self._room.clear()

    def empty(self):
        self._room.set()

    def _take(self, events):
        assert events
        self.batches.append(events)
        self.events.extend(events)
        self._news.set()

    def of(self, kind):
        return [event for event in self.events if type(event) is kind]

    def ids(self, name="a"):
        return [int(t.id) for t in self.of(Trade) if t.inst == sub(name).inst]

    async def until(self, condition):
        """Wait until something has come that makes this true."""
        async with asyncio.timeout(60):
            while not condition(self):
                self._news.clear()
                await self._news.wait()


class Server:
    """Runs `visit` for each client and answers GET by `answers`: path to responses, in order."""

    def __init__(self, visit: Callable[["Visit"], Awaitable[None]] | None = None):
        self.visit = visit or serve
        self.answers: dict[str, list[web.Response]] = {}
        self.asked: list[str] = []
        self.visits: list[Visit] = []
        self.turn_away: list[web.Response] = []  # answers to the next handshakes
        self.url = ""

    async def socket(self, request):
        if self.turn_away:
            return self.turn_away.pop(0)
        ws = web.WebSocketResponse(autoping=False, compress=False)
        await ws.prepare(request)
        visit = Visit(ws, request, len(self.visits))
        self.visits.append(visit)
        await self.visit(visit)
        return ws

    async def page(self, request):
        path = request.path.removeprefix("/")
        self.asked.append(path)
        left = self.answers.get(path) or [web.Response(status=404)]
        answer = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


class Visit:
    """One client, seen from the server."""

    def __init__(self, ws, request, number):
        self.ws = ws
        self.request = request
        self.number = number  # counted from 0
        self.heard: list[str] = []
        self.closed_by_client = False

    async def hear(self) -> str:
        """The next frame as text; empty when the client has gone."""
        message = await self.ws.receive()
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            self.closed_by_client = message.type is WSMsgType.CLOSE
            return ""
        text = message.data if isinstance(message.data, str) else message.data.decode()
        self.heard.append(text)
        return text

    async def say(self, *frames):
        for frame in frames:
            await self.ws.send_str(frame)

    async def accept(self):
        """Hear SUB and say yes."""
        _, _, names = (await self.hear()).partition(" ")
        await self.say(f"OK {names}")

    async def stay(self):
        """Hear what comes, say yes to all of it, until the client goes."""
        while text := await self.hear():
            verb, _, names = text.partition(" ")
            if verb == "SUB":
                await self.say(f"OK {names}")

    def cut(self):
        """No close frame, no goodbye: a reset."""
        transport = self.request.transport
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET,
            socket.SO_LINGER,
            struct.pack("ii", 1, 0),
        )
        transport.abort()


async def serve(visit):
    """What a good venue does."""
    await visit.accept()
    await visit.stay()


@asynccontextmanager
async def serving(server):
    app = web.Application()
    app.add_routes([web.get("/ws", server.socket), web.get("/{path:.*}", server.page)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(feed, outlet):
    """Run a feed beside the test. It ends by cancellation, unless it fails before."""
    task = asyncio.create_task(feed.run(outlet))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
