"""How complete the stored trades are, for each stream and hour, proven by their ids.

Two witnesses are heard: the rows on disk, whose ids show every hole, and the ledger, which knows
why a hole is there. Where the ledger claims ids that the disk does not have, that is said apart:
then files are damaged or gone.

A stream is numbered if the ledger knows it. Of others (Bybit's ids have holes by nature) nothing
can be proven, and only the gaps that were told are counted. Ids may count single fills while a
row is many of them (OKX): the rows themselves show which it is. Some venues number what is no trade
(`trade` of Binance USD-M): the ledger then says so beside what it holds, and ids without a row
are not absent; but then the disk alone cannot show that files are damaged.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import Coverage, Holding, InstrumentId, Micros
from tapewatch.model.times import HOUR, iso
from tapewatch.ports import Ledger, Query

PAGE = 10_000  # holes of one question
SHOWN = 20  # holes of one hour that a person is told one by one
_BY_ID = "by trade id"
_UNPROVEN = "not provable: ids of this stream have no order"
_HELD = frozenset({Holding.HAVE, Holding.REPAIRED})


class Absent(Struct):
    """Ids that are not on disk, between two rows that are."""

    first: int
    last: int
    after: Micros  # event time of the row before
    before: Micros  # and of the row behind
    reason: str
    claimed: bool = False  # the ledger says that they are held: files are damaged

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Hour(Struct):
    hour: Micros
    trades: int
    repaired: int
    first: int | None  # ids; None where they prove nothing
    last: int | None
    begins: Micros  # event time of the first row
    absent: list[Absent] = field(default_factory=list)
    gaps: int = 0  # told by the feed

    @property
    def missing(self) -> int:
        return sum(each.count for each in self.absent)

    @property
    def share(self) -> float | None:
        """Of the ids that were given out; a hole across an hour's end counts in both."""
        if self.first is None or self.last is None:
            return None
        held = (
            self.last
            - self.first
            + 1
            - sum(
                min(each.last, self.last) - max(each.first, self.first) + 1
                for each in self.absent
                if each.first <= self.last and each.last >= self.first
            )
        )
        return held / (held + self.missing) if held else 0.0


class Stream(Struct):
    inst: InstrumentId
    channel: str
    numbered: bool
    hours: list[Hour]

    @property
    def proof(self) -> str:
        return _BY_ID if self.numbered else _UNPROVEN

    @property
    def complete(self) -> bool:
        return self.numbered and not any(hour.absent for hour in self.hours)

    @property
    def damaged(self) -> bool:
        return any(each.claimed for hour in self.hours for each in hour.absent)


async def completeness(
    query: Query, ledger: Ledger, inst: InstrumentId | None, since: Micros, until: Micros
) -> list[Stream]:
    """Hear both witnesses."""
    known: dict[tuple[str, str], list[Coverage]] = defaultdict(list)
    for span in await ledger.coverage(inst):
        known[span.inst, span.channel].append(span)
    where = f"ts >= make_timestamptz({since}) AND ts < make_timestamptz({until})"
    if inst is not None:
        where += f" AND inst = {_quoted(inst)}"
    _, hours = await query.sql(_HOURS.format(where=where))
    holes: list[Sequence[Any]] = []
    if known:  # ids of other streams have holes by nature
        streams = ", ".join(f"({_quoted(inst)}, {_quoted(channel)})" for inst, channel in known)
        numbered = f"{where} AND (inst, coalesce(channel, 'trade')) IN ({streams})"
        while len(holes) % PAGE == 0:  # every page before was full
            _, more = await query.sql(_HOLES.format(where=numbered, limit=PAGE, offset=len(holes)))
            holes += more
            if not more:
                break
    _, gaps = await query.sql(_GAPS.format(where=where))
    return assemble(hours, holes, gaps, known)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# Echoes are streams of their own: they have ids too.
