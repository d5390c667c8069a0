"""One live client: what it chose, its socket, and how far it is behind.

    in step --buffer over the limit--> behind --buffer drained--> in step, told what it missed
                                          | still behind after the hub's patience
                                          v
                                       closed, 4008

A client that is behind is skipped, never waited for. Of what it missed, states (prices, books,
tickers) are sent anew from the newest, events (trades, alerts, ...) are counted and it is told how
many. So its memory is bounded: its buffer, one entry for each instrument, one number for each type.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from tapewatch.model.events import InstrumentId

PRICE = "price"
BOOK = "orderbook"
STATES = frozenset({PRICE, BOOK, "ticker"})  # the newest replaces what came before
EVENTS = frozenset({"trade", "liquidation", "news", "alert", "candle", "metric"})  # each one counts
MAX_BUFFER_BYTES = 262_144

CODE_GOING_AWAY = 1001
CODE_TOO_SLOW = 4008
CODE_TOO_MUCH = 4029


class Wire(Protocol):
    """The socket; an asyncio transport is one."""

    def write(self, data: bytes, /) -> None: ...

    def get_write_buffer_size(self) -> int: ...

    def is_closing(self) -> bool: ...


class Choice(Struct, frozen=True):
    """What a client wants. Clients with equal choices share their bytes."""

    types: frozenset[str]
    only: frozenset[InstrumentId] | None = None  # None: all
    without: frozenset[InstrumentId] = frozenset()

    def takes(self, kind: str, inst: InstrumentId | None) -> bool:
        if kind not in self.types:
            return False
        if inst is None or self.only is None:
            return inst not in self.without
        return inst in self.only

    def add(self, inst: InstrumentId) -> "Choice":
        """Name one more. Who named none before gets only this one from now on."""
        return Choice(self.types, (self.only or frozenset()) | {inst})

    def remove(self, inst: InstrumentId) -> "Choice":
        if self.only is None:
            return Choice(self.types, None, self.without | {inst})
        return Choice(self.types, self.only - {inst})


class Message(Struct, frozen=True, gc=False):
    """One message, encoded once, as a WebSocket frame."""

    kind: str
    inst: InstrumentId | None
    frame: bytes


class Client:
    def __init__(self, wire: Wire, choice: Choice, close: Callable[[int, str], None]) -> None:
        self.wire = wire
        self.choice = choice
        self.close = close  # ends the connection by itself, never waits
        self.behind_since: float | None = None
        self.owed: set[tuple[str, InstrumentId | None]] = set()  # states that it missed
        self.missed: Counter[str] = Counter()  # events that it missed, by type

    def is_full(self) -> bool:
        return self.wire.get_write_buffer_size() > MAX_BUFFER_BYTES

    def hold(self, messages: Iterable[Message], events: Mapping[str, int], now: float) -> None:
        """Skip these; remember what that means."""
        if self.behind_since is None:
            self.behind_since = now
        self.missed.update(events)
        for message in messages:
            if message.kind in STATES:
                self.owed.add((message.kind, message.inst))
            else:
                self.missed[message.kind] += 1

    def catch_up(self) -> tuple[set[tuple[str, InstrumentId | None]], dict[str, int]]:
        """Give what is owed and what was missed, and be in step again."""
        owed, missed = self.owed, dict(self.missed)
        self.behind_since, self.owed, self.missed = None, set(), Counter()
        return owed, missed


def frame(payload: bytes) -> bytes:
    """Make an unmasked text frame (RFC 6455, 5.2), the same bytes for every client.

    A server must not mask, and we negotiate no compression, so nothing in a frame depends on who
    gets it. Written whole by `transport.write`, it cannot mix with what aiohttp writes there.
    """
    return head(len(payload)) + payload


def head(size: int) -> bytes:
    if size < 126:
        return bytes((0x81, size))
    if size < 65_536:
        return struct.pack(">BBH", 0x81, 126, size)
    return struct.pack(">BBQ", 0x81, 127, size)


HEADS = tuple(map(head, range(1_024)))  # of payloads as long as nearly all events are
