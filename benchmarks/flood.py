"""A venue that sends prepared frames as fast as its client reads, over real loopback sockets.

It speaks just enough Binance spot: the handshake on any path, streams in the address or by
SUBSCRIBE with acknowledgements, exchangeInfo and depth snapshots by HTTP. Frames go out ready
made, in large writes, so that the server needs a fraction of what the fastest client needs.

    streams wanted ──all there──> warm-up frames ──GET /bench/go──> all frames ──> silence

One server serves any number of clients, one after the other, with the same bytes.
`python -m benchmarks.flood CASE SYMBOLS COUNT` prints its port and runs until its stdin ends.
"""

import asyncio
import base64
import hashlib
import json
import os
import socket
import sys
import time
import urllib.parse

import uvloop

from benchmarks.frames import CASES, Frame, Prepared, depth_snapshot, exchange_info, prepare

_CHUNK = 128 * 1024
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


def server_frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """One whole, unmasked frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def client_frames(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Take all whole frames out of the buffer: opcode and unmasked payload."""
    found = []
    while len(buffer) >= 6:
        size, at = buffer[1] & 127, 2
        if size == 126:
            size, at = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < at + 4 + size:
            break
        mask, data = buffer[at : at + 4], buffer[at + 4 : at + 4 + size]
        found.append((buffer[0] & 15, bytes(b ^ mask[i & 3] for i, b in enumerate(data))))
        del buffer[: at + 4 + size]
    return found


class Flood:
    """What is sent, and to which link each stream goes."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self._index = {stream: i for i, stream in enumerate(prepared.streams)}
        self._wire = [(f.stream, server_frame(f.payload)) for f in prepared.frames]
        self._owner: list[Link | None] = [None] * len(prepared.streams)
        self._missing = len(prepared.streams)
        self._warm = False
        self._senders: set[asyncio.Task[None]] = set()

    def subscribe(self, link: "Link", streams: list[str]) -> None:
        for stream in streams:
            index = self._index.get(stream)  # an unknown name is accepted and stays silent
            if index is not None and self._owner[index] is None:
                self._owner[index] = link
                self._missing -= 1
        if not self._missing and not self._warm:
            self._warm = True
            # Acknowledgements of the same wake-up go first.
            asyncio.get_running_loop().call_soon(self._warm_up)

    def leave(self, link: "Link") -> None:
        self._owner = [None if owner is link else owner for owner in self._owner]
        self._missing = self._owner.count(None)
        self._warm = self._warm and self._missing < len(self._owner)

    def _warm_up(self) -> None:
        for frame in self.prepared.warm_up:
            self._send(frame)

    def _send(self, frame: Frame) -> None:
        link = self._owner[frame.stream]
        if link is not None:
            link.write(server_frame(frame.payload))

    def go(self) -> None:
        """Send everything; each link gets its own frames, in order."""
        parts: dict[Link, list[bytes]] = {}
        for stream, wire in self._wire:
            link = self._owner[stream]
            if link is not None:
                parts.setdefault(link, []).append(wire)
        for link, wires in parts.items():
            task = asyncio.create_task(link.pour(_chunks(wires)))
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    def answer(self, target: str) -> tuple[int, bytes]:
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        natives = self.prepared.natives
        match url.path:
            case "/api/v3/exchangeInfo":
                return 200, exchange_info(natives)
            case "/api/v3/depth" if query.get("symbol") in natives:
                return 200, depth_snapshot(natives, query["symbol"])
            case "/bench/go":
                self.go()
                return 200, b"{}"
            case "/api/v3/ping":
                return 200, b"{}"
        return 400, b'{"code":-1121,"msg":"Invalid symbol."}'


def _chunks(wires: list[bytes]) -> list[bytes]:
    chunks, part, size = [], [], 0
    for wire in wires:
        part.append(wire)
        size += len(wire)
        if size >= _CHUNK:
            chunks.append(b"".join(part))
            part, size = [], 0
    return [*chunks, b"".join(part)]


class Link(asyncio.Protocol):
    """One socket: HTTP requests until an upgrade, WebSocket frames afterwards."""

    def __init__(self, flood: Flood) -> None:
        self._flood = flood
        self._buffer = bytearray()
        self._upgraded = False
        self._room = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._room.set()
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._room.set()
        self._flood.leave(self)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    async def pour(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            await self._room.wait()
            if self._transport is None:
                return
            self._transport.write(chunk)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._upgraded and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).decode("latin-1")
            del self._buffer[: end + 4]
            self._request(head)
        if self._upgraded:
            for opcode, payload in client_frames(self._buffer):
                self._frame(opcode, payload)

    def _request(self, head: str) -> None:
        first, *rest = head.split("\r\n")
        target = first.split(" ")[1]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest)}
        key = headers.get("sec-websocket-key")
        if key is None:
            status, body = self._flood.answer(target)
            self.write(
                b"HTTP/1.1 %d Answer\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (status, len(body), body)
            )
            return
        accept = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC).digest())
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._upgraded = True
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
        self._flood.subscribe(self, query.get("streams", "").split("/"))

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self.write(server_frame(payload, _PONG))
        elif opcode == _CLOSE:
            self.write(server_frame(payload, _CLOSE))
            if self._transport is not None:
                self._transport.close()
        elif opcode == _TEXT:
            request = json.loads(payload)
            self.write(server_frame(b'{"result":null,"id":%d}' % request["id"]))
            if request["method"] == "SUBSCRIBE":
                self._flood.subscribe(self, request["params"])


async def _serve(flood: Flood) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Link(flood), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)  # the parent ended, or wants us to
    server.close()


def main() -> None:
    name, symbols, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    prepared = prepare(CASES[name], symbols, count, time.time_ns() // 1_000_000)
    uvloop.run(_serve(Flood(prepared)))
    sys.stdout.flush()
    os._exit(0)  # the sockets of a client that went away are no reason to linger


if __name__ == "__main__":
    main()
