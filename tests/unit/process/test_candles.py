from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Candle, Holding, Metric, Quality, Second, Side, Trade
from tapewatch.model.times import Interval
from tapewatch.process import seconds
from tapewatch.process.candles import PLUGIN, CandlesConfig
from tapewatch.stream.pipeline import Pipeline
from tests.streams import INSTS, at, coverage, gap, tick, trade

COMPLETE, REPAIRED, PARTIAL = Quality.COMPLETE, Quality.REPAIRED, Quality.PARTIAL


def pipeline(**config):
    adding = seconds.PLUGIN.build("seconds", seconds.PLUGIN.config())
    return Pipeline([adding, PLUGIN.build("candles", CandlesConfig(**config))])


def derived(events, **config):
    """What is said until the second of the last trade is over."""
    events = list(events)
    if type(events[-1]) is Trade:
        events.append(tick((events[-1].ts - at(0)) // 1_000_000 + 1))
    said = pipeline(**{"intervals": ("1m", "5m"), **config}).process(events)
    return [event for event in said if type(event) is not Second]


def candles(events, interval="1m", *, closed=True, **config):
    return [
        event
        for event in derived(events, **config)
        if type(event) is Candle and event.interval == interval and event.closed is closed
    ]


def minutes(events, **config):
    """The closed 1m candles as (minute, ...) for short comparisons."""
    return [((c.ts - at(0)) // 60_000_000, c) for c in candles(events, **config)]


def qualities(events, **config):
    return [(minute, c.quality, c.revision) for minute, c in minutes(events, **config)]


# A stream that the ledger vouches for from the first minute on.
VOUCHED = [trade(1, id_=1), coverage(2)]


def test_a_candle_adds_up_its_trades():
    events = [
        trade(1, 100.0, 2.0, 1),
        trade(2, 103.0, 1.0, 2, side=Side.SELL, count=3),
        trade(3, 99.0, 1.0, 3),
        trade(59.9, 101.0, 0.5, 4),
        trade(60, 120.0, 1.0, 5),
    ]
    (candle,) = candles(events)
    assert candle.ts == at(0)
    assert candle.inst == INSTS[0]
    assert (candle.open, candle.high, candle.low, candle.close) == (100.0, 103.0, 99.0, 101.0)
    assert (candle.volume, candle.buy_volume, candle.trades) == (4.5, 3.5, 6)
    assert candle.quote_volume == 200.0 + 103.0 + 99.0 + 50.5
    assert candle.prev_close is None


def test_the_growing_candle_is_shown_once_a_second_of_event_time():
    events = [trade(n / 10, 100.0 + n, id_=n) for n in range(35)]
    shown = candles(events, closed=False)
    assert [candle.close for candle in shown] == [109.0, 119.0, 129.0, 134.0]
    assert [candle.trades for candle in shown] == [10, 20, 30, 35]


def test_a_tick_shows_a_second_that_no_trade_ends():
    said = candles([trade(0.1, 100.0), trade(0.5, 107.0, id_=2), tick(1.0)], closed=False)
    assert [(candle.close, candle.trades) for candle in said] == [(107.0, 2)]


def test_a_part_of_a_second_that_was_shown_waits_for_the_next():
    events = [trade(0.1, 100.0), gap(0.3), trade(0.5, 107.0, id_=2), trade(1.5, 108.0, id_=3)]
    assert [candle.close for candle in candles(events, closed=False)] == [100.0, 108.0]
    said = candles([*events[:3], tick(1.0), tick(2.0)], closed=False)
    assert [candle.close for candle in said] == [100.0, 107.0]


def test_nothing_new_is_not_shown_again():
    assert len(candles([trade(0.1), tick(2), tick(3), tick(4)], closed=False)) == 1


def test_a_tick_behind_the_end_closes_a_quiet_candle():
    assert candles([trade(1), tick(2), tick(60.9)]) == []
    (candle,) = candles([trade(1), tick(2), tick(61)])
    assert (candle.ts, candle.trades) == (at(0), 1)


def test_minutes_without_trades_are_flat_candles():
    events = [trade(1, 100.0), trade(2, 105.0, id_=2), trade(185, 90.0, id_=3), trade(245, id_=4)]
    found = minutes(events)
    assert [minute for minute, _ in found] == [0, 1, 2, 3]
    for _, candle in found[1:3]:
        assert {candle.open, candle.high, candle.low, candle.close} == {105.0}
        assert (candle.volume, candle.trades) == (0.0, 0)
    assert [candle.prev_close for _, candle in found] == [None, 105.0, 105.0, 105.0]
    assert found[3][1].open == 90.0


def test_flat_candles_are_the_same_whether_ticks_or_a_trade_end_them():
    ticks = [tick(secs) for secs in range(10, 300, 10)]
    by_ticks = candles([trade(1), *ticks, trade(301, id_=2)])
    by_trade = candles([trade(1), trade(301, id_=2)])
    assert [(c.ts, c.close, c.trades) for c in by_ticks] == [
        (c.ts, c.close, c.trades) for c in by_trade
    ]
    assert len(by_trade) == 5


def test_before_the_first_trade_there_is_no_candle():
    assert derived([tick(100), coverage(1), gap(2), tick(500)]) == []


def test_a_long_silence_ends_the_flat_candles():
    events = [trade(1), *(tick(60.0 * n) for n in range(1, 40)), trade(3600, id_=2), trade(3661)]
    found = [minute for minute, _ in minutes(events, quiet_bars=10)]
    assert found == [*range(11), 60]


def test_a_year_of_silence_costs_no_more():
    events = [trade(1), trade(365 * 86_400, id_=2), trade(366 * 86_400, id_=3)]
    assert len(derived(events)) < 500


def test_larger_candles_are_made_of_the_base():
    random = Random(1)
    events = [
        trade(n * 0.7, 100 + random.random(), random.random(), n, side=random.choice(list(Side)))
        for n in range(900)
    ]
    small, (large, *_) = candles(events), candles(events, "5m")
    parts = small[:5]
    assert (large.open, large.close) == (parts[0].open, parts[-1].close)
    assert large.high == max(part.high for part in parts)
    assert large.low == min(part.low for part in parts)
    assert large.trades == sum(part.trades for part in parts)
    for field in ("volume", "buy_volume", "quote_volume"):
        parts_sum = sum(getattr(part, field) for part in parts)
        assert getattr(large, field) == pytest.approx(parts_sum)


def test_growing_larger_candles_are_shown_when_a_base_candle_closes():
    shown = candles([trade(n * 30.0, id_=n + 1) for n in range(9)], "5m", closed=False)
    assert [candle.trades for candle in shown] == [2, 4, 6, 8]


def test_prev_close_links_larger_candles_too():
    events = [trade(n * 20.0, 100.0 + n, id_=n) for n in range(60)]
    found = candles(events, "5m")
    assert [candle.prev_close for candle in found] == [None, found[0].close, found[1].close]


def test_a_base_of_one_second_can_be_asked_for():
    events = [trade(n / 4, 100.0 + n, id_=n) for n in range(400)]
    seconds = candles(events, "1s", intervals=("1s", "1m"))
    assert len(seconds) == 99
    assert {candle.trades for candle in seconds} == {4}
    (minute,) = candles(events, "1m", intervals=("1s", "1m"))
    assert (minute.trades, minute.close) == (240, 339.0)


def test_weeks_begin_on_monday():
    (candle,) = candles(
        [trade(1), trade(6 * 86_400, id_=2)], "1w", intervals=("1m", "1w"), quiet_bars=1
    )
    assert candle.ts == Interval.parse("1w").floor(at(1))
    assert candle.trades == 1


# --- quality --------------------------------------------------------------------------------------


def test_the_first_candle_is_partial_and_the_next_complete():
    events = [*VOUCHED, trade(70, id_=2), trade(130, id_=3)]
    assert qualities(events) == [(0, PARTIAL, 0), (1, PARTIAL, 0)]
    events = [*VOUCHED, trade(5, id_=2), trade(70, id_=3), trade(130, id_=4)]
    assert qualities(events) == [(0, PARTIAL, 0), (1, COMPLETE, 0)]


def test_without_a_ledger_nothing_is_complete():
    events = [trade(n * 20.0, id_=n) for n in range(30)]
    assert {quality for _, quality, _ in qualities(events)} == {PARTIAL}


def test_a_gap_marks_the_candles_it_may_touch():
    events = [
        *VOUCHED,
        *(trade(n * 10.0, id_=n) for n in range(1, 13)),
        gap(125, 14, 15),
        trade(130, id_=16),
        *(trade(n * 10.0, id_=n) for n in range(19, 40)),
    ]
    assert [quality for _, quality, _ in qualities(events)] == [
        PARTIAL, COMPLETE, PARTIAL, COMPLETE, COMPLETE, COMPLETE,
    ]  # fmt: skip
    (large,) = candles(events, "5m")
    assert large.quality is PARTIAL


def test_a_gap_over_the_end_of_a_minute_marks_both():
    before = [*VOUCHED, trade(3), trade(70), trade(130), trade(178)]
    events = [*before, gap(181), trade(182), trade(241), trade(301)]
    assert [quality for _, quality, _ in qualities(events)] == [
        PARTIAL, COMPLETE, PARTIAL, PARTIAL, COMPLETE,
    ]  # fmt: skip


def test_after_a_gap_nobody_knows_so_there_are_no_flat_candles():
    events = [*VOUCHED, trade(70), gap(75), *(tick(60.0 * n) for n in range(2, 9)), trade(601)]
    assert [minute for minute, _ in minutes([*events, trade(661)])] == [0, 1, 10]


def test_a_gap_in_another_channel_is_no_matter():
    events = [*VOUCHED, trade(5), trade(70), gap(75, channel="depth"), trade(130)]
    assert qualities(events)[1:] == [(1, COMPLETE, 0)]


def test_minutes_closed_by_ticks_before_a_gap_was_found_are_given_again_as_partial():
    events = [*VOUCHED, trade(5), trade(70), tick(130), tick(200), gap(205), trade(206), trade(210)]
    assert qualities(events) == [
        (0, PARTIAL, 0), (1, COMPLETE, 0), (2, COMPLETE, 0), (1, PARTIAL, 1), (2, PARTIAL, 1),
    ]  # fmt: skip


def test_trades_repaired_in_time_make_a_repaired_candle():
    events = [
        *VOUCHED,
        trade(5, id_=2),
        coverage(70, 3, 4, Holding.MISSING),
        trade(71, id_=3, repaired=True),
        trade(72, id_=4, repaired=True),
        trade(73, id_=5),
        coverage(73, 3, 4, Holding.REPAIRED),
        trade(130, id_=6),
        trade(190, id_=7),
    ]
    assert qualities(events)[1:] == [(1, REPAIRED, 0), (2, COMPLETE, 0)]


def mended(*repair):
    """A gap of ids 4 and 5 in minute 1, closed as partial; then what comes of the repair."""
    return [
        *VOUCHED,
        trade(5, id_=2),
        trade(65, 100.0, id_=3),
        gap(70, 4, 5),
        trade(80, 101.0, id_=6),
        trade(125, id_=7),
        trade(185, id_=8),
        *repair,
        trade(190, id_=9),
    ]


def test_a_mended_gap_gives_the_candles_again_as_repaired():
    repair = [
        trade(66, 150.0, id_=4, repaired=True),
        trade(67, 50.0, id_=5, repaired=True),
        coverage(186, 4, 5, Holding.REPAIRED),
    ]
    found = minutes(mended(*repair))
    assert [(minute, c.quality, c.revision) for minute, c in found] == [
        (0, PARTIAL, 0), (1, PARTIAL, 0), (2, COMPLETE, 0), (1, REPAIRED, 1),
    ]  # fmt: skip
    _, again = found[-1]
    assert (again.open, again.high, again.low, again.close) == (100.0, 150.0, 50.0, 101.0)
    assert again.trades == 4


def test_a_mended_gap_counts_in_the_growing_larger_candle():
    repair = [
        trade(66, 150.0, id_=4, repaired=True),
        trade(67, 50.0, id_=5, repaired=True),
        coverage(186, 4, 5, Holding.REPAIRED),
        trade(301, id_=10),
    ]
    (large,) = candles(mended(*repair), "5m")
    assert (large.high, large.low, large.trades) == (150.0, 50.0, 8)


def test_half_a_repair_leaves_the_candle_partial():
    repair = [trade(66, 150.0, id_=4, repaired=True), coverage(186, 4, 4, Holding.REPAIRED)]
    assert qualities(mended(*repair))[-1] == (1, PARTIAL, 1)


def test_ids_that_are_lost_leave_the_candle_partial():
    repair = [coverage(186, 4, 5, Holding.LOST)]
    assert qualities(mended(*repair))[1] == (1, PARTIAL, 0)
    assert len(qualities(mended(*repair))) == 3


def test_repair_in_two_steps_mends_at_the_second():
    repair = [
        trade(66, id_=4, repaired=True),
        coverage(186, 4, 4, Holding.REPAIRED),
        trade(67, id_=5, repaired=True),
        coverage(187, 5, 5, Holding.REPAIRED),
    ]
    assert qualities(mended(*repair))[-2:] == [(1, PARTIAL, 1), (1, REPAIRED, 2)]


def test_another_channel_of_trades_is_a_break():
    events = [*VOUCHED, trade(5), trade(70), trade(75, channel="trade"), trade(130), trade(190)]
    assert {quality for _, quality, _ in qualities(events)} == {PARTIAL}


# --- late trades ----------------------------------------------------------------------------------


def test_a_late_trade_within_the_growing_candle_is_simply_in_it():
    events = [trade(10, 100.0, id_=2), trade(20, 101.0, id_=3), trade(5, 90.0, id_=1), trade(61)]
    (candle,) = candles(events)
    assert (candle.open, candle.close, candle.low, candle.trades) == (90.0, 101.0, 90.0, 3)
    assert candle.revision == 0


def test_a_late_trade_corrects_a_closed_candle_by_the_next_revision():
    events = [*VOUCHED, trade(5), trade(65, 100.0), trade(125), trade(119, 130.0), trade(127)]
    *_, first, again = minutes(events)
    assert (first[0], first[1].revision, again[0], again[1].revision) == (1, 0, 1, 1)
    assert (again[1].close, again[1].high, again[1].trades) == (130.0, 130.0, 2)
    assert again[1].quality is COMPLETE


def test_a_corrected_close_is_followed_by_the_flat_candles_after_it():
    events = [trade(1, 100.0), trade(190), trade(50, 130.0, id_=9), trade(192)]
    found = minutes(events)[3:]
    assert [(minute, c.close, c.prev_close, c.revision) for minute, c in found] == [
        (0, 130.0, None, 1), (1, 130.0, 130.0, 1), (2, 130.0, 130.0, 1),
    ]  # fmt: skip


def test_a_trade_in_a_time_that_was_a_hole_makes_the_candle_that_was_missing():
    events = [
        *VOUCHED,
        trade(5),
        gap(10, 3, 3),
        trade(185),
        trade(70, 77.0, repaired=True),
        trade(187),
    ]
    assert [(minute, c.close, c.revision) for minute, c in minutes(events)] == [
        (0, 100.0, 0), (1, 77.0, 0),
    ]  # fmt: skip


def test_correction_waits_in_silence_for_a_tick():
    events = [trade(1), trade(65), trade(30, 130.0, id_=9), tick(67.5)]
    assert [c.revision for _, c in minutes(events)] == [0, 1]


def test_what_is_too_late_is_counted_and_told():
    events = [trade(1), trade(4000), trade(2, id_=9), trade(3, id_=10), trade(4001)]
    said = [event for event in derived(events, memory_minutes=10) if type(event) is Metric]
    assert [(event.name, event.value, event.inst) for event in said] == [
        ("late_trades", 2.0, INSTS[0])
    ]


def test_a_trade_too_late_for_a_small_candle_still_counts_in_a_large_one():
    config = {"memory_minutes": 5, "intervals": ("1m", "1h")}
    events = [trade(1), trade(1800), trade(60, 500.0, id_=9), trade(3600 * 2)]
    found = candles(events, "1h", **config)
    assert found[0].high == 500.0
    assert sum(candle.trades for candle in found) == 3


def test_equal_times_keep_the_order_of_ids_whoever_comes_first():
    def prices(live, *repaired):
        first = trade(10, 100.0 + live, id_=live)
        later = [trade(10, 100.0 + id_, id_=id_, repaired=True) for id_ in repaired]
        (candle,) = candles([first, *later, trade(61)])
        return candle.open, candle.close

    assert prices(9, 10, 11) == prices(11, 9, 10) == prices(10, 11, 9) == (109.0, 111.0)


# --- clocks ---------------------------------------------------------------------------------------


def test_one_trade_from_the_future_does_not_stop_the_candles():
    events = [trade(n, id_=n) for n in range(1, 60)]
    events += [trade(86_400, id_=60)]
    events += [trade(n, id_=n) for n in range(61, 400)]
    found = [minute for minute, _ in minutes(events, memory_minutes=10)]
    assert found[-4:] == [2, 3, 4, 5]


def test_what_a_wrong_clock_cost_is_told():
    events = [trade(86_400, id_=1), *(trade(n, id_=n) for n in range(2, 200))]
    said = [event for event in derived(events) if type(event) is Metric]
    assert [(event.name, event.value) for event in said] == [("late_trades", 101.0)]
    assert said[0].ts >= at(0)


def test_a_small_step_back_only_makes_trades_late():
    events = [trade(n, id_=n) for n in range(1, 100)]
    events += [trade(n, id_=n) for n in range(95, 200)]
    found = dict(minutes(events))
    assert found[1].trades == 60 + 5


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intervals", "words"),
    [((), "empty"), (("1x",), "no interval"), (("2m", "5m"), "5m is not made of whole 2m")],
)
def test_intervals_that_cannot_be_are_refused_in_words(intervals, words):
    with pytest.raises(ConfigError, match=words):
        PLUGIN.build("candles", CandlesConfig(intervals=intervals))


def test_restored_states_take_todays_settings():
    old = pipeline(memory_minutes=30)
    old.process([trade(n * 20.0, id_=n) for n in range(300)])
    new = pipeline(memory_minutes=5, quiet_bars=2)
    assert new.restore(old.snapshot()) == []
    said = new.process([trade(6005, id_=301), trade(60_000, id_=302), trade(60_061, id_=303)])
    assert (
        len(
            [
                c
                for c in said
                if type(c) is Candle and c.closed and c.interval == "1m" and not c.trades
            ]
        )
        == 2
    )


def test_other_intervals_begin_anew():
    old = pipeline(intervals=("1m",))
    old.process([trade(1)])
    new = pipeline(intervals=("1m", "3m"))
    assert new.restore(old.snapshot()) == []
    said = new.process([trade(2, id_=2), trade(61, id_=3)])
    assert [c.trades for c in said if type(c) is Candle and c.closed] == [2]


# --- against a plain recomputation ----------------------------------------------------------------


def truth(trades, interval):
    """What the candles of all trades are, made the slow way."""
    width = Interval.parse(interval)
    groups = {}
    for one in sorted(trades, key=lambda t: (t.ts, int(t.id))):
        groups.setdefault(width.floor(one.ts), []).append(one)
    return {
        ts: (
            group[0].price,
            max(t.price for t in group),
            min(t.price for t in group),
            group[-1].price,
            sum(t.count for t in group),
            pytest.approx(sum(t.size for t in group)),
            pytest.approx(sum(t.size for t in group if t.side is Side.BUY)),
            pytest.approx(sum(t.size * t.price for t in group)),
        )
        for ts, group in groups.items()
    }


moves = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.1, 0.9, 3.0, 20.0, 60.0, 200.0]),
        st.sampled_from([0.0, 0.0, 0.0, 0.2, 5.0, 70.0, 500.0]),
        st.integers(1, 9),
        st.booleans(),
    ),
    min_size=20,
    max_size=80,
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_the_latest_revisions_are_the_truth_whatever_comes_late(steps):
    trades, now = [], 600.0
    for id_, (step, ago, price, buys) in enumerate(steps):
        now += step
        side = Side.BUY if buys else Side.SELL
        trades.append(trade(now - ago, 100.0 + price, price / 10, id_, side=side, count=price))
    said = derived([*trades, tick(now + 1), tick(now + 3600)], intervals=("1m", "5m", "15m"))
    for interval in ("1m", "5m", "15m"):
        closed = [c for c in said if type(c) is Candle and c.closed and c.interval == interval]
        latest = {c.ts: c for c in closed}
        filled = {
            ts: (
                c.open, c.high, c.low, c.close, c.trades,
                c.volume, c.buy_volume, c.quote_volume,
            )
            for ts, c in latest.items()
            if c.trades
        }  # fmt: skip
        assert filled == truth(trades, interval)
        for ts, candle in latest.items():
            revisions = [c.revision for c in closed if c.ts == ts]
            assert revisions == list(range(len(revisions)))
            before = latest.get(ts - Interval.parse(interval).micros)
            assert candle.prev_close == (before.close if before else None)
        since_first = [ts for ts in sorted(latest) if ts >= trades[0].ts]
        assert {other - one for one, other in pairwise(since_first)} <= {
            Interval.parse(interval).micros
        }
