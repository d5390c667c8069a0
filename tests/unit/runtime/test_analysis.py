import math

import pytest

from tapewatch.model.errors import NotFound
from tapewatch.model.events import Candle, Micros, Quality
from tapewatch.model.times import MINUTE
from tapewatch.runtime import analysis

INST = "binance:BTC/USDT"


def candle(number: int, close: float, volume: float = 2.0, quality=Quality.COMPLETE) -> Candle:
    return Candle(
        Micros(number * MINUTE), Micros(number * MINUTE), INST, "1m", close, close + 1, close - 1,
        close, volume, volume / 4, 3, closed=True, quote_volume=volume * close, quality=quality,
    )  # fmt: skip


def test_a_report_sums_up_what_there_is():
    report = analysis.summarise(
        INST, [candle(0, 100.0), candle(1, 110.0, 6.0), candle(3, 121.0, quality=Quality.PARTIAL)]
    )
    assert (report.open, report.close, report.high, report.low) == (100.0, 121.0, 122.0, 99.0)
    assert report.change == pytest.approx(0.21)
    assert (report.volume, report.trades, report.buy_share) == (10.0, 9, 0.25)
    assert report.vwap == pytest.approx((200 + 660 + 242) / 10)
    assert (report.minutes, report.expected, report.complete) == (3, 4, 2)
    assert report.busiest == MINUTE
    assert report.volatility_day is None  # one return over a whole minute only


def test_volatility_is_scaled_to_a_day_and_leaves_holes_out():
    report = analysis.summarise(
        INST, [candle(0, 100.0), candle(1, 101.0), candle(2, 100.0), candle(9, 500.0)]
    )
    step = math.log(1.01)
    assert report.volatility_day == pytest.approx(math.sqrt(2) * step * math.sqrt(1440))
    assert any("quality     4 of 10" in line for line in report.lines())


def test_any_spelling_is_found_and_an_unknown_one_gets_the_nearest():
    insts = ["binance:ETH/USDT", INST]
    assert analysis.choose(insts, "btc-usdt") == INST
    assert analysis.choose(insts, None) == INST
    with pytest.raises(NotFound, match="BTC/USDT"):
        analysis.choose(insts, "BTCUSTD")


async def test_without_anything_stored_there_is_no_report(tmp_path):
    assert await analysis.analyse(tmp_path, None, Micros(0), Micros(MINUTE)) is None
