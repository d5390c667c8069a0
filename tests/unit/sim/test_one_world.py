"""Markets of several venues: one world by seed and start, each with chances of its own."""

import math

import pytest
from msgspec.structs import replace

from tapewatch.sim.decimals import ONE
from tapewatch.sim.listing import listing, listings
from tapewatch.sim.market import Liquidation, Shock, Size, Trade, open_market

START = 1_790_000_000_123_456
SECOND = 1_000_000
SMALL = Size(levels=60, trades=5_000, book_changes=100, history_minutes=60)
SPOT = listing("BTC-USDT", "BTC", "USDT", "0.01", "0.00001", 20.0)
SWAP = replace(SPOT, symbol="BTC-USDT-SWAP", kind="linear", settle="USDT", contract=ONE // 100)


def opened(venue, *pairs, **options):
    return open_market(start=START, size=SMALL, pairs=pairs or (SPOT,), venue=venue, **options)


def middle(market, symbol="BTC-USDT"):
    bid, _, ask, _ = market.live_book(symbol).top()
    return (bid + ask) / 2


def apart(one, two):
    return abs(middle(one) / middle(two) - 1)


def test_two_venues_have_one_price_but_not_the_same_trades():
    one, two = opened("one", SPOT, *listings(3)), opened("two")
    for second in range(60):
        one.advance(START + (second + 1) * SECOND)
        two.advance(START + (second + 1) * SECOND)
    assert apart(one, two) < 0.002
    sizes = [[fill.qty for fill in market.trades("BTC-USDT")][:20] for market in (one, two)]
    assert sizes[0] != sizes[1]
    assert one.trades("BTC-USDT")[0].id != two.trades("BTC-USDT")[0].id


def test_a_world_depends_on_its_seed():
    one, two = opened("one", seed=1), opened("one", seed=2)
    one.advance(START + 30 * SECOND)
    two.advance(START + 30 * SECOND)
    assert middle(one) != middle(two)


def test_the_past_went_up_and_down_alike():
    one, two = opened("one"), opened("two")
    for a, b in zip(*(m.klines("BTC-USDT", "1m", None, None, 50) for m in (one, two)), strict=True):
        assert a.close == pytest.approx(b.close, rel=0.002)
    assert one.trades_from("BTC-USDT", 0, 1) != two.trades_from("BTC-USDT", 0, 1)


def test_a_shock_hits_both_and_a_deviation_only_one():
    one, two = opened("one"), opened("two")
    for market in (one, two):
        market.shock(Shock(at=START + SECOND, change=-0.05, fall_secs=2, recover_secs=60))
        before = middle(market)
        market.advance(START + 4 * SECOND)
        assert middle(market) < before * 0.96
    assert apart(one, two) < 0.004
    one.deviate(Shock(at=START + 70 * SECOND, change=0.02, fall_secs=1, recover_secs=30))
    for market in (one, two):
        market.advance(START + 73 * SECOND)
    assert apart(one, two) > 0.01
    for market in (one, two):
        market.advance(START + 130 * SECOND)
    assert apart(one, two) < 0.002


def test_a_mark_stays_near_the_index_and_the_spot_price():
    market = opened("one", SPOT, SWAP)
    for second in range(30):
        market.advance(START + second * SECOND)
        mark = market.mark("BTC-USDT-SWAP")
        assert mark.mark == pytest.approx(mark.index, rel=0.003)
        assert mark.index == pytest.approx(middle(market), rel=0.003)
    assert abs(mark.funding_rate) < 0.001
    eight_hours = 8 * 3_600 * SECOND
    assert mark.next_funding % eight_hours == 0
    assert 0 < mark.next_funding - market.now <= eight_hours


def test_what_is_spot_has_neither_mark_nor_liquidations():
    market = opened("one")
    for ask in (market.mark, market.liquidations):
        with pytest.raises(KeyError):
            ask("BTC-USDT")


def test_liquidations_are_rare_when_calm_and_fall_in_cascades():
    market = opened("one", SWAP, rate=2.0)
    calm = market.advance(START + 60 * SECOND)
    assert sum(isinstance(h, Liquidation) for h in calm) <= 5
    market.shock(Shock(at=START + 60 * SECOND, change=-0.05))
    fell = market.advance(START + 66 * SECOND)
    told = [h for h in fell if isinstance(h, Liquidation)]
    assert len(told) > 10
    longs = [each for each in told if each.longs]
    assert len(longs) > 0.9 * len(told)
    assert [each.id for each in market.liquidations("BTC-USDT-SWAP")][-len(told) :] == [
        each.id for each in told
    ]


def test_a_liquidation_is_what_its_fills_say():
    market = opened("one", SWAP, rate=2.0)
    market.shock(Shock(at=START, change=-0.05))
    happened = market.advance(START + 8 * SECOND)
    told = next(h for h in happened if isinstance(h, Liquidation) and h.longs)
    fills = [h for h in happened if isinstance(h, Trade) and h.ts == told.ts]
    assert all(fill.buyer_is_maker for fill in fills)
    assert sum(fill.qty for fill in fills) == told.qty
    assert min(f.price for f in fills) <= told.average <= max(f.price for f in fills)
    assert told.price < told.average


def test_a_multiple_is_priced_for_so_many():
    thousand = replace(
        listing("1000PEPEUSDT", "PEPE", "USDT", "0.0000001", "1", 5.0), multiple=1_000
    )
    one = listing("PEPEUSDT", "PEPE", "USDT", "0.00000001", "1", 5.0)
    market = opened("one", one, thousand)
    ratio = middle(market, "1000PEPEUSDT") / middle(market, "PEPEUSDT")
    assert math.isclose(ratio, 1_000, rel_tol=0.01)
