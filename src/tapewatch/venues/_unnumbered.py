"""Unnumbered: trades whose ids prove nothing, passed on once each, joined again after each cut.

A venue that numbers its trades without order, or with holes, shows no loss by ids. What is left:
one connection brings everything in order while it lives, and the venue gives its newest trades by
HTTP. So a loss can only be where connections change, and there it is looked for.

    JOINED ──its last connection is lost──> CUT ──carried again──> pages of the newest trades
      ^                                      |                       | a page overlaps what we had
      |     live trades wait (hold) <────────+                       |   and the new connection:
      +── nothing is missing: in order, no Gap <─────────────────────+   nothing is missing
      +── no overlap, no answer, or the hold is over: Gap; what can be had comes late

A connection is *joined* when it and what we had share a trade: from there on it brings all. The
overlap of a renewal shows this without HTTP. A quiet stream is joined by a page that was asked for
long enough (QUIET) after it was carried. Each minute (CHECK), and each half page of trades, a page
is compared with what was passed on: what a living connection lost comes late then, if the venue
still has it. There is no `Coverage`: nothing vouches for ids that have no order, so candles stay PARTIAL.
"""

import zlib
from collections.abc import Callable, Sequence
from operator import attrgetter

from msgspec import Struct

from tapewatch.model.events import Batch, Gap, InstrumentId, Micros, Trade
from tapewatch.model.times import MINUTE, SECOND, iso
from tapewatch.ports import Answer, Asks, Fetch
from tapewatch.venues._answers import UNREADABLE, may_pass, problem_of
from tapewatch.venues._trades import RETRY_SECS

QUIET = 3 * SECOND  # what is asked so long after a stream began has all that was before it
_BETWEEN = SECOND // 2  # pages of one cut are asked for so far apart
CHECK = MINUTE
_SOONEST = 3 * SECOND  # between two checks, however much is traded
# Ids are forgotten by generations, so that the newest 2,000 at least are known: more than a page
# has, and at the busiest times a minute of them.
GENERATION, LARGEST_GENERATION = 2_000, 50_000
MAX_HELD = 20_000
_MAX_STRANGE = 20_000
_FOREVER = 1 << 62

_BEGIN = "the stream begins: what was traded before cannot be known by its ids"
_time = attrgetter("ts")


class Recent(Struct, frozen=True):
    """How a venue gives its newest trades again."""

    page: int  # rows in one answer
    fetch: Callable[[str], Fetch]  # of this key
    # Oldest first, marked repaired. Raises a ValueError.
    rows: Callable[[bytes, Micros], Sequence[Trade]]


class _Cut(Struct):
    """Nothing joins what comes to what came before."""

    reason: str
    bank: Micros  # time of the newest trade before it, or of those joined to it since
    begun: Micros = Micros(0)  # carried again since
    until: Micros = Micros(0)  # live trades wait until then; 0: none came yet
    met: bool = False  # a page was joined to the bank
    said: bool = False  # in a Gap


class _Doubt(Struct, frozen=True):
    """A connection was subscribed anew: it may have lost something in between."""

    reason: str
    bank: Micros  # time of the newest trade before it
    begun: Micros


