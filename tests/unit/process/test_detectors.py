"""What the detectors say of streams made by hand: surges, whales, big orders, liquidations."""

from itertools import pairwise

import pytest

from tapewatch.model.events import (
    Candle,
    Gap,
    Liquidation,
    Quality,
    Rate,
    Second,
    Side,
    TakerOrder,
    Ticker,
)
from tapewatch.process import (
    big_trade,
    flow_ratio,
    liquidation_spike,
    liquidations,
    rates,
    seconds,
    volatility,
    volume_surge,
    whale,
)
from tapewatch.stream.pipeline import Pipeline
from tests.streams import INSTS, at, tick, trade

BTC = INSTS[0]
BUY, SELL = Side.BUY, Side.SELL


def run(module, events, **config):
    name = module.__name__.rpartition(".")[2]
    processor = module.PLUGIN.build(name, module.PLUGIN.config(**config))
    adding = seconds.PLUGIN.build("seconds", seconds.PLUGIN.config())
    said = Pipeline([adding, processor]).process(list(events))
    return [event for event in said if type(event) not in (Second, TakerOrder)]


def of(events, name, window=None):
    return [e for e in events if e.name == name and (window is None or e.window == window)]


def even(until, begin=0, size=1.0, price=100.0):
    return [trade(s, price, size, id_=s, side=(BUY, SELL)[s % 2]) for s in range(begin, until)]


def gap(secs):
    return Gap(at(secs), at(secs), BTC, "aggTrade", "lost")


# --- volume_surge ---


def surge(begin, secs=60, size=10.0, number=100_000):
    return [trade(begin + s, 100.0, size, id_=number + s) for s in range(secs)]


def test_a_surge_is_told_as_a_multiple_of_what_is_usual():
    told = of(
        run(volume_surge, [*even(1800), *surge(1800), trade(1861, id_=1)]), "volume_surge", "1m"
    )
    top = max(told, key=lambda metric: metric.value)
    assert top.value == pytest.approx(10.0, rel=0.05)
    assert top.baseline == pytest.approx(6_000.0)
    assert top.quality is Quality.COMPLETE


def test_a_surge_does_not_eat_the_baseline_by_which_the_next_is_judged():
    events = [*even(1800), *surge(1800), *even(2100, 1860), *surge(2100, number=200_000)]
    told = of(run(volume_surge, [*events, trade(2161, id_=1)]), "volume_surge", "1m")
    second = [metric.value for metric in told if metric.ts >= at(2110)]
    assert max(second) == pytest.approx(10.0, rel=0.05)


def test_a_surge_ends_in_silence_too():
    ticks = [tick(1860 + s) for s in range(1, 70)]
    told = of(run(volume_surge, [*even(1800), *surge(1800), *ticks]), "volume_surge", "1m")
    assert told[-1].value < 2.0 < max(metric.value for metric in told)


def test_without_history_it_says_so_and_gives_no_score():
    told = of(run(volume_surge, [*even(200), *surge(200)]), "volume_surge", "1m")
    assert told
    assert {(metric.value, metric.quality, metric.baseline) for metric in told} == {
        (0.0, Quality.PARTIAL, None)
    }
    assert told[-1].evidence[0].startswith("not enough history: ")


def test_a_gap_in_the_window_makes_it_partial_until_it_has_passed():
    events = [*even(1800), gap(1800), *even(1950, 1800)]
    told = of(run(volume_surge, events), "volume_surge", "1m")
    by_time = [(metric.ts, metric.quality) for metric in told if metric.ts > at(1500)]
    assert Quality.PARTIAL in {quality for ts, quality in by_time if at(1800) <= ts < at(1860)}
    assert by_time[-1][1] is Quality.COMPLETE


def slow(begin, until, size, until_size=None):
    """A trade every ten seconds; sizes go evenly from one to the other."""
    last = size if until_size is None else until_size
    for secs in range(begin, until, 10):
        share = (secs - begin) / (until - begin)
        yield trade(secs, 100.0, size + (last - size) * share, id_=secs)


def test_a_morning_is_no_surge_against_the_night():
    night, dawn, day = 5 * 3600, 5 * 3600 + 1800, 8 * 3600
    events = [*slow(0, night, 1.0), *slow(night, dawn, 1.0, 6.0), *slow(dawn, day, 6.0)]
    told = of(run(volume_surge, events), "volume_surge", "5m")
    assert 1.5 < max(metric.value for metric in told) < 3.5


