import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Candle, Quality
from tapewatch.model.times import DAY, MINUTE, Interval
from tapewatch.process.rollup import largest_divisor, rollup, worst
from tests.streams import BEGIN, INSTS


def interval(text):
    return Interval.parse(text)


def candle(n, *, width=MINUTE, name="1m", price=100.0, **more):
    ts = BEGIN + n * width
    more = {"closed": True, "quality": Quality.COMPLETE, "prev_close": price - 1, **more}
    return Candle(
        ts, ts + width, INSTS[0], name, price, price + 2, price - 2, price + 1, 1.0, 0.5, 3, **more
    )


def test_the_largest_stored_divisor_is_found():
    stored = [interval(text) for text in ("1m", "5m", "15m", "1h", "1d")]
    found = [
        largest_divisor(interval(text), stored).name for text in ("7m", "3d", "30m", "1h", "2w")
    ]
    assert found == ["1m", "1d", "15m", "1h", "1d"]


def test_no_divisor_is_told_with_what_is_stored():
    with pytest.raises(ValueError, match=r"7m is not made of whole stored candles \(5m, 1h\)"):
        largest_divisor(interval("7m"), [interval("5m"), interval("1h")])


def test_parts_make_a_whole():
    parts = [candle(n, price=100.0 + n, quote_volume=10.0) for n in range(5)]
    (whole,) = rollup(parts, interval("5m"))
    assert (whole.ts, whole.interval, whole.closed) == (BEGIN, "5m", True)
    assert (whole.open, whole.high, whole.low, whole.close) == (100.0, 106.0, 98.0, 105.0)
    assert (whole.volume, whole.buy_volume, whole.trades, whole.quote_volume) == (
        5.0,
        2.5,
        15,
        50.0,
    )
    assert whole.prev_close == 99.0
    assert whole.quality is Quality.COMPLETE
    assert whole.recv == parts[-1].recv


def test_nothing_gives_nothing():
    assert rollup([], interval("5m")) == []


def test_the_same_interval_comes_back_as_it_is():
    parts = [candle(n) for n in range(3)]
    assert rollup(parts, interval("1m")) == parts


def test_custom_intervals_are_anchored_at_the_epoch():
    made = rollup([candle(n) for n in range(60)], interval("7m"))
    assert {whole.ts % (7 * MINUTE) for whole in made} == {0}


def test_weeks_begin_on_monday():
    days = [candle(n, width=DAY, name="1d") for n in range(14)]
    made = rollup(days, interval("1w"))
    assert [(whole.ts // DAY - 4) % 7 for whole in made] == [0, 0, 0]


def test_a_missing_part_makes_it_partial():
    (whole,) = rollup([candle(n) for n in (0, 1, 3, 4)], interval("5m"))
    assert whole.closed
    assert whole.quality is Quality.PARTIAL


def test_a_missing_beginning_makes_it_partial_without_prev_close():
    (whole,) = rollup([candle(n) for n in (2, 3, 4)], interval("5m"))
    assert whole.quality is Quality.PARTIAL
    assert whole.prev_close is None
    assert whole.ts == BEGIN


def test_a_growing_candle_is_not_closed_and_as_good_as_its_parts():
    whole, growing = rollup([candle(n) for n in range(7)], interval("5m"))
    assert whole.closed
    assert not growing.closed
    assert growing.quality is Quality.COMPLETE


def test_a_growing_part_keeps_the_whole_growing():
    parts = [*(candle(n) for n in range(4)), candle(4, closed=False)]
    (growing,) = rollup(parts, interval("5m"))
    assert not growing.closed


def test_a_candle_that_ended_without_its_last_parts_is_closed_and_partial():
    first, _ = rollup([candle(0), candle(1), candle(6)], interval("5m"))
    assert first.closed
    assert first.quality is Quality.PARTIAL


def test_the_worst_part_decides():
    parts = [candle(n, quality=Quality.REPAIRED if n == 2 else Quality.COMPLETE) for n in range(5)]
    assert rollup(parts, interval("5m"))[0].quality is Quality.REPAIRED
    assert worst(Quality.PARTIAL, Quality.SAMPLED) is Quality.PARTIAL
    assert worst(Quality.REPAIRED, Quality.SAMPLED) is Quality.SAMPLED


def test_of_reissues_the_highest_revision_counts_and_the_whole_has_a_higher_one():
    parts = [candle(n) for n in range(5)]
    reissue = candle(3, price=500.0, revision=2)
    for given_parts in ([*parts, reissue], [reissue, *parts]):
        (whole,) = rollup(given_parts, interval("5m"))
        assert whole.high == 502.0
        assert whole.revision == 2


@given(st.sets(st.integers(0, 200)), st.sampled_from(["2m", "5m", "7m", "1h"]))
def test_nothing_is_lost_or_doubled(minutes, text):
    parts = [candle(n, price=100.0 + n) for n in sorted(minutes)]
    made = rollup(parts, interval(text))
    assert sum(whole.trades for whole in made) == 3 * len(parts)
    assert [whole.ts for whole in made] == sorted({interval(text).floor(p.ts) for p in parts})
    for whole in made[:-1]:
        inside = [p for p in parts if interval(text).floor(p.ts) == whole.ts]
        complete = len(inside) * MINUTE == interval(text).micros
        assert (whole.quality is Quality.COMPLETE) is complete
        assert whole.closed
