"""Several venues of one symbol."""

import pytest

from tapewatch.model.events import Gap, Metric, Quality, Quote, Tick, Ticker
from tapewatch.process.cross_venue import PLUGIN
from tapewatch.stream.pipeline import Pipeline
from tests.streams import at

PAIR = "BTC/USDT"


@pytest.fixture
def pipeline():
    return Pipeline([PLUGIN.build("cross_venue", PLUGIN.config())])


def quote(secs, venue, middle, pair=PAIR, recv=None):
    ts = at(secs)
    return Quote(
        ts, ts if recv is None else at(recv), f"{venue}:{pair}", middle - 1, 1, middle + 1, 1
    )


def named(said, name, inst=None):
    return [m for m in said if type(m) is Metric and m.name == name and inst in {None, m.inst}]


def rows(begin, end, step=0.5, **prices):
    """Quotes of each venue in turn."""
    steps = int((end - begin) / step)
    return [
        quote(begin + n * step + 0.01 * k, venue, price)
        for n in range(steps)
        for k, (venue, price) in enumerate(prices.items())
    ]


def test_best_bid_and_offer_name_their_holders(pipeline):
    said = pipeline.process(rows(0, 3, binance=100.0, okx=101.0))
    bid, ask = named(said, "best_bid")[-1], named(said, "best_ask")[-1]
    assert (bid.inst, bid.value, bid.evidence) == ("all:BTC/USDT", 100.0, ("okx",))
    assert (ask.value, ask.evidence, ask.quality) == (101.0, ("binance",), Quality.COMPLETE)


def test_bid_above_another_offer_is_a_negative_spread(pipeline):
    said = pipeline.process(rows(0, 3, binance=100.0, okx=110.0))
    spread = named(said, "cross_spread_bps")[-1]
    assert spread.value == pytest.approx((101.0 - 109.0) / 105.0 * 1e4)
    assert spread.evidence == ("bid 109 on okx", "ask 101 on binance")


def test_alone_a_venue_is_compared_with_nobody(pipeline):
    assert pipeline.process(rows(0, 10, binance=100.0)) == []


@pytest.mark.parametrize("other", ["BTC/USD", "BTC/USDC", "BTC/USDT:USDT", "BTC/USDT:USDT-261225"])
def test_other_quotes_and_derivatives_are_other_things(pipeline, other):
    events = [
        quote(0.1 * n, venue, 100.0 + n, pair)
        for n in range(100)
        for venue, pair in (("binance", PAIR), ("coinbase", other))
    ]
    assert pipeline.process(events) == []


def test_old_quote_does_not_count_and_is_said_not_to(pipeline):
    pipeline.process(rows(0, 5, okx=90.0, binance=100.0))
    said = pipeline.process(rows(5, 30, binance=100.0))
    spread = named(said, "cross_spread_bps")[-1]
    assert spread.evidence[:2] == ("bid 99 on binance", "ask 101 on binance")
    assert spread.evidence[2].startswith("okx does not count: no quote for 2")
    assert spread.quality is Quality.PARTIAL


def test_quote_that_comes_again_counts_again(pipeline):
    pipeline.process(rows(0, 5, okx=100.0, binance=100.0))
    pipeline.process(rows(5, 30, binance=100.0))
    said = pipeline.process(rows(30, 33, binance=100.0, okx=101.0))
    assert named(said, "best_bid")[-1].evidence == ("okx",)
    assert named(said, "cross_spread_bps")[-1].quality is Quality.COMPLETE


def test_after_a_gap_a_venue_does_not_count_until_its_next_quote(pipeline):
    pipeline.process(rows(0, 5, okx=100.0, binance=100.0))
    pipeline.process([Gap(at(5), at(5), f"okx:{PAIR}", "bbo-tbt", "the link was lost")])
    said = pipeline.process(rows(5.1, 7, binance=100.0))
    words = named(said, "cross_spread_bps")[-1].evidence
    assert words[2] == "okx does not count: no quote since a gap (the link was lost)"
    said = pipeline.process(rows(7, 9, binance=100.0, okx=101.0))
    assert named(said, "best_bid")[-1].evidence == ("okx",)


def test_each_venue_is_held_against_the_median(pipeline):
    said = pipeline.process(rows(0, 10, binance=10_000.0, okx=10_001.0, bybit=10_101.0))
    last = {m.inst: m for m in named(said, "divergence_bps")}
    assert last["bybit:BTC/USDT"].value == pytest.approx(100.0, abs=0.1)
    assert last["okx:BTC/USDT"].value == 0.0
    astray = last["bybit:BTC/USDT"]
    assert (astray.baseline, astray.quality) == (10_001.0, Quality.COMPLETE)
    assert astray.evidence == ("bybit 10101", "binance 10000", "okx 10001")


def test_of_two_venues_nobody_knows_which_is_off(pipeline):
    said = pipeline.process(rows(0, 60, binance=100.0, okx=150.0))
    assert named(said, "divergence_bps") == []


def test_divergence_is_taken_back_when_too_few_venues_are_left(pipeline):
    pipeline.process(rows(0, 10, binance=100.0, okx=100.0, bybit=110.0))
    said = pipeline.process(rows(10, 40, binance=100.0, bybit=110.0))
    taken_back = named(said, "divergence_bps", "bybit:BTC/USDT")[-1]
    assert (taken_back.value, taken_back.quality) == (0.0, Quality.PARTIAL)
    assert taken_back.evidence[0] == "a median wants 3 venues, 2 count"
    assert "okx does not count" in taken_back.evidence[1]


