"""One WebSocket against a server that writes bytes by hand, right ones and wrong ones."""

import asyncio
import base64
import hashlib
import os
import random
import ssl
import struct
from contextlib import asynccontextmanager

import pytest

from tapewatch.model.errors import Disconnected
from tapewatch.wire import link as module
from tapewatch.wire.link import Link
from tapewatch.wire.refusal import Blocked

SETTING = "exchanges.talk.ws_url"
TEXT, BINARY, MORE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode, payload=b"", *, fin=True, rsv=0):
    head = bytes([fin << 7 | rsv << 4 | opcode])
    size = len(payload)
    if size < 126:
        return head + bytes([size]) + payload
    if size < 65_536:
        return head + b"\x7e" + struct.pack("!H", size) + payload
    return head + b"\x7f" + struct.pack("!Q", size) + payload


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def shake(self, extra=b""):
        head = await self.reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1]
            for line in head.split(b"\r\n")
            if b"sec-websocket-key" in line.lower()
        )
        magic = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key + magic).digest())
        self.writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + extra
        )
        return head

    async def hear(self):
        """One frame of the client: opcode and unmasked payload."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            [size] = struct.unpack("!H", await self.reader.readexactly(2))
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        return first & 0xF, bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


@asynccontextmanager
async def peer(talk):
    failures = []

    async def serve(reader, writer):
        try:
            await talk(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    finally:
        server.close()
        await server.wait_closed()
        assert not failures


class Ear:
    def __init__(self):
        self.frames = []
        self.is_connected = False
        self.link = Link(self)

    def connected(self):
        self.is_connected = True

    def received(self, data):
        assert self.is_connected
        self.frames += data


async def hear(talk, max_bytes=module.MAX_BYTES):
    """Connect, hear all, give the frames and the reason of the end."""
    ear = Ear()
    ear.link = Link(ear, max_bytes)
    async with peer(talk) as url:
        await ear.link.connect(url, SETTING)
        reason = await ear.link.wait(10)
    return ear.frames, reason


async def test_frames_of_any_size_arrive_whole_also_those_that_come_with_the_handshake():
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000]
    payloads = [os.urandom(size) for size in sizes]

    async def talk(each):
        await each.shake(frame(TEXT, b"early"))
        for payload in payloads:
            each.writer.write(frame(BINARY, payload))
        each.writer.write(frame(CLOSE, struct.pack("!H", 1001) + b"bye"))
        await each.hear()

    frames, reason = await hear(talk)
    assert frames == [b"early", *payloads]
    assert reason == "the venue closed the connection (1001 going away: bye)"


async def test_compression_is_not_offered():
    heads = []

    async def talk(each):
        heads.append(await each.shake())

    await hear(talk)
    assert b"sec-websocket-extensions" not in heads[0].lower()


async def test_a_ping_is_answered_with_its_own_payload():
    heard = []

    async def talk(each):
        await each.shake()
        for payload in (b"", b"1732112345678", b"x" * 125):
            each.writer.write(frame(PING, payload))
            heard.append(await each.hear())

    frames, _ = await hear(talk)
    assert heard == [(PONG, b""), (PONG, b"1732112345678"), (PONG, b"x" * 125)]
    assert frames == []


async def test_fragments_are_put_together_with_control_frames_between_them():
    async def talk(each):
        await each.shake()
        each.writer.write(frame(TEXT, b"a" * 200, fin=False))
        each.writer.write(frame(PING, b"p"))
        each.writer.write(frame(MORE, b"b" * 200, fin=False))
        each.writer.write(frame(PONG, b""))
        each.writer.write(frame(MORE, b"c" * 200))
        each.writer.write(frame(TEXT, b"d" * 200))
        each.writer.write(frame(CLOSE))
        await each.hear()

    frames, reason = await hear(talk)
    assert frames == [b"a" * 200 + b"b" * 200 + b"c" * 200, b"d" * 200]
    assert reason.startswith("the venue closed the connection")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame(MORE, b"x"), "without a beginning"),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), "inside a fragmented one"),
        (frame(TEXT, b"x" * 2000), "exceeding max"),
        (frame(TEXT, b"x" * 900, fin=False) + frame(MORE, b"x" * 900), "more than 1000 bytes"),
        (frame(3, b"x"), "invalid opcode"),
        (frame(PING, b"x" * 126), "> 125"),
        (frame(PING, b"x", fin=False), "fragmented control frame"),
        (b"\x81\x81\x00\x00\x00\x00x", "masked"),
        (frame(CLOSE, b"\x00\x01"), "invalid close code"),
    ],
)
async def test_a_broken_protocol_ends_the_link_and_says_how(data, words):
    async def talk(each):
        await each.shake()
        each.writer.write(data)
        await each.reader.read()

    _, reason = await hear(talk, max_bytes=1000)
    assert reason.startswith("broken protocol: ")
    assert words in reason


@pytest.mark.parametrize("code", [1000, 1013, 3000, 4001])
async def test_every_close_code_is_told(code):
    async def talk(each):
        await each.shake()
        each.writer.write(frame(CLOSE, struct.pack("!H", code)))
        assert (await each.hear())[0] == CLOSE

    _, reason = await hear(talk)
    assert f"({code}" in reason


async def test_a_connection_that_just_ends_is_told():
    async def talk(each):
        await each.shake()
        each.writer.write(frame(TEXT, b"x" * 300)[:100])  # half a frame

    frames, reason = await hear(talk)
    assert (frames, reason) == ([], "the connection was lost without a close frame")


async def test_closing_waits_for_the_goodbye_of_the_other_side():
    said = []

    async def talk(each):
        await each.shake()
        said.append(await each.hear())
        each.writer.write(frame(TEXT, b"too late") + frame(CLOSE, struct.pack("!H", 1000)))
        await each.reader.read()

    ear = Ear()
    async with peer(talk) as url:
        await ear.link.connect(url, SETTING)
        await ear.link.close("enough")
        assert await ear.link.wait(10) == "enough"
    assert said == [(CLOSE, struct.pack("!H", 1000))]
    assert ear.frames == []


async def test_closing_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(module, "_CLOSE_SECS", 0.01)
    done = asyncio.Event()

    async def talk(each):
        await each.shake()
        await done.wait()

    ear = Ear()
    async with peer(talk) as url:
        await ear.link.connect(url, SETTING)
        await asyncio.gather(ear.link.close("enough"), ear.link.close("also"))
        assert await ear.link.wait(10) == "enough"
        done.set()


async def test_a_paused_link_reads_nothing_until_it_is_resumed():
    async def talk(each):
        await each.shake()
        await each.hear()
        each.writer.write(frame(TEXT, b"after"))
        await each.hear()
        each.writer.write(frame(CLOSE))

    ear = Ear()
    async with peer(talk) as url:
        await ear.link.connect(url, SETTING)
        ear.link.pause()
        ear.link.pause()
        ear.link.send(b"go")
        assert await ear.link.wait(0.05) is None
        assert ear.frames == []
        ear.link.resume()
        async with asyncio.timeout(60):
            while not ear.frames:  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0)
        await ear.link.close("done")


async def test_what_the_receiver_raises_is_not_swallowed():
    async def talk(each):
        await each.shake()
        each.writer.write(frame(TEXT, b"x"))
        await each.reader.read()

    class Broken(Ear):
        def received(self, data):
            raise KeyError("a bug")

    ear = Broken()
    async with peer(talk) as url:
        await ear.link.connect(url, SETTING)
        with pytest.raises(KeyError):
            await ear.link.wait(10)


async def test_a_server_that_hangs_up_in_the_handshake_is_disconnected():
    async def talk(each):
        await each.reader.readuntil(b"\r\n\r\n")

    async with peer(talk) as url:
        with pytest.raises(Disconnected, match="middle of the handshake"):
            await Ear().link.connect(url, SETTING)


async def test_a_server_that_never_answers_meets_the_time_out(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_SECS", 0.05)
    done = asyncio.Event()

    async def talk(each):
        await done.wait()

    async with peer(talk) as url:
        with pytest.raises(Disconnected, match="did not answer"):
            await Ear().link.connect(url, SETTING)
        done.set()


async def test_giving_up_in_mid_handshake_leaves_no_link_behind():
    asked, go = asyncio.Event(), asyncio.Event()

    async def talk(each):
        await each.reader.readuntil(b"\r\n\r\n")
        asked.set()
        await go.wait()

    ear = Ear()
    async with peer(talk) as url:
        attempt = asyncio.create_task(ear.link.connect(url, SETTING))
        await asked.wait()
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        go.set()
    assert not ear.is_connected


async def test_refusals_are_read_from_the_answer():
    async def talk(each):
        await each.reader.readuntil(b"\r\n\r\n")
        each.writer.write(b"HTTP/1.1 451 Unavailable\r\nContent-Type: text/html\r\n\r\n<html>")
        await each.writer.drain()

    async with peer(talk) as url:
        with pytest.raises(Blocked, match=SETTING):
            await Ear().link.connect(url, SETTING)


async def test_a_redirect_is_not_followed_but_told():
    async def talk(each):
        await each.reader.readuntil(b"\r\n\r\n")
        each.writer.write(b"HTTP/1.1 301 Moved\r\nLocation: wss://new.example/\r\n\r\n")
        await each.writer.drain()

    async with peer(talk) as url:
        with pytest.raises(Disconnected, match=r"redirects to wss://new\.example/"):
            await Ear().link.connect(url, SETTING)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "wss://", "ws://127.0.0.1:none/"])
async def test_an_address_that_is_none_is_blocked(url):
    with pytest.raises(Blocked, match=SETTING):
        await Ear().link.connect(url, SETTING)


async def test_tls_with_a_server_that_speaks_none_is_told():
    async def talk(each):
        await each.reader.read(10)
        each.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await each.writer.drain()

    async with peer(talk) as url:
        with pytest.raises(Disconnected) as caught:
            await Ear().link.connect(url.replace("ws:", "wss:"), SETTING)
    assert isinstance(caught.value.__cause__, ssl.SSLError | OSError)


@pytest.mark.parametrize("seed", range(20))
async def test_random_bytes_end_the_link_or_are_frames_but_hang_and_raise_nothing(seed):
    rng = random.Random(seed)

    def some():
        kind = rng.choice([TEXT, BINARY, MORE, CLOSE, PING, PONG, rng.randrange(16)])
        made = frame(
            kind,
            rng.randbytes(rng.choice([0, 2, 5, 100, 125, 126, 300, 70_000])),
            fin=rng.random() < 0.8,
            rsv=rng.choice([0, 0, 0, 0, rng.randrange(8)]),
        )
        return made if rng.random() < 0.9 else made[: rng.randrange(len(made))]

    async def talk(each):
        await each.shake()
        for _ in range(rng.randrange(1, 30)):
            each.writer.write(some())
            if rng.random() < 0.3:
                await each.writer.drain()
        each.writer.write_eof()

    _, reason = await hear(talk)
    assert reason
