"""What is known of the ids of one stream, as intervals that never overlap. Pure: no database.

An entry says something of the ids `first..last`. What we hold wins over what is lost, lost over
missing; of equals the later word counts, except that ids once in hand stay as they are.

    MISSING ──> LOST ──> REPAIRED        HAVE and REPAIRED are never taken back, only by `trim`
        +──────────────> REPAIRED        (when the disk shows that they are not there)
"""

from collections.abc import Iterable

from msgspec import Struct

from tapewatch.model.events import Holding, Micros

_RANK = {Holding.MISSING: 0, Holding.LOST: 1, Holding.REPAIRED: 2, Holding.HAVE: 2}
_IN_HAND = 2


class Span(Struct, frozen=True):
    """Inclusive on both ends."""

    first: int
    last: int
    holding: Holding
    reason: str = ""
    at: Micros = Micros(0)  # when we were told so last

    @property
    def in_hand(self) -> bool:
        return _RANK[self.holding] == _IN_HAND


def overlay(known: Iterable[Span], new: Span) -> list[Span]:
    """Lay `new` over what is known. `known` are ascending, not overlapping; so is the result."""
    kept: list[Span] = []
    for span in known:
        apart = span.last < new.first or span.first > new.last
        kept += [span] if apart or not _wins(new, span) else _outside(span, new)
    kept += [_part(new, first, last) for first, last in _holes(kept, new)]
    return join(sorted(kept, key=lambda span: span.first))


def cut(known: Iterable[Span], last: int) -> list[Span]:
    """Forget what is claimed to be in hand behind `last`: the disk does not have it."""
    result = []
    for span in known:
        if not span.in_hand or span.last <= last:
            result.append(span)
        elif span.first <= last:
            result.append(_part(span, span.first, last))
    return result


def join(spans: Iterable[Span]) -> list[Span]:
    """Make one of neighbours that say the same."""
    result: list[Span] = []
    for span in spans:
        before = result[-1] if result else None
        if (
            before is not None
            and before.last + 1 == span.first
            and (before.holding, before.reason) == (span.holding, span.reason)
        ):
            at = max(before.at, span.at)
            result[-1] = Span(before.first, span.last, span.holding, span.reason, at)
        else:
            result.append(span)
    return result


def _wins(new: Span, old: Span) -> bool:
    return _RANK[new.holding] >= _RANK[old.holding] and not old.in_hand


def _part(span: Span, first: int, last: int) -> Span:
    return Span(first, last, span.holding, span.reason, span.at)


def _outside(span: Span, hole: Span) -> list[Span]:
    parts = []
    if span.first < hole.first:
        parts.append(_part(span, span.first, hole.first - 1))
    if span.last > hole.last:
        parts.append(_part(span, hole.last + 1, span.last))
    return parts


def _holes(spans: Iterable[Span], within: Span) -> list[tuple[int, int]]:
    """Parts of `within` that none of the spans covers."""
    at, found = within.first, []
    for span in sorted(spans, key=lambda span: span.first):
        if span.last < at or span.first > within.last:
            continue
        if span.first > at:
            found.append((at, span.first - 1))
        at = span.last + 1
    if at <= within.last:
        found.append((at, within.last))
    return found
