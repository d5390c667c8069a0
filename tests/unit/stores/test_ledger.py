from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Holding, Micros
from tapewatch.stores._ledger import Span, cut, join, overlay

HAVE, REPAIRED, MISSING, LOST = Holding.HAVE, Holding.REPAIRED, Holding.MISSING, Holding.LOST

spans = st.builds(
    lambda first, length, holding, reason, at: Span(
        first, first + length, holding, reason, Micros(at)
    ),
    st.integers(0, 40),
    st.integers(0, 12),
    st.sampled_from(Holding),
    st.sampled_from(["", "404"]),
    st.integers(0, 3),
)


def as_ids(known) -> dict[int, tuple[Holding, str]]:
    return {
        number: (span.holding, span.reason)
        for span in known
        for number in range(span.first, span.last + 1)
    }


@given(st.lists(spans, max_size=12))
def test_the_ledger_is_what_a_table_of_single_ids_would_be(entries):
    known: list[Span] = []
    ids: dict[int, tuple[Holding, str]] = {}
    rank = {MISSING: 0, LOST: 1, REPAIRED: 2, HAVE: 2}
    for new in entries:
        known = overlay(known, new)
        for number in range(new.first, new.last + 1):
            old = ids.get(number)
            if old is None or (rank[old[0]] < 2 and rank[new.holding] >= rank[old[0]]):
                ids[number] = (new.holding, new.reason)
    assert as_ids(known) == ids
    for left, right in pairwise(known):
        assert left.last < right.first
        touching = left.last + 1 == right.first
        assert not (touching and (left.holding, left.reason) == (right.holding, right.reason))


@given(st.lists(spans, max_size=8), st.integers(0, 50))
def test_a_cut_takes_exactly_what_is_claimed_behind_it(entries, last):
    known: list[Span] = []
    for new in entries:
        known = overlay(known, new)
    left = as_ids(cut(known, last))
    in_hand = (HAVE, REPAIRED)
    assert left == {
        number: what
        for number, what in as_ids(known).items()
        if number <= last or what[0] not in in_hand
    }


def test_a_repair_takes_the_place_of_what_was_missing():
    known = overlay([Span(1, 10, HAVE), Span(11, 20, MISSING)], Span(11, 15, REPAIRED))
    known = overlay(known, Span(16, 20, LOST, "404"))
    assert known == [Span(1, 10, HAVE), Span(11, 15, REPAIRED), Span(16, 20, LOST, "404")]


def test_what_is_in_hand_is_not_taken_back():
    assert overlay([Span(1, 10, HAVE)], Span(5, 15, LOST, "x")) == [
        Span(1, 10, HAVE),
        Span(11, 15, LOST, "x"),
    ]


def test_neighbours_that_say_the_same_become_one_with_the_later_time():
    assert join([Span(1, 2, HAVE, at=Micros(5)), Span(3, 4, HAVE, at=Micros(9))]) == [
        Span(1, 4, HAVE, at=Micros(9))
    ]
