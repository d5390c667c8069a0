from collections import Counter
from itertools import pairwise

import pytest

from tapewatch.sim.decimals import ONE
from tapewatch.sim.market import Aggregate, Shock, Size, Top, Trade, open_market

START = 1_790_000_000_123_456
SECOND = 1_000_000


@pytest.fixture(scope="module")
def lived():
    """A market after half a minute, and what happened in it."""
    market = open_market(start=START, rate=2.0)
    happened = []
    for step in range(300):
        happened += market.advance(START + (step + 1) * SECOND // 10)
        for symbol in market.symbols:
            bid, bid_qty, ask, ask_qty = market.live_book(symbol).top()
            assert 0 < bid < ask, f"{symbol} is crossed"
            assert bid_qty > 0
            assert ask_qty > 0
    return market, happened


def of(kind, happened, symbol):
    return [h for h in happened if isinstance(h, kind) and h.symbol == symbol]


def test_same_seed_gives_the_same_events_however_time_is_cut():
    whole = open_market(start=START, symbols=5).advance(START + 5 * SECOND)
    cut = open_market(start=START, symbols=5)
    pieces = [h for step in range(1, 247) for h in cut.advance(START + step * 20_177)]
    pieces += cut.advance(START + 5 * SECOND)
    assert pieces == whole


def test_another_seed_gives_other_events():
    one = open_market(start=START, symbols=2, seed=1).advance(START + SECOND)
    two = open_market(start=START, symbols=2, seed=2).advance(START + SECOND)
    assert one != two


def test_ids_have_no_hole_and_aggregates_cover_all_fills(lived):
    market, happened = lived
    for symbol in market.symbols:
        trades, wholes = of(Trade, happened, symbol), of(Aggregate, happened, symbol)
        assert all(b.id == a.id + 1 for a, b in pairwise(trades))
        assert all(b.id == a.id + 1 and b.first == a.last + 1 for a, b in pairwise(wholes))
        by_id = {trade.id: trade for trade in trades}
        for whole in wholes:
            parts = [by_id[number] for number in range(whole.first, whole.last + 1)]
            assert sum(part.qty for part in parts) == whole.qty
            assert {(p.price, p.ts, p.buyer_is_maker) for p in parts} == {
                (whole.price, whole.ts, whole.buyer_is_maker)
            }


def test_some_orders_have_several_fills_and_some_eat_several_levels(lived):
    _, happened = lived
    wholes = of(Aggregate, happened, "BTCUSDT")
    assert any(whole.last > whole.first for whole in wholes)
    assert len({whole.ts for whole in wholes}) < len(wholes)


def test_prices_and_quantities_keep_the_trading_rules(lived):
    market, happened = lived
    for event in happened:
        rules = market.listing(event.symbol)
        if isinstance(event, Top):
            assert event.bid % rules.tick == event.ask % rules.tick == 0
            assert event.bid_qty % rules.lot == event.ask_qty % rules.lot == 0
        else:
            assert event.price % rules.tick == 0
            assert event.qty % rules.lot == 0
            assert event.qty > 0


def test_time_never_goes_back(lived):
    _, happened = lived
    times = [h.ts for h in happened if isinstance(h, Trade)]
    assert times == sorted(times)


def test_books_are_deep_and_their_top_is_what_was_told_last(lived):
    market, happened = lived
    for symbol in market.symbols:
        view = market.book(symbol)
        assert len(view.bids) >= 290
        assert len(view.asks) >= 290
        told = of(Top, happened, symbol)
        assert all(b.update_id > a.update_id for a, b in pairwise(told))
        if told:
            last = told[-1]
            assert (last.bid, last.bid_qty, last.ask, last.ask_qty) == (
                *view.bids[0],
                *view.asks[0],
            )


def test_a_trade_happens_at_a_price_between_the_tops_around_it(lived):
    _, happened = lived
    top = None
    for event in happened:
        if event.symbol != "BTCUSDT":
            continue
        if isinstance(event, Top):
            top = event
        elif isinstance(event, Trade) and top is not None:
            is_buy = not event.buyer_is_maker
            assert event.price >= top.ask if is_buy else event.price <= top.bid


def test_bursts_are_far_above_the_mean():
    market = open_market(start=START, symbols=1, rate=0.5)
    seconds = [
        sum(isinstance(h, Trade) for h in market.advance(START + n * SECOND)) for n in range(1, 900)
    ]
    assert max(seconds) > 5 * sum(seconds) / len(seconds)


def test_whales_are_rare_and_large():
    market = open_market(start=START, symbols=1, rate=20.0)
    market.advance(START + 20 * SECOND)
    orders = Counter()
    for whole in market.aggregates("BTCUSDT"):
        orders[whole.ts] += whole.qty
    sizes = sorted(orders.values())
    assert 0 < market.whales < len(sizes) / 100
    assert sizes[-1] > 50 * sizes[len(sizes) // 2]


def test_a_crash_takes_the_traded_price_down_and_back():
    market = open_market(start=START, symbols=1)
    before = market.book("BTCUSDT").bids[0][0]
    market.shock(Shock(at=START + SECOND, change=-0.08, fall_secs=5, recover_secs=40))
    market.advance(START + 9 * SECOND)
    low = min(trade.price for trade in market.trades("BTCUSDT"))
    assert low < before * 0.94
    market.advance(START + 60 * SECOND)
    assert market.book("BTCUSDT").bids[0][0] > before * 0.985


def test_what_is_remembered_is_bounded():
    size = Size(levels=50, trades=100, book_changes=50, history_minutes=10)
    market = open_market(start=START, symbols=1, rate=20, size=size)
    market.advance(START + 10 * SECOND)
    assert len(market.trades("BTCUSDT")) == len(market.aggregates("BTCUSDT")) == 100


def test_skipped_time_is_empty_and_trading_goes_on_after_it():
    market = open_market(start=START, symbols=1)
    market.advance(START + SECOND)
    last = market.newest_ids("BTCUSDT")[0]
    market.skip(START + 3_600 * SECOND)
    happened = market.advance(START + 3_602 * SECOND)
    trades = of(Trade, happened, "BTCUSDT")
    assert trades[0].id == last + 1
    assert trades[0].ts > START + 3_600 * SECOND


def test_candles_are_those_of_the_trades(lived):
    market, happened = lived
    for interval in ("1s", "1m"):
        for bar in market.klines("ETHUSDT", interval, START, None, 1_000):
            length = SECOND if interval == "1s" else 60 * SECOND
            parts = [
                t
                for t in of(Trade, happened, "ETHUSDT")
                if bar.open_ts <= t.ts < bar.open_ts + length
            ]
            assert bar.trades == len(parts)
            if parts:
                prices = [t.price for t in parts]
                assert (bar.open, bar.close) == (prices[0], prices[-1])
                assert (bar.high, bar.low) == (max(prices), min(prices))
                assert (bar.first, bar.last) == (parts[0].id, parts[-1].id)
                assert bar.volume == sum(t.qty for t in parts)
                assert bar.quote == sum(t.price * t.qty for t in parts) // ONE


def test_history_joins_live_trading_without_a_hole():
    market = open_market(start=START, symbols=1)
    market.advance(START + 20 * SECOND)
    newest_trade, newest_whole = market.newest_ids("BTCUSDT")
    first_trade = market.trades("BTCUSDT")[0].id
    trades = market.trades_from("BTCUSDT", first_trade - 500, 1_000)
    assert [t.id for t in trades] == list(
        range(first_trade - 500, min(newest_trade, first_trade + 499) + 1)
    )
    wholes = market.aggregates_from("BTCUSDT", newest_whole - 900, 1_000)
    assert [a.id for a in wholes] == list(range(newest_whole - 900, newest_whole + 1))
    assert {a.last - a.first for a in wholes if a.ts < START} == {0, 1}
    assert all(b.first == a.last + 1 for a, b in pairwise(wholes))


def test_candles_of_the_past_agree_with_its_trades():
    market = open_market(start=START, symbols=2)
    bars = market.klines("ETHUSDT", "1m", START - 600 * SECOND, START - 60 * SECOND, 1_000)
    assert len(bars) == 9
    for bar in bars:
        parts = market.trades_from("ETHUSDT", bar.first, bar.trades)
        assert parts[-1].id == bar.last
        assert all(bar.open_ts <= t.ts < bar.open_ts + 60 * SECOND for t in parts)
        assert sum(t.qty for t in parts) == bar.volume
        assert max(t.price for t in parts) == bar.high
        assert parts[-1].price == bar.close


def test_a_day_of_history_exists_and_long_bars_are_made_of_it():
    market = open_market(start=START, symbols=1)
    hours = market.klines("BTCUSDT", "1h", None, None, 1_000)
    minutes = market.klines("BTCUSDT", "1m", None, None, 2_000)
    assert len(minutes) == 1_441
    assert sum(bar.volume for bar in hours) == sum(bar.volume for bar in minutes)
    assert all(b.first == a.last + 1 for a, b in pairwise([h for h in hours if h.trades]))
    day = market.day("BTCUSDT")
    assert day.bar.trades > 10_000
    assert day.bar.low <= day.average <= day.bar.high


def test_aggregates_are_found_by_time_at_both_inclusive_ends():
    market = open_market(start=START, symbols=1)
    market.advance(START + 30 * SECOND)
    known = list(market.aggregates("BTCUSDT"))
    low, high = known[3].ts, known[-3].ts
    found = market.aggregates_since("BTCUSDT", low, high, 10_000)
    assert found == [a for a in known if low <= a.ts <= high]
    past = market.aggregates_since("BTCUSDT", START - 7_200 * SECOND, START - 3_600 * SECOND, 5_000)
    assert past
    assert all(b.id == a.id + 1 for a, b in pairwise(past))


def test_impossible_rate_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        open_market(start=START, rate=0)