def test_divergence_of_a_silent_venue_is_taken_back_by_the_ticks_of_others(pipeline):
    pipeline.process(rows(0, 10, binance=100.0, okx=100.0, bybit=110.0))
    said = pipeline.process([Tick(at(20.5), at(20.5), "binance")])
    assert {m.inst: m.value for m in named(said, "divergence_bps")} == {
        "binance:BTC/USDT": 0.0, "okx:BTC/USDT": 0.0, "bybit:BTC/USDT": 0.0,
    }  # fmt: skip
    assert pipeline.process([Tick(at(90), at(90), "okx")]) == []  # once


def test_two_feeds_of_one_market_count_once(pipeline):
    prices = {"coinbase": 100.0, "coinbase_advanced": 100.0, "binance": 100.0}
    assert named(pipeline.process(rows(0, 20, **prices)), "divergence_bps") == []


def test_tickers_stand_in_where_there_are_no_quotes(pipeline):
    def ticker(secs, venue, price):
        p = (price, price, price, price)
        ts = at(secs)
        return Ticker(ts, ts, f"{venue}:{PAIR}", *p, 1, 1, 0, 0, bid=price - 1, ask=price + 1)

    events = [ticker(n, venue, 100.0) for n in range(5) for venue in ("kraken", "okx")]
    assert named(pipeline.process(events), "best_bid")[-1].value == 99.0


def test_ticker_does_not_take_the_place_of_a_fresh_quote(pipeline):
    pipeline.process(rows(0, 5, okx=100.0, binance=100.0))
    ts = at(4.6)
    ticker = Ticker(ts, ts, f"okx:{PAIR}", 1, 1, 1, 1, 1, 1, 0, 0, bid=1.0, ask=2.0)
    said = pipeline.process([ticker, *rows(5, 7, binance=100.0)])
    assert named(said, "best_ask")[-1].value == 101.0


def test_time_of_tomorrow_does_not_make_the_others_old(pipeline):
    pipeline.process(rows(0, 5, okx=100.0, binance=100.0))
    said = pipeline.process([quote(80_000, "okx", 100.0, recv=5.5), *rows(6, 9, binance=100.0)])
    assert named(said, "cross_spread_bps")[-1].quality is Quality.COMPLETE


def test_clock_that_goes_back_is_followed(pipeline):
    pipeline.process(rows(3600, 3610, okx=100.0, binance=100.0, bybit=100.0))
    said = pipeline.process(rows(0, 10, okx=100.0, binance=100.0, bybit=101.0))
    last = named(said, "divergence_bps", "bybit:BTC/USDT")[-1]
    assert (last.value, last.quality) == (pytest.approx(100.0), Quality.COMPLETE)
    assert last.ts < at(10)


def test_one_venue_that_is_minutes_behind_does_not_turn_the_others_back(pipeline):
    both = [
        event
        for n in range(20)
        for event in (
            quote(600 + n, "okx", 100.0),
            quote(600.1 + n, "binance", 100.0),
            quote(300 + n, "bybit", 100.0, recv=600.2 + n),
        )
    ]
    spreads = named(pipeline.process(both), "cross_spread_bps")
    assert [m.ts for m in spreads] == sorted(m.ts for m in spreads)
    assert spreads[-1].evidence[2].startswith("bybit does not count: no quote for 30")


def walk(secs, delays, seed=3):
    """Venues that follow one price, each so much later. The order of coming is that of their times."""
    from random import Random

    random, price, prices = Random(seed), 10_000.0, []
    for _ in range(secs * 10):
        price *= 1 + random.gauss(0, 1e-4)
        prices.append(price)
    quotes = [
        quote(0.1 * n + delay, venue, price)
        for n, price in enumerate(prices)
        for venue, delay in delays.items()
    ]
    return sorted(quotes, key=lambda each: each.ts)


def test_venue_that_moves_first_is_told_by_how_much(pipeline):
    said = pipeline.process(walk(700, {"binance": 0.0, "okx": 0.6, "bybit": 0.6}))
    leads = {m.inst: m for m in named(said, "lead_ms")}
    first, strength = (
        leads["binance:BTC/USDT"],
        named(said, "lead_strength", "binance:BTC/USDT")[-1],
    )
    assert first.quality is Quality.COMPLETE
    assert first.value == pytest.approx(600, abs=100)
    assert strength.value > 0.5
    assert leads["okx:BTC/USDT"].value < 50  # with the other one that is late


def test_of_two_venues_the_later_one_leads_by_less_than_nothing(pipeline):
    said = pipeline.process(walk(700, {"binance": 0.0, "okx": 0.5}))
    assert named(said, "lead_ms", "okx:BTC/USDT")[-1].value == pytest.approx(-500, abs=100)


def test_venues_that_move_together_lead_by_nothing(pipeline):
    said = pipeline.process(walk(700, {"binance": 0.0, "okx": 0.001, "bybit": 0.002}))
    assert all(abs(m.value) < 50 for m in named(said, "lead_ms")[-3:])


def test_venues_without_anything_in_common_have_no_leader(pipeline):
    own = [walk(700, {venue: 0.0}, seed=n) for n, venue in enumerate(("binance", "okx", "bybit"))]
    said = pipeline.process(sorted((q for each in own for q in each), key=lambda q: q.ts))
    last = named(said, "lead_ms", "okx:BTC/USDT")[-1]
    assert (last.value, last.quality) == (0.0, Quality.PARTIAL)
    assert last.evidence[0].startswith("too little in common with the others")


def test_lead_says_that_it_warms_up_and_that_times_are_ours(pipeline):
    said = pipeline.process(walk(60, {"binance": 0.0, "okx": 0.3}))
    words = named(said, "lead_ms", "okx:BTC/USDT")[-1].evidence
    assert words[0].startswith("not enough history")
    assert words[1].startswith("its quotes have no time of the venue")
