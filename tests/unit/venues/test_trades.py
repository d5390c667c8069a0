import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from tapewatch.model.events import Coverage, Gap, Holding, Side, Trade
from tapewatch.ports import Answer, Fetch
from tapewatch.venues._trades import (
    MAX_HELD,
    MAX_HOLES,
    RECENT_IDS,
    RETRY_SECS,
    History,
    TradeChain,
)

INST = "binance:BTC/USDT"
SECOND = 1_000_000
START = 1_700_000_000 * SECOND
PAGE = 10


def trade(number, *, repaired=False, ts=None):
    ts = START + number * 1_000 if ts is None else ts
    return Trade(ts, ts, INST, str(number), Side.BUY, 1.0, 1.0, repaired=repaired)


def fetch(key, first, count):
    return Fetch(key, f"/{first}/{count}")


def rows(body, recv, echo):
    return [(number, trade(number, repaired=True)) for number in json.decode(body)]


def make(**changes):
    options = {"resume": None, "hold": SECOND, "repair_max_ids": 1_000, "lenient": False}
    return TradeChain(INST, "trade", History(PAGE, fetch, rows), **(options | changes))


def page(*numbers):
    return Answer(200, json.encode(numbers))


class Wire:
    """A chain with a clock and its output."""

    def __init__(self, **changes):
        self.chain = make(**changes)
        self.now = START
        self.out = []
        self.asks = []

    def take(self, *numbers):
        for number in numbers:
            self.asks.extend(self.chain.take(number, trade(number), self.now, self.out))
        return self

    def tick(self, secs=0.0):
        self.now += int(secs * SECOND)
        self.asks.extend(self.chain.tick(self.now, self.out))
        return self

    def answer(self, answer):
        self.asks.extend(self.chain.answer(answer, self.now, self.out))
        return self

    def trades(self):
        return [int(event.id) for event in self.out if isinstance(event, Trade)]

    def gaps(self):
        return [(e.first, e.last) for e in self.out if isinstance(e, Gap)]

    def coverage(self, holding):
        found = [e for e in self.out if isinstance(e, Coverage) and e.holding is holding]
        return [(e.first, e.last) for e in found]

    def reason(self, holding):
        return next(e.reason for e in self.out if isinstance(e, Coverage) and e.holding is holding)

    def urls(self):
        return [ask.url for ask in self.asks]


def test_ids_in_order_pass_and_are_covered_once_a_second():
    wire = Wire().take(5, 6, 7).tick(1).take(8).tick(0.5).tick(0.6)
    assert wire.trades() == [5, 6, 7, 8]
    assert wire.coverage(Holding.HAVE) == [(5, 7), (8, 8)]
    assert not wire.asks
    assert not wire.gaps()


def test_an_id_that_came_before_is_dropped():
    assert Wire().take(5, 6, 5, 6, 7).trades() == [5, 6, 7]


def test_a_jump_is_repaired_in_order_without_a_gap_while_trades_wait():
    wire = Wire().take(5, 9, 10)
    assert wire.trades() == [5]
    assert wire.urls() == ["/6/3"]
    wire.answer(page(6, 7, 8)).tick(1)
    assert wire.trades() == [5, 6, 7, 8, 9, 10]
    assert [e.repaired for e in wire.out if isinstance(e, Trade)] == [
        False,
        *[True] * 3,
        False,
        False,
    ]
    assert not wire.gaps()
    assert wire.coverage(Holding.MISSING) == wire.coverage(Holding.REPAIRED) == [(6, 8)]
    assert wire.coverage(Holding.HAVE) == [(5, 5), (9, 10)]


def test_when_the_hold_is_over_trades_flow_after_a_gap_and_rows_come_late():
    wire = Wire().take(5, 8).tick(0.9)
    assert wire.trades() == [5]
    wire.tick(0.2).take(9)
    assert wire.gaps() == [(6, 7)]
    assert wire.trades() == [5, 8, 9]
    wire.answer(page(6, 7)).tick(1)
    assert wire.trades() == [5, 8, 9, 6, 7]
    assert wire.coverage(Holding.REPAIRED) == [(6, 7)]
    assert not wire.coverage(Holding.LOST)