class Unnumbered:
    def __init__(
        self,
        inst: InstrumentId,
        channel: str,
        recent: Recent,
        *,
        hold: Micros,
        lenient: bool,
    ) -> None:
        self.key = ""  # of the Fetch under way
        self.ts = Micros(0)  # of the newest trade that was passed on
        self._bank = Micros(0)  # of the newest one that a joined connection brought
        self.carriers: set[object] = set()  # live conversations that carry it
        self._joined: set[object] = set()  # of these the ones that bring all since the last trade
        self._inst = inst
        self._channel = channel
        self._recent = recent
        self._hold = hold
        self._lenient = lenient
        self._new: set[str] = set()  # ids, two generations
        self._old: set[str] = set()
        self._since = Micros(0)  # what is newer is known by id, if we had it
        self._next_since = Micros(0)
        self._strange: dict[str, object] = {}  # ids, and who brought them without being joined
        self._cut: _Cut | None = None
        self._doubt: _Doubt | None = None
        self._held: list[Trade] = []
        self._serial = 0
        self._failures = 0  # in a row
        self._asked_at = Micros(0)
        self._unchecked = 0  # trades since then
        self._again_at = Micros(0)
        self._pause = 0
        # Not all streams at the same moment.
        self._stagger = Micros(zlib.crc32(inst.encode()) % CHECK)

    @property
    def place(self) -> int:
        """Moves with every message."""
        return self.ts + len(self._held)

    def take(self, trades: Sequence[Trade], by: object, recv: Micros, out: Batch) -> Asks:
        """Take what one frame brought, oldest first."""
        if not trades:
            return ()
        now = recv or trades[-1].ts  # a recording without receive times
        if by not in self._joined and self._cut is None and not self._joined:
            self._begin(by, trades[0].ts, now, out)
        if self._strange or by not in self._joined:
            self._meet(trades, by, out)
        fresh = self._unseen(trades)
        if not fresh:
            return ()
        self._unchecked += len(fresh)
        if by in self._joined:
            self._bank = fresh[-1].ts
        elif len(self._strange) < _MAX_STRANGE:
            self._strange.update((trade.id, by) for trade in fresh)
        self._pass_on(fresh, now, out)
        return ()

    def answer(self, answer: Answer, now: Micros, out: Batch) -> Asks:
        """Take the page that was asked for, or its failure."""
        self.key = ""
        try:
            problem = problem_of(answer)
            rows = () if problem else self._recent.rows(answer.body, now)
        except UNREADABLE as error:
            problem, rows = f"the list of recent trades cannot be read: {error}", ()
        if not problem:
            self._failures = 0
            self._take_page(rows, now, out)
        elif may_pass(answer) and self._failures < len(RETRY_SECS):
            self._wait(RETRY_SECS[self._failures] * SECOND, now)
            self._failures += 1
        else:
            self._failures = 0
            self._give_up(problem, now, out)
        return ()

    def abandon(self) -> None:
        """What was asked for will not come: the connection that asked is gone."""
        self.key = ""

    def tick(self, now: Micros, out: Batch) -> Asks:
        """Let the hold end; ask for what joins a cut, or for a page to compare with."""
        if self._lenient or not self.carriers:
            return ()
        cut = self._cut
        if cut is None:
            if not self._joined:
                self._begin(None, now, now, out)
            return self._check(now)
        if not 0 < cut.begun <= now:  # a clock that was set back counts anew
            cut.begun = now
        if cut.until and not 0 < cut.until - now <= self._hold:
            self._end_hold(cut, now, out)
        # A page and nothing live: only one that is asked for later says more.
        is_quiet = cut.met and not self._strange and 0 <= now - cut.begun < QUIET
        return () if is_quiet else self._ask(now)

    def left(self, by: object, reason: str, now: Micros, out: Batch) -> None:
        """This connection carries it no more."""
        self.carriers.discard(by)
        was_joined = by in self._joined
        self._joined.discard(by)
        if self._lenient or not self.ts:  # nothing came yet: the stream begins anew
            return
        if was_joined and not self._joined:
            if self._doubt is not None:
                self._settle(f"{self._doubt.reason}; {reason}", now, out)
            self._cut = _Cut(reason, self._bank)
        elif self._cut is not None and not self.carriers:
            self._leave_open(self._cut, reason, now, out)

    def doubt(self, reason: str, now: Micros) -> None:
        """A connection subscribes anew. A page shows later whether something fell in between."""
        if self._cut is None and self._doubt is None and self.ts:
            self._doubt = _Doubt(reason, self.ts, now)

    def held_since(self) -> Micros | None:
        """Event time up to which all is passed on; None when nothing is held.

        After a cut nobody may say that nothing happened, until the pages are there; but neither a
        venue without answers nor a connection that is still down may stop the time of all others.
        """
        cut = self._cut
        if self._held:
            return min(self.ts, self._held[0].ts)
        if cut is None or cut.said or self._failures or not cut.begun:
            return None
        return self.ts

    # --- live trades ---

    def _begin(self, by: object, ts: Micros, now: Micros, out: Batch) -> None:
        if not self._lenient:
            out.append(Gap(ts, now, self._inst, self._channel, _BEGIN))
        self._joined = set(self.carriers) if by is None else {by}

    def _meet(self, trades: Sequence[Trade], by: object, out: Batch) -> None:
        """See whether this frame shares a trade with what another connection or a page brought."""
        is_joined = by in self._joined
        for trade in trades:
            whose = self._strange.get(trade.id)
            if is_joined and whose in self.carriers:
                self._joined.add(whose)
            elif not is_joined and self._is_met() and self._brought(trade.id, whose):
                self._joined.add(by)
        if by in self._joined and self.carriers <= self._joined:
            self._strange.clear()
        if self._joined and self._cut is not None:
            self._close(out)

    def _is_met(self) -> bool:
        """After a loss of all connections only a page can have brought what we share."""
        return self._cut is None or self._cut.met

    def _brought(self, trade_id: str, whose: object) -> bool:
        """Say whether a joined connection or a page brought this one. `whose`: by `_strange`."""
        return (whose is None or whose in self._joined) and self._knows(trade_id)

    def _knows(self, trade_id: str) -> bool:
        return trade_id in self._new or trade_id in self._old

    def _unseen(self, trades: Sequence[Trade]) -> list[Trade]:
        """Note the ids; give those that are new."""
        new, old = self._new, self._old
        fresh = []
        for trade in trades:
            trade_id = trade.id
            if trade_id not in new and trade_id not in old:
                new.add(trade_id)
                fresh.append(trade)
        if len(new) >= GENERATION and fresh:
            self._forget(fresh[-1].ts)
        elif not self._since and fresh:
            self._since = self._next_since = fresh[0].ts
        return fresh

    def _forget(self, ts: Micros) -> None:
        is_old = not 0 <= ts - self._next_since < MINUTE // 2
        if is_old or len(self._new) >= LARGEST_GENERATION:
            self._old, self._new = self._new, set()
            self._since, self._next_since = self._next_since, ts

    def _pass_on(self, trades: list[Trade], now: Micros, out: Batch) -> None:
        cut = self._cut
        if cut is None or (cut.said and not self._held):
            out.extend(trades)
            self.ts = max(self.ts, trades[-1].ts)
            return
        self._held.extend(trades)
        cut.until = cut.until or Micros(now + self._hold)
        if len(self._held) >= MAX_HELD:
            self._end_hold(cut, now, out)

    def _end_hold(self, cut: _Cut, now: Micros, out: Batch) -> None:
        if self._held and not cut.said:
            self._say(cut, f"{cut.reason}; trades since then are asked for", now, out)
        self._release(out)

    def _release(self, out: Batch) -> None:
        self._held.sort(key=_time)
        out.extend(self._held)
        if self._held:
            self.ts = max(self.ts, self._held[-1].ts)
        self._held.clear()

    # --- cuts ---

    def _join(self, cut: _Cut, rows: Sequence[Trade], now: Micros, out: Batch) -> None:
        """Lay a page over the cut."""
        ids = [row.id for row in rows]
        known = any(self._knows(each) and each not in self._strange for each in ids)
        if not known and not (rows and rows[0].ts < cut.bank):
            self._say(cut, f"{cut.reason}; {_begins(rows)}", now, out)
        cut.met = True
        self._wait(_BETWEEN, now)
        met = {whose for each in ids if (whose := self._strange.get(each)) in self.carriers}
        if cut.begun and self._asked_at - cut.begun >= QUIET:
            met.update(self.carriers)
        fresh = self._unseen([row for row in rows if row.ts > self._since])
        if fresh:
            cut.bank = max(cut.bank, fresh[-1].ts)
        if met:
            self._joined.update(met)
            self._held.extend(fresh)
            self._close(out)
        elif fresh:  # before all live trades that wait
            out.extend(fresh)
            self.ts = max(self.ts, fresh[-1].ts)

    def _leave_open(self, cut: _Cut, reason: str, now: Micros, out: Batch) -> None:
        """The connection that could have ended the cut is gone too."""
        if self._strange:  # what it brought lies between two cuts
            if not cut.said:
                self._say(cut, cut.reason, now, out)
            self._release(out)
            self._strange.clear()
            self._cut = _Cut(reason, self.ts)
        elif cut.met:
            self._cut = _Cut(reason, cut.bank)
        else:
            cut.begun = cut.until = Micros(0)

    def _close(self, out: Batch) -> None:
        """Go on from here: everything is joined, or a Gap has said that it is not."""
        self._cut = None
        self._joined = self._joined or set(self.carriers)
        if self.carriers <= self._joined:
            self._strange.clear()
        self._release(out)
        self._bank = self.ts

    def _say(self, cut: _Cut, reason: str, now: Micros, out: Batch) -> None:
        cut.said = True
        out.append(Gap(cut.bank, now, self._inst, self._channel, reason))

    # --- pages ---

    def _check(self, now: Micros) -> Asks:
        """Compare with the venue's list now and then."""
        if self._doubt is not None:
            return () if 0 <= now - self._doubt.begun < QUIET else self._ask(now)
        pause = _SOONEST if self._unchecked >= self._recent.page // 2 else CHECK
        if not self.ts or 0 <= now - self._asked_at < pause:
            return ()
        if not self._asked_at and pause == CHECK:
            self._asked_at = Micros(now - self._stagger)
            return ()
        return self._ask(now)

    def _take_page(self, rows: Sequence[Trade], now: Micros, out: Batch) -> None:
        if self._cut is not None:
            self._join(self._cut, rows, now, out)
            return
        doubt = self._doubt
        is_late = doubt is not None and self._asked_at - doubt.begun >= QUIET
        if doubt is not None and is_late:
            if not (rows and rows[0].ts <= doubt.bank):
                self._settle(f"{doubt.reason}; {_begins(rows)}", now, out)
            self._doubt = None
        self._compare(rows, Micros(_FOREVER) if is_late else self.ts, now, out)

    def _give_up(self, problem: str, now: Micros, out: Batch) -> None:
        if self._cut is not None:
            self._say(self._cut, f"{self._cut.reason}; {problem}", now, out)
            self._close(out)
        elif self._doubt is not None:
            self._settle(f"{self._doubt.reason}; {problem}", now, out)

    def _settle(self, reason: str, now: Micros, out: Batch) -> None:
        """End the doubt with a Gap."""
        if self._doubt is not None:
            out.append(Gap(self._doubt.bank, now, self._inst, self._channel, reason))
            self._doubt = None

    def _compare(self, rows: Sequence[Trade], until: Micros, now: Micros, out: Batch) -> None:
        """Pass on what a living connection did not bring. Newer trades are still on their way."""
        between = [row for row in rows if self._since < row.ts < until]
        fresh = self._unseen(between)
        if fresh:
            self._pass_on(fresh, now, out)

    def _ask(self, now: Micros) -> Asks:
        if self.key or 0 < self._again_at - now <= self._pause:
            return ()
        self._asked_at = now
        self._unchecked = 0
        self._serial += 1
        self.key = f"{self._channel} {self._inst} #{self._serial}"
        return (self._recent.fetch(self.key),)

    def _wait(self, micros: int, now: Micros) -> None:
        self._pause = micros
        self._again_at = Micros(now + micros)


def _begins(rows: Sequence[Trade]) -> str:
    if not rows:
        return "the venue's list of recent trades is empty"
    return f"the venue's list of {len(rows)} recent trades begins only at {iso(rows[0].ts)}"