def test_a_surge_out_of_the_night_is_one_and_becomes_usual_when_it_lasts():
    night, day = 5 * 3600, 6 * 3600
    told = of(
        run(volume_surge, [*slow(0, night, 1.0), *slow(night, day, 6.0)]), "volume_surge", "5m"
    )
    assert max(m.value for m in told if m.ts < at(night + 600)) == pytest.approx(6.0, rel=0.02)
    assert told[-1].value == pytest.approx(1.0, rel=0.02)


# --- volatility ---


def test_volatility_is_the_root_of_the_squared_returns_scaled_to_a_day():
    events = [trade(s, 100.0 * (1.001 if s % 2 else 1.0), id_=s) for s in range(200)]
    told = of(run(volatility, events), "volatility", "1m")
    assert told[-1].value == pytest.approx(0.0009995 * 86_400**0.5, rel=0.01)
    assert told[-1].quality is Quality.COMPLETE
    assert told[0].quality is Quality.PARTIAL


def test_a_price_that_stands_still_has_no_volatility():
    assert of(run(volatility, even(120)), "volatility", "1m")[-1].value == 0.0


# --- flow_ratio ---


def test_the_buy_ratio_is_the_share_of_taker_buys():
    events = [trade(s, 100.0, 3.0 if s % 2 else 1.0, id_=s, side=(SELL, BUY)[s % 2])
              for s in range(400)]  # fmt: skip
    told = run(flow_ratio, events)
    assert of(told, "buy_ratio", "5m")[-1].value == pytest.approx(0.75, abs=0.01)
    assert of(told, "cvd", "1h")[-1].value > 0
    assert of(told, "vwap", "1h")[-1].value == pytest.approx(100.0)


def test_the_average_price_is_weighted_by_size():
    events = [*even(60, price=100.0, size=3.0), *even(125, begin=60, price=200.0, size=1.0)]
    vwap = of(run(flow_ratio, [*events, trade(130, 200.0, 1.0)]), "vwap", "1h")[-1].value
    worth = 60 * 300.0 + 60 * 200.0
    assert vwap == pytest.approx(worth / (60 * 3 + 60), rel=0.02)


def test_the_day_begins_anew_at_midnight_utc():
    events = [*even(7_190), *even(7_400, begin=7_201, size=0.5)]  # the stream begins at 22:00
    told = of(run(flow_ratio, events), "vwap", "day")
    assert told[0].quality is Quality.PARTIAL
    assert told[-1].quality is Quality.COMPLETE
    cvd = of(run(flow_ratio, [trade(7_100, side=BUY), trade(7_300), trade(7_420)]), "cvd", "day")
    assert cvd[-1].value == pytest.approx(100.0)


# --- whale, big_trade ---


def test_trades_of_one_moment_and_side_are_one_order():
    parts = [trade(100, 100.0, 2_000.0, id_=n) for n in range(3)]
    told = of(run(whale, [*even(100), *parts], usd_min=500_000.0, share_min=1.0), "whale_usd")
    assert [metric.value for metric in told] == [600_000.0]
    assert told[0].evidence == ("buy 6000 @ 100 from trade 0",)


def test_a_whale_is_told_as_share_of_the_last_minute_too():
    told = of(run(whale, [*even(100), trade(100, 100.0, 700.0)]), "whale_share")
    assert told[0].value == pytest.approx(700 / 759, abs=0.01)


def test_an_order_told_for_its_share_is_told_again_when_it_becomes_a_whale():
    """It had grown by less than a half since it was told, and nobody heard of half a million."""
    parts = [trade(100, 100.0, size, id_=n) for n, size in enumerate((4_000.0, 1_100.0))]
    told = of(run(whale, [*even(100), *parts], usd_min=500_000.0), "whale_usd")
    assert [metric.value for metric in told] == [400_000.0, 510_000.0]


def test_a_whale_is_gone_a_minute_later():
    told = of(run(whale, [*even(100), trade(100, 100.0, 9_000.0), tick(161)]), "whale_usd")
    assert [metric.value for metric in told] == [900_000.0, 0.0]


def test_dollars_are_counted_by_the_rate_and_marked_when_it_is_not_measured():
    rate = Rate(at(50), at(50), BTC, 0.5, Quality.COMPLETE)
    told = of(run(whale, [*even(100), rate, trade(100, 100.0, 12_000.0)]), "whale_usd")
    assert (told[0].value, told[0].quality) == (600_000.0, Quality.COMPLETE)
    unsure = of(run(whale, [*even(100), trade(100, 100.0, 12_000.0)]), "whale_usd")
    assert (unsure[0].value, unsure[0].quality) == (1_200_000.0, Quality.PARTIAL)


