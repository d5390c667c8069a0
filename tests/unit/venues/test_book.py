from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.codec import decode_json, encode_json
from tapewatch.model.events import BookDelta, BookSnapshot, Gap
from tapewatch.ports import Answer, Fetch
from tapewatch.venues._binance_handlers import sequence
from tapewatch.venues._book import MAX_HELD, MAX_HELD_LENIENT, BookSync, Source, State

INST = "binance:BTC/USDT"
SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def delta(first, last=None, *, ts=None, level=(100.0, 1.0)):
    last = first if last is None else last
    ts = START + last * 1_000 if ts is None else ts
    return BookDelta(ts, ts, INST, first, last, (level,), ())


def snapshot(seq, bids=((100.0, 2.0),)):
    return BookSnapshot(0, 0, INST, seq, bids, ())


class Wire:
    def __init__(self, *, lenient=False):
        source = Source(
            sequence, lambda key: Fetch(key, "/depth"), lambda body, _: decode_json(body)
        )
        self.book = BookSync(INST, "depth", source, lenient=lenient)
        self.now = START
        self.out = []
        self.asks = []

    def take(self, *deltas):
        for one in deltas:
            self.asks.extend(self.book.take(one, self.now, self.out))
        return self

    def answer(self, seq, status=200):
        body = b"" if seq is None else encode_json(snapshot(seq))
        self.asks.extend(self.book.answer(Answer(status, body), self.now, self.out))
        return self

    def tick(self, secs):
        self.now += int(secs * SECOND)
        self.asks.extend(self.book.tick(self.now, self.out))
        return self

    def seqs(self):
        return [event.seq for event in self.out if not isinstance(event, Gap)]

    def gaps(self):
        return [event for event in self.out if isinstance(event, Gap)]


def live():
    return Wire().take(delta(10, 12)).answer(12)


def test_nothing_is_passed_on_before_a_snapshot_is_in_step():
    wire = Wire().take(delta(10, 12), delta(13, 15))
    assert not wire.out
    assert [ask.url for ask in wire.asks] == ["/depth"]
    wire.answer(13)
    assert wire.seqs() == [13, 15]
    assert wire.out[0].ts == delta(13, 15).ts
    assert wire.book.state is State.LIVE


def test_changes_that_the_snapshot_has_already_are_dropped():
    assert Wire().take(delta(10, 12), delta(13, 15), delta(16, 17)).answer(15).seqs() == [15, 17]


def test_a_snapshot_exactly_before_the_first_change_is_in_step():
    assert Wire().take(delta(10, 12)).answer(9).seqs() == [9, 12]


def test_a_snapshot_at_the_last_held_change_is_proven_by_it():
    assert Wire().take(delta(10, 12)).answer(12).seqs() == [12]


def test_a_snapshot_newer_than_all_waits_for_the_change_that_proves_it():
    wire = Wire().take(delta(10, 12)).answer(20)
    assert not wire.out
    wire.take(delta(13, 19))
    assert not wire.out
    assert wire.take(delta(20, 22)).seqs() == [20, 22]


def test_a_snapshot_older_than_the_changes_is_asked_for_again():
    wire = Wire().take(delta(10, 12)).answer(8)
    assert not wire.out
    assert len(wire.asks) == 1
    assert len(wire.tick(1).asks) == 2
    assert wire.answer(11).seqs() == [11, 12]


def test_changes_that_overlap_are_passed_on_and_repeated_ones_are_not():
    wire = live().take(delta(13, 15), delta(10, 12), delta(13, 15), delta(14, 18))
    assert wire.seqs() == [12, 15, 18]
    assert not wire.gaps()


def test_a_gap_voids_the_book_and_says_what_is_missing():
    wire = live().take(delta(13, 15)).tick(1).take(delta(18, 20), delta(21, 22))
    assert [(gap.first, gap.last, gap.channel) for gap in wire.gaps()] == [(16, 17, "depth")]
    assert wire.seqs() == [12, 15]
    assert len(wire.asks) == 2
    assert wire.answer(20).seqs() == [12, 15, 20, 22]


def test_snapshots_are_asked_for_ever_more_slowly():
    wire = Wire().take(delta(10, 12))
    asked_at = []
    for quarter in range(4 * 400):
        before = len(wire.asks)
        if wire.book.key:
            wire.answer(1)
        wire.tick(0.25)
        if len(wire.asks) > before:
            asked_at.append(quarter / 4)
    between = [b - a for a, b in pairwise(asked_at)]
    assert between == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60][: len(between)]


def test_a_book_that_was_good_for_a_minute_is_asked_for_at_once():
    wire = live().take(delta(20)).tick(2).answer(20).tick(90)
    assert len(wire.asks) == 2
    assert len(wire.take(delta(30)).answer(1).tick(1.1).asks) == 4


