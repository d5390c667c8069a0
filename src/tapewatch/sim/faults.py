"""Faults on request, at the wire only: the market stays true, and every fault applied is listed.

A fault is told by `kind` and limited by a pattern, a count, a chance, a pause between two
applications and a window of time; chance is seeded, so a run can be repeated. Frames are judged
once, before they go to the clients, so all clients of a stream suffer the same.

Of frames: `drop` loses one; `duplicate` sends it twice; `reorder` sends it after the next one of
its stream; `stall` loses all of the streams for `secs` while sockets stay open; `slow` delays each
by `secs`; `garbage` sends nonsense before it; `wrong_sequence` adds `shift` to its ids; where the
venue has checksums, `wrong_checksum` adds it to those; `close` cuts the clients of that stream.
Of HTTP: `http` answers `status` with `body`; `slow` delays;
`stale_snapshot` serves the oldest book that is remembered.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from random import Random
from typing import Literal

from msgspec import Struct

from tapewatch.sim.messages import Message

Kind = Literal[
    "drop", "duplicate", "reorder", "stall", "slow", "garbage", "wrong_sequence", "close",
    "http", "stale_snapshot", "wrong_checksum",
]  # fmt: skip
# What every venue can suffer; `wrong_checksum` only one that has checksums.
KINDS: tuple[Kind, ...] = (
    "drop", "duplicate", "reorder", "stall", "slow", "garbage", "wrong_sequence", "close",
    "http", "stale_snapshot",
)  # fmt: skip
_HTTP_KINDS = {"http", "slow", "stale_snapshot"}
_MOST_DELAYED = 20_000  # frames that may wait; more are sent at once and counted
_LISTED = 10_000
_NOTHING = re.compile("(?!)")


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault to be applied; times in seconds from when it is added."""

    kind: Kind
    target: str = ""  # glob over stream names, or over REST paths with query
    count: int | None = 1  # None: as often as it fits
    probability: float = 1.0
    every_secs: float = 0.0  # at most one application in this time
    after_secs: float = 0.0
    for_secs: float | None = None  # None: no end
    secs: float = 2.0  # of a stall, of slowness
    shift: int = 7  # of a wrong sequence
    status: int = 503  # of HTTP; 0 resets the connection
    body: Literal["json", "html", "empty"] = "json"
    retry_after: int | None = None


class FaultTexts(Struct, frozen=True):
    """How faults spoil a venue's frames and requests."""

    ids: re.Pattern[str]  # group 1: the text before a number, group 2: the number to shift
    nonsense: tuple[str, ...]  # what a garbage frame says, in turn
    http: str = "/api/*"  # default target of `http`
    snapshot: str = ""  # default target of `stale_snapshot`; empty: no snapshots by REST
    checksums: re.Pattern[str] = _NOTHING  # as `ids`


_NO_TEXTS = FaultTexts(ids=_NOTHING, nonsense=("no venue says this",))


class Applied(Struct, frozen=True):
    """One application: which fault, when, on what, and the text that suffered (milliseconds)."""

    fault: int
    kind: Kind
    ts: int
    target: str
    text: str


class _Entry:
    def __init__(self, number: int, fault: Fault, now: int, rng: Random) -> None:
        self.number = number
        self.fault = fault
        self.starts = now + int(fault.after_secs * 1e6)
        self.ends = None if fault.for_secs is None else self.starts + int(fault.for_secs * 1e6)
        self.rng = rng
        self.used = 0
        self.next_at = self.starts
        self.stalled_until = 0
        self.held: dict[str, Message] = {}

    def hits(self, target: str, pattern: str, now: int) -> bool:
        """Whether the fault applies now; it counts itself."""
        fault = self.fault
        if now < self.next_at or (self.ends is not None and now >= self.ends):
            return False
        if fault.count is not None and self.used >= fault.count:
            return False
        if not fnmatchcase(target, pattern):
            return False
        if fault.probability < 1.0 and self.rng.random() >= fault.probability:
            return False
        self.used += 1
        self.next_at = now + int(fault.every_secs * 1e6)
        return True


