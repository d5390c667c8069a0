import pytest

from tapewatch.model.events import Gap, Side, Trade
from tapewatch.ports import Answer, Fetch
from tapewatch.venues import _unnumbered
from tapewatch.venues._unnumbered import CHECK, QUIET, Recent, Unnumbered

INST = "bybit:BTC/USDT"
SECOND = 1_000_000
START = 1_790_000_000 * SECOND
PAGE = 20


def trade(number, *, repaired=False):
    """One every second of market time; ids say nothing."""
    ts = START + number * SECOND
    return Trade(
        ts, ts, INST, f"id-{number}", Side.BUY, 100.0, 1.0, "publicTrade", repaired=repaired
    )


def body(*numbers):
    return " ".join(map(str, numbers)).encode()


def read(raw, recv):
    if raw.startswith(b"<"):
        raise ValueError("a web page")
    return [trade(int(word), repaired=True) for word in raw.split()]


class Wire:
    """One stream, two connections at most; the clock is the market's."""

    def __init__(self, *, lenient=False, begin=True):
        recent = Recent(PAGE, lambda key: Fetch(key, "/recent"), read)
        self.flow = Unnumbered(INST, "publicTrade", recent, hold=SECOND, lenient=lenient)
        self.now = START
        self.out = []
        self.fetches = []
        if begin:
            self.carry("a").tick().take(1, 2, 3)
            self.out.clear()

    def carry(self, *names):
        self.flow.carriers.update(names)
        return self

    def take(self, *numbers, by="a"):
        self.now = max(self.now, START + max(numbers) * SECOND)
        self.flow.take([trade(number) for number in numbers], by, self.now, self.out)
        self.flow.carriers.add(by)
        return self

    def tick(self, secs=0.0):
        self.now += int(secs * SECOND)
        self.fetches.extend(self.flow.tick(self.now, self.out))
        return self

    def page(self, *numbers, status=200, raw=None):
        answer = Answer(status, body(*numbers) if raw is None else raw)
        self.fetches.extend(self.flow.answer(answer, self.now, self.out))
        return self

    def left(self, by="a", reason="lost"):
        self.flow.left(by, reason, self.now, self.out)
        return self

    def reconnect(self, by="b"):
        return self.left().carry(by).tick()

    def story(self):
        """`7r` is trade 7, repaired; `gap` stands where it was said."""
        return [
            "gap" if type(e) is Gap else f"{e.id[3:]}{'r' if e.repaired else ''}" for e in self.out
        ]

    def reasons(self):
        return [event.reason for event in self.out if type(event) is Gap]


def test_a_stream_begins_with_a_gap_because_nothing_joins_it_to_what_is_stored():
    wire = Wire(begin=False).carry("a").tick().take(1, 2)
    assert wire.story() == ["gap", "1", "2"]
    assert not wire.fetches


def test_each_id_is_passed_on_once():
    assert Wire().take(4, 4, 5).take(3, 5, 6).story() == ["4", "5", "6"]


def test_of_a_recording_nothing_is_asked_and_nothing_is_said():
    wire = Wire(lenient=True, begin=False).take(1, 2).take(2, 3).tick(120).left()
    assert wire.story() == ["1", "2", "3"]
    assert not wire.fetches


def test_after_a_loss_a_page_is_asked_for_and_what_was_missed_comes_in_order_without_a_gap():
    wire = Wire().reconnect()
    assert len(wire.fetches) == 1
    wire.take(6, by="b").page(2, 3, 4, 5, 6).take(7, by="b")
    assert wire.story() == ["4r", "5r", "6", "7"]


def test_live_trades_wait_for_the_page_but_not_beyond_the_hold():
    wire = Wire().reconnect().take(6, by="b")
    assert wire.story() == []
    wire.tick(0.5)
    assert wire.story() == []
    wire.tick(0.6)
    assert wire.story() == ["gap", "6"]
    assert wire.take(7, by="b").page(3, 4, 5, 6, 7).story() == ["gap", "6", "7", "4r", "5r"]


def test_a_page_that_begins_too_late_is_a_gap_with_what_is_known():
    wire = Wire().reconnect().take(20, by="b").page(16, 17, 18, 19, 20)
    assert wire.story() == ["gap", "16r", "17r", "18r", "19r", "20"]
    assert wire.reasons() == [
        "lost; the venue's list of 5 recent trades begins only at 2026-09-21T14:13:36.000000Z"
    ]


def test_a_page_older_than_the_first_live_trade_proves_only_its_part():
    wire = Wire().reconnect().page(2, 3, 4).take(7, by="b")
    assert wire.story() == ["4r"]
    wire.tick(0.6).page(4, 5, 6, 7)
    assert wire.story() == ["4r", "5r", "6r", "7"]
    assert len(wire.fetches) == 2


def test_pages_that_do_not_overlap_are_a_gap_though_the_first_one_was_joined():
    wire = Wire().reconnect().page(2, 3, 4).take(12, by="b").tick(0.6).page(9, 10, 11, 12)
    assert wire.story() == ["4r", "gap", "9r", "10r", "11r", "12"]


def test_a_quiet_stream_is_joined_by_a_page_that_was_asked_for_later():
    wire = Wire().reconnect().page(1, 2, 3).tick(1)
    assert len(wire.fetches) == 1
    wire.tick(QUIET / SECOND).page(1, 2, 3).take(4, by="b")
    assert wire.story() == ["4"]
    assert len(wire.fetches) == 2
    assert wire.flow.held_since() is None


def test_no_time_may_pass_while_a_cut_is_open():
    wire = Wire().reconnect()
    assert wire.flow.held_since() == trade(3).ts
    wire.take(6, by="b")
    assert wire.flow.held_since() == trade(3).ts
    wire.page(3, 4, 5, 6)
    assert wire.flow.held_since() is None


