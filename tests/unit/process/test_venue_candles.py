import pytest
from msgspec.structs import replace

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Candle, Origin, Quality
from tapewatch.model.times import MINUTE
from tapewatch.process.venue_candles import PLUGIN, VenueCandlesConfig
from tapewatch.stream.pipeline import Pipeline
from tests.streams import BEGIN, INSTS


def pipeline(**config):
    config = {"intervals": ("5m", "15m"), **config}
    return Pipeline([PLUGIN.build("venue_candles", VenueCandlesConfig(**config))])


def candle(n, *, closed=True, origin=Origin.VENUE, name="1m", price=100.0):
    ts = BEGIN + n * MINUTE
    return Candle(
        ts, ts + MINUTE, INSTS[0], name, price, price + n, price - n, price, 1.0, 0.5, 2, closed,
        quality=Quality.COMPLETE, origin=origin,
    )  # fmt: skip


def test_base_candles_make_larger_ones_as_they_close():
    said = pipeline().process([candle(n) for n in range(16)])
    assert [(c.interval, (c.ts - BEGIN) // MINUTE) for c in said] == [
        ("5m", 0), ("5m", 5), ("5m", 10), ("15m", 0),
    ]  # fmt: skip
    assert said[0].high == 104.0
    assert said[3].trades == 30
    assert {(c.origin, c.closed, c.quality) for c in said} == {
        (Origin.VENUE, True, Quality.COMPLETE)
    }


def test_growing_and_our_own_candles_are_left_out():
    events = [candle(n, closed=False) for n in range(9)]
    events += [candle(n, origin=Origin.OWN) for n in range(9)]
    assert pipeline().process(events) == []


def test_a_part_that_comes_again_counts_once():
    said = pipeline().process([candle(n) for n in (0, 0, 1, 2, 1, 3, 4)])
    assert [c.trades for c in said] == [10]


def test_a_missing_part_makes_it_partial():
    said = pipeline().process([candle(n) for n in (0, 1, 3, 4)])
    assert [(c.trades, c.quality) for c in said] == [(8, Quality.PARTIAL)]


def test_a_candle_that_began_before_us_is_partial():
    said = pipeline().process([candle(n) for n in (2, 3, 4)])
    assert [((c.ts - BEGIN) // MINUTE, c.quality) for c in said] == [(0, Quality.PARTIAL)]


def test_a_candle_whose_last_parts_never_came_is_given_when_the_next_begins():
    said = pipeline().process([candle(n) for n in (0, 1, 7)])
    assert [(c.interval, c.trades, c.quality) for c in said] == [("5m", 4, Quality.PARTIAL)]


def test_an_interval_that_the_venue_sends_is_left_to_it():
    theirs = replace(candle(0, name="5m"), closed=False)
    said = pipeline().process([theirs, *(candle(n) for n in range(15))])
    assert [c.interval for c in said] == ["15m"]


def test_intervals_that_cannot_be_are_refused_in_words():
    with pytest.raises(ConfigError, match="7m is not made of two or more 5m"):
        pipeline(base="5m", intervals=("7m",))
    with pytest.raises(ConfigError, match="no interval"):
        pipeline(base="often")


def test_other_intervals_begin_anew():
    old = pipeline()
    old.process([candle(0)])
    new = pipeline(intervals=("3m",))
    assert new.restore(old.snapshot()) == []
    assert [c.interval for c in new.process([candle(n) for n in (0, 1, 2)])] == ["3m"]