class Faults:
    """The faults in force and what they did."""

    def __init__(self, seed: int = 1, texts: FaultTexts = _NO_TEXTS) -> None:
        self.texts = texts  # set by the exchange
        self.applied: deque[Applied] = deque(maxlen=_LISTED)
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._entries: list[_Entry] = []
        self._added = 0
        self._delayed: list[tuple[int, int, Message]] = []  # due, order, message
        self._order = 0
        self._cut: set[str] = set()
        self._swallowed: list[Message] = []

    @property
    def entries(self) -> list[tuple[int, Fault, int]]:
        """Number, fault, how often it was applied."""
        return [(e.number, e.fault, e.used) for e in self._entries]

    def knows(self, kind: Kind) -> bool:
        """Whether the venue has what such a fault spoils."""
        if kind == "stale_snapshot":
            return bool(self.texts.snapshot)
        return kind != "wrong_checksum" or self.texts.checksums is not _NOTHING

    def add(self, fault: Fault, now: int) -> int:
        """Put a fault in force; its number is the answer."""
        self._added += 1
        rng = Random(f"{self._seed}/fault/{self._added}")
        self._entries.append(_Entry(self._added, fault, now, rng))
        return self._added

    def clear(self) -> None:
        """End all faults. Frames they hold back are released with the next step."""
        for entry in self._entries:
            for message in entry.held.values():
                self._delay(message, 0)
        self._entries.clear()

    def filter(self, message: Message, now: int) -> Iterable[Message]:
        """What to send in place of `message`."""
        if not self._entries:
            return (message,)
        messages = [message]
        for entry in self._entries:
            if entry.fault.kind not in {"http", "stale_snapshot"}:
                messages = [out for one in messages for out in self._judge(entry, one, now)]
        return messages

    def silences(self, stream: str, now: int) -> bool:
        """Whether a stall holds this stream now: what it would begin with is lost as well."""
        return any(
            entry.fault.kind == "stall"
            and now < entry.stalled_until
            and fnmatchcase(stream, self._pattern(entry.fault))
            for entry in self._entries
        )

    def due(self, now: int) -> list[Message]:
        """Delayed messages whose time has come, in order."""
        found: list[Message] = []
        while self._delayed and self._delayed[0][0] <= now:
            found.append(heappop(self._delayed)[2])
        return found

    def take_cut(self) -> set[str]:
        """Streams whose clients must be cut since the last call."""
        cut, self._cut = self._cut, set()
        return cut

    def take_swallowed(self) -> list[Message]:
        """Messages lost since the last call."""
        swallowed, self._swallowed = self._swallowed, []
        return swallowed

    def http(self, target: str, now: int) -> list[Fault]:
        """What happens to this request (path with query)."""
        found: list[Fault] = []
        for entry in self._entries:
            if entry.fault.kind in _HTTP_KINDS and self._hits(entry, target, now):
                self._note(entry, now, target, "")
                found.append(entry.fault)
        return found

    def _judge(self, entry: _Entry, message: Message, now: int) -> list[Message]:
        stream, kind = message.stream, entry.fault.kind
        if kind == "reorder":
            return self._reorder(entry, message, now)
        if kind == "stall" and now < entry.stalled_until:
            if not fnmatchcase(stream, self._pattern(entry.fault)):
                return [message]
            self._note(entry, now, stream, message.text())
            self._swallowed.append(message)
            return []
        if kind == "wrong_checksum" and not self._has_checksum(message):
            return [message]
        if not self._hits(entry, stream, now):
            return [message]
        self._note(entry, now, stream, message.text())
        return self._apply(entry, message, now)

    def _hits(self, entry: _Entry, target: str, now: int) -> bool:
        return entry.hits(target, self._pattern(entry.fault), now)

    def _pattern(self, fault: Fault) -> str:
        """The glob in force."""
        match fault.kind:
            case "http":
                return fault.target or self.texts.http
            case "stale_snapshot":
                return fault.target or self.texts.snapshot
            case _:
                return fault.target or "*"

    def _apply(self, entry: _Entry, message: Message, now: int) -> list[Message]:
        """What a fault that hits makes of a message."""
        fault = entry.fault
        sent: list[Message] = [message]
        match fault.kind:
            case "drop":
                self._swallowed.append(message)
                sent = []
            case "duplicate":
                sent = [message, message]
            case "stall":
                entry.stalled_until = now + int(fault.secs * 1e6)
                self._swallowed.append(message)
                sent = []
            case "slow":
                sent = self._delay(message, now + int(fault.secs * 1e6))
            case "garbage":
                nonsense = self.texts.nonsense
                text = nonsense[(entry.used - 1) % len(nonsense)]
                sent = [Message(message.stream, lambda _: text, raw=True), message]
            case "wrong_sequence":
                sent = [self._renumbered(message, self.texts.ids, fault.shift)]
            case "wrong_checksum":
                sent = [self._renumbered(message, self.texts.checksums, fault.shift)]
            case "close":
                self._cut.add(message.stream)
            case _:
                pass
        return sent

    def _has_checksum(self, message: Message) -> bool:
        return self.texts.checksums.search(message.text()) is not None

    def _renumbered(self, message: Message, numbers: re.Pattern[str], shift: int) -> Message:
        return message.altered(lambda text: _shifted(text, numbers, shift))

    def _reorder(self, entry: _Entry, message: Message, now: int) -> list[Message]:
        held = entry.held.pop(message.stream, None)
        if held is not None:
            return [message, held]
        if not self._hits(entry, message.stream, now):
            return [message]
        self._note(entry, now, message.stream, message.text())
        entry.held[message.stream] = message
        return []

    def _delay(self, message: Message, until: int) -> list[Message]:
        if len(self._delayed) >= _MOST_DELAYED:
            self.counts["delay_refused"] += 1
            return [message]
        self._order += 1
        heappush(self._delayed, (until, self._order, message))
        return []

    def _note(self, entry: _Entry, now: int, target: str, text: str) -> None:
        kind = entry.fault.kind
        self.counts[kind] += 1
        self.applied.append(Applied(entry.number, kind, now, target, text))


def _shifted(text: str, numbers: re.Pattern[str], shift: int) -> str:
    return numbers.sub(lambda found: f"{found[1]}{int(found[2]) + shift}", text)
