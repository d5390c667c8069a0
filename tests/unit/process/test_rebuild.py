"""Candles made again: only what is proven, and with the sums of the trades."""

from tapewatch.model.events import Micros, Quality, Side, Trade
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.process.candles import PLUGIN
from tapewatch.process.rebuild import Rebuild

INST = "x:BTC/USDT"
T0 = Micros(1_790_000_000_000_000 // (5 * MINUTE) * 5 * MINUTE)


def trade(number, secs, price=10.0, count=1, *, repaired=True):
    ts = Micros(T0 + int(secs * SECOND))
    return Trade(
        ts, ts, INST, str(number), Side.BUY, price, 1.0, "t", count, repaired=repaired
    )  # fmt: skip


def rebuilt(trades, since, until, *, spans=False, intervals=("1m", "5m")):
    candles = PLUGIN.build("candles", PLUGIN.config(intervals=intervals))
    made = Rebuild(
        candles, INST, Micros(T0 + since * SECOND), Micros(T0 + until * SECOND), spans=spans
    )
    made.take(trades)
    return {(c.interval, (c.ts - T0) // SECOND): c for c in made.finish()}


def minutes(found):
    return sorted(start for interval, start in found if interval == "1m")


def test_all_of_a_filled_stretch_is_proven_to_its_ends():
    found = rebuilt([trade(n, 10 + 20 * n) for n in range(15)], 0, 300)
    assert minutes(found) == [0, 60, 120, 180, 240]
    whole = found["5m", 0]
    assert (whole.volume, whole.trades, whole.closed) == (15.0, 15, True)
    assert whole.quality is Quality.REPAIRED


def test_a_missing_id_costs_the_candles_around_it_only():
    trades = [trade(n, 10 + 20 * n) for n in range(15) if n != 7]  # 150 s
    assert minutes(rebuilt(trades, 0, 300)) == [0, 60, 180, 240]
    assert ("5m", 0) not in rebuilt(trades, 0, 300)


def test_stored_trades_around_the_stretch_prove_more_as_far_as_their_ids_go():
    trades = [trade(n, 10 + 20 * n) for n in range(15)]
    assert minutes(rebuilt(trades, 120, 180)) == [60, 120, 180]  # first and last are cut
    behind = [trade(99, 330), trade(100, 400)]
    assert minutes(rebuilt([*trades, *behind], 120, 180)) == [60, 120, 180]


def test_a_hole_in_front_of_the_stretch_ends_where_the_stretch_begins():
    trades = [trade(1, -400), trade(50, 130), trade(51, 170), trade(90, 250)]
    found = rebuilt(trades, 60, 240)
    assert minutes(found) == [120, 180]  # of 60 to 120 nobody knows the price
    assert found["1m", 120].prev_close is None
    assert found["1m", 180].trades == 0


def test_what_came_live_is_complete():
    trades = [trade(n, 10 + 20 * n, repaired=n > 8) for n in range(15)]
    found = rebuilt(trades, 0, 300)
    assert found["1m", 0].quality is Quality.COMPLETE
    assert found["1m", 240].quality is Quality.REPAIRED


def test_ids_that_count_fills_are_joined_by_their_number():
    trades = [trade(3, 10, count=3), trade(4, 70), trade(10, 130, count=6), trade(11, 190)]
    assert minutes(rebuilt(trades, 0, 240, spans=True)) == [0, 60, 120, 180]
    assert minutes(rebuilt(trades, 0, 240)) == [0, 180]


def test_a_trade_told_twice_counts_once():
    trades = [trade(1, 10), trade(2, 20), trade(2, 20), trade(3, 30)]
    assert rebuilt(trades, 0, 60)["1m", 0].volume == 3.0
