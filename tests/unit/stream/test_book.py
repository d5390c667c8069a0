from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.events import BookDelta, BookSnapshot
from tapewatch.stream import book as module
from tapewatch.stream.book import _ROOM as ROOM
from tapewatch.stream.book import MAX_PENDING, MAX_WAITING, Book, is_book_channel
from tests.streams import INSTS, at


def snapshot(bids, asks, seq=1):
    return BookSnapshot(at(0), at(0), INSTS[0], seq, tuple(bids), tuple(asks))


def delta(bids=(), asks=(), seq=2):
    return BookDelta(at(1), at(1), INSTS[0], seq, seq, tuple(bids), tuple(asks))


def deep(count):
    bids = [(1000.0 - n, 1.0 + n) for n in range(1, count + 1)]
    asks = [(1000.0 + n, 1.0 + n) for n in range(1, count + 1)]
    return snapshot(bids, asks)


@pytest.fixture
def book():
    made = Book()
    made.apply(snapshot([(99.0, 1.0), (98.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)]))
    return made


def test_top_gives_the_best_levels_first(book):
    assert book.top(1) == ([(99.0, 1.0)], [(101.0, 3.0)])
    assert book.top(9) == ([(99.0, 1.0), (98.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)])
    assert book.best() == (99.0, 101.0)


def test_delta_sets_adds_and_removes_levels(book):
    book.apply(delta([(99.0, 5.0), (98.5, 1.5), (98.0, 0.0)], [(101.0, 0.0), (100.5, 2.5)], seq=7))
    assert book.top(9) == ([(99.0, 5.0), (98.5, 1.5)], [(100.5, 2.5), (102.0, 4.0)])
    assert book.seq == 7
    assert book.ts == at(1)


def test_removing_what_is_not_there_is_no_matter(book):
    book.apply(delta([(50.0, 0.0)], [(500.0, 0.0)]))
    assert book.best()[0] == 99.0


def test_snapshot_replaces_everything(book):
    book.apply(snapshot([(10.0, 1.0)], [(11.0, 1.0)], seq=9))
    assert book.top(9) == ([(10.0, 1.0)], [(11.0, 1.0)])


def test_changes_without_a_snapshot_are_left_out():
    book = Book()
    book.apply(delta([(99.0, 1.0)]))
    assert not book.live
    assert book.top(9) == ([], [])
    assert book.best() == (None, None)


def test_void_forgets_everything_until_the_next_snapshot(book):
    book.void()
    book.apply(delta([(99.0, 1.0)]))
    assert book.top(9) == ([], [])
    assert not book.live
    assert not book.crossed


@pytest.mark.parametrize(("bid", "crossed"), [(100.9, False), (101.0, True), (101.5, True)])
def test_crossed_tells_when_a_bid_reaches_the_best_ask(book, bid, crossed):
    book.apply(delta([(bid, 1.0)]))
    assert book.crossed is crossed


def test_known_is_as_far_as_the_snapshot_went(book):
    book.apply(delta([(90.0, 1.0)], [(110.0, 1.0)]))
    assert book.known == (98.0, 102.0)
    assert not book.astray


def test_astray_tells_when_the_best_price_left_what_is_known(book):
    book.apply(delta([(99.0, 0.0), (98.0, 0.0), (90.0, 1.0)]))
    assert book.astray


def test_one_side_may_be_empty(book):
    book.apply(delta([(99.0, 0.0), (98.0, 0.0)]))
    assert book.top(2) == ([], [(101.0, 3.0), (102.0, 4.0)])
    assert not book.crossed
    assert not book.astray


def test_within_sums_what_the_levels_are_worth(book):
    assert book.within(98.5, 102.0) == (99.0, 101.0 * 3 + 102.0 * 4)


def test_deep_reading_goes_beyond_the_sorted_part():
    book = Book()
    book.apply(deep(1000))
    bids, asks = book.top(700)
    assert bids == [(1000.0 - n, 1.0 + n) for n in range(1, 701)]
    assert asks == [(1000.0 + n, 1.0 + n) for n in range(1, 701)]
    assert book.within(0.0, 0.0)[0] == pytest.approx(
        sum((1000 - n) * (1 + n) for n in range(1, 1001))
    )


def test_levels_are_capped_and_those_let_go_are_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_LEVELS", 300)
    book = Book()
    book.apply(deep(1000))
    assert len(book.bids.sizes) == 270
    assert book.bids.trimmed == 730
    assert book.known[0] == 730.0


def test_a_side_that_only_grows_stays_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_LEVELS", 300)
    book = Book()
    book.apply(deep(10))
    for n in range(2_000):
        book.apply(delta([(900.0 - n / 1000, 1.0)]))
        assert len(book.pending) < MAX_PENDING
    assert book.best()[0] == 999.0
    assert len(book.bids.sizes) <= 300
    assert book.bids.trimmed > 1_000