_ROWS = """
SELECT inst, coalesce(channel, 'trade') AS channel, try_cast(id AS BIGINT) AS n, ts,
       coalesce(count, 1) AS size, coalesce(repaired, false) AS repaired
FROM trades WHERE {where}
"""
_HOURS = f"""
SELECT inst, channel, epoch_us(date_trunc('hour', ts)) AS hour, count(*), sum(repaired::INT),
       min(n), max(n), epoch_us(min(ts))
FROM ({_ROWS}) GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - times and a quoted name
# `size` of ids for a row where ids count fills: told by rows of several fills, how far their id
# is from the one before. The id of such a row is its last fill's.
_HOLES = f"""
WITH stepped AS (
    SELECT *, n - lag(n) OVER w AS step, lag(ts) OVER w AS after
    FROM ({_ROWS}) WHERE n IS NOT NULL WINDOW w AS (PARTITION BY inst, channel ORDER BY n)
), spanning AS (
    SELECT inst, channel,
           sum((size > 1 AND step = size)::INT) > sum((size > 1 AND step = 1)::INT) AS spans
    FROM stepped GROUP BY inst, channel
)
SELECT inst, channel, n - step + 1, n - if(spans, size, 1), epoch_us(after), epoch_us(ts)
FROM stepped JOIN spanning USING (inst, channel)
WHERE step > if(spans, size, 1) ORDER BY inst, channel, n LIMIT {{limit}} OFFSET {{offset}}
"""  # noqa: S608 - times and a quoted name
_GAPS = """
SELECT inst, channel, epoch_us(date_trunc('hour', ts)), count(*) FROM gaps WHERE {where}
GROUP BY ALL
"""


def assemble(
    hours: Iterable[Sequence[Any]],
    holes: Iterable[Sequence[Any]],
    gaps: Iterable[Sequence[Any]],
    known: dict[tuple[str, str], list[Coverage]],
) -> list[Stream]:
    streams: dict[tuple[str, str], Stream] = {}
    at: dict[tuple[str, str, int], Hour] = {}
    for inst, channel, hour, trades, repaired, first, last, begins in hours:
        numbered = (inst, channel) in known
        stream = streams.setdefault((inst, channel), Stream(inst, channel, numbered, []))
        low, high = (first, last) if numbered else (None, None)
        row = Hour(Micros(hour), trades, repaired, low, high, Micros(begins))
        stream.hours.append(row)
        at[inst, channel, hour] = row
    for inst, channel, first, last, after, before in holes:
        for piece in explain(first, last, Micros(after), Micros(before), known[inst, channel]):
            for hour in {after - after % HOUR, before - before % HOUR}:
                at[inst, channel, hour].absent.append(piece)
    for inst, channel, hour, count in gaps:
        if (inst, channel, hour) in at:
            at[inst, channel, hour].gaps = count
    return list(streams.values())


def explain(
    first: int, last: int, after: Micros, before: Micros, spans: Sequence[Coverage]
) -> list[Absent]:
    """Part absent ids by what the ledger says of them."""
    found: list[Absent] = []
    at = first
    begin = bisect_left(spans, first, key=lambda span: span.last)
    for span in spans[begin : bisect_right(spans, last, key=lambda span: span.first)]:
        if span.first > at:
            found.append(Absent(at, span.first - 1, after, before, "the ledger knows nothing"))
        end = min(last, span.last)
        claimed = span.holding in _HELD
        words = span.reason or f"the ledger says: {span.holding.value}"
        if not (claimed and span.reason):  # a reason beside what is held: ids without a trade
            found.append(Absent(max(at, span.first), end, after, before, words, claimed))
        at = end + 1
    if at <= last:
        found.append(Absent(at, last, after, before, "the ledger knows nothing"))
    return found


def lines(streams: Sequence[Stream]) -> list[str]:
    """Lay it out for a person."""
    told: list[str] = []
    for stream in streams:
        told.append(f"{stream.inst}  {stream.channel}")
        for hour in stream.hours:
            told.append(
                f"  {iso(hour.hour)[:13]}h  {hour.trades:>9,} trades  {_grade(stream, hour)}"
            )
            told.extend(f"      {_of(each)}" for each in hour.absent[:SHOWN])
            if (rest := hour.absent[SHOWN:]) != []:
                ids = sum(each.count for each in rest)
                told.append(f"      and {len(rest):,} more ranges, {ids:,} ids: --json tells each")
    return told


def _grade(stream: Stream, hour: Hour) -> str:
    if not stream.numbered:
        told = f"{hour.gaps} gaps told" if hour.gaps else "no gap told"
        return f"{stream.proof} ({told})"
    begins = hour.begins % HOUR
    since = f", from {iso(hour.begins)[14:19]}" if hour is stream.hours[0] and begins else ""
    repaired = f", {hour.repaired:,} repaired" if hour.repaired else ""
    if not hour.absent:
        return f"100 % {stream.proof}{repaired}{since}"
    share = hour.share or 0.0
    return f"{min(share, 0.9999):.2%} {stream.proof}, {hour.missing:,} absent{repaired}{since}"


def _of(absent: Absent) -> str:
    ids = f"id {absent.first}" if absent.count == 1 else f"ids {absent.first} to {absent.last}"
    when = f"{iso(absent.after)[11:23]} to {iso(absent.before)[11:23]}"
    return f"{ids} ({absent.count:,}), {when}: {absent.reason}"
