"""One coin at all venues."""

import pytest
from msgspec.structs import replace

from tapewatch.model.errors import NotFound
from tapewatch.model.events import Metric, Micros, Quality, Quote
from tapewatch.serve.ask import Ask
from tapewatch.serve.compare import get_compare
from tests.serving import NOW, World, trade


def quote(venue, bid, ask, symbol="BTC/USDT", age=0.0):
    ts = Micros(NOW - int(age * 1e6))
    return Quote(ts, ts, f"{venue}:{symbol}", bid, 1.0, ask, 1.0)


def metric(inst, name, value, window):
    return Metric(NOW, NOW, inst, name, value, window, Quality.COMPLETE)


async def compare(world, **query):
    return await get_compare(world.context, Ask(path={}, query=query, now=NOW))


@pytest.fixture
def world():
    made = World()
    made.hot.update(
        [
            quote("binance", 100.0, 101.0),
            quote("okx", 103.0, 104.0),
            quote("bybit", 100.5, 101.5),
            quote("kraken", 90.0, 91.0, age=30),
            quote("coinbase", 99.0, 100.0, "BTC/USD"),
            quote("okx", 100.0, 101.0, "BTC/USDT:USDT"),
        ]
    )
    return made


async def test_best_bid_and_offer_are_those_of_the_fresh_quotes(world):
    answer = await compare(world, base="btc", quote="usdt")
    spot = answer.pairs[0]
    assert (spot.symbol, spot.best_bid.venue, spot.best_ask.venue) == ("BTC/USDT", "okx", "binance")
    assert spot.cross_spread_bps == pytest.approx((101 - 103) / 102 * 1e4)
    assert spot.median == 101.0
    rows = {row.venue: row for row in spot.venues}
    assert rows["okx"].divergence_bps == pytest.approx((103.5 / 101.0 - 1) * 1e4)
    assert not rows["kraken"].counts
    assert rows["kraken"].why_not == "no quote for 30 s"
    assert (rows["kraken"].age_ms, rows["kraken"].divergence_bps) == (30_000, None)


async def test_pairs_stand_apart_by_quote_and_settlement(world):
    answer = await compare(world, base="BTC")
    assert [(pair.symbol, pair.quote, pair.settle) for pair in answer.pairs] == [
        ("BTC/USDT", "USDT", ""), ("BTC/USD", "USD", ""), ("BTC/USDT:USDT", "USDT", "USDT"),
    ]  # fmt: skip
    assert [pair.symbol for pair in (await compare(world, base="BTC", quote="USD")).pairs] == [
        "BTC/USD"
    ]


async def test_numbers_of_detectors_and_feeds_stand_beside(world):
    world.hot.update(
        [
            metric("okx:BTC/USDT", "lead_ms", 120.0, "5m"),
            metric("okx:BTC/USDT", "lead_strength", 0.4, "5m"),
            metric("okx:*", "feed_latency_ms", 35.0, "5s"),
            metric("all:USDT/USD", "depeg_bps", -12.5, "15s"),
        ]
    )
    answer = await compare(world, base="BTC")
    okx = next(row for row in answer.pairs[0].venues if row.venue == "okx")
    assert (okx.lead_ms, okx.lead_strength, okx.latency_ms) == (120.0, 0.4, 35.0)
    assert answer.depeg_bps == {"USDT": -12.5}


async def test_who_leads_is_not_zero_while_it_is_not_known(world):
    why = ("not enough history: 9 of 210 s", "its quotes have no time of the venue")
    told = replace(metric("okx:BTC/USDT", "lead_ms", 0.0, "5m"), quality=Quality.PARTIAL)
    world.hot.update(
        [replace(told, evidence=why), metric("okx:BTC/USDT", "lead_strength", 0.0, "5m")]
    )
    answer = await compare(world, base="BTC")
    okx = next(row for row in answer.pairs[0].venues if row.venue == "okx")
    assert (okx.lead_ms, okx.lead_strength, okx.lead_why_not) == (None, None, why[0])


async def test_venue_without_quotes_is_listed_with_its_price(world):
    world.hot.update([trade("kucoin:BTC/USDT", 102.0)])
    answer = await compare(world, base="BTC", quote="USDT")
    row = next(row for row in answer.pairs[0].venues if row.venue == "kucoin")
    assert (row.price, row.counts, row.why_not) == (102.0, False, "no best quote has come")


async def test_without_a_coin_it_is_what_several_venues_trade(world):
    world.hot.update([trade("okx:ETH/USDT", 10.0), trade("binance:ETH/USDT", 11.0)])
    world.hot.update([metric("all:BTC/USDT", "best_bid", 1.0, "1s")])
    pairs = (await compare(world)).pairs
    assert [pair.symbol for pair in pairs] == ["BTC/USDT", "ETH/USDT"]


async def test_coin_that_nobody_trades_is_not_found(world):
    with pytest.raises(NotFound, match="XYZ"):
        await compare(world, base="XYZ")
    with pytest.raises(NotFound, match="BTC/EUR"):
        await compare(world, base="BTC", quote="EUR")
    with pytest.raises(NotFound, match="BTC"):
        await compare(world, base="BTX")
