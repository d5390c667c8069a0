"""Our candles and the venue's."""

import pytest

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Candle, Metric, Origin, Quality, Tick
from tapewatch.process import candles, seconds
from tapewatch.process.reconcile import PLUGIN, ReconcileConfig
from tapewatch.stream.pipeline import Pipeline
from tests.streams import INSTS, at, coverage, tick, trade

OWN, VENUE = Origin.OWN, Origin.VENUE


@pytest.fixture
def pipeline():
    return Pipeline([PLUGIN.build("reconcile", PLUGIN.config())])


def candle(origin, minute=0, **fields):
    known = {
        "interval": "1m", "open": 100.0, "high": 110.0, "low": 90.0, "close": 105.0,
        "volume": 12.5, "buy_volume": 4.0, "trades": 40, "closed": True,
        "quality": Quality.COMPLETE,
    }  # fmt: skip
    ts = at(60 * minute)
    return Candle(ts, at(60 * minute + 61), INSTS[0], origin=origin, **{**known, **fields})


def mismatches(said):
    return [m for m in said if type(m) is Metric and m.name == "candle_mismatch"]


@pytest.mark.parametrize("order", [(OWN, VENUE), (VENUE, OWN)])
def test_equal_candles_are_told_at_once_whoever_is_first(pipeline, order):
    first, second = order
    assert pipeline.process([candle(first)]) == []
    (told,) = pipeline.process([candle(second)])
    assert (told.value, told.window, told.quality) == (0.0, "1m", Quality.COMPLETE)
    assert told.ts == at(60)
    assert pipeline.process([tick(200)]) == []


@pytest.mark.parametrize(
    ("field", "value", "share", "words"),
    [
        ("open", 100.5, 0.5 / 100.5, "open 100, theirs 100.5"),
        ("high", 111.0, 1 / 111, "high 110, theirs 111"),
        ("low", 89.0, 1 / 89, "low 90, theirs 89"),
        ("close", 104.0, 1 / 104, "close 105, theirs 104"),
        ("volume", 12.6, 0.1 / 12.6, "volume 12.5, theirs 12.6"),
        ("trades", 41, 1 / 41, "trades 40, theirs 41"),
    ],
)
def test_each_field_that_differs_is_named_with_both_values(pipeline, field, value, share, words):
    said = pipeline.process([candle(OWN), candle(VENUE, **{field: value}), tick(75)])
    (told,) = mismatches(said)
    assert told.value == pytest.approx(share)
    assert told.evidence == ("candle of 2023-11-14T22:00:00.000000Z", words)


def test_what_differs_is_told_only_when_it_had_time_to_settle(pipeline):
    assert pipeline.process([candle(OWN), candle(VENUE, volume=13.0), tick(69)]) == []
    (told,) = pipeline.process([candle(OWN, volume=13.0, revision=1)])
    assert told.value == 0.0


def test_correction_after_it_was_told_takes_it_back(pipeline):
    said = pipeline.process([candle(OWN), candle(VENUE, volume=13.0), tick(75)])
    assert mismatches(said)[0].value > 0
    repaired = candle(OWN, volume=13.0, revision=1, quality=Quality.REPAIRED)
    (told,) = pipeline.process([repaired])
    assert (told.value, told.quality) == (0.0, Quality.REPAIRED)


@pytest.mark.parametrize(
    "fields",
    [{"volume": 12.5 + 1e-6}, {"open": 100.0 + 1e-8}, {"trades": 0}, {"buy_volume": 0.0}],
    ids=str,
)
def test_rounding_and_what_a_venue_does_not_tell_is_no_difference(pipeline, fields):
    (told,) = pipeline.process([candle(OWN), candle(VENUE, **fields), tick(75)])
    assert told.value == 0.0


