"""Ids that were jumped over, as ranges in ascending order that do not touch a trade."""

from bisect import bisect_right

from msgspec import Struct

from tapewatch.model.events import Micros


class Hole(Struct):
    """Ids that were jumped over."""

    first: int
    last: int
    since: Micros  # event time of the trade before it
    ts: Micros  # event time of the trade that showed it
    until: Micros  # live trades wait until then
    repair: bool
    lost: str = ""  # why there is no hope


def at(holes: list[Hole], number: int) -> int:
    """Index of the hole that has this id, or -1."""
    index = bisect_right(holes, number, key=lambda hole: hole.first) - 1
    return index if index >= 0 and number <= holes[index].last else -1


def split(holes: list[Hole], number: int) -> None:
    """Make a hole begin with this id, if one has it."""
    index = at(holes, number)
    if index < 0 or holes[index].first == number:
        return
    hole = holes[index]
    rest = Hole(number, hole.last, hole.since, hole.ts, hole.until, hole.repair, hole.lost)
    hole.last = number - 1
    holes.insert(index + 1, rest)


def remove(holes: list[Hole], first: int, count: int = 1) -> bool:
    """Take ids out of the hole that has them all."""
    if not holes:
        return False
    index = at(holes, first)
    if index < 0 or first + count - 1 > holes[index].last:
        return False
    split(holes, first)
    index = at(holes, first)
    hole = holes[index]
    hole.first += count
    if hole.first > hole.last:
        holes.pop(index)
    return True


def pieces(holes: list[Hole], first: int, last: int) -> list[Hole]:
    """Cut holes at both ends of a range and give those inside."""
    split(holes, first)
    split(holes, last + 1)
    return [hole for hole in holes if first <= hole.first and hole.last <= last]