def test_a_book_that_nobody_reads_stays_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_LEVELS", 300)
    book = Book()
    book.apply(deep(10))
    for n in range(5_000):
        book.apply(delta([(900.0 - n / 1000, 1.0)], [(1100.0 + n / 1000, 1.0)]))
        assert len(book.pending) < MAX_PENDING
    assert len(book.bids.sizes) <= 300
    assert len(book.asks.sizes) <= 300


def test_a_change_of_very_many_levels_does_not_wait(book):
    book.apply(delta([(1.0 + n / 1000, 1.0) for n in range(MAX_WAITING + 1)]))
    assert book.pending == []


def test_a_level_that_came_and_went_between_two_readings_left_nothing(book):
    book.apply(delta([(99.5, 1.0), (98.0, 0.0)]))
    book.apply(delta([(99.5, 0.0), (98.0, 7.0)]))
    assert book.top(9)[0] == [(99.0, 1.0), (98.0, 7.0)]


def test_channels_that_books_are_made_of():
    assert is_book_channel("depth")
    assert is_book_channel("depth@100ms")
    assert is_book_channel("books")
    assert not is_book_channel("bookTicker")
    assert not is_book_channel("aggTrade")


levels = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 3)), max_size=60)


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(0, 400), changes=st.lists(st.tuples(levels, levels), max_size=8))
def test_book_equals_plain_dicts_sorted_on_reading(depth, changes):
    book, bids, asks = Book(), {}, {}
    start = deep(depth)
    book.apply(start)
    bids.update(start.bids)
    asks.update(start.asks)
    for changed_bids, changed_asks in changes:
        event = delta(
            [(1000.0 - price, float(size)) for price, size in changed_bids],
            [(1000.0 + price, float(size)) for price, size in changed_asks],
        )
        book.apply(event)
        bids.update(event.bids)
        asks.update(event.asks)
        bids = {price: size for price, size in bids.items() if size}
        asks = {price: size for price, size in asks.items() if size}
        expected = sorted(bids.items(), reverse=True), sorted(asks.items())
        assert book.top(10_000) == expected
        assert book.top(20) == (expected[0][:20], expected[1][:20])


def test_a_long_random_walk_keeps_the_sorted_part_right():
    random, book = Random(2), Book()
    book.apply(deep(500))
    middle = 1000.0
    for _ in range(1_500):
        middle += random.choice((-1.0, 0.0, 1.0))
        bids = [(middle - random.randrange(1, 300), random.choice((0.0, 1.0))) for _ in range(8)]
        asks = [(middle + random.randrange(1, 300), random.choice((0.0, 1.0))) for _ in range(8)]
        bids += [(middle + n, 0.0) for n in range(3)]
        asks += [(middle - n, 0.0) for n in range(3)]
        book.apply(delta(bids, asks))
        if random.random() < 0.3:
            book.top(1)
    book.top(1)
    for half in (book.bids, book.asks):
        assert half.prices == sorted(half.sizes)
        gone = sum(not size for size in half.sizes.values())
        assert gone <= len(half.sizes) - gone + 2 * ROOM


changes_to_ask = st.lists(
    st.tuples(levels, levels, st.sampled_from(("nothing", "top", "crossed", "within", "saved"))),
    max_size=12,
)


def ask(book, question):
    """Ask one thing; give the book, which may be a restored one now."""
    if question == "top":
        book.top(100)
    elif question == "crossed":
        assert book.crossed in (False, True)
    elif question == "within":
        book.within(800.0, 1200.0)
    elif question == "saved":
        return msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=Book)
    return book


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(0, 600), changes=changes_to_ask)
def test_asking_or_saving_in_between_changes_no_answer(depth, changes):
    asked, unasked = Book(), Book()
    for book in (asked, unasked):
        book.apply(deep(depth))
    for bids, asks, question in changes:
        event = delta(
            [(1000.0 - price, float(size)) for price, size in bids],
            [(1000.0 + price, float(size)) for price, size in asks],
        )
        asked.apply(event)
        unasked.apply(event)
        asked = ask(asked, question)
    for key in (999.0, 990.0, 700.0):
        assert asked.within(key, 2000.0 - key) == unasked.within(key, 2000.0 - key)
    assert asked.top(10_000) == unasked.top(10_000)
    assert asked.crossed == unasked.crossed
    assert asked.known == unasked.known


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(0, 600), reach=st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_within_equals_a_plain_sum_however_far_it_reaches(depth, reach):
    book = Book()
    book.apply(deep(depth))
    for far in reach:
        bids = sum((1000 - n) * (1 + n) for n in range(1, depth + 1) if n <= far)
        asks = sum((1000 + n) * (1 + n) for n in range(1, depth + 1) if n <= far)
        assert book.within(1000.0 - far, 1000.0 + far) == (bids, asks)


def test_a_book_survives_encoding(book):
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=Book)
    again.apply(delta([(99.5, 1.0)]))
    book.apply(delta([(99.5, 1.0)]))
    assert again == book
