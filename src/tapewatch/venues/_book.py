"""BookSync: one order book, passed on only while it is proven in step. It knows no venue.

    EMPTY --snapshot in step--> LIVE        emits BookSnapshot, then BookDelta in a chain
      ^  | delta: hold, bounded   |  | stale: drop   | next: pass on
      |  | snapshot too old:      |
      |  |   ask again, later     |
      +------------- gap, resync, lost: Gap ----------------+

    SHOWN: for recordings only (`lenient`). No snapshot came, so the held changes were passed on
    after a Gap that says they are unproven; the next ones follow directly.

A venue supplies `Sequencing`, the rule that tells whether a change is STALE, NEXT or a GAP.
Snapshots of one book are asked for 1, 2, 4 .. 60 s apart: a book that cannot be built costs
neither the venue's budget nor its neighbours on the socket.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.model.events import (
    Batch,
    BookDelta,
    BookSnapshot,
    Gap,
    InstrumentId,
    Micros,
)
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Answer, Asks, Fetch
from tapewatch.venues._answers import UNREADABLE, problem_of

MAX_HELD = 1_000  # changes that wait for a snapshot: 100 s at ten a second
MAX_HELD_LENIENT = 5_000
_RESTARTED = 10 * SECOND  # old ids with times so much newer are no duplicates
_LONGEST_WAIT = MINUTE


class Step(Enum):
    STALE = "stale"
    NEXT = "next"
    GAP = "gap"


Sequencing: TypeAlias = Callable[[int, BookDelta], Step]  # the book's id so far, the change


class State(Enum):
    EMPTY = "empty"
    LIVE = "live"
    SHOWN = "shown"


class Source(Struct, frozen=True):
    """How a venue numbers changes and gives a snapshot."""

    rule: Sequencing
    fetch: Callable[[str], Fetch]  # of this key
    read: Callable[[bytes, Micros], BookSnapshot]  # body, recv; raises a ValueError


class BookSync:
    def __init__(self, inst: InstrumentId, channel: str, source: Source, *, lenient: bool) -> None:
        self.state = State.EMPTY
        self.seq = -1  # of the last change passed on
        self.ts = Micros(0)
        self.carriers: set[object] = set()  # live conversations that have brought changes
        self._inst = inst
        self._channel = channel
        self._rule = source.rule
        self._fetch = source.fetch
        self._read = source.read
        self._lenient = lenient
        self._held: list[BookDelta] = []
        self._ahead: BookSnapshot | None = None  # newer than all changes held
        self._begun = False
        self.key = ""  # of the Fetch under way
        self._serial = 0
        self._wait = SECOND
        self._ready_at = Micros(0)
        self._live_at = Micros(0)
        self._told = ""  # the last failure that was said

    @property
    def place(self) -> int:
        """Moves with every change."""
        return self._held[-1].seq if self._held else self.seq

    @property
    def held(self) -> Sequence[BookDelta]:
        """Changes that wait for a snapshot."""
        return self._held

    def take(self, delta: BookDelta, now: Micros, out: Batch) -> Asks:
        """Take a change from the wire."""
        if self.state is State.EMPTY:
            return self._hold(delta, now, out)
        step = self._rule(self.seq, delta)
        if step is Step.NEXT:
            self.seq = delta.seq
            self.ts = delta.ts
            out.append(delta)
            return ()
        if step is Step.GAP:
            return self._broken(delta, now, out)
        if self._restarted(delta, self.ts):
            reason = f"update ids went back from {self.seq} to {delta.seq}: numbering restarted"
            self.void(reason, now, out)
            return self._hold(delta, now, out)
        return ()

    def answer(self, answer: Answer, now: Micros, out: Batch) -> Asks:
        """Take the snapshot that was asked for, or the failure."""
        self.key = ""
        problem = problem_of(answer)
        if not problem:
            try:
                snapshot = self._read(answer.body, now)
            except UNREADABLE as error:
                problem = f"it cannot be read: {error}"
        if problem:
            self._fail(problem, now, out)
        elif self.state is State.EMPTY:
            self.offer(snapshot, now, out)
        return self._ask(now)

    def may_begin_with(self, snapshot: BookSnapshot) -> bool:
        """Say, at little cost, whether `offer` may say yes: the held changes reach around it."""
        held = self._held
        if not held or self._rule(snapshot.seq, held[0]) is Step.GAP:
            return False
        return held[-1].seq == snapshot.seq or self._rule(snapshot.seq, held[-1]) is not Step.STALE

    def offer(self, snapshot: BookSnapshot, now: Micros, out: Batch) -> bool:
        """Begin with this snapshot if the held changes prove it to be in step with them."""
        held = self._held
        if not held:
            self._ahead = None if self._lenient else snapshot
            return False
        # The snapshot is older than the first change held: what lies between is not known.
        if self._rule(snapshot.seq, held[0]) is Step.GAP:
            self._ahead = None
            return False
        # Drop what the snapshot has already. Held changes are a chain, so the first that remains
        # follows the snapshot directly.
        later = [delta for delta in held if self._rule(snapshot.seq, delta) is not Step.STALE]
        if not later and held[-1].seq != snapshot.seq:
            self._ahead = None if self._lenient else snapshot
            return False
        proof = later[0] if later else held[-1]
        # Book = snapshot; then the changes in order.
        out.append(replace(snapshot, ts=proof.ts, recv=now))
        out.extend(later)
        self.state = State.LIVE
        self.seq = later[-1].seq if later else snapshot.seq
        self.ts = held[-1].ts
        self._live_at = now
        self._told = ""
        self._held = []
        self._ahead = None
        return True

    def abandon(self) -> None:
        """What was asked for will not come: the connection that asked is gone."""
        self.key = ""

    def tick(self, now: Micros, _out: Batch) -> Asks:
        return self._ask(now)

    def resync(self, reason: str, now: Micros, out: Batch) -> Asks:
        """Somebody found the book impossible."""
        self.void(reason, now, out)
        self._begun = True
        return self._ask(now)

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        """No connection carries it any more."""
        if self._lenient:
            if self.state is State.EMPTY:
                self._show(now, out)
            return
        self.void(reason, now, out)
        self._begun = False

    def left(self, by: object, reason: str, now: Micros, out: Batch) -> None:
        """This connection carries it no more."""
        self.carriers.discard(by)
        if not self.carriers:
            self.lost(reason, now, out)

    def void(self, reason: str, now: Micros, out: Batch) -> None:
        """Say that what was passed on is no book any more. Nothing was: say nothing."""
        if self.state is not State.EMPTY:
            out.append(Gap(self.ts, now, self._inst, self._channel, reason))
            self._empty(now)
        self._held = []
        self._ahead = None

    def _empty(self, now: Micros) -> None:
        if self.state is State.LIVE and now - self._live_at >= MINUTE:
            self._wait = SECOND
        self.state = State.EMPTY
        self._held = []
        self._ahead = None

    def distance(self, seq: int) -> int | None:
        """How far a snapshot's id is from the held changes; None if none is waited for."""
        if not self.key or not self._held:
            return None
        return max(0, self._held[0].first_seq - 1 - seq, seq - self._held[-1].seq)

    # --- EMPTY ---

    def _hold(self, delta: BookDelta, now: Micros, out: Batch) -> Asks:
        if self._held:
            last = self._held[-1]
            step = self._rule(last.seq, delta)
            if step is Step.STALE and not self._restarted(delta, last.ts):
                return ()
            if step is not Step.NEXT:
                self._cut(last, delta, now, out)
        self._begun = True
        self._held.append(delta)
        if len(self._held) > (MAX_HELD_LENIENT if self._lenient else MAX_HELD):
            if self._lenient:
                self._show(now, out)
                return ()
            self._held = [delta]  # a snapshot in step with what is dropped is too old anyway
        if self._ahead is not None:
            self.offer(self._ahead, now, out)
        return self._ask(now) if self.state is State.EMPTY else ()

    def _cut(self, last: BookDelta, delta: BookDelta, now: Micros, out: Batch) -> None:
        """Held changes do not reach to this one. In a recording they are shown nevertheless."""
        if self._lenient:
            self._show(now, out)
            self.state = State.EMPTY
            out.append(self._gap(last.seq, delta, now))
        self._held = []

    def _ask(self, now: Micros) -> Asks:
        if self._lenient or self.key or not self._begun or self.state is State.LIVE:
            return ()
        if self._ahead is not None or 0 < self._ready_at - now <= _LONGEST_WAIT:
            return ()
        self._ready_at = Micros(now + self._wait)
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self._serial += 1
        self.key = f"{self._channel} {self._inst} #{self._serial}"
        return (self._fetch(self.key),)

    def _fail(self, reason: str, now: Micros, out: Batch) -> None:
        if self.state is State.EMPTY and reason != self._told:
            self._told = reason
            text = f"no snapshot: {reason}"
            out.append(Gap(self.ts or now, now, self._inst, self._channel, text))

    def _show(self, now: Micros, out: Batch) -> None:
        if not self._held:
            return
        text = "no snapshot in the recording: changes are shown unproven"
        out.append(Gap(self._held[0].ts, now, self._inst, self._channel, text))
        out.extend(self._held)
        self.seq = self._held[-1].seq
        self.ts = self._held[-1].ts
        self._held = []
        self.state = State.SHOWN

    # --- LIVE ---

    def _broken(self, delta: BookDelta, now: Micros, out: Batch) -> Asks:
        out.append(self._gap(self.seq, delta, now))
        self._empty(now)
        return self._hold(delta, now, out)

    def _gap(self, seq: int, delta: BookDelta, now: Micros) -> Gap:
        first, last = seq + 1, delta.first_seq - 1
        if first > last:
            text = f"update ids went back from {seq} to {delta.seq}"
            return Gap(delta.ts, now, self._inst, self._channel, text)
        text = f"book updates {first} to {last} are missing"
        return Gap(delta.ts, now, self._inst, self._channel, text, first, last)

    def _restarted(self, delta: BookDelta, newest: Micros) -> bool:
        """Old ids whose times are far from the newest are another numbering.

        A duplicate of a second connection is as old as what it repeats. Recordings may hold
        several sessions, also in reverse; live, an older time is a slow connection.
        """
        if delta.ts > newest + _RESTARTED:
            return True
        return self._lenient and delta.ts < newest - MINUTE