def test_a_hold_ends_when_the_clock_jumps_back():
    wire = Wire().take(5, 8).tick(-3600)
    assert wire.trades() == [5, 8]


def test_a_refused_repair_is_lost_with_the_venues_words():
    wire = Wire().take(5, 8).answer(Answer(401, b'{"code":-2015}'))
    assert wire.trades() == [5, 8]
    assert wire.gaps() == wire.coverage(Holding.LOST) == [(6, 7)]
    assert wire.reason(Holding.LOST) == 'HTTP 401 {"code":-2015}'


def test_rows_that_are_not_there_are_lost_and_only_those():
    wire = Wire().take(5, 10).answer(page(6, 8, 9)).tick(1)
    assert wire.trades() == [5, 6, 8, 9, 10]
    assert wire.coverage(Holding.REPAIRED) == [(6, 6), (8, 9)]
    assert wire.coverage(Holding.LOST) == wire.gaps() == [(7, 7)]


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 100_000])
def test_an_answer_that_cannot_be_read_is_a_failure(body):
    wire = Wire().take(5, 8)
    for secs in RETRY_SECS:
        wire.answer(Answer(200, body)).tick(secs)
        assert wire.coverage(Holding.LOST) == []
    wire.answer(Answer(200, body))
    assert wire.coverage(Holding.LOST) == [(6, 7)]
    assert "cannot be read" in wire.reason(Holding.LOST)


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_trouble_that_passes_loses_nothing(status):
    wire = Wire().take(5, 8).answer(Answer(status, b"later")).tick(1.9)
    assert wire.trades() == [5, 8]  # the hold is over, the hope is not
    assert wire.urls() == ["/6/2"]
    wire.tick(0.2).answer(Answer(status, b"later")).tick(4.1).answer(page(6, 7))
    assert wire.trades() == [5, 8, 6, 7]
    assert wire.gaps() == wire.coverage(Holding.REPAIRED) == [(6, 7)]
    assert wire.coverage(Holding.LOST) == []


def test_after_an_outage_time_waits_for_the_next_trade_but_not_for_ever():
    wire = Wire().take(5)
    wire.chain.lost("cut", wire.now, wire.out)
    assert wire.chain.held_since() is None  # down: it does not count
    wire.tick(1)
    assert wire.chain.held_since() == wire.chain.ts
    wire.take(8)
    assert wire.chain.held_since() == trade(5).ts  # now it is the hole that time waits for
    quiet = Wire(resume=5).tick(1)
    assert quiet.chain.held_since() == 0
    quiet.tick(4.9)
    assert quiet.chain.held_since() == 0
    quiet.tick(0.2)
    assert quiet.chain.held_since() is None


def test_after_a_success_patience_is_whole_again():
    wire = Wire().take(5, 8).answer(Answer(0, b"down")).tick(2.1).answer(page(6, 7))
    wire.take(11).answer(Answer(0, b"down")).tick(2.1)
    assert wire.urls() == ["/6/2", "/6/2", "/9/2", "/9/2"]


def test_pages_follow_each_other():
    wire = Wire().take(5, 30).answer(page(*range(6, 16))).answer(page(*range(16, 26)))
    assert wire.urls() == ["/6/10", "/16/10", "/26/4"]
    assert wire.answer(page(26, 27, 28, 29)).trades() == list(range(5, 31))


def test_one_page_repairs_all_holes_that_it_spans():
    wire = Wire().take(5, 7, 9).answer(page(6))
    assert wire.urls() == ["/6/1", "/8/1"]
    wire = Wire().take(5, 8).tick(2).take(11).answer(Answer(404, b"gone"))
    assert wire.coverage(Holding.LOST) == [(6, 7)]
    assert wire.answer(page(9, 10)).trades() == [5, 8, 9, 10, 11]


def test_a_page_that_ends_early_is_asked_again_three_times():
    wire = Wire().take(5, 10).answer(page(6, 7)).tick(0.5)
    assert wire.urls() == ["/6/4"]
    wire.tick(0.6).answer(page()).tick(1.1).answer(page()).tick(1.1)
    assert wire.urls() == ["/6/4", "/8/2", "/8/2"]
    assert wire.coverage(Holding.LOST) == [(8, 9)]


