import pytest

from tapewatch.sim.assets import Assets, Shock
from tapewatch.sim.listing import assets, listings

PAIRS = listings(20)


def world(seed=1):
    return Assets(assets(PAIRS), seed)


def test_same_seed_walks_the_same_way_and_another_does_not():
    one, same, other = world(), world(), world(2)
    for step in range(500):
        for each in (one, same, other):
            each.step(step * 200_000, 0.2)
    assert one.ratio("BTC", "USDT") == same.ratio("BTC", "USDT")
    assert one.ratio("BTC", "USDT") != other.ratio("BTC", "USDT")


def test_cross_rates_agree():
    moved = world()
    for step in range(100):
        moved.step(step * 200_000, 0.2)
    through = moved.ratio("ETH", "USDT") / moved.ratio("BTC", "USDT")
    assert moved.ratio("ETH", "BTC") == pytest.approx(through)


def test_prices_stay_near_home_for_a_day():
    moved = world()
    for minute in range(1_440):
        moved.step(minute * 60_000_000, 60.0)
        assert 0.7 < moved.ratio("BTC", "USDT") / 61_837.63 < 1.4


def test_shock_falls_and_comes_back_and_spares_dollar_coins():
    shock = Shock(at=1_000_000, change=-0.08, fall_secs=5, recover_secs=50)
    moved = world()
    moved.shock(shock)
    moved.step(1_000_000, 0.0)
    before = moved.ratio("BTC", "USDT")
    assert not moved.shaken("BTC")
    moved.step(6_000_000, 0.0)
    assert moved.ratio("BTC", "USDT") == pytest.approx(before * 0.92, rel=1e-3)
    assert moved.ratio("USDC", "USDT") == pytest.approx(1.0002, rel=1e-4)
    assert moved.shaken("BTC")
    assert not moved.shaken("USDC")
    moved.step(60_000_000, 0.0)
    assert moved.ratio("BTC", "USDT") == pytest.approx(before, rel=1e-3)


def test_shock_of_one_asset_leaves_the_others_alone():
    moved = world()
    moved.shock(Shock(at=0, change=-0.5, asset="SOL"))
    moved.step(6_000_000, 0.0)
    assert moved.shaken("SOL")
    assert not moved.shaken("BTC")
