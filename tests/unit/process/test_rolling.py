from itertools import pairwise

import pytest

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Metric, Quality, Ticker, Trade
from tapewatch.process import seconds
from tapewatch.process.rolling import PLUGIN, RollingConfig
from tapewatch.stream.pipeline import Pipeline
from tests.streams import INSTS, at, gap, tick, trade

HOUR, DAY = 3600.0, 86_400.0


def pipeline(**config):
    adding = seconds.PLUGIN.build("seconds", seconds.PLUGIN.config())
    return Pipeline([adding, PLUGIN.build("rolling", RollingConfig(**config))])


def changes(events, name="change_short", **config):
    """What is said until the second of the last trade is over."""
    events = list(events)
    if type(events[-1]) is Trade:
        events.append(tick((events[-1].ts - at(0)) // 1_000_000 + 1))
    said = pipeline(**config).process(events)
    return [event for event in said if type(event) is Metric and event.name == name]


def ticker(secs, last):
    return Ticker(at(secs), at(secs), INSTS[0], last, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def steady(until, step=20.0, price=100.0, begin=0.0):
    return [trade(begin + n * step, price, id_=n) for n in range(int((until - begin) / step))]


def test_change_is_a_fraction_of_the_price_when_the_window_began():
    *_, last = changes([*steady(HOUR), trade(HOUR + 100, 110.0)])
    assert last.value == pytest.approx(0.10)
    assert (last.name, last.window, last.ts) == ("change_short", "1h", at(HOUR + 100))


def test_the_reference_moves_with_the_window():
    events = [*steady(HOUR), *steady(2 * HOUR, price=200.0, begin=HOUR)]
    values = [event.value for event in changes([*events, trade(2 * HOUR + 70, 200.0)])]
    assert max(values) == pytest.approx(1.0)
    assert values[-1] == 0.0


def test_both_windows_are_told():
    events = [*steady(2 * HOUR), trade(2 * HOUR, 150.0)]
    assert changes(events, "change_24h")[-1].value == pytest.approx(0.5)
    assert changes(events, "change_24h")[-1].window == "24h"


def test_24_hours_are_reached():
    events = [trade(0.0, 50.0), *steady(DAY + 2 * HOUR, 60.0, begin=HOUR)]
    *_, last = changes(events, "change_24h")
    assert last.value == 0.0
    at_23_hours = [event for event in changes(events, "change_24h") if event.ts <= at(DAY - HOUR)]
    assert at_23_hours[-1].value == pytest.approx(1.0)


def test_the_short_window_can_be_set():
    events = [*steady(900), *steady(2000, price=105.0, begin=900)]
    by_time = {event.ts: event for event in changes(events, short="5m")}
    assert by_time[at(1100)].value == pytest.approx(0.05)
    assert by_time[at(1300)].value == 0.0
    assert by_time[at(1100)].window == "5m"


def test_told_once_a_second_of_event_time():
    events = [trade(n / 10, 100.0 + n, id_=n) for n in range(30)]
    assert [event.ts for event in changes(events)] == [at(0.9), at(1.9), at(2.9)]


def test_a_tick_tells_the_last_price_of_a_quiet_second():
    said = changes([trade(0.1, 100.0), trade(1.5, 150.0), tick(2.0)])
    assert [event.value for event in said] == [0.0, pytest.approx(0.5)]


def test_in_silence_it_is_told_once_a_minute_because_the_reference_moves():
    events = [*steady(HOUR), *steady(HOUR + 40, price=110.0, begin=HOUR)]
    said = changes([*events, *(tick(HOUR + n * 10) for n in range(6, 400))])
    silent = [event for event in said if event.ts > at(HOUR + 60)]
    assert {b.ts - a.ts for a, b in pairwise(silent)} == {60_000_000}
    assert silent[0].value == pytest.approx(0.10)
    assert silent[-1].value == 0.0


def test_after_a_day_of_silence_no_more_is_told():
    said = changes([trade(0.0), *(tick(n * 600.0) for n in range(1, 300))])
    assert said[-1].ts <= at(DAY + 60)


def test_partial_until_the_window_is_full():
    said = {event.ts: event.quality for event in changes(steady(2 * HOUR))}
    assert said[at(HOUR - 20)] is Quality.PARTIAL
    assert said[at(HOUR + 20)] is Quality.COMPLETE


def test_a_gap_makes_it_partial_until_the_window_has_passed():
    events = [*steady(1.5 * HOUR), gap(1.5 * HOUR), *steady(4 * HOUR, begin=1.5 * HOUR + 10)]
    said = {event.ts: event.quality for event in changes(events)}
    assert said[at(1.5 * HOUR - 20)] is Quality.COMPLETE
    assert said[at(1.5 * HOUR + 10)] is Quality.PARTIAL
    assert said[at(2.5 * HOUR - 10)] is Quality.PARTIAL
    assert said[at(2.5 * HOUR + 30)] is Quality.COMPLETE


def test_a_gap_in_another_channel_is_no_matter():
    events = [*steady(1.5 * HOUR), gap(1.5 * HOUR, channel="depth"), trade(1.5 * HOUR + 1)]
    assert changes(events)[-1].quality is Quality.COMPLETE


def test_without_trades_the_ticker_tells_and_is_marked_as_sampled():
    said = changes([ticker(n * 20.0, 100.0 + n) for n in range(200)])
    assert said[-1].value == pytest.approx(299.0 / (100 + 199 - 181) - 1, rel=0.05)
    assert said[-1].quality is Quality.SAMPLED


def test_while_trades_flow_the_ticker_is_left_out():
    said = changes([trade(0.0, 100.0), tick(1.0), ticker(5.0, 500.0), trade(10.0, 101.0)])
    assert [event.value for event in said] == [0.0, pytest.approx(0.01)]


def test_a_late_trade_is_not_the_price():
    said = changes([trade(0.0), trade(50.0, 110.0), trade(20.0, 500.0), trade(51.0, 110.0)])
    assert [event.value for event in said][-1] == pytest.approx(0.10)


def test_repaired_trades_never_look_like_a_clock_that_went_back():
    events = [trade(1000.0, 100.0), *(trade(n, 1.0, repaired=True) for n in range(300))]
    said = changes([*events, trade(1001.0, 120.0)])
    assert said[-1].value == pytest.approx(0.20)


def test_a_clock_that_goes_back_far_is_followed():
    events = [trade(DAY, 100.0), *(trade(n * 1.0, 50.0 + n, id_=n) for n in range(150))]
    said = changes(events)
    assert said[-1].ts == at(149)


@pytest.mark.parametrize("short", ["1x", "10s", "2d"])
def test_a_window_that_cannot_be_is_refused(short):
    with pytest.raises(ConfigError, match="short: "):
        PLUGIN.build("rolling", RollingConfig(short=short))


def test_another_short_window_begins_anew_and_the_long_one_stays():
    old = pipeline()
    old.process(steady(2 * HOUR))
    new = pipeline(short="5m")
    assert new.restore(old.snapshot()) == []
    said = new.process([trade(2 * HOUR, 150.0), tick(2 * HOUR + 1)])
    changed = [event for event in said if type(event) is Metric]
    assert [(event.window, event.value) for event in changed][-2:] == [
        ("24h", pytest.approx(0.5)),
        ("5m", pytest.approx(0.5)),
    ]