def test_partial_candle_of_ours_is_not_judged_and_said_not_to_be(pipeline):
    ours = candle(OWN, volume=3.0, quality=Quality.PARTIAL)
    (told,) = pipeline.process([ours, candle(VENUE), tick(75), tick(90)])
    assert (told.value, told.quality) == (0.0, Quality.PARTIAL)
    assert told.evidence[1:] == ("not judged: ours is partial", "volume 3, theirs 12.5")


def test_partial_candle_that_is_equal_all_the_same_is_said_to_be(pipeline):
    ours = candle(OWN, quality=Quality.PARTIAL)
    (told,) = pipeline.process([ours, candle(VENUE), tick(75)])
    assert told.evidence[1:] == ("ours is partial, and equal all the same",)


def test_partial_candle_that_was_made_whole_is_compared(pipeline):
    ours = candle(OWN, volume=3.0, quality=Quality.PARTIAL)
    pipeline.process([ours, candle(VENUE), tick(75)])
    (told,) = pipeline.process([candle(OWN, volume=12.0, quality=Quality.REPAIRED, revision=1)])
    assert told.value == pytest.approx(0.04)


def test_one_that_is_missing_is_said_where_there_were_both_before(pipeline):
    pipeline.process([candle(OWN), candle(VENUE)])
    (told,) = pipeline.process([candle(VENUE, 1), tick(135)])
    assert told.evidence[1] == "not judged: we have none"
    (told,) = pipeline.process([candle(OWN, 2), tick(195)])
    assert told.evidence[1] == "not judged: the venue told none"


def test_venue_that_gives_no_candles_is_not_missed(pipeline):
    assert pipeline.process([candle(OWN), tick(75), candle(OWN, 1), tick(135)]) == []


def test_open_at_the_close_before_it_is_no_difference(pipeline):
    ours = candle(OWN, prev_close=80.0)
    (told,) = pipeline.process([ours, candle(VENUE, open=80.0, low=80.0)])
    assert told.value == 0.0


def test_close_before_it_does_not_excuse_another_low(pipeline):
    ours = candle(OWN, prev_close=95.0)
    (told,) = pipeline.process([ours, candle(VENUE, open=95.0, low=80.0), tick(75)])
    assert told.evidence[1:] == ("low 90, theirs 80",)


def test_growing_and_other_intervals_are_left_out(pipeline):
    growing = candle(OWN, closed=False)
    assert pipeline.process([growing, candle(OWN, interval="5m"), candle(VENUE), tick(75)]) == []


def test_candles_made_of_trades_agree_with_a_venue_that_saw_the_same():
    pipeline = Pipeline(
        [
            seconds.PLUGIN.build("seconds", seconds.PLUGIN.config()),
            candles.PLUGIN.build("candles", candles.PLUGIN.config()),
            PLUGIN.build("reconcile", PLUGIN.config()),
        ]
    )
    prices = {61: 100.0, 70: 104.0, 90: 98.0, 110: 101.0}
    trades = [trade(1, 99.0, id_=1), coverage(1, 1, 1), trade(2, 99.0, id_=2)]
    trades += [trade(secs, price, id_=n) for n, (secs, price) in enumerate(prices.items(), 3)]
    theirs = candle(VENUE, 1, open=100.0, high=104.0, low=98.0, close=101.0, volume=4.0, trades=4)
    said = pipeline.process([*trades, tick(111), tick(122), theirs])
    assert [(m.value, m.quality) for m in mismatches(said)] == [(0.0, Quality.COMPLETE)]
    lost = [event for event in trades if event.ts != at(90)]
    pipeline = Pipeline(pipeline.processors)
    said = pipeline.process(
        [*lost, tick(111), tick(122), theirs, Tick(at(140), at(140), "binance")]
    )
    assert mismatches(said)[-1].value == pytest.approx(0.25)
    assert "low 100, theirs 98" in mismatches(said)[-1].evidence


def test_interval_that_cannot_be_read_is_refused():
    with pytest.raises(ConfigError, match=r"reconcile\.intervals"):
        PLUGIN.build("reconcile", ReconcileConfig(intervals=("often",)))
