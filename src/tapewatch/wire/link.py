"""One WebSocket. It answers pings, copies frames out, and says in words how it ended.

It knows no venue, decodes nothing and never connects twice. Compression is never offered: it costs more time than it saves network.

    new ──connect──> open ──frames──> receiver.received(list of bytes)
            |          | close frame, loss, protocol error, close()
            v          v
      Disconnected   ended: `wait` gives the reason

Frames are handed over by the read: a call for each cost more than copying it out.
"""

import asyncio
import logging
from typing import Protocol

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

from tapewatch.wire.refusal import CONNECT_SECS, in_words

MAX_BYTES = 16 * 1024 * 1024  # of one message; the largest that a venue sends is about 1 MB
_CLOSE_SECS = 1.0  # how long we wait for the other side's close frame
_LARGEST_CONTROL_FRAME = 125  # RFC 6455, 5.5
_EYEBALLS_SECS = 0.25  # RFC 8305: a broken IPv6 costs this much, not a time-out

_picows_log = logging.getLogger("tapewatch.wire.link.picows")
_picows_log.setLevel(logging.CRITICAL)  # what it would say is in the reason that `wait` gives


class Receiver(Protocol):
    def connected(self) -> None:
        """The link is up; frames may follow at once, before `connect` has returned."""
        ...

    def received(self, frames: list[bytes]) -> None:
        """All messages that one read brought, in order; at least one."""
        ...


class Link(WSListener):
    """`reason` is empty until the link has ended."""

    def __init__(self, receiver: Receiver, max_bytes: int = MAX_BYTES) -> None:
        self.reason = ""
        self._receiver = receiver
        self._receive = receiver.received
        self._max_bytes = max_bytes
        self._transport: WSTransport | None = None
        self._frames: list[bytes] = []  # of this read
        self._parts: bytearray | None = None  # of a fragmented message
        self._why_closing = ""
        self._abandoned = False

    async def connect(self, url: str, setting: str) -> None:
        """Raises Disconnected in words that name `setting`, the place where `url` comes from."""
        attempt = asyncio.get_running_loop().create_task(
            ws_connect(
                lambda _request, _response: self,
                url,
                websocket_handshake_timeout=CONNECT_SECS,
                logger_name=_picows_log,
                enable_auto_pong=False,  # it would hide a ping that is the last frame of a read
                max_frame_size=self._max_bytes,
                max_redirects=0,
                happy_eyeballs_delay=_EYEBALLS_SECS,
            )
        )
        try:
            async with asyncio.timeout(CONNECT_SECS):
                await asyncio.shield(attempt)
        except asyncio.CancelledError:
            self._abandon(attempt)
            raise
        except (WSError, OSError, ValueError) as error:
            self._abandon(attempt)
            raise in_words(error, url, setting) from error
        if self._transport is None:
            raise in_words(ConnectionResetError(), url, setting)

    def _abandon(self, attempt: asyncio.Task[tuple[WSTransport, WSListener]]) -> None:
        """Let go of an attempt. Cancelling it in mid-handshake would leave its socket open."""
        self._abandoned = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)
        attempt.add_done_callback(lambda done: done.cancelled() or done.exception())

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._abandoned:
            transport.disconnect(graceful=False)
            return
        self._transport = transport
        self._receiver.connected()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # Asking for the type costs 90 ns, asking for the size 20. A control frame is never as
        # long as this, and with no fragments waiting the rest is a whole message.
        if frame.payload_size > _LARGEST_CONTROL_FRAME and frame.fin and self._parts is None:
            self._frames.append(frame.get_payload_as_bytes())
        else:
            self._sort_out(transport, frame)
        if frame.last_in_buffer:
            self._hand_over()

    def _hand_over(self) -> None:
        frames = self._frames
        if frames:
            self._frames = []
            self._receive(frames)

    def _sort_out(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
            if self._parts is not None:
                raise WSProtocolError(
                    WSCloseCode.PROTOCOL_ERROR, "a message began inside a fragmented one"
                )
            if frame.fin:
                self._frames.append(frame.get_payload_as_bytes())
            else:
                self._parts = bytearray(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CONTINUATION:
            self._continue(frame)
        elif kind is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def _continue(self, frame: WSFrame) -> None:
        parts = self._parts
        if parts is None:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a fragment came without a beginning")
        parts += frame.get_payload_as_bytes()
        if len(parts) > self._max_bytes:
            raise WSProtocolError(
                WSCloseCode.MESSAGE_TOO_BIG, f"fragments of more than {self._max_bytes} bytes"
            )
        if frame.fin:
            self._parts = None
            self._frames.append(bytes(parts))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._hand_over()  # what came before the frame that broke the protocol
        self.reason = self._why_closing or _why_ended(transport)

    async def wait(self, secs: float) -> str | None:
        """Give the reason once the link has ended, None if it has not within `secs`.

        Raises what the receiver raised: that is a bug, and ended the link too.
        """
        assert self._transport is not None
        try:
            async with asyncio.timeout(secs):
                await self._transport.wait_disconnected()
        except TimeoutError:
            return None
        except WSProtocolError as error:
            return self._why_closing or f"broken protocol: {error}"
        return self.reason

    def send(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send(WSMsgType.TEXT, frame)

    def pause(self) -> None:
        """Read nothing until `resume`: the kernel, then the venue, keep what comes."""
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.resume_reading()

    async def close(self, why: str) -> str:
        """End politely: a close frame, a moment for the answer, then the socket.

        Gives the reason that counts: the first one.
        """
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return self.reason or why
        if self._why_closing:  # somebody else is at it
            await self.wait(_CLOSE_SECS)
            return self._why_closing
        self._why_closing = why
        self._receive = _ignore
        self.resume()
        try:
            transport.send_close(WSCloseCode.OK)
            await self.wait(_CLOSE_SECS)
        finally:
            transport.disconnect(graceful=False)
        return why


def _ignore(frames: list[bytes]) -> None:
    """Frames that come after we have said goodbye."""


def _why_ended(transport: WSTransport) -> str:
    handshake = transport.close_handshake
    if not handshake:
        return "the connection was lost without a close frame"
    if handshake.recv is not None and (handshake.recv_then_sent or handshake.sent is None):
        code, text = handshake.recv.code, handshake.recv.reason
        return f"the venue closed the connection ({_code(code)}{': ' + text if text else ''})"
    return f"broken protocol: {handshake.sent.reason if handshake.sent else 'unknown'}"


def _code(code: WSCloseCode) -> str:
    """`1001 going away`; codes of a venue's own (4000 and up) have no name."""
    return f"{code.value} {(code.name or '').lower().replace('_', ' ')}".strip()
