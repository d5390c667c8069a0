"""TradeChain: one numbered stream of trades, passed on in order, each id once, each id accounted.

    next id            -> passed on
    id seen before     -> dropped (a renewal overlaps two connections)
    jump of ids        -> a Hole: Coverage(MISSING), a Fetch, and later trades wait for it

    Hole:  WAITING --rows in time--> trades in order, Coverage(REPAIRED), no Gap
              | hold over: Gap          | no hope: Gap, Coverage(LOST)
              v
           LATE --rows--> trades after their time, Coverage(REPAIRED)
              | no hope: Coverage(LOST)

Each id passed on or given up is told in exactly one Coverage of HAVE, REPAIRED or LOST. Only an
outage that is too long to repair stays MISSING. It knows no venue: the venue gives `History`.
It outlives connections, so an outage is a jump like any other.

Where ids count single fills and a live trade may be many of them (`History.spans`), a trade has
`count` ids, from the one it is taken with. One of which some ids were told already is dropped:
its other ids are missing, and come as single fills.

Some venues number what is no trade of the market (`History.blanks`). Such an id is in hand, and
nothing is passed on for it: its Coverage says that there are ids without a trade.
"""

from collections.abc import Callable, Sequence
from itertools import chain

from msgspec import Struct

from tapewatch.model.events import (
    Batch,
    Coverage,
    Gap,
    Holding,
    InstrumentId,
    Micros,
    Side,
    Trade,
)
from tapewatch.model.times import SECOND
from tapewatch.ports import Answer, Asks, Fetch
from tapewatch.venues._answers import UNREADABLE, may_pass, problem_of
from tapewatch.venues._holes import Hole, pieces, remove

# Ids further back than this are no duplicates: two connections are never so far apart.
RECENT_IDS = 100_000
MAX_HELD = 20_000  # live trades that wait; beyond it they flow on and the hole is said
MAX_HOLES = 1_000
SHORT_PAGES = 3  # a page that ends too early is asked again so often: replicas lag a little
# After a failure that may pass (no network, 5xx, a page of HTML) the next try comes so much later;
# each failure has had the tries of the HTTP layer before. A minute of trouble is ridden out.
RETRY_SECS = (2, 4, 8, 16, 32)
_COVER_EVERY = SECOND
_PROMISED = SECOND  # a trade may be so much later than a message that speaks of it
QUIET = 5 * SECOND  # a stream that says nothing for so long after an outage has nothing to say


class History(Struct, frozen=True):
    """How a venue gives trades again."""

    page: int  # rows in one answer at most
    fetch: Callable[[str, int, int], Fetch]  # key, first id, how many
    rows: Callable[[bytes, Micros, bool], Sequence[tuple[int, Trade]]]  # body, recv, echo
    spans: bool = False  # a trade has as many ids as it has fills
    blanks: str = ""  # which ids have no trade, in words; empty: each has one


class _Asked(Struct, frozen=True):
    key: str
    first: int
    last: int  # of the hole
    count: int


def blank(number: int, ts: Micros, recv: Micros, inst: InstrumentId, *, repaired: bool) -> Trade:
    """Stand in for an id to which there is no trade; size 0, never passed on."""
    return Trade(ts, recv, inst, str(number), Side.BUY, 0.0, 0.0, repaired=repaired)


