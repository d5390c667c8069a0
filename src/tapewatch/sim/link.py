"""One client connection as the server sees it, and the hub that knows who wants which stream.

A link collects frames and writes them in one go, so a step of the market costs one system call a
client. It never buffers without bound: a client with too much unread is dropped by its owner.

    open --end(code)--> ending (our close frame is out) --> gone
    open --abort()------------------------------------------> gone
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from tapewatch.sim.faults import Faults
from tapewatch.sim.limits import Rules, Window
from tapewatch.sim.messages import CLOSE, MILLIS, PING, Message, frame

_CLOSE_SECS = 2.0  # for the client to answer our close frame


class Link:
    """One client. Times in steady seconds; `clock` gives them."""

    def __init__(
        self, number: int, transport: asyncio.Transport, rules: Rules,
        clock: Callable[[], float], path: str = "",
    ) -> None:  # fmt: skip
        self.number = number
        self.path = path
        self.state: Any = None  # the venue's own
        self.unit = MILLIS  # how the client wants its frames, see `Message`
        self.combined = False
        self.names: dict[str, None] = {}  # for venues that tell subscriptions as they were spelled
        self.inbound = Window(rules.inbound_per_sec, rules.inbound_secs)
        self.opened = self.last_in = self.last_out = clock()
        self.ended = False
        self.frames = 0
        self._transport = transport
        self._rules = rules
        self._clock = clock
        self._next_ping = self.opened + rules.ping_secs
        self._pings: dict[bytes, float] = {}  # payload -> sent at; unanswered, oldest first
        self._out: list[bytes] = []

    @property
    def backlog(self) -> int:
        """Bytes that wait for the client to read."""
        return self._transport.get_write_buffer_size()

    @property
    def gone(self) -> bool:
        """Whether nothing can be written any more."""
        return self._transport.is_closing()

    def push(self, data: bytes) -> None:
        """Have a frame sent with the next flush. Empty: the client does not get this one."""
        if data and not self.ended:
            self._out.append(data)

    def flush(self) -> None:
        """Write what was pushed."""
        if self._out and not self.gone:
            self.frames += len(self._out)
            self.last_out = self._clock()
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def end(self, code: int, reason: str) -> None:
        """Close as the protocol wants it; a client that does not answer is cut soon."""
        if self.ended:
            return
        self.push(frame(CLOSE, struct.pack("!H", code) + reason.encode()))
        self.flush()
        self.ended = True
        asyncio.get_running_loop().call_later(_CLOSE_SECS, self._transport.abort)

    def hang_up(self) -> None:
        """Close the socket after what is written; the close handshake is over."""
        self.ended = True
        self._transport.close()

    def abort(self) -> None:
        """Cut without a word."""
        self.ended = True
        self._out.clear()
        self._transport.abort()

    def ponged(self, payload: bytes) -> None:
        """A pong counts if it copies a ping of ours; it answers the older ones too."""
        if payload not in self._pings:
            return
        while self._pings:
            oldest = next(iter(self._pings))
            del self._pings[oldest]
            if oldest == payload:
                return

    def tend(self, now: float) -> None:
        """Ping when it is time; end what is silent or too old."""
        rules = self._rules
        if now - self.opened >= rules.max_age_secs:
            self.end(1001, "connection reached its maximum age")
        elif self._pings and now - next(iter(self._pings.values())) >= rules.pong_secs:
            self.end(1008, "Pong timeout")
        elif now >= self._next_ping:
            payload = str(int(now * 1_000)).encode()
            self._pings[payload] = now
            self._next_ping = now + rules.ping_secs
            self.push(frame(PING, payload))
        self.flush()


class Hub:
    """Who wants which stream. Frames pass the faults here, once, on their way to all."""

    def __init__(self, faults: Faults) -> None:
        self.links: dict[int, Link] = {}
        self._faults = faults
        self._listeners: dict[str, dict[int, Link]] = {}
        self._heard: dict[int, set[str]] = {}  # by number of the link

    def listen(self, link: Link, stream: str) -> None:
        """Give `link` the frames of `stream`."""
        self._heard.setdefault(link.number, set()).add(stream)
        self._listeners.setdefault(stream, {})[link.number] = link

    def leave(self, link: Link, stream: str) -> None:
        """No longer."""
        self._heard.get(link.number, set()).discard(stream)
        listeners = self._listeners.get(stream)
        if listeners is not None:
            listeners.pop(link.number, None)
            if not listeners:
                del self._listeners[stream]

    def remove(self, link: Link) -> None:
        """Forget a link that is gone."""
        self.links.pop(link.number, None)
        for stream in self._heard.pop(link.number, set()):
            self.leave(link, stream)

    def streams(self, link: Link) -> frozenset[str]:
        """What `link` listens to."""
        return frozenset(self._heard.get(link.number, ()))

    def wants(self, stream: str) -> bool:
        """Whether anybody listens."""
        return stream in self._listeners

    def is_silent(self, stream: str, now: int) -> bool:
        """Whether a fault lets nothing of it through now."""
        return self._faults.silences(stream, now)

    def listeners(self, stream: str) -> list[Link]:
        """Who listens."""
        return list(self._listeners.get(stream, {}).values())

    def send(self, message: Message, now: int) -> None:
        """Let the faults have their way with a message and send what is left."""
        for passed in self._faults.filter(message, now):
            self.deliver(passed)
        for lost in self._faults.take_swallowed():
            for link in self.listeners(lost.stream):
                lost.lost_for(link)

    def deliver(self, message: Message) -> None:
        """Send to all who listen."""
        for link in self._listeners.get(message.stream, {}).values():
            link.push(message.frame_for(link))
