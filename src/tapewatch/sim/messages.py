"""One text of a stream, made once and shared by all clients that asked for it.

A client may want it wrapped (`{"stream":...,"data":...}`) or bare, with milliseconds or
microseconds; each of the four frames is made when the first client needs it. Server frames are not
masked, so the very bytes of the WebSocket frame are shared too (RFC 6455, section 5.2).
"""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tapewatch.sim.link import Link

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
    """A payload of a stream. `raw` is sent as it is, never wrapped (garbage, notices).

    A venue whose frames differ from client to client overrides `frame_for` and `lost_for`.
    """

    def __init__(self, stream: str, render: Render, *, raw: bool = False) -> None:
        self.stream = stream
        self.raw = raw
        self._render = render
        self._frames: dict[tuple[bool, int], bytes] = {}

    def text(self, unit: int = MILLIS) -> str:
        """The payload alone."""
        return self._render(unit)

    def frame_for(self, link: "Link") -> bytes:
        """The bytes for this client."""
        return self.frame(link.unit, combined=link.combined)

    def lost_for(self, link: "Link") -> None:
        """A fault swallowed what `link` should have got: count it, where frames are numbered."""

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

    def altered(self, change: Callable[[str], str]) -> Self:
        """The same message with another payload."""
        render, other = self._render, copy.copy(self)
        vars(other).update(_render=lambda unit: change(render(unit)), _frames={})
        return other
