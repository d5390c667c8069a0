"""What a coin of a dollar is worth."""

import pytest

from tapewatch.model.events import Quality, Second, Tick, Ticker
from tapewatch.process.depeg import PLUGIN
from tapewatch.stream.pipeline import Pipeline
from tests.streams import at


@pytest.fixture
def pipeline():
    return Pipeline([PLUGIN.build("depeg", PLUGIN.config())])


def second(secs, inst, price, **more):
    ts = at(secs)
    return Second(ts, ts, inst, *(4 * (price,)), 1.0, 1.0, 1.0, 0.5, 2, ts, ts, **more)


def rows(begin, end, **prices):
    """A price a second of each; `coinbase__BTC_USD` is `coinbase:BTC/USD`."""
    return [
        second(n, key.replace("__", ":").replace("_", "/"), price)
        for n in range(begin, end)
        for key, price in prices.items()
    ]


def last(said, coin):
    return [m for m in said if m.inst == f"all:{coin}/USD"][-1]


def test_direct_price_goes_before_all_else(pipeline):
    said = pipeline.process(
        rows(0, 30, coinbase__USDT_USD=0.99, coinbase__BTC_USD=100.0, okx__BTC_USDT=200.0)
    )
    told = last(said, "USDT")
    assert told.value == pytest.approx(-100.0)
    assert told.quality is Quality.COMPLETE
    assert told.evidence == ("USDT/USD 0.99 on coinbase",)


def test_over_bitcoin_where_nobody_trades_it_for_dollars(pipeline):
    said = pipeline.process(rows(0, 30, coinbase__BTC_USD=97.0, okx__BTC_USDC=100.0))
    told = last(said, "USDC")
    assert told.value == pytest.approx(-300.0)
    assert told.evidence == ("BTC/USD 97 on coinbase", "BTC/USDC 100 on okx")


def test_against_another_coin_is_marked(pipeline):
    told = last(pipeline.process(rows(0, 30, binance__USDC_USDT=0.97)), "USDC")
    assert (round(told.value), told.quality) == (-300, Quality.PARTIAL)
    assert told.evidence[-1] == "USDT is taken for a dollar"


def test_one_venue_that_is_off_does_not_move_the_coin(pipeline):
    said = pipeline.process(
        rows(0, 30, kraken__USDT_USD=1.0, coinbase__USDT_USD=1.0, bitstamp__USDT_USD=0.9)
    )
    assert last(said, "USDT").value == 0.0


def test_a_price_that_is_a_moment_late_is_no_depeg(pipeline):
    calm = rows(0, 30, coinbase__BTC_USD=100.0, okx__BTC_USDC=100.0)
    fall = [
        event
        for n in range(6)
        for event in (
            second(30 + n, "okx:BTC/USDC", 100.0 - n),
            second(30 + n, "coinbase:BTC/USD", 101.0 - n),
        )
    ]
    after = rows(36, 50, coinbase__BTC_USD=95.0, okx__BTC_USDC=95.0)
    said = pipeline.process([*calm, *fall, *after])
    assert max(abs(metric.value) for metric in said) < 50


def test_price_that_stands_still_in_a_moving_market_is_not_crossed(pipeline):
    pipeline.process(rows(0, 30, coinbase__BTC_USD=100.0, okx__BTC_USDC=100.0))
    said = pipeline.process(rows(30, 80, okx__BTC_USDC=120.0))
    assert {round(metric.value) for metric in said} <= {0}


def test_perpetuals_are_left_out(pipeline):
    assert pipeline.process([second(n, "okx:BTC/USD:BTC", 100.0 + n) for n in range(9)]) == []


def test_tickers_are_prices_too(pipeline):
    def ticker(secs):
        return Ticker(at(secs), at(secs), "kraken:USDT/USD", 0.98, 1, 1, 1, 1, 1, 0, 0)

    assert round(last(pipeline.process([ticker(n) for n in range(9)]), "USDT").value) == -200


def test_few_seconds_are_not_enough(pipeline):
    told = last(pipeline.process(rows(0, 2, coinbase__USDT_USD=0.99)), "USDT")
    assert told.quality is Quality.PARTIAL
    assert told.evidence[0] == "not enough history: 1 of 5 seconds"


def test_stale_price_is_said_once(pipeline):
    pipeline.process(rows(0, 30, coinbase__USDT_USD=0.99))
    said = pipeline.process([Tick(at(100 + n), at(100 + n), "binance") for n in range(5)])
    assert [(m.quality, m.evidence) for m in said] == [(Quality.PARTIAL, ("no price for 60 s",))]


def test_steady_coin_is_told_each_five_seconds(pipeline):
    said = pipeline.process(rows(0, 61, coinbase__USDT_USD=1.0001))
    assert len(said) == 13


def test_clock_that_goes_back_is_followed(pipeline):
    pipeline.process(rows(3600, 3630, coinbase__USDT_USD=1.0))
    assert last(pipeline.process(rows(0, 30, coinbase__USDT_USD=0.99)), "USDT").value == (
        pytest.approx(-100.0)
    )


def test_a_price_that_is_repaired_minutes_later_is_none_of_now(pipeline):
    before = rows(0, 200, coinbase__USDT_USD=1.0)
    old = [second(n, "coinbase:USDT/USD", 0.9, late=True, repaired=True) for n in range(60)]
    said = pipeline.process([*before, *old, *rows(200, 230, coinbase__USDT_USD=1.0)])
    assert {metric.value for metric in said if metric.inst == "all:USDT/USD"} == {0.0}