def varied(count):
    return [trade(s, 100.0, 1.0 + s * 7 % 13, id_=s) for s in range(count)]


def test_a_big_order_is_scored_against_the_usual_one():
    told = of(run(big_trade, [*varied(400), trade(400, 100.0, 9_000.0)]), "big_trade")
    assert told[0].value > 6
    assert told[0].baseline == pytest.approx(600.0, rel=0.3)
    assert told[0].evidence[0] == "900,000 usd"


def test_an_unusual_order_below_the_floor_is_not_told():
    assert not of(run(big_trade, [*varied(400), trade(400, 100.0, 2_000.0)]), "big_trade")


def test_a_giant_does_not_eat_the_baseline():
    giants = [trade(400 + n, 100.0, 9_000.0, id_=1_000 + n) for n in range(5)]
    scores = [m.value for m in of(run(big_trade, [*varied(400), *giants]), "big_trade")]
    assert len(scores) == 5
    assert scores[-1] > 0.85 * scores[0]


def test_a_big_order_without_history_says_so_and_has_no_score():
    told = of(run(big_trade, [*varied(20), trade(400, 100.0, 9_000.0)]), "big_trade")
    assert (told[0].value, told[0].baseline, told[0].quality) == (0.0, None, Quality.PARTIAL)
    assert told[0].evidence[-1] == "not enough history: 19 of 300 orders"


# --- liquidations ---


def closed(
    secs, size=1.0, side=SELL, inst="binance_futures:BTC/USDT:USDT", coverage=Quality.SAMPLED
):
    return Liquidation(at(secs), at(secs), inst, side, 100.0, size, coverage)


def test_liquidations_add_up_by_the_side_that_was_closed_and_say_at_least():
    told = run(liquidations, [closed(0, 5.0), closed(30, 2.0, BUY), closed(50, 1.0)])
    last = {(m.inst, m.name): m for m in told if m.window == "1m"}
    mine = "binance_futures:BTC/USDT:USDT"
    assert last[mine, "liq_long_usd"].value == pytest.approx(600.0)
    assert last[mine, "liq_short_usd"].value == pytest.approx(200.0)
    assert last[mine, "liq_count"].value == pytest.approx(3.0)
    assert {metric.quality for metric in told} == {Quality.SAMPLED}


BYBIT = "bybit_linear:BTC/USDT:USDT"


def whole(secs, size=1.0):
    return closed(secs, size, inst=BYBIT, coverage=Quality.COMPLETE)


def sums_of(events, window, inst="all:BTC"):
    found = of(run(liquidations, events), "liq_long_usd", window)
    return [(round(m.value), m.quality) for m in found if m.inst == inst]


def test_venues_add_up_and_one_that_samples_makes_the_sum_a_lower_bound():
    told = [whole(-90), whole(1, 3.0), closed(3, 1.0)]
    assert sums_of(told, "1m")[1:] == [(300, Quality.COMPLETE), (400, Quality.SAMPLED)]
    assert sums_of(told, "1m", BYBIT)[1:] == [(300, Quality.COMPLETE)]


def test_a_total_of_a_complete_feed_is_partial_until_its_window_is_full():
    told = [whole(0), whole(55), whole(65), whole(3_500), whole(3_665)]
    partial, complete = Quality.PARTIAL, Quality.COMPLETE
    for inst in (BYBIT, "all:BTC"):
        minutes = [quality for _, quality in sums_of(told, "1m", inst)]
        assert minutes == [partial, partial, complete, complete, complete]
        hours = [quality for _, quality in sums_of(told, "1h", inst)]
        assert hours == [partial] * 4 + [complete]
        assert {quality for _, quality in sums_of(told, "24h", inst)} == {partial}


def test_a_gap_of_liquidations_makes_totals_partial_until_it_has_left_the_window():
    lost = Gap(at(100), at(130), BYBIT, "allLiquidation", "closed")
    other = Gap(at(100), at(130), BYBIT, "publicTrade", "closed")
    told = [whole(0), whole(100), lost, whole(170), whole(200), whole(235)]
    partial, complete = Quality.PARTIAL, Quality.COMPLETE
    for inst in (BYBIT, "all:BTC"):
        found = [quality for _, quality in sums_of(told, "1m", inst)]
        assert found == [partial, complete, partial, partial, complete]
        told_of_trades = [other if event is lost else event for event in told]
        found = [quality for _, quality in sums_of(told_of_trades, "1m", inst)]
        assert found == [partial, complete, complete, complete, complete]