def test_what_lies_behind_an_empty_page_is_asked_for_and_not_given_up():
    wire = Wire().take(5, 30)
    for _ in range(3):
        wire.answer(page()).tick(1.1)
    assert wire.coverage(Holding.LOST) == [(6, 15)]
    assert wire.urls() == ["/6/10"] * 3 + ["/16/10"]
    wire.answer(page(*range(16, 26))).answer(page(26, 27, 28, 29))
    assert wire.coverage(Holding.REPAIRED) == [(16, 25), (26, 29)]


def test_an_outage_is_a_jump_from_the_last_stored_id():
    wire = Wire(resume=2).take(5)
    assert wire.urls() == ["/3/2"]
    wire.answer(page(3, 4)).tick(1)
    assert wire.trades() == [3, 4, 5]


def test_an_outage_that_is_too_long_is_said_and_left_missing():
    wire = Wire(resume=2, repair_max_ids=100).take(104).tick(1)
    assert wire.trades() == [104]
    assert not wire.asks
    assert wire.gaps() == wire.coverage(Holding.MISSING) == [(3, 103)]
    assert "run a backfill" in wire.reason(Holding.MISSING)
    assert not wire.coverage(Holding.LOST)


def test_a_trade_that_comes_out_of_order_fills_its_own_hole():
    wire = Wire().take(5, 7, 6, 8).tick(1)
    assert wire.trades() == [5, 6, 7, 8]
    assert wire.coverage(Holding.HAVE) == [(5, 8)]
    assert not wire.gaps()


def test_rows_for_ids_that_came_meanwhile_are_dropped():
    wire = Wire().take(5, 7, 6).answer(page(6)).tick(1)
    assert wire.trades() == [5, 6, 7]
    assert not wire.coverage(Holding.REPAIRED)


def test_ids_far_back_are_a_new_numbering():
    wire = Wire().take(RECENT_IDS + 500, 3, 4).tick(1)
    assert wire.trades() == [RECENT_IDS + 500, 3, 4]
    assert wire.coverage(Holding.HAVE) == [(RECENT_IDS + 500, RECENT_IDS + 500), (3, 4)]
    assert "restarted its numbering" in wire.out[2].reason


def test_low_ids_with_new_times_are_a_new_numbering():
    chain, out = make(), []
    chain.take(50, trade(50), START, out)
    chain.take(1, trade(1, ts=START + 60 * SECOND), START, out)
    assert [event.id for event in out if isinstance(event, Trade)] == ["50", "1"]
    assert any(isinstance(event, Gap) for event in out)


def test_a_new_numbering_gives_up_what_was_missing_in_the_old():
    wire = Wire().take(RECENT_IDS * 2, RECENT_IDS * 2 + 2, 1)
    assert wire.trades() == [RECENT_IDS * 2, RECENT_IDS * 2 + 2, 1]
    assert wire.coverage(Holding.LOST) == [(RECENT_IDS * 2 + 1,) * 2]


def test_when_nobody_carries_the_stream_nothing_waits():
    wire = Wire().take(5, 8)
    wire.chain.abandon()
    wire.chain.lost("cut", wire.now, wire.out)
    assert wire.trades() == [5, 8]
    assert wire.coverage(Holding.HAVE) == [(5, 5), (8, 8)]
    assert wire.tick(1).urls() == ["/6/2", "/6/2"]  # a successor asks again
    assert wire.answer(page(6, 7)).trades() == [5, 8, 6, 7]


def test_a_recording_waits_for_order_but_asks_nobody():
    wire = Wire(lenient=True).take(5, 7, 6, 10)
    assert wire.trades() == [5, 6, 7]
    wire.tick(1.1)
    assert wire.trades() == [5, 6, 7, 10]
    assert wire.coverage(Holding.LOST) == wire.gaps() == [(8, 9)]
    assert not wire.asks


def test_held_trades_are_bounded():
    wire = Wire(hold=3600 * SECOND).take(5, *range(7, 7 + MAX_HELD + 1))
    assert wire.gaps() == [(6, 6)]
    assert len(wire.trades()) == MAX_HELD + 2


