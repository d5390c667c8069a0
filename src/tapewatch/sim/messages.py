"""One text of a stream, made once and shared by all clients that asked for it.

A client may want it wrapped (`{"stream":...,"data":...}`) or bare, with milliseconds or
microseconds; each of the four frames is made when the first client needs it. Server frames are not
masked, so the very bytes of the WebSocket frame are shared too (RFC 6455, section 5.2).
"""

from collections.abc import Callable

MILLIS = 1_000  # microseconds in a unit of time
MICROS = 1

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

Render = Callable[[int], str]
"""Gives the payload with times in the given unit."""


def frame(opcode: int, payload: bytes) -> bytes:
    """A final, unmasked WebSocket frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


class Message:
    """A payload of a stream. `raw` is sent as it is, never wrapped (garbage, notices)."""

    __slots__ = ("_frames", "_render", "raw", "stream")

    def __init__(self, stream: str, render: Render, *, raw: bool = False) -> None:
        self.stream = stream
        self.raw = raw
        self._render = render
        self._frames: dict[tuple[bool, int], bytes] = {}

    def text(self, unit: int = MILLIS) -> str:
        """The payload alone."""
        return self._render(unit)

    def frame(self, unit: int, *, combined: bool) -> bytes:
        """The bytes for a client that wants it so."""
        key = (combined, unit)
        made = self._frames.get(key)
        if made is None:
            text = self._render(unit)
            if combined and not self.raw:
                text = f'{{"stream":"{self.stream}","data":{text}}}'
            made = self._frames[key] = frame(TEXT, text.encode())
        return made

    def altered(self, change: Callable[[str], str]) -> "Message":
        """The same message with another payload."""
        render = self._render
        return Message(self.stream, lambda unit: change(render(unit)), raw=self.raw)
