import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.sim.book import Book, View


def book(memory=1_000):
    made = Book(100, memory)
    made.set(0, made.bids, 99, 5)
    made.set(0, made.asks, 101, 6)
    made.take_changes()
    return made


def test_every_change_takes_the_next_id_and_repeats_take_none():
    made = book()
    made.set(1, made.bids, 98, 1)
    made.set(1, made.bids, 98, 1)
    assert made.update_id == 103


def test_changes_join_without_a_hole_and_tell_the_latest_quantity():
    made = book()
    made.set(1, made.bids, 98, 1)
    made.set(1, made.bids, 98, 2)
    first = made.take_changes()
    made.set(2, made.asks, 101, 0)
    second = made.take_changes()
    assert (first.first, first.last, first.bids) == (103, 104, {98: 2})
    assert (second.first, second.asks) == (105, {101: 0})
    assert made.take_changes() is None


@pytest.mark.parametrize(("side", "price"), [("bids", 101), ("bids", 102), ("asks", 99)])
def test_a_level_that_would_cross_is_refused(side, price):
    made = book()
    with pytest.raises(ValueError, match="cross"):
        made.set(1, getattr(made, side), price, 1)


def test_view_is_sorted_from_the_best_and_limited():
    made = book()
    for price in (95, 97, 96):
        made.set(1, made.bids, price, 1)
    assert made.view(2).bids == [(99, 5), (97, 1)]
    assert made.top() == (99, 5, 101, 6)


def test_memory_is_bounded():
    made = book(memory=3)
    for qty in range(1, 20):
        made.set(qty, made.bids, 90, qty)
    assert made.view_at(0).update_id == made.update_id - 3


moves = st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 3)), max_size=60)


@settings(max_examples=60)
@given(moves, st.integers(0, 60))
def test_the_past_is_told_as_it_was(steps, moment):
    made = Book(0, 1_000)
    past: View = made.view()
    for ts, (is_bid, offset, qty) in enumerate(steps, start=1):
        side, price = (made.bids, 100 - offset) if is_bid else (made.asks, 100 + offset)
        made.set(ts, side, price, qty)
        if ts <= moment:
            past = made.view()
    assert made.view_at(moment) == past