def test_holes_are_bounded_and_each_is_accounted():
    wire = Wire(hold=0)
    wire.take(*range(0, 2 * MAX_HOLES + 20, 2))
    assert len(wire.chain._late) <= MAX_HOLES
    assert wire.coverage(Holding.LOST)[0] == (1, 1)
    assert "too many holes" in wire.reason(Holding.LOST)


def test_held_since_is_the_time_of_the_last_trade_that_was_passed_on():
    wire = Wire().take(5)
    assert wire.chain.held_since() is None
    assert wire.take(8).chain.held_since() == trade(5).ts


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 5)),
        st.tuples(st.just("drop"), st.integers(1, 25)),
        st.tuples(st.just("again"), st.integers(1, 12)),
        st.tuples(st.just("swap"), st.integers(1, 4)),
        st.tuples(st.just("answer"), st.integers(0, 3)),
        st.tuples(st.just("fail"), st.integers(0, 500)),
        st.tuples(st.just("tick"), st.integers(1, 15)),
        st.tuples(st.just("lost"), st.just(0)),
    ),
    max_size=60,
)


class Story:
    """What the wire does to one chain, action by action."""

    def __init__(self):
        self.wire = Wire(resume=99, repair_max_ids=200)
        self.next = 100
        self.answered = 0

    def do(self, action, size):
        getattr(self, f"_{action}")(size)

    def _pass(self, size):
        self.wire.take(*range(self.next, self.next + size))
        self.next += size

    def _drop(self, size):
        self.next += size

    def _again(self, size):
        self.wire.take(*range(max(100, self.next - size), self.next))

    def _swap(self, size):
        self.wire.take(*reversed(range(self.next, self.next + size + 1)))
        self.next += size + 1

    def _tick(self, size):
        self.wire.tick(size / 10)

    def _lost(self, _):
        self.wire.chain.abandon()
        self.answered = len(self.wire.asks)
        self.wire.chain.lost("cut", self.wire.now, self.wire.out)

    def _answer(self, missing):
        if self.answered < len(self.wire.asks):
            _, first, count = self.wire.asks[-1].url.split("/")
            numbers = range(int(first), min(int(first) + int(count), self.next))
            self.answered = len(self.wire.asks)
            self.wire.answer(page(*(n for n in numbers if n % 7 >= missing)))

    def _fail(self, status):
        if self.answered < len(self.wire.asks):
            self.answered = len(self.wire.asks)
            self.wire.answer(Answer(status if status != 200 else 500, b"no"))

    def end(self):
        self._pass(1)
        self.wire.tick(5)
        for _ in range(300):
            self._fail(404)
            self.wire.tick(2)
        return self.wire


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_every_id_is_passed_on_or_given_up_exactly_once(actions):
    story = Story()
    for action, size in actions:
        story.do(action, size)
    wire = story.end()
    trades = wire.trades()
    ranges = {h: wire.coverage(h) for h in Holding if h is not Holding.MISSING}
    ids = {h: [n for a, b in found for n in range(a, b + 1)] for h, found in ranges.items()}
    assert len(trades) == len(set(trades))
    assert sorted(trades) == sorted(ids[Holding.HAVE] + ids[Holding.REPAIRED])
    left = set()  # outages too long to repair
    for event in wire.out:
        if isinstance(event, Coverage) and event.reason.startswith("outage"):
            left |= set(range(event.first, event.last + 1))
    accounted = sorted(n for numbers in ids.values() for n in numbers)
    assert sorted({*accounted, *left}) == list(range(100, story.next))
    assert len(accounted) == len(set(accounted))
    assert not left & set(accounted)
    assert not wire.chain.holes
    assert not wire.chain._late


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_only_trades_behind_a_gap_come_out_of_order(actions):
    story = Story()
    for action, size in actions:
        story.do(action, size)
    newest, said = 99, set()
    for event in story.end().out:
        if isinstance(event, Gap):
            said |= set(range(event.first, event.last + 1))
        elif isinstance(event, Trade):
            number = int(event.id)
            assert number > newest or number in said
            newest = max(newest, number)
