from tapewatch.model.events import BookDelta, BookSnapshot, Gap
from tapewatch.venues._book import State, Step
from tapewatch.venues._pushed import PushedBook

INST = "okx:BTC/USDT"
SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def chained(seq, delta):
    if delta.seq <= seq:
        return Step.STALE
    return Step.NEXT if delta.first_seq == seq + 1 else Step.GAP


def delta(seq):
    return BookDelta(START, START, INST, seq, seq, ((100.0, 1.0),), ())


def snapshot(seq):
    return BookSnapshot(START, START, INST, seq, ((100.0, 2.0),), ())


class Wire:
    def __init__(self, *, lenient=False):
        self.book = PushedBook(INST, "books", chained, lenient=lenient)
        self.book.carriers.update({"a", "b"})
        self.now = START
        self.out = []

    def snapshot(self, seq, by="a"):
        self.book.snapshot(snapshot(seq), by, self.now, self.out)
        return self

    def take(self, *seqs, by="a"):
        for seq in seqs:
            self.book.take(delta(seq), by, self.now, self.out)
        return self

    def seqs(self):
        return ["gap" if isinstance(event, Gap) else event.seq for event in self.out]

    def due_after(self, secs, by="a"):
        self.now += int(secs * SECOND)
        return self.book.due(by, self.now)


def test_changes_before_the_first_snapshot_are_no_book():
    assert Wire().take(4, 5).snapshot(6).take(7).seqs() == [6, 7]


def test_a_snapshot_in_the_middle_replaces_the_book():
    assert Wire().snapshot(6).take(7).snapshot(2).take(3).seqs() == [6, 7, 2, 3]


def test_a_repeated_change_is_dropped():
    assert Wire().snapshot(6).take(7, 7, 6, 8).seqs() == [6, 7, 8]


def test_a_hole_voids_the_book_until_a_new_snapshot():
    wire = Wire().snapshot(6).take(8, 9)
    assert wire.seqs() == [6, "gap"]
    assert wire.book.state is State.EMPTY
    assert wire.due_after(0)
    assert wire.snapshot(9).take(10).seqs() == [6, "gap", 9, 10]


def test_the_first_snapshot_has_time_to_come_by_itself():
    wire = Wire()
    assert not wire.due_after(0)
    assert not wire.due_after(9.9)
    assert wire.due_after(0.2)


def test_snapshots_are_asked_for_ever_more_seldom():
    wire = Wire().snapshot(6).take(8)
    asked = [secs for secs in range(200) if wire.due_after(1 if secs else 0)]
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_a_clock_that_goes_back_does_not_stop_the_asking():
    wire = Wire().snapshot(6).take(8)
    assert wire.due_after(0)
    assert wire.due_after(-3600)


def test_a_renewal_takes_over_with_its_snapshot():
    wire = Wire().snapshot(6, by="a").snapshot(8, by="b")
    wire.take(7, 8, 9, by="a").take(9, 10, by="b").take(10, 11, by="a")
    assert wire.seqs() == [6, 8, 9, 10]


def test_when_the_connection_it_follows_is_lost_another_subscribes_anew():
    wire = Wire().snapshot(6, by="a")
    wire.book.left("a", "cut", wire.now, wire.out)
    assert wire.seqs() == [6, "gap"]
    assert wire.due_after(0, by="b")
    assert not wire.book.due("a", wire.now)


def test_losing_the_old_connection_of_a_renewal_changes_nothing():
    wire = Wire().snapshot(6, by="a").snapshot(6, by="b")
    wire.book.left("a", "renewed", wire.now, wire.out)
    assert wire.take(7, by="b").seqs() == [6, 6, 7]


def test_losing_the_last_connection_is_said_and_nobody_is_asked():
    wire = Wire().snapshot(6, by="a")
    wire.book.left("b", "cut", wire.now, wire.out)
    wire.book.left("a", "cut", wire.now, wire.out)
    assert wire.seqs() == [6, "gap"]
    assert not wire.due_after(60)


def test_a_resync_voids_the_book_and_is_due_at_once():
    wire = Wire().snapshot(6)
    wire.book.resync("crossed", wire.now, wire.out)
    assert wire.seqs() == [6, "gap"]
    assert wire.out[-1].reason == "crossed"
    assert wire.due_after(0)


def test_a_recording_that_begins_in_the_middle_is_shown_and_said_to_be_unproven():
    wire = Wire(lenient=True).take(4, 5)
    assert wire.seqs() == ["gap", 4, 5]
    assert "unproven" in wire.out[0].reason
    assert wire.book.state is State.SHOWN


def test_a_hole_in_a_recording_is_said_and_the_rest_is_shown():
    assert Wire(lenient=True).snapshot(6).take(8, 9).seqs() == [6, "gap", "gap", 8, 9]


def test_what_its_own_connection_has_lost_voids_the_book_and_what_another_lost_does_not():
    wire = Wire().snapshot(6, by="a")
    wire.book.broken("b", "a frame is missing", wire.now, wire.out)
    assert wire.take(7).seqs() == [6, 7]
    wire.book.broken("a", "a frame is missing", wire.now, wire.out)
    assert wire.take(8).seqs() == [6, 7, "gap"]


def test_a_book_that_was_well_for_a_minute_is_asked_for_at_once_again():
    wire = Wire().snapshot(6).take(8)
    assert [secs for secs in range(4) if wire.due_after(1 if secs else 0)] == [0, 1, 3]
    wire.snapshot(9)
    wire.now += 60 * SECOND
    wire.take(11)
    assert [secs for secs in range(4) if wire.due_after(1 if secs else 0)] == [0, 1, 3]


def test_a_book_that_broke_again_soon_is_asked_for_more_seldom():
    wire = Wire().snapshot(6).take(8)
    assert [secs for secs in range(4) if wire.due_after(1 if secs else 0)] == [0, 1, 3]
    wire.snapshot(9).take(11)
    assert [secs for secs in range(9) if wire.due_after(1 if secs else 0)] == [0, 8]


def test_the_end_of_a_recording_voids_nothing():
    wire = Wire(lenient=True).snapshot(6)
    wire.book.left("a", "the recording ends", wire.now, wire.out)
    assert wire.seqs() == [6]


def test_a_void_book_is_not_void_twice():
    wire = Wire().snapshot(6).take(8)
    wire.book.resync("crossed", wire.now, wire.out)
    wire.book.left("a", "cut", wire.now, wire.out)
    assert wire.seqs() == [6, "gap"]
