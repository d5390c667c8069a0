import pytest

from tapewatch.model.events import Rate, Second, Side, TakerOrder
from tapewatch.process.seconds import PLUGIN
from tapewatch.stream.pipeline import Pipeline
from tests.streams import CHANNEL, INSTS, at, coverage, gap, tick, trade

BUY, SELL = Side.BUY, Side.SELL


def said(events, pipeline=None):
    pipeline = pipeline or Pipeline([PLUGIN.build("seconds", PLUGIN.config())])
    return pipeline.process(list(events))


def told(events):
    return [event for event in said(events) if type(event) is Second]


class Hearer:
    """Wants orders from a worth on."""

    name, state, measures, gives = "hearer", None, (), frozenset()
    wants = frozenset({TakerOrder})

    def __init__(self, order_usd_min):
        self.order_usd_min = order_usd_min
        self.heard = []

    def key(self, event):
        return event.inst

    def fresh(self, key):
        return self

    def adopt(self, state):
        return state

    def on_event(self, event):
        self.heard.append(event)
        return ()

    def next_timer(self):
        return None


def orders(events, *floors):
    hearers = [Hearer(floor) for floor in floors]
    for number, hearer in enumerate(hearers):
        hearer.name = f"hearer{number}"
    said(events, Pipeline([PLUGIN.build("seconds", PLUGIN.config()), *hearers]))
    return [[(o.worth, o.size, o.side, o.first) for o in hearer.heard] for hearer in hearers]


def test_a_second_adds_up_its_trades():
    events = [
        trade(0.1, 100.0, 2.0, 1),
        trade(0.2, 103.0, 1.0, 2, side=SELL, count=3),
        trade(0.3, 99.0, 1.0, 3),
        trade(1.5, 120.0, 1.0, 4),
    ]
    (second,) = told(events)
    assert (second.ts, second.recv, second.inst) == (at(0), at(0.3), INSTS[0])
    assert (second.open, second.high, second.low, second.close) == (100.0, 103.0, 99.0, 99.0)
    assert (second.bought, second.sold) == (299.0, 103.0)
    assert (second.size, second.buy_size, second.trades) == (4.0, 3.0, 5)
    assert (second.first, second.first_id, second.last, second.last_id) == (
        at(0.1), "1", at(0.3), "3",
    )  # fmt: skip
    assert (second.channel, second.reached, second.late) == (CHANNEL, at(1.5), False)


def test_time_ends_a_second_too():
    (second,) = told([trade(0.1), tick(0.9), tick(1.0), tick(2.0)])
    assert (second.trades, second.reached) == (1, at(0.1))


def test_trades_of_one_second_find_their_places_by_time_and_id():
    events = [
        trade(0.5, 100.0, id_=10),
        trade(0.2, 90.0, id_=8),
        trade(0.5, 101.0, id_=9),
        trade(0.5, 102.0, id_=11),
        trade(0.2, 91.0, id_=7),
    ]
    (second,) = told([*events, tick(1.0)])
    assert (second.open, second.close, second.trades) == (91.0, 102.0, 5)


@pytest.mark.parametrize("between", [gap(0.3), coverage(0.3)], ids=["gap", "coverage"])
def test_what_is_said_of_a_stream_cuts_its_second_in_two(between):
    parts = told([trade(0.1, id_=1), between, trade(0.5, id_=2), tick(1.0)])
    assert [(part.ts, part.first_id, part.trades) for part in parts] == [
        (at(0), "1", 1), (at(0), "2", 1),
    ]  # fmt: skip


def test_another_stream_is_no_matter():
    events = [trade(0.1), gap(0.3, channel="depth"), trade(0.5, id_=2), tick(1.0)]
    assert [second.trades for second in told(events)] == [2]


def test_another_channel_begins_another_second():
    events = [trade(0.1), trade(1.2, channel="trade"), tick(2.0)]
    assert [second.channel for second in told(events)] == [CHANNEL, "trade"]


def test_a_late_trade_is_told_at_once_behind_what_runs():
    events = [trade(0.1), trade(5.0, id_=2), trade(0.3, 90.0, 2.0, 3)]
    seconds = told([*events, trade(5.5, id_=4), tick(6.0)])
    assert [(s.ts, s.late, s.trades) for s in seconds] == [
        (at(0), False, 1), (at(5), False, 1), (at(0), True, 1), (at(5), False, 1),
    ]  # fmt: skip
    late = seconds[2]
    assert (late.open, late.close, late.size, late.bought) == (90.0, 90.0, 2.0, 180.0)


def test_a_repaired_trade_is_one_of_its_own_even_of_this_second():
    seconds = told([trade(0.1), trade(0.2, id_=2, repaired=True), trade(0.3, id_=3), tick(1.0)])
    assert [(s.late, s.repaired, s.first_id) for s in seconds] == [
        (False, False, "1"), (True, True, "2"), (False, False, "3"),
    ]  # fmt: skip


def test_a_clock_that_went_back_is_followed_after_a_hundred_trades():
    events = [trade(1_000.0, id_=1), *(trade(n / 10, id_=n) for n in range(2, 140))]
    seconds = told([*events, tick(20.0)])
    late = [s for s in seconds if s.late]
    assert len(late) == 100
    in_step = [s for s in seconds if not s.late]
    assert in_step[0].ts == at(1_000)
    assert sum(s.trades for s in in_step[1:]) == 38
    assert [s.ts for s in in_step[1:]] == [at(10), at(11), at(12), at(13)]


def test_nothing_is_lost_and_nothing_counted_twice():
    events = [trade(n * 0.37 % 9, id_=n, repaired=n % 11 == 0) for n in range(300)]
    events[100:100] = [gap(3)]
    seconds = told([*events, tick(50.0)])
    assert sum(s.trades for s in seconds) == 300
    assert sum(s.bought + s.sold for s in seconds) == pytest.approx(30_000.0)


# --- orders ---------------------------------------------------------------------------------------


def test_trades_of_one_moment_and_side_are_one_order_told_as_it_grows():
    events = [
        trade(0.1, 100.0, 4.0, 1),
        trade(0.1, 100.0, 7.0, 2),
        trade(0.1, 100.0, 1.0, 3),
        trade(0.1, 100.0, 20.0, 4, side=SELL),
        trade(0.2, 100.0, 9.0, 5, side=SELL),
    ]
    assert orders(events, 1_000.0) == [
        [(1_100.0, 11.0, BUY, "1"), (1_200.0, 12.0, BUY, "1"), (2_000.0, 20.0, SELL, "4")]
    ]


def test_the_least_that_somebody_asks_for_is_told():
    few, more = orders([trade(0.1, 100.0, 6.0)], 5_000.0, 500.0)
    assert few == more != []
    assert orders([trade(0.1, 100.0, 6.0)], 5_000.0) == [[]]


def test_the_floor_is_in_dollars():
    rate = Rate(at(0), at(0), INSTS[0], 10.0)
    assert orders([rate, trade(0.1, 100.0, 1.0)], 900.0)[0]
    assert not orders([trade(0.1, 100.0, 1.0)], 900.0)[0]


def test_without_a_hearer_no_order_is_told():
    assert {type(event) for event in said([trade(0.1, 1e9, 1e9), tick(1.0)])} == {Second}


def test_a_second_names_the_worths_of_the_orders_that_are_complete():
    events = [trade(n / 10, 100.0, 1.0 + n, n, side=(BUY, SELL)[n % 2]) for n in range(12)]
    (first, second) = told([*events, tick(2.0)])
    assert first.orders == tuple(100.0 * (1 + n) for n in range(9))
    assert second.orders == (1_000.0, 1_100.0)
