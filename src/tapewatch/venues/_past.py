"""A venue's past, page by page: what to ask for next, and what an answer brought.

    trades    find the first id at or after `since` ──> pages of ids upwards ──> `until`
              by time, or by halving the ids where a venue cannot be asked by time
    candles   windows of as many bars as one answer holds, upwards

A walk keeps no state: where it is stands in the cursor, a short text, so that another process can
go on with it after a kill. A venue's own file says how its pages are asked for and read. A Dialect
whose past can be had has an attribute `past`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from tapewatch.model.events import Batch, Candle, Coverage, Holding, InstrumentId, Micros, Trade
from tapewatch.model.instrument import Instrument
from tapewatch.model.times import Interval, iso
from tapewatch.ports import Fetch
from tapewatch.venues._trades import History

_KEY = "past"  # of every Fetch: one is under way at a time
_FROM, _BETWEEN = "from", "between"
_LOST = "the venue gives no such trade"

Rows = Sequence[tuple[int, Trade]]


class Part(Struct, frozen=True):
    """What is wanted of the past of one instrument: `[since, until)`."""

    instrument: Instrument
    since: Micros
    until: Micros
    now: Micros  # some venues keep their past for some days only

    @property
    def inst(self) -> InstrumentId:
        return self.instrument.id


class Page(Struct, frozen=True):
    """What one answer brought."""

    events: Batch  # ascending; of numbered trades with the Coverage of their ids behind them
    cursor: str  # where to go on; empty: that was all
    reached: Micros  # nothing more will come of what lies before, as far as this page knows
    absent: str = ""  # what of the part cannot be had, in words


class Walk(Protocol):
    """A way through a part of the past. An empty cursor is its beginning."""

    def ask(self, cursor: str) -> Fetch: ...

    def read(self, cursor: str, body: bytes, recv: Micros) -> Page:
        """Read what `ask` asked for. Raises anything on a body that is not that."""
        ...


class Past(Protocol):
    """What a Dialect has as `past`."""

    channels: tuple[str, ...]  # whose trades can be had, the finest first; the last is the usual
    no_trades: str  # why, if there are no channels
    finer: tuple[str, ...]  # beside which, if they are stored, ours only tell the same again
    intervals: tuple[str, ...]  # of candles
    spans: bool  # a stored trade may have as many ids as it has fills

    def trades(self, part: Part, channel: str, *, echo: bool) -> Walk:
        """Only where there are channels."""
        ...

    def candles(self, part: Part, interval: Interval) -> Walk: ...


class Found(Struct, frozen=True):
    """How far the search for the first id is."""

    cursor: str = ""  # where to search on
    first: int | None = None  # the answer; None with an empty cursor: no trade in the part
    newest: int | None = None  # the highest id that there is, if the search has met it
    absent: str = ""


class Seek(Protocol):
    """Finds the first id at or after `since`."""

    def ask(self, cursor: str) -> Fetch: ...

    def read(self, cursor: str, body: bytes, recv: Micros) -> Found: ...


class ByTime(Struct, frozen=True):
    """The venue can be asked for the first trade of a stretch of time. Its cursor is a time."""

    since: Micros
    until: Micros
    step: Micros  # the longest stretch that may be asked for
    fetch: Callable[[str, Micros, Micros], Fetch]  # key, from, up to and not including
    first: Callable[[bytes], int | None]
    absent: str = ""  # known before anything is asked

    def ask(self, cursor: str) -> Fetch:
        return self.fetch(_KEY, *self._stretch(cursor))

    def read(self, cursor: str, body: bytes, recv: Micros) -> Found:  # noqa: ARG002 - as Seek has it
        found = self.first(body)
        absent = "" if cursor else self.absent
        if found is not None:
            return Found(first=found, absent=absent)
        _, end = self._stretch(cursor)
        return Found(cursor=str(end) if end < self.until else "", absent=absent)

    def _stretch(self, cursor: str) -> tuple[Micros, Micros]:
        since = Micros(int(cursor)) if cursor else self.since
        return since, Micros(min(since + self.step, self.until))


class ByHalving(Struct, frozen=True):
    """Ids ascend with time and have no holes to speak of, so some thirty pages find any time.

    Cursor: `between LOW HIGH NEWEST OLDER`. The first id that we want is LOW at least and HIGH at
    most; OLDER is 1 once a trade from before `since` was seen: then nothing is absent.
    """

    since: Micros
    newest: Fetch
    history: History

    def ask(self, cursor: str) -> Fetch:
        if not cursor:
            return self.newest
        low, high, _, _ = _numbers(cursor)
        return self.history.fetch(_KEY, self._middle(low, high), self.history.page)

    def read(self, cursor: str, body: bytes, recv: Micros) -> Found:
        rows = self.history.rows(body, recv, False)
        if not cursor:
            if not rows:
                return Found()
            newest = rows[-1][0]
            low, high, older = self._narrowed(1, newest + 1, newest, rows)
        else:
            low, high, newest, older = _numbers(cursor)
            low, high, seen = self._narrowed(low, high, self._middle(low, high), rows)
            older = max(older, seen)
        if low < high:
            return Found(cursor=f"{_BETWEEN} {low} {high} {newest} {older}")
        if high > newest:
            return Found()
        is_cut = high > 1 and not older
        absent = f"trades from before id {high} are given no more" if is_cut else ""
        return Found(first=high, newest=newest, absent=absent)

    def _narrowed(self, low: int, high: int, middle: int, rows: Rows) -> tuple[int, int, int]:
        """Give LOW, HIGH and OLDER by a page that was asked for from `middle` on.

        It ends below `middle` + page and is filled up with older rows where ids are missing.
        """
        older = int(any(trade.ts < self.since for _, trade in rows))
        late = next((number for number, trade in rows if trade.ts >= self.since), None)
        if late is None:  # all of it is from before, or so old that the venue gives it no more
            return min(middle + self.history.page, high), high, older
        # With an older row beside it, it is the first; likewise if none was given to fill up.
        is_first = older or late >= high
        high = min(high, late)
        return high if is_first else low, high, older

    def _middle(self, low: int, high: int) -> int:
        return low if high - low <= self.history.page else (low + high) // 2


class TradeWalk:
    """Numbered trades, each id accounted: in hand (REPAIRED), or not to be had (LOST).

    Cursor: that of the search, then `from FIRST NEWEST`; NEWEST is -1 if it is not known. Where
    it is known, a page without any row at or above FIRST is a hole and not the end.
    """

    def __init__(
        self, part: Part, channel: str, history: History, seek: Seek, *, echo: bool
    ) -> None:
        self._part = part
        self._channel = channel
        self._history = history
        self._seek = seek
        self._echo = echo

    def ask(self, cursor: str) -> Fetch:
        if not cursor.startswith(_FROM):
            return self._seek.ask(cursor)
        first, _ = _numbers(cursor)
        return self._history.fetch(_KEY, first, self._history.page)

    def read(self, cursor: str, body: bytes, recv: Micros) -> Page:
        if cursor.startswith(_FROM):
            first, newest = _numbers(cursor)
            return self._page(first, newest, body, recv)
        since, until = self._part.since, self._part.until
        found = self._seek.read(cursor, body, recv)
        if found.first is not None:
            newest = -1 if found.newest is None else found.newest
            return Page([], f"{_FROM} {found.first} {newest}", since, found.absent)
        return Page([], found.cursor, since if found.cursor else until, found.absent)

    def _page(self, first: int, newest: int, body: bytes, recv: Micros) -> Page:
        until = self._part.until
        rows = [row for row in self._history.rows(body, recv, self._echo) if row[0] >= first]
        inside = [row for row in rows if row[1].ts < until]
        if inside:
            last = inside[-1][0]
        elif rows or newest < 0:
            last = first - 1
        else:
            last = min(first + self._history.page - 1, newest)
        events: Batch = [trade for _, trade in inside]
        events += self._accounts(first, last, inside, recv)
        is_end = last >= newest if newest >= 0 else not rows
        if is_end or len(inside) < len(rows):
            return Page(events, "", until)
        reached = inside[-1][1].ts if inside else self._part.since
        return Page(events, f"{_FROM} {last + 1} {newest}", reached)

    def _accounts(self, first: int, last: int, rows: Rows, recv: Micros) -> list[Coverage]:
        told: list[Coverage] = []
        at = first
        for low, high in _runs([number for number, _ in rows]):
            if low > at:
                told.append(self._account(at, low - 1, Holding.LOST, recv))
            told.append(self._account(low, high, Holding.REPAIRED, recv))
            at = high + 1
        if at <= last:
            told.append(self._account(at, last, Holding.LOST, recv))
        return told

    def _account(self, first: int, last: int, holding: Holding, recv: Micros) -> Coverage:
        reason = _LOST if holding is Holding.LOST else ""
        return Coverage(recv, recv, self._part.inst, self._channel, first, last, holding, reason)


class CandleWalk(Struct, frozen=True):
    """Cursor: the open time of the first bar wanted, and `none` until a bar has come.

    `leaps`: an answer begins with the first bar that there is, so windows need not be searched.
    `dense`: a bar that is absent before the first one is not to be had; else nobody traded.
    """

    part: Part
    interval: Interval
    most: int  # bars in one answer
    fetch: Callable[[str, Micros, Micros], Fetch]  # key, from, up to and not including
    rows: Callable[[bytes, Micros], Sequence[Candle]]
    leaps: bool = False
    dense: bool = True

    def ask(self, cursor: str) -> Fetch:
        since, _ = self._place(cursor)
        return self.fetch(_KEY, since, self._end(since))

    def read(self, cursor: str, body: bytes, recv: Micros) -> Page:
        since, is_first = self._place(cursor)
        end, width = self._end(since), self.interval.micros
        found = [candle for candle in self.rows(body, recv) if since <= candle.ts < end]
        found.sort(key=lambda candle: candle.ts)
        if self.leaps:
            end = Micros(found[-1].ts + width) if found else self.part.until
        absent = ""
        if found and is_first and self.dense and found[0].ts >= self.part.since + width:
            absent = f"there are no candles from before {iso(found[0].ts)}"
        more = f"{end}{' none' if is_first and not found else ''}"
        events: Batch = list(found)
        return Page(events, more if end < self.part.until else "", end, absent)

    def _place(self, cursor: str) -> tuple[Micros, bool]:
        at, _, mark = cursor.partition(" ")
        return Micros(int(at)) if at else self.part.since, not cursor or bool(mark)

    def _end(self, since: Micros) -> Micros:
        if self.leaps:
            return self.part.until
        return Micros(min(since + self.most * self.interval.micros, self.part.until))


def _numbers(cursor: str) -> tuple[int, ...]:
    return tuple(map(int, cursor.split()[1:]))


def _runs(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending ids as ranges."""
    found: list[tuple[int, int]] = []
    for number in ids:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
