"""PushedBook: one order book whose snapshots come in the stream, not by HTTP.

    EMPTY --snapshot--> LIVE --snapshot--> LIVE (replaced)
      ^                  |  change NEXT: pass on | STALE: drop
      |                  |
      +--- GAP, resync, its connection lost: Gap; `due` says when to subscribe anew

    SHOWN: for recordings only (`lenient`). No snapshot came, so changes are passed on after a Gap
    that says they are unproven.

A book follows one connection at a time, the one that brought the last snapshot: two connections
may cut the same changes differently. A renewal's snapshot takes over; the old one is ignored.
Snapshots of one book are asked for 1, 2, 4 .. 60 s apart: subscribing costs the venue's budget.
"""

from tapewatch.model.events import Batch, BookDelta, BookSnapshot, Gap, InstrumentId, Micros
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Answer, Asks
from tapewatch.venues._book import Sequencing, State, Step

_LONGEST_WAIT = MINUTE
_FIRST_WAIT = 10 * SECOND  # for the first snapshot after subscribing


class PushedBook:
    key = ""  # of a Fetch: there is none

    def __init__(
        self, inst: InstrumentId, channel: str, rule: Sequencing, *, lenient: bool
    ) -> None:
        self.state = State.EMPTY
        self.seq = -1  # of the last change passed on
        self.ts = Micros(0)
        self.carriers: set[object] = set()  # live conversations that carry it
        self._inst = inst
        self._channel = channel
        self._rule = rule
        self._lenient = lenient
        self._leader: object = None  # the conversation it follows
        self._wait = SECOND
        self._ready_at = Micros(0)
        self._live_at = Micros(0)

    @property
    def place(self) -> int:
        """Moves with every change."""
        return self.seq

    def snapshot(self, snapshot: BookSnapshot, by: object, now: Micros, out: Batch) -> None:
        """Begin anew with this one, whatever was there."""
        out.append(snapshot)
        self.state = State.LIVE
        self.seq = snapshot.seq
        self.ts = snapshot.ts
        self._leader = by
        self._live_at = now
        self._ready_at = Micros(0)

    def take(self, delta: BookDelta, by: object, now: Micros, out: Batch) -> None:
        if self.state is State.EMPTY:
            if self._lenient:
                self._show(delta, by, now, out)
            return
        if by is not self._leader:
            return
        step = self._rule(self.seq, delta)
        if step is Step.NEXT:
            self.seq = delta.seq
            self.ts = delta.ts
            out.append(delta)
        elif step is Step.GAP:
            self.void(f"book update {delta.seq} does not follow {self.seq}", now, out)
            if self._lenient:
                self._show(delta, by, now, out)

    def due(self, by: object, now: Micros) -> bool:
        """Say whether `by` should subscribe anew now to get a snapshot."""
        if self._lenient or self.state is not State.EMPTY or by not in self.carriers:
            return False
        if not self._ready_at:
            self._ready_at = Micros(now + (_FIRST_WAIT if self._leader is None else 0))
        # A clock that was set back must not make the wait longer than it was meant to be.
        if 0 < self._ready_at - now <= _LONGEST_WAIT:
            return False
        self._ready_at = Micros(now + self._wait)
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        return True

    def resync(self, reason: str, now: Micros, out: Batch) -> Asks:
        """Somebody found the book impossible."""
        self.void(reason, now, out)
        return ()

    def void(self, reason: str, now: Micros, out: Batch) -> None:
        """Say that what was passed on is no book any more. Nothing was: say nothing."""
        if self.state is State.EMPTY:
            return
        out.append(Gap(self.ts, now, self._inst, self._channel, reason))
        if now - self._live_at >= MINUTE:
            self._wait = SECOND
        self.state = State.EMPTY
        self._ready_at = Micros(0)

    def broken(self, by: object, reason: str, now: Micros, out: Batch) -> None:
        """This connection has lost a change; it matters if the book follows it."""
        if by is self._leader:
            self.void(reason, now, out)

    def left(self, by: object, reason: str, now: Micros, out: Batch) -> None:
        """This connection carries it no more. Others that do subscribe anew when it led."""
        self.carriers.discard(by)
        if self._lenient:
            return
        if by is self._leader or not self.carriers:
            self.void(reason, now, out)
        if not self.carriers:
            self._leader = None

    def answer(self, _answer: Answer, _now: Micros, _out: Batch) -> Asks:
        return ()

    def abandon(self) -> None:
        """Nothing is ever asked for by HTTP."""

    def tick(self, _now: Micros, _out: Batch) -> Asks:
        return ()

    def _show(self, delta: BookDelta, by: object, now: Micros, out: Batch) -> None:
        text = "no snapshot in the recording: changes are shown unproven"
        out.append(Gap(delta.ts, now, self._inst, self._channel, text))
        out.append(delta)
        self.state = State.SHOWN
        self.seq, self.ts = delta.seq, delta.ts
        self._leader = by
