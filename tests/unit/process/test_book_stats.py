import pytest

from tapewatch.model.events import BookDelta, BookSnapshot, Gap, Metric, Quality, Quote
from tapewatch.process.book_stats import PLUGIN, BookStatsConfig
from tapewatch.stream.pipeline import Pipeline
from tests.streams import INSTS, at, gap


def derived(*events, **config):
    return Pipeline([PLUGIN.build("book_stats", BookStatsConfig(**config))]).process(list(events))


def metrics(*events, **config):
    return {e.name: e for e in derived(*events, **config) if type(e) is Metric}


def quote(secs, bid, ask):
    return Quote(at(secs), at(secs), INSTS[0], bid, 1.0, ask, 1.0)


def snapshot(secs=0.0, bids=((999.9, 2.0), (990.0, 1.0)), asks=((1000.1, 1.0), (1010.0, 1.0))):
    return BookSnapshot(at(secs), at(secs), INSTS[0], 1, tuple(bids), tuple(asks))


def delta(secs, bids=(), asks=()):
    return BookDelta(at(secs), at(secs), INSTS[0], 2, 2, tuple(bids), tuple(asks))


CROSSING = ((1000.5, 1.0),)


def test_spread_comes_from_quotes_in_basis_points_of_the_middle():
    (said,) = derived(quote(0, 999.0, 1001.0))
    assert (said.name, said.value) == ("spread_bps", pytest.approx(20.0))


def test_quotes_are_told_once_a_second():
    said = derived(*(quote(n / 10, 999.0, 1001.0) for n in range(25)))
    assert [event.ts for event in said] == [at(0), at(1), at(2)]


def test_an_empty_side_of_a_quote_has_no_spread():
    assert derived(quote(0, 0.0, 1001.0)) == []


def test_a_clock_that_goes_back_does_not_silence_the_spread():
    assert len(derived(quote(1000, 9.0, 10.0), quote(0, 9.0, 10.0))) == 2


def test_depth_and_imbalance_count_what_lies_near_the_middle():
    said = metrics(snapshot())
    assert said["depth_bid"].value == pytest.approx(999.9 * 2)
    assert said["depth_ask"].value == pytest.approx(1000.1)
    total = 999.9 * 2 + 1000.1
    assert said["imbalance"].value == pytest.approx((999.9 * 2 - 1000.1) / total)
    assert said["imbalance"].window == "10bps"
    assert said["imbalance"].quality is Quality.COMPLETE


def test_a_wider_reach_counts_more():
    said = metrics(snapshot(), reach_bps=100.0)
    assert said["depth_bid"].value == pytest.approx(999.9 * 2 + 990.0)
    assert said["depth_bid"].window == "100bps"


def test_depth_beyond_what_the_snapshot_covered_is_partial():
    assert metrics(snapshot(), reach_bps=200.0)["depth_bid"].quality is Quality.PARTIAL


def test_the_book_is_told_once_a_second():
    events = [snapshot(), *(delta(n / 10, [(999.0, float(n))]) for n in range(1, 25))]
    assert sorted({event.ts for event in derived(*events)}) == [at(0), at(1), at(2)]


def test_without_quotes_the_spread_comes_from_the_book():
    assert metrics(snapshot())["spread_bps"].value == pytest.approx(2.0)
    said = derived(quote(0, 999.0, 1001.0), snapshot(0.5))
    assert [event.value for event in said if event.name == "spread_bps"] == [pytest.approx(20.0)]


def test_a_crossed_book_is_told_exactly_once_until_the_next_snapshot():
    crossed = [delta(secs, CROSSING) for secs in (1, 2, 3)]
    gaps = [e for e in derived(snapshot(), *crossed) if type(e) is Gap]
    assert [(e.channel, e.ts) for e in gaps] == [("depth", at(1))]
    assert "crossed book: bid 1000.5, ask 1000.1" in gaps[0].reason
    again = derived(snapshot(), *crossed, snapshot(4), delta(5, CROSSING))
    assert len([e for e in again if type(e) is Gap]) == 2


def test_a_crossed_snapshot_is_told_too():
    (said,) = derived(snapshot(bids=CROSSING))
    assert type(said) is Gap


def test_a_crossing_is_told_at_the_first_change_of_the_next_second():
    events = [snapshot(), delta(0.2, CROSSING), delta(0.9), delta(1.3)]
    gaps = [e for e in derived(*events) if type(e) is Gap]
    assert [(e.channel, e.ts) for e in gaps] == [("depth", at(1.3))]


def test_a_crossed_snapshot_is_told_at_once_within_a_second_too():
    gaps = [e for e in derived(snapshot(), snapshot(0.2, bids=CROSSING)) if type(e) is Gap]
    assert [e.ts for e in gaps] == [at(0.2)]


def test_a_price_beyond_what_the_snapshot_covered_is_partial_and_no_gap():
    gone = delta(1, [(999.9, 0.0), (990.0, 0.0), (980.0, 1.0)])
    said = [event for event in derived(snapshot(), gone) if event.ts == at(1)]
    assert {(event.name, event.quality) for event in said if event.name == "depth_bid"} == {
        ("depth_bid", Quality.PARTIAL)
    }
    assert not [event for event in said if type(event) is Gap]


def test_a_void_book_tells_nothing():
    void = gap(0.5, channel="depth")
    assert derived(delta(0)) == []
    assert derived(snapshot(), void, delta(2, CROSSING)) == derived(snapshot())


def test_a_gap_in_the_trades_leaves_the_book():
    said = derived(snapshot(), gap(0.5, channel="trade"), delta(2))
    assert {event.ts for event in said} == {at(0), at(2)}


def test_restored_states_take_todays_reach():
    old = Pipeline([PLUGIN.build("book_stats", BookStatsConfig())])
    old.process([snapshot()])
    new = Pipeline([PLUGIN.build("book_stats", BookStatsConfig(reach_bps=50.0))])
    assert new.restore(old.snapshot()) == []
    assert {event.window for event in new.process([delta(2)])} == {"50bps", "1s"}