def test_a_sum_says_at_least_while_a_venue_with_derivatives_has_not_shown_that_it_tells_all():
    lives = Rate(at(80), at(80), "okx:BTC/USDT:USDT", 1.0, Quality.COMPLETE)
    spot = Rate(at(80), at(80), "okx:BTC/USDT", 1.0, Quality.COMPLETE)
    assert sums_of([whole(0), lives, whole(90)], "1m")[1:] == [(100, Quality.SAMPLED)]
    assert sums_of([whole(0), spot, whole(90)], "1m")[1:] == [(100, Quality.COMPLETE)]
    wanted = Gap(at(80), at(80), "okx:BTC/USDT:USDT", "liquidation-orders", "closed")
    assert sums_of([whole(0), wanted, whole(90)], "1m")[1:] == [(100, Quality.SAMPLED)]


def calm(minutes):
    return [closed(60 * n + 5, 20.0) for n in range(minutes)]


def test_many_small_liquidations_are_a_spike_by_count_and_few_large_ones_by_volume():
    many = [closed(1_800 + n, 1.0) for n in range(20)]
    told = run(liquidation_spike, [*calm(30), *many])
    assert max(m.value for m in of(told, "liq_spike_count")) > 3
    assert max(m.value for m in of(told, "liq_spike_volume")) < 3
    large = [closed(1_800, 900.0), closed(1_801.5, 900.0)]
    told = run(liquidation_spike, [*calm(30), *large])
    assert max(m.value for m in of(told, "liq_spike_volume")) > 3
    assert max(m.value for m in of(told, "liq_spike_count")) < 3


def test_a_spike_without_history_says_so():
    told = run(liquidation_spike, [closed(n, 900.0) for n in range(5)])
    assert {(metric.value, metric.quality) for metric in told} == {(0.0, Quality.PARTIAL)}
    assert told[0].evidence == ("not enough history: 0 of 15 minutes",)


# --- rates ---


def ticker(secs, inst, last):
    return Ticker(at(secs), at(secs), inst, last, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def rates_of(events):
    return {e.inst: (e.usd, e.quality) for e in run(rates, events) if isinstance(e, Rate)}


def test_a_coin_of_a_dollar_that_nobody_measures_counts_as_one():
    assert rates_of([ticker(0, BTC, 60_000.0)]) == {BTC: (1.0, Quality.PARTIAL)}


def test_the_worth_of_a_quote_is_measured_directly_or_over_a_bridge():
    direct = [ticker(0, "coinbase:USDT/USD", 0.97), ticker(1, BTC, 60_000.0)]
    assert rates_of(direct)[BTC] == (0.97, Quality.COMPLETE)
    bridge = [
        ticker(0, "coinbase:BTC/USD", 58_200.0),
        ticker(1, BTC, 60_000.0),
        ticker(40, BTC, 6e4),
    ]
    usd, quality = rates_of(bridge)[BTC]
    assert (usd, quality) == (pytest.approx(0.97), Quality.COMPLETE)


def test_what_is_quoted_in_bitcoin_is_worth_bitcoins_in_dollars():
    events = [ticker(0, "coinbase:BTC/USD", 60_000.0), ticker(1, "binance:ETH/BTC", 0.05)]
    assert rates_of(events)["binance:ETH/BTC"] == (60_000.0, Quality.COMPLETE)
    assert "binance:ETH/XYZ" not in rates_of([ticker(0, "binance:ETH/XYZ", 1.0)])


def test_a_rate_that_rests_on_an_old_price_is_marked():
    old = ticker(0, "coinbase:USDT/USD", 0.99)
    told = [
        e for e in run(rates, [old, ticker(1, BTC, 1.0), ticker(90, BTC, 1.0)]) if e.inst == BTC
    ]
    assert [rate.quality for rate in told] == [Quality.COMPLETE, Quality.PARTIAL]


def test_a_perpetual_is_not_its_assets_price():
    candle = Candle(
        at(0), at(1), "okx:BTC/USD:BTC", "1m", 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0, closed=False
    )
    assert rates_of([candle, ticker(2, "binance:ETH/BTC", 0.05)]) == {
        "okx:BTC/USD:BTC": (1.0, Quality.COMPLETE)
    }


def test_metrics_of_one_name_come_in_order():
    told = run(volume_surge, [*even(1_800), *surge(1_800), *even(2_000, 1_860)])
    for window in ("1m", "5m"):
        times = [metric.ts for metric in of(told, "volume_surge", window)]
        assert all(a < b for a, b in pairwise(times))
