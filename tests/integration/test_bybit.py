"""Both Bybit connectors over real sockets, with each fault the simulated exchange knows.

Every trade comes once, or lies where a Gap says that something may be missing. A book that is
shown is a true book, at every moment at which all is settled.
"""

from collections import Counter

import pytest

from tapewatch.model.events import (
    Candle,
    Coverage,
    Gap,
    Liquidation,
    MarkPrice,
    Quote,
    Side,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Instrument
from tapewatch.ports import Subscription
from tapewatch.sim.assets import Shock
from tests.integration import fault_bench
from tests.integration.bybit_bench import BOOK, BTC, ETH, ONE, TRADES, rigs

EACH = pytest.mark.parametrize("name", ["bybit", "bybit_linear"])


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


# --- without faults ---


@EACH
async def test_without_faults_everything_is_told_once_and_is_true(name):
    async with rigs(name) as rig:
        await rig.advance(10)
        assert not rig.gaps(TRADES)
        assert not rig.gaps(BOOK)
        assert rig.judge() == 0
        assert rig.compared >= 200
        assert rig.behind == 0
        assert not rig.letters
        assert not any(trade.repaired for trade in rig.basket.of(Trade))
        assert not rig.basket.of(Coverage)


@EACH
async def test_quotes_tickers_and_bars_are_those_of_the_market(name):
    async with rigs(name, "orderbook.1", "tickers", "kline.1", TRADES, bases=(BTC,)) as rig:
        await rig.advance(20)
        view = rig.market.book(rig.native(rig.inst(BTC)), 1)
        quote = rig.basket.of(Quote)[-1]
        (bid, bid_size), (ask, ask_size) = view.bids[0], view.asks[0]
        told = quote.bid, quote.bid_size, quote.ask, quote.ask_size
        assert told == (bid / ONE, bid_size / ONE, ask / ONE, ask_size / ONE)
        prices = {trade.price for trade in rig.basket.of(Trade)}
        assert rig.basket.of(Ticker)[-1].last in prices
        assert rig.basket.of(Candle)[-1].close in prices
        assert not rig.letters


async def test_mark_prices_come_with_their_funding():
    async with rigs("bybit_linear", "tickers") as rig:
        await rig.advance(5)
        marks = rig.basket.of(MarkPrice)
        assert {mark.inst for mark in marks} == {rig.inst(BTC), rig.inst(ETH)}
        newest = marks[-1]
        assert newest.index == pytest.approx(newest.mark, rel=0.05)
        assert newest.funding_rate is not None
        assert newest.next_funding > rig.market.now


async def test_liquidations_are_true_complete_and_of_the_right_side():
    async with rigs("bybit_linear", "allLiquidation", rate=3.0) as rig:
        rig.market.shock(Shock(at=rig.market.now, change=-0.1, fall_secs=5))
        await rig.advance(20)
        told = rig.basket.of(Liquidation)
        for base in (BTC, ETH):
            true = Counter(
                (Side.SELL if each.longs else Side.BUY, each.price / ONE, each.qty / ONE)
                for each in rig.market.liquidations(rig.native(rig.inst(base)))
            )
            mine = [event for event in told if event.inst == rig.inst(base)]
            assert Counter((event.side, event.price, event.size) for event in mine) == true
        assert Side.SELL in {event.side for event in told}


@EACH
async def test_ticks_never_overtake_a_trade(name):
    async with rigs(name, TRADES, BOOK, "tickers", "orderbook.1") as rig:
        await rig.advance(15)
        told, ticks = 0, 0
        for event in rig.events:
            if type(event) is Tick:
                told, ticks = event.ts, ticks + 1
            elif type(event) is Trade:
                assert event.ts > told
        assert ticks > 5


# --- faults of frames ---


@EACH
@pytest.mark.parametrize("kind", ["drop", "duplicate", "reorder", "slow", "garbage"])
async def test_faults_of_single_frames_leave_no_silent_hole(name, kind):
    async with rigs(name, rate=0.3) as rig:
        rig.add(kind, count=None, probability=0.05, secs=0.5)
        await rig.advance(8)
        assert rig.count(kind) >= 3
        await rig.heal()
        await rig.rush(70)
        await rig.settle()
        assert rig.judge() == 0
        rig.compare()
        assert bool(rig.letters) == (kind == "garbage")


@EACH
async def test_a_number_that_does_not_follow_voids_the_book_and_a_snapshot_begins_it_anew(name):
    async with rigs(name, BOOK) as rig:
        rig.add("wrong_sequence", count=None, probability=0.05)
        await rig.advance(8)
        assert rig.count("wrong_sequence") >= 3
        assert all("does not follow" in gap.reason for gap in rig.gaps(BOOK))
        await rig.heal()
        behind = rig.behind
        await rig.advance(2)
        assert rig.behind == behind


async def test_what_a_stall_kept_back_is_fetched():
    async with rigs("bybit_linear") as rig:
        await rig.advance(4)
        rig.add("stall", "*", secs=3.0)
        await rig.advance(6)
        assert rig.count("stall")
        await rig.heal()
        await rig.rush(70)
        await rig.settle()
        assert rig.judge() == 0
        assert any(trade.repaired for trade in rig.basket.of(Trade))


# --- lost connections ---


async def test_after_lost_connections_linear_trades_are_joined_in_order_without_a_gap():
    async with rigs("bybit_linear", TRADES, hold_secs=60.0) as rig:
        for times in range(1, 5):
            await rig.advance(2)
            rig.add("close")
            await rig.until(lambda: rig.count("close") == times)  # noqa: B023 - used at once
            await rig.rush(1)
            await rig.heal()
        assert rig.judge() == 0
        assert not rig.gaps(TRADES)
        assert any(trade.repaired for trade in rig.basket.of(Trade))
        for base in (BTC, ETH):
            times = [t.ts for t in rig.basket.of(Trade) if t.inst == rig.inst(base)]
            assert times == sorted(times)


@EACH
async def test_an_outage_is_repaired_as_far_as_the_venue_remembers(name):
    async with rigs(name, rate=0.5) as rig:
        await rig.advance(3)
        await rig.exchange.stop()
        await rig.rush(20)
        await rig.exchange.start()
        await rig.settle()
        await rig.heal()
        await rig.advance(5)
        missing = rig.judge()
        reasons = {gap.reason for gap in rig.gaps(TRADES)}
        assert any(trade.repaired for trade in rig.basket.of(Trade))
        if name == "bybit_linear":
            assert missing == 0
        else:
            assert missing > 0
            assert any("recent trades begins only at" in reason for reason in reasons)


@EACH
@pytest.mark.parametrize("status", [503, 403, 0])
async def test_without_answers_by_http_the_loss_is_said(name, status):
    async with rigs(name) as rig:
        await rig.advance(3)
        rig.add("http", "/v5/market/recent-trade*", count=None, status=status)
        rig.add("close")
        await rig.rush(3)
        await rig.until(lambda: rig.gaps(TRADES))
        await rig.heal()
        await rig.advance(5)
        rig.judge()
        assert rig.gaps(TRADES)


@EACH
async def test_a_venue_that_is_slow_by_http_holds_up_nothing_but_is_used(name):
    async with rigs(name, rate=0.5) as rig:
        await rig.advance(3)
        rig.add("slow", "/v5/*", secs=0.05, count=None)
        rig.add("close")
        await rig.rush(3)
        await rig.heal()
        await rig.rush(10)
        await rig.settle()
        rig.judge()


@EACH
async def test_renewals_lose_and_double_nothing(name):
    async with rigs(name, TRADES, BOOK, "orderbook.1") as rig:
        await fault_bench.renew(rig, 2)
        assert rig.exchange.sockets.accepted == 3
        await rig.heal()
        assert rig.judge() == 0
        assert not rig.gaps(TRADES)
        assert not rig.letters


# --- subscriptions ---


@EACH
async def test_a_symbol_that_the_venue_refuses_is_named_and_takes_no_other_down(name):
    async with rigs(name) as rig:
        settle = "USDT" if name == "bybit_linear" else ""
        ghost = Instrument(name, "GHOST", "USDT", "GHOSTUSDT", settle=settle)
        rig.feed._streams.catalogue.add(ghost)
        bad = {Subscription(ghost.id, channel) for channel in (TRADES, BOOK)}
        more = {Subscription(rig.inst(base), "tickers") for base in (BTC, ETH)}
        await rig.feed.want(rig.wanted | bad | more)
        await rig.settle()
        (life,) = rig.lives
        assert life.refused.keys() == bad
        assert all("GHOSTUSDT" in reason for reason in life.refused.values())
        assert life.accepted == rig.wanted | more
        await rig.advance(2)
        assert {t.inst for t in rig.basket.of(Ticker)} == {rig.inst(BTC), rig.inst(ETH)}
        assert rig.judge() == 0


@EACH
async def test_what_is_unsubscribed_falls_silent_and_the_others_go_on(name):
    async with rigs(name, TRADES) as rig:
        await rig.advance(2)
        await rig.feed.want(frozenset({Subscription(rig.inst(BTC), TRADES)}))
        await rig.settle()
        before = len(rig.events)
        await rig.advance(5)
        said = {event.inst for event in rig.events[before:] if type(event) in (Trade, Gap)}
        assert said == {rig.inst(BTC)}


async def test_many_symbols_are_asked_for_in_small_requests():
    async with rigs("bybit", TRADES, BOOK, "orderbook.1", "tickers", "kline.1", "kline.5") as rig:
        assert len(rig.wanted) == 12
        await rig.advance(1)
        (life,) = rig.lives
        assert life.accepted == rig.wanted
        assert not life.refused