class TradeChain:
    def __init__(
        self,
        inst: InstrumentId,
        channel: str,
        history: History,
        *,
        resume: int | None,
        hold: Micros,
        repair_max_ids: int,
        lenient: bool,
    ) -> None:
        self.next = -1 if resume is None else resume + 1  # the id to be passed on next
        self.holes: list[Hole] = []  # waiting, ascending; while there is one, trades are held
        self.ts = Micros(0)  # of the newest trade seen
        self.echo = False  # another channel tells the same fills
        self.carriers: set[object] = set()  # live conversations that have brought trades
        self._inst = inst
        self._channel = channel
        self._history = history
        self._hold = hold
        self._repair_max_ids = repair_max_ids
        self._lenient = lenient
        self._mark = self.next  # from here to `next` all ids are in hand, not yet told
        self._held: dict[int, Trade] = {}
        self._top = self.next  # one above the highest id; in use while trades are held or missing
        self._late: list[Hole] = []  # said in a Gap, still hoped for; all below `next`
        self._run: Coverage | None = None  # ids outside the order, not yet told
        self._asked: _Asked | None = None
        self._serial = 0
        self._short_pages = 0
        self._failures = 0  # in a row
        self._cut_at = None if resume is None else self.next  # the outage since is not seen yet
        self._quiet_until = Micros(0)
        self._again_at = Micros(0)
        self._pause_length = 0
        self._covered_at = Micros(0)
        self._promised = -1  # the venue says that it has traded up to this id
        self._promised_at = Micros(0)

    @property
    def key(self) -> str:
        """Of the Fetch under way; empty if there is none."""
        return self._asked.key if self._asked is not None else ""

    @property
    def place(self) -> int:
        """Moves with every new id."""
        return self.next + self._top

    def take(self, number: int, trade: Trade, recv: Micros, out: Batch) -> Asks:
        """Take a live trade by its first id.

        When it is `next` and nothing waits, the caller may pass it on.
        """
        now = recv or trade.ts  # a recording without receive times
        if self.next < 0:
            self.next = self._mark = number
        top = self._above()
        if number >= top:
            self._append(top, number, trade, now, out)
        elif top - RECENT_IDS < number < top < number + self._size(trade):
            self._open(top, number + self._size(trade) - 1, trade.ts, now, out)
            self._top = number + self._size(trade)
        elif not self._fill(number, trade, out):
            if not self._restarted(number, trade):
                return ()
            self._restart(number, trade, now, out)
        self.ts = max(self.ts, trade.ts)
        self._release(now, out)
        return self._ask(now)

    def skip(self, number: int, ts: Micros, recv: Micros, out: Batch) -> Asks:
        """Take an id to which there is no trade of the market."""
        return self.take(number, blank(number, ts, recv, self._inst, repaired=False), recv, out)

    def promise(self, last: int, now: Micros) -> bool:
        """Hear from the venue up to which id it has traded; what does not come is asked for.

        Trades may be a moment behind such a message. False: some of them are still to come.
        """
        if self.next < 0:
            self.next = self._mark = last + 1  # what was before us is not ours
        if last < self._above():
            if last == self.next - 1:
                self._cut_at = None  # the outage cost nothing
            return not self.holes
        if self._promised < self._above():
            self._promised, self._promised_at = last, now
        return False

    def answer(self, answer: Answer, now: Micros, out: Batch) -> Asks:
        """Take the page that was asked for, or its failure."""
        asked, self._asked = self._asked, None
        if asked is None:
            return ()
        try:
            problem = problem_of(answer)
            rows = () if problem else self._history.rows(answer.body, now, self.echo)
        except UNREADABLE as error:
            problem, rows = f"the venue's history cannot be read: {error}", ()
        if not problem:
            self._failures = 0
            self._take_rows(asked, rows, now, out)
        elif may_pass(answer) and self._failures < len(RETRY_SECS):
            self._pause(RETRY_SECS[self._failures], now)
            self._failures += 1
        else:
            self._failures = 0
            self._give_up(asked.first, asked.last, problem, now, out)
        self._release(now, out)
        self._tell_run(out)
        return self._ask(now)

    def abandon(self) -> None:
        """What was asked for will not come: the connection that asked is gone."""
        self._asked = None

    def tick(self, now: Micros, out: Batch) -> Asks:
        """Let holds end, tell what is in hand about once a second, ask for what is missing."""
        if self._cut_at == self.next:
            self._quiet_until = self._quiet_until or Micros(now + QUIET)
            if not 0 < self._quiet_until - now <= QUIET:
                self._cut_at = None
        self._doubt(now, out)
        self._release(now, out)
        if not 0 <= now - self._covered_at < _COVER_EVERY:
            self._covered_at = now
            self._tell(now, out)
        return self._ask(now)

    def lost(self, _reason: str, now: Micros, out: Batch) -> None:
        """No connection carries it any more: nothing may wait for a repair."""
        for hole in self.holes:
            hole.until = Micros(0)
        self._release(now, out)
        self._tell(now, out)
        self._cut_at = self.next if self.next >= 0 else None
        self._quiet_until = Micros(0)

    def left(self, by: object, reason: str, now: Micros, out: Batch) -> None:
        """This connection carries it no more."""
        self.carriers.discard(by)
        if not self.carriers:
            self.lost(reason, now, out)

    def held_since(self) -> Micros | None:
        """Event time up to which all is passed on; None when nothing is held.

        After an outage the next trade shows whether some are missing. Until then nobody may say
        that nothing happened; but neither a quiet stream nor one whose connection is still down
        may stop the time of a whole venue.
        """
        if self.holes:
            return self.holes[0].since
        if self._promised >= max(0, self.next):
            return self.ts
        return self.ts if self._quiet_until and self._cut_at == self.next else None

    def waits_for(self, first: int) -> bool:
        """Say whether a page that begins with this id would answer what was asked."""
        return self._asked is not None and self._asked.first <= first <= self._asked.last

    def _above(self) -> int:
        """One above the highest id that is passed on, held or waited for."""
        return self._top if self._held or self.holes else self.next

    # --- live trades ---

    def _append(self, top: int, number: int, trade: Trade, now: Micros, out: Batch) -> None:
        if number > top:
            self._open(top, number - 1, trade.ts, now, out)
        self._held[number] = trade
        self._top = number + self._size(trade)

    def _size(self, trade: Trade) -> int:
        return trade.count if self._history.spans else 1

    def _open(self, first: int, last: int, ts: Micros, now: Micros, out: Batch) -> None:
        above = len(self.holes) + len(self._late) - MAX_HOLES + 1  # a late trade may part one
        for oldest in [*self._late, *self.holes][: max(0, above)]:
            self._give_up(oldest.first, oldest.last, "too many holes at once", now, out)
        hole = Hole(first, last, self.ts, ts, Micros(now + self._hold), repair=True)
        reason = ""
        if self._lenient:
            hole.repair, hole.lost = False, "missing in the recording"
        elif last - first >= self._repair_max_ids:
            hole.repair, hole.until = False, now
            reason = f"outage longer than repair_max_ids ({self._repair_max_ids}); run a backfill"
        out.append(self._coverage(Holding.MISSING, first, last, now, reason))
        self.holes.append(hole)

    def _doubt(self, now: Micros, out: Batch) -> None:
        """What was promised and did not come is a hole above the newest trade."""
        above = self._above()
        if self._promised < max(0, above) or 0 <= now - self._promised_at < _PROMISED:
            return
        self._open(above, self._promised, self.ts or now, now, out)
        self._top = self._promised + 1

    def _restarted(self, number: int, trade: Trade) -> bool:
        """Low ids are duplicates unless they are very low, or newer than all that was seen."""
        return self.next - number > RECENT_IDS or trade.ts > self.ts + SECOND

    def _restart(self, number: int, trade: Trade, now: Micros, out: Batch) -> None:
        before = self._above() - 1
        reason = f"the venue restarted its numbering: trade id {number} after {before}"
        for hole in self.holes:
            hole.repair, hole.until, hole.lost = False, Micros(0), hole.lost or reason
        self._release(now, out)
        self._tell(now, out)
        for hole in self._late:
            out.append(self._coverage(Holding.LOST, hole.first, hole.last, now, reason))
        self._late.clear()
        self._asked = None
        self._promised = -1
        out.append(Gap(trade.ts, now, self._inst, self._channel, reason))
        self.ts = trade.ts
        self.next = self._mark = number
        self._held[number] = trade
        self._top = number + self._size(trade)

    def _fill(self, number: int, trade: Trade, out: Batch) -> bool:
        """Put a trade where it is missing. False: it is missing nowhere."""
        if remove(self.holes, number, self._size(trade)):
            self._held[number] = trade
            return True
        if remove(self._late, number, self._size(trade)):
            if trade.size:
                out.append(trade)
            self._note(Holding.REPAIRED if trade.repaired else Holding.HAVE, number, trade, out)
            return True
        return False

    def _release(self, now: Micros, out: Batch) -> None:
        """Pass on what is in order, up to a hole that may still be repaired in time."""
        while self._held or self.holes:
            trade = self._held.pop(self.next, None)
            if trade is not None:
                self._pass_on(trade, now, out)
                continue
            hole = self.holes[0]
            if self._waits(hole, now):
                return
            self._say(self.holes.pop(0), now, out)

    def _waits(self, hole: Hole, now: Micros) -> bool:
        # The upper bound ends the wait when the clock jumped back.
        return 0 < hole.until - now <= self._hold and len(self._held) < MAX_HELD

    def _pass_on(self, trade: Trade, now: Micros, out: Batch) -> None:
        if trade.repaired:
            self._tell_have(now, out)
            self._note(Holding.REPAIRED, self.next, trade, out)
            self._mark = self.next + self._size(trade)
        if trade.size:
            out.append(trade)
        self.next += self._size(trade)

    def _say(self, hole: Hole, now: Micros, out: Batch) -> None:
        self._tell(now, out)
        ids = f"trade ids {hole.first} to {hole.last} are missing"
        reason = f"{ids}: {hole.lost}" if hole.lost else ids
        gap = Gap(hole.ts, now, self._inst, self._channel, reason, hole.first, hole.last)
        out.append(gap)
        self.next = self._mark = hole.last + 1
        if hole.lost:
            out.append(self._coverage(Holding.LOST, hole.first, hole.last, now, hole.lost))
        elif hole.repair:
            self._late.append(hole)

    # --- repair ---

    def _ask(self, now: Micros) -> Asks:
        """Ask for one page: what live trades wait for comes first."""
        # A clock that was set back must not make the pause longer than it was meant to be.
        if self._asked is not None or 0 < self._again_at - now <= self._pause_length:
            return ()
        hole = next((h for h in chain(self.holes, self._late) if h.repair), None)
        if hole is None:
            return ()
        last = (self.holes or self._late)[-1].last
        count = min(self._history.page, last - hole.first + 1)
        self._serial += 1
        key = f"{self._channel} {self._inst} {hole.first} #{self._serial}"
        self._asked = _Asked(key, hole.first, hole.last, count)
        return (self._history.fetch(key, hole.first, count),)

    def _pause(self, secs: int, now: Micros) -> None:
        self._pause_length = secs * SECOND
        self._again_at = Micros(now + self._pause_length)

    def _take_rows(
        self, asked: _Asked, rows: Sequence[tuple[int, Trade]], now: Micros, out: Batch
    ) -> None:
        # A venue that pages from newer to older may give what lies below: that proves nothing.
        rows = [row for row in rows if row[0] >= asked.first]
        through = asked.first - 1
        for number, trade in rows:
            self._fill(number, trade, out)
            through = max(through, number)
        # A page without rows for `first` and beyond proves nothing about later ids.
        if through >= asked.first:
            reason = "the venue's history does not have them"
            self._give_up(asked.first, through, reason, now, out)
        end = min(asked.last, asked.first + asked.count - 1)
        if len(rows) >= asked.count or through >= end:
            self._short_pages = 0
            return
        self._short_pages += 1
        self._pause(1, now)
        if self._short_pages >= SHORT_PAGES:
            self._short_pages = 0
            # Of what lies behind the page nothing is known: some venues page from newer to older.
            self._give_up(asked.first, end, "the venue's history does not have them", now, out)

    def _give_up(self, first: int, last: int, reason: str, now: Micros, out: Batch) -> None:
        """No hope for what is still missing of these ids."""
        for hole in pieces(self._late, first, last):
            self._late.remove(hole)
            out.append(self._coverage(Holding.LOST, hole.first, hole.last, now, reason))
        for hole in pieces(self.holes, first, last):
            if hole.repair:
                hole.repair, hole.until, hole.lost = False, Micros(0), reason

    # --- the ledger ---

    def _note(self, holding: Holding, number: int, trade: Trade, out: Batch) -> None:
        run = self._run
        if run is not None and run.holding is holding and run.last + 1 == number:
            first = run.first
        else:
            self._tell_run(out)
            first = number
        last = number + self._size(trade) - 1
        self._run = self._coverage(holding, first, last, trade.recv, self._history.blanks)

    def _tell(self, now: Micros, out: Batch) -> None:
        self._tell_have(now, out)
        self._tell_run(out)

    def _tell_have(self, now: Micros, out: Batch) -> None:
        if self._mark < self.next:
            last, blanks = self.next - 1, self._history.blanks
            out.append(self._coverage(Holding.HAVE, self._mark, last, now, blanks))
            self._mark = self.next

    def _tell_run(self, out: Batch) -> None:
        if self._run is not None:
            out.append(self._run)
            self._run = None

    def _coverage(
        self, holding: Holding, first: int, last: int, now: Micros, reason: str = ""
    ) -> Coverage:
        ts = self.ts or now
        return Coverage(ts, now, self._inst, self._channel, first, last, holding, reason)