def test_time_passes_where_the_venue_does_not_answer():
    wire = Wire().reconnect().page(status=500, raw=b"")
    assert wire.flow.held_since() is None


def test_failures_are_tried_again_and_the_end_of_hope_is_said():
    wire = Wire().reconnect()
    for _ in range(5):
        wire.page(status=500, raw=b"busy").tick(60)
    assert len(wire.fetches) == 6
    wire.page(status=500, raw=b"busy")
    assert wire.reasons() == ["lost; HTTP 500 busy"]
    assert wire.take(9, by="b").story() == ["gap", "9"]


def test_a_final_word_is_not_asked_again():
    wire = Wire().reconnect().page(status=403, raw=b"access too frequent")
    assert wire.reasons() == ["lost; HTTP 403 access too frequent"]
    wire.tick(10)
    assert len(wire.fetches) == 1


def test_what_cannot_be_read_is_tried_again():
    wire = Wire().reconnect().page(raw=b"<html>").tick(3).page(1, 2, 3, 4).take(4, by="b")
    assert wire.story() == ["4r"]


def test_a_renewal_that_shares_a_trade_is_joined_without_a_request():
    wire = Wire().take(4).take(4, 5, by="b").take(5, 6).left("a").tick().take(6, 7, by="b")
    assert wire.story() == ["4", "5", "6", "7"]
    assert not wire.fetches


def test_a_renewal_is_joined_also_when_the_old_connection_is_the_slower_one():
    wire = Wire().take(5, by="b").take(4).take(5).left("a").tick().take(6, by="b")
    assert wire.story() == ["5", "4", "6"]
    assert not wire.fetches


def test_a_successor_that_shared_nothing_is_joined_by_a_page():
    wire = Wire().take(7, by="b").left("a").tick().page(3, 4, 5, 6, 7).take(8, by="b")
    assert wire.story() == ["7", "4r", "5r", "6r", "8"]


def test_a_repeated_frame_of_the_successor_alone_joins_nothing():
    wire = Wire().take(7, by="b").take(7, by="b").left("a").tick()
    assert len(wire.fetches) == 1


def test_a_successor_that_is_lost_too_leaves_two_cuts():
    wire = Wire().reconnect("b").take(7, by="b").left("b", "lost again").carry("c").tick()
    wire.flow.abandon()
    wire.tick().take(12, by="c").page(7, 9, 10, 11, 12)
    assert wire.story() == ["gap", "7", "9r", "10r", "11r", "12"]


def test_a_loss_between_a_page_and_the_next_live_trade_is_looked_for_again():
    wire = Wire().reconnect("b").page(3, 4).left("b").carry("c").tick(1).page(4, 5, 6)
    wire.take(6, by="c")
    assert wire.story() == ["4r", "5r", "6r"]
    assert len(wire.fetches) == 2


def test_now_and_then_a_page_is_compared_with_what_came():
    wire = Wire().take(5).tick(CHECK / SECOND).tick(CHECK / SECOND)
    assert len(wire.fetches) == 1
    wire.take(130).page(3, 4, 5, 130, 131)
    assert wire.story() == ["5", "130", "4r"]  # 131 is on its way


def test_a_busy_stream_is_compared_each_half_page():
    wire = Wire().take(*range(4, 11)).tick()
    assert len(wire.fetches) == 1
    wire.page().tick(4)
    assert len(wire.fetches) == 1
    wire.take(*range(11, 21)).tick()
    assert len(wire.fetches) == 2


def test_what_was_traded_before_the_stream_began_is_left_out():
    wire = Wire().tick(CHECK / SECOND).tick(CHECK / SECOND).page(-3, -2, 0, 1, 2, 3)
    assert wire.story() == []


def test_a_stream_that_is_subscribed_anew_is_compared_soon():
    wire = Wire()
    wire.flow.doubt("subscribed anew", wire.now)
    wire.tick(1)
    assert not wire.fetches
    wire.tick(3).page(1, 2, 3, 4)
    assert wire.story() == ["4r"]
    assert not wire.reasons()


def test_a_stream_that_is_subscribed_anew_and_not_reached_by_a_page_is_a_gap():
    wire = Wire()
    wire.flow.doubt("subscribed anew", wire.now)
    wire.tick(4).page(8, 9)
    assert wire.story() == ["gap", "8r", "9r"]


def test_a_doubt_that_nobody_can_end_is_said_when_the_connection_is_lost():
    wire = Wire()
    wire.flow.doubt("subscribed anew", wire.now)
    wire.left()
    assert wire.reasons() == ["subscribed anew; lost"]


def test_memory_is_bounded_and_repetitions_of_a_minute_are_still_known(monkeypatch):
    monkeypatch.setattr(_unnumbered, "GENERATION", 50)
    wire = Wire()
    for number in range(4, 2_000):
        wire.take(number)
    assert len(wire.flow._new) + len(wire.flow._old) <= 200
    before = len(wire.out)
    wire.take(*range(1_950, 2_000))
    assert len(wire.out) == before


def test_held_trades_are_bounded(monkeypatch):
    monkeypatch.setattr(_unnumbered, "MAX_HELD", 10)
    wire = Wire().reconnect().take(*range(6, 20), by="b")
    assert wire.story()[0] == "gap"
    assert len(wire.story()) == 15


@pytest.mark.parametrize("by", ["a", "b"])
def test_a_stream_without_any_trade_begins_anew(by):
    wire = Wire(begin=False).carry("a").tick().left().carry(by).tick().take(1, by=by)
    assert wire.story() == ["gap", "gap", "1"]
