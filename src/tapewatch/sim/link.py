"""One client connection as the server sees it, and the hub that knows who wants which stream.

A link collects frames and writes them in one go, so a step of the market costs one system call a
client. It never buffers without bound: a client with too much unread is dropped by its owner.

    open --end(code)--> ending (our close frame is out) --> gone
    open --abort()------------------------------------------> gone
"""

import asyncio
import struct

from tapewatch.sim.faults import Faults
from tapewatch.sim.limits import Rules, Window
from tapewatch.sim.messages import CLOSE, PING, Message, frame

_CLOSE_SECS = 2.0  # for the client to answer our close frame


class Link:
    """One client. `names` are its subscriptions as the client spelled them."""

    def __init__(
        self, number: int, transport: asyncio.Transport, unit: int, rules: Rules, now: float,
        *, combined: bool,
    ) -> None:  # fmt: skip
        self.number = number
        self.unit = unit
        self.combined = combined
        self.names: dict[str, None] = {}
        self.inbound = Window(rules.inbound_per_sec, 1.0)
        self.ended = False
        self.frames = 0
        self._transport = transport
        self._rules = rules
        self._born = now
        self._next_ping = now + rules.ping_secs
        self._pings: dict[bytes, float] = {}  # payload -> sent at; unanswered, oldest first
        self._noticed = False
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
        """Have a frame sent with the next flush."""
        if not self.ended:
            self._out.append(data)

    def flush(self) -> None:
        """Write what was pushed."""
        if self._out and not self.gone:
            self.frames += len(self._out)
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

    def tend(self, now: float, notice: Message) -> None:
        """Ping when it is time; end what is silent or too old."""
        rules = self._rules
        age = now - self._born
        if age >= rules.max_age_secs:
            self.end(1001, "connection reached its maximum age")
        elif self._pings and now - next(iter(self._pings.values())) >= rules.pong_secs:
            self.end(1008, "Pong timeout")
        elif now >= self._next_ping:
            payload = str(int(now * 1_000)).encode()
            self._pings[payload] = now
            self._next_ping = now + rules.ping_secs
            self.push(frame(PING, payload))
        warn = rules.notice_secs
        if warn is not None and not self._noticed and age >= rules.max_age_secs - warn:
            self._noticed = True
            self.push(notice.frame(self.unit, combined=self.combined))
        self.flush()


class Hub:
    """Who wants which stream. Frames pass the faults here, once, on their way to all."""

    def __init__(self, faults: Faults) -> None:
        self.links: dict[int, Link] = {}
        self._faults = faults
        self._listeners: dict[str, dict[int, Link]] = {}

    def listen(self, link: Link, stream: str) -> None:
        """Give `link` the frames of `stream`."""
        self._listeners.setdefault(stream, {})[link.number] = link

    def leave(self, link: Link, stream: str) -> None:
        """No longer."""
        listeners = self._listeners.get(stream)
        if listeners is not None:
            listeners.pop(link.number, None)
            if not listeners:
                del self._listeners[stream]

    def remove(self, link: Link) -> None:
        """Forget a link that is gone."""
        self.links.pop(link.number, None)
        for stream in link.names:
            self.leave(link, stream)

    def wants(self, stream: str) -> bool:
        """Whether anybody listens."""
        return stream in self._listeners

    def listeners(self, stream: str) -> list[Link]:
        """Who listens."""
        return list(self._listeners.get(stream, {}).values())

    def send(self, message: Message, now: int) -> None:
        """Let the faults have their way with a message and send what is left."""
        for passed in self._faults.filter(message, now):
            self.deliver(passed)

    def deliver(self, message: Message) -> None:
        """Send to all who listen."""
        for link in self._listeners.get(message.stream, {}).values():
            link.push(message.frame(link.unit, combined=link.combined))