def test_a_failure_is_said_once_and_asked_again_later():
    wire = Wire().take(delta(10)).answer(None, 451).tick(1).answer(None, 451)
    assert [gap.reason for gap in wire.gaps()] == ["no snapshot: HTTP 451"]
    assert len(wire.tick(2).asks) == 3


def test_resync_voids_the_book_and_asks():
    wire = live().tick(90)
    wire.asks.extend(wire.book.resync("crossed", wire.now, wire.out))
    assert wire.gaps()[-1].reason == "crossed"
    assert wire.book.state is State.EMPTY
    assert len(wire.asks) == 2
    assert wire.answer(30).take(delta(29, 31)).seqs()[-2:] == [30, 31]


def test_a_lost_book_is_void_and_asks_only_when_changes_come_again():
    wire = live()
    wire.book.lost("cut", wire.now, wire.out)
    assert [gap.reason for gap in wire.gaps()] == ["cut"]
    assert len(wire.tick(100).asks) == 1
    assert len(wire.take(delta(50)).asks) == 2


def test_a_book_that_never_was_says_nothing_when_it_is_lost():
    wire = Wire().take(delta(10))
    wire.book.lost("cut", wire.now, wire.out)
    assert not wire.out


def test_held_changes_are_bounded():
    wire = Wire().take(*(delta(n) for n in range(10, 10 + MAX_HELD + 5)))
    assert len(wire.book._held) == 5
    assert not wire.out


def test_old_ids_with_new_times_are_a_new_numbering():
    late = START + 3600 * SECOND
    wire = live().tick(61).take(delta(3, ts=late)).answer(3)
    assert "numbering restarted" in wire.gaps()[0].reason
    assert wire.seqs() == [12, 3]


def test_a_recording_without_snapshot_shows_its_changes_at_the_end():
    wire = Wire(lenient=True).take(delta(10, 12), delta(13, 15))
    assert not wire.out
    wire.book.lost("end", wire.now, wire.out)
    assert [type(event) for event in wire.out] == [Gap, BookDelta, BookDelta]
    assert "unproven" in wire.gaps()[0].reason
    assert not wire.asks


def test_a_recording_without_snapshot_shows_its_changes_when_the_bound_is_reached():
    wire = Wire(lenient=True).take(*(delta(n) for n in range(MAX_HELD_LENIENT + 2)))
    assert len(wire.seqs()) == MAX_HELD_LENIENT + 2
    assert len(wire.gaps()) == 1


def test_several_sessions_in_one_recording_are_parted_by_gaps_and_nothing_is_left_out():
    earlier = START - 86_400 * SECOND
    wire = Wire(lenient=True).take(delta(10), delta(20), delta(21), delta(5, ts=earlier))
    wire.book.lost("end", wire.now, wire.out)
    assert wire.seqs() == [10, 20, 21, 5]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(1, 4)),
        st.tuples(st.just("lose"), st.integers(1, 4)),
        st.tuples(st.just("repeat"), st.integers(1, 8)),
        st.tuples(st.just("answer"), st.integers(0, 12)),
        st.tuples(st.just("fail"), st.just(0)),
        st.tuples(st.just("tick"), st.integers(1, 90)),
    ),
    max_size=80,
)


def replay(levels, until):
    """The true book after update `until`: update n sets level n % 5 to size n."""
    book = {}
    for number in range(1, until + 1):
        book[float(number % 5 + 1)] = float(number)
    return book


def change(first, last):
    levels = {float(n % 5 + 1): float(n) for n in range(first, last + 1)}
    ts = START + last * 1_000
    return BookDelta(ts, ts, INST, first, last, tuple(levels.items()), ())


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_book_is_true_or_void_whatever_happens(steps):
    wire, at = Wire(), 0
    for action, size in steps:
        if action == "change":
            wire.take(change(at + 1, at + size))
            at += size
        elif action == "lose":
            at += size
        elif action == "repeat":
            first = max(1, at - size)
            wire.take(change(first, max(first, at - 1))) if at > 1 else None
        elif action == "answer" and wire.book.key:
            seq = max(0, at - size + 4)  # a little old, or newer than what has come
            at_most = replay(None, seq)
            body = encode_json(BookSnapshot(0, 0, INST, seq, tuple(at_most.items()), ()))
            wire.asks.extend(wire.book.answer(Answer(200, body), wire.now, wire.out))
        elif action == "fail" and wire.book.key:
            wire.answer(None, 500)
        elif action == "tick":
            wire.tick(size)
    book, seq = None, 0
    for event in wire.out:
        if isinstance(event, Gap):
            book = None
        elif isinstance(event, BookSnapshot):
            assert book is None
            book, seq = dict(event.bids), event.seq
        else:
            assert book is not None
            assert event.first_seq <= seq + 1 <= event.seq
            book.update(event.bids)
            seq = event.seq
        if book is not None:
            assert book == replay(None, seq)
