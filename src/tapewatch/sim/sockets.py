"""The WebSocket side of the simulated exchange: accept, listen, keep alive, cut.

aiohttp does the handshake and reads frames; what goes out is written by `Link` as ready frames.
The client's messages are counted, pings and pongs too: one too many a second ends the connection.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable

from aiohttp import WSMessage, WSMsgType, web

from tapewatch.sim.limits import Rules, Window
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.messages import CLOSE, PONG, frame
from tapewatch.sim.venue import Refused, Venue

_log = logging.getLogger("tapewatch.sim.sockets")
_DRAIN_SECS = 10.0


class Sockets:
    """All client connections."""

    def __init__(self, venue: Venue, hub: Hub, rules: Rules, clock: Callable[[], float]) -> None:
        self.accepted = 0
        self.dropped_slow = 0
        self.dropped_chatty = 0
        self._venue = venue
        self._hub = hub
        self._rules = rules
        self._clock = clock
        self._connects = Window(rules.connects, rules.connects_secs)
        self._numbers = itertools.count(1)
        self._now = clock()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection, from handshake to end."""
        if not self._connects.allows(self.look()):
            return web.Response(status=429, text="Too many connection attempts.")
        socket = web.WebSocketResponse(autoping=False, autoclose=False, compress=False)
        if request.transport is None:
            return socket  # gone already
        link = self._link(request.transport, request.path)
        try:
            self._venue.opened(link, request.path, request.query)
        except Refused as refused:
            self._hub.remove(link)
            return web.Response(status=refused.status, body=refused.body)
        try:
            await socket.prepare(request)
            self.accepted += 1
            self._hub.links[link.number] = link  # from now on it is written to
            link.flush()
            await self._listen(socket, link)
        finally:
            self._hub.remove(link)
            self._venue.closed(link)
            if socket.prepared:
                link.hang_up()
        return socket

    def look(self) -> float:
        """Look at the clock: what is written or heard until the next look happens now."""
        self._now = self._clock()
        return self._now

    def tend(self) -> None:
        """Pings, deadlines, ages. To be called several times in each ping interval."""
        now = self.look()
        for link in list(self._hub.links.values()):
            link.tend(now)
            self._venue.tend(link, now)
            link.flush()

    def cut(self, streams: set[str]) -> None:
        """Cut the clients of these streams without a word."""
        for stream in streams:
            for link in self._hub.listeners(stream):
                link.flush()
                link.abort()

    def flush(self) -> None:
        """Write what was pushed; drop who does not read."""
        for link in list(self._hub.links.values()):
            link.flush()
            if link.backlog > self._rules.max_backlog_bytes:
                self._drop_slow(link)

    async def drain(self) -> None:
        """Wait until everything written is on the sockets; drop who does not read."""
        deadline = asyncio.get_running_loop().time() + _DRAIN_SECS
        for link in list(self._hub.links.values()):
            while link.backlog and not link.gone:
                if asyncio.get_running_loop().time() > deadline:
                    self._drop_slow(link)
                    break
                await asyncio.sleep(0.001)  # asyncio has no public "buffer is empty" event

    def abort_all(self) -> None:
        """Cut everybody."""
        for link in list(self._hub.links.values()):
            link.abort()

    def _link(self, transport: asyncio.Transport, path: str) -> Link:
        return Link(next(self._numbers), transport, self._rules, lambda: self._now, path)

    async def _listen(self, socket: web.WebSocketResponse, link: Link) -> None:
        async for message in socket:
            if link.ended:
                continue  # wait for the close frame of the client
            if not self._heed(link, message):
                return

    def _heed(self, link: Link, message: WSMessage) -> bool:
        """Answer one message; False ends the connection."""
        if message.type is WSMsgType.CLOSE:
            link.push(frame(CLOSE, (message.data or 1000).to_bytes(2)))
            link.flush()
            return False
        now = link.last_in = self.look()
        if not link.inbound.allows(now):
            self.dropped_chatty += 1
            link.end(1008, "Too many requests")
            return True
        if message.type is WSMsgType.PING:
            link.push(frame(PONG, bytes(message.data)))
        elif message.type is WSMsgType.PONG:
            link.ponged(bytes(message.data))
        elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            self._venue.heard(link, message.data, now)
        link.flush()
        return True

    def _drop_slow(self, link: Link) -> None:
        self.dropped_slow += 1
        _log.warning(
            "slow_client_dropped",
            extra={"fields": {"client": link.number, "backlog_bytes": link.backlog}},
        )
        link.abort()
