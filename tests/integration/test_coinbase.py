"""Both Coinbase connectors over real sockets, with each fault the simulated exchange knows.

Every id that the venue can still give comes exactly once; what cannot be had is said to be lost. A
book that is shown is the true book, at every moment at which all is settled.
"""

import random
import re

import pytest

from tapewatch.model.events import (
    BookSnapshot,
    Candle,
    Coverage,
    Gap,
    Holding,
    Quote,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.ports import LinkState, Subscription
from tests.integration import fault_bench
from tests.integration.coinbase_bench import BOOKS, BTC, ETH, TRADES, rigs

NAMES = ("coinbase", "coinbase_advanced")
EACH = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


def trades_of(name, native="*"):
    return f"{TRADES[name]}|{native}"


def book_of(name, native="*"):
    return f"{BOOKS[name]}|{native}"


# --- without faults ---


@EACH
async def test_without_faults_everything_is_told_once_and_is_true(name):
    async with rigs(name) as rig:
        await rig.advance(20)
        assert not rig.basket.of(Gap)
        assert rig.compared == 400
        await rig.end()
        assert rig.judge() == set()
        assert not rig.letters
        assert {c.holding for c in rig.basket.of(Coverage)} == {Holding.HAVE}


@EACH
async def test_tickers_and_quotes_are_those_of_the_market(name):
    async with rigs(name, "ticker", TRADES[name]) as rig:
        await rig.advance(12)
        tickers = [t for t in rig.basket.of(Ticker) if t.inst == rig.inst(BTC)]
        prices = {t.price for t in rig.basket.of(Trade) if t.inst == rig.inst(BTC)}
        assert len(tickers) > 3
        assert {t.last for t in tickers[1:]} <= prices
        for ticker in tickers:
            assert ticker.low <= ticker.last <= ticker.high
            assert ticker.change_pct == pytest.approx(ticker.change / ticker.open)
        assert rig.basket.of(Quote)
        assert not rig.letters


async def test_candles_of_the_venue_are_the_true_ones():
    async with rigs("coinbase_advanced", "candles", natives=(BTC,)) as rig:
        await rig.advance(3)
        candles = rig.basket.of(Candle)
        assert candles
        last = candles[-1]
        bar = rig.market.bar(BTC, "5m", last.ts)
        told = last.open, last.high, last.low, last.close
        assert told == tuple(price / 1e8 for price in (bar.open, bar.high, bar.low, bar.close))


@EACH
async def test_ticks_never_overtake_a_trade(name):
    async with rigs(name, hold_secs=60.0) as rig:
        await rig.advance(20)
        told, ticks = 0, 0
        for event in rig.events:
            if type(event) is Tick:
                told, ticks = event.ts, ticks + 1
            elif type(event) is Trade:
                assert event.ts > told
        assert ticks > 10


# --- trades ---


@EACH
async def test_dropped_trades_are_fetched_and_stand_in_order(name):
    async with rigs(name, TRADES[name]) as rig:
        rig.add("drop", trades_of(name), count=None, probability=0.2)
        await rig.advance(20)
        assert rig.count("drop") > 10
        await rig.heal()
        await rig.end()
        assert rig.judge() == set()


async def test_a_dropped_match_is_repaired_before_the_next_one_comes():
    async with rigs("coinbase", "matches", natives=(BTC,), rate=0.2) as rig:
        rig.add("drop", trades_of("coinbase"), count=1)
        await rig.until(lambda: rig.count("drop"))
        missing = rig.market.newest_ids(BTC)[0]
        chain = rig.feed._streams.state[rig.sub(BTC, "matches")]
        await rig.until(lambda: chain.next > missing or rig.market.newest_ids(BTC)[0] > missing + 3)
        assert chain.next > missing
        await rig.heal()
        await rig.end()
        assert rig.judge() == set()
        assert any(trade.repaired for trade in rig.basket.of(Trade))


@EACH
@pytest.mark.parametrize("kind", ["duplicate", "reorder", "slow"])
async def test_repeated_swapped_and_late_frames_cost_no_trade(name, kind):
    async with rigs(name) as rig:
        rig.add(kind, trades_of(name), count=None, probability=0.5, secs=0.7)
        await rig.advance(15)
        assert rig.count(kind) > 5
        await rig.heal()
        await rig.end()
        assert rig.judge() == set()
        assert not rig.letters


@EACH
async def test_a_stall_of_trades_is_repaired(name):
    async with rigs(name) as rig:
        rig.add("stall", trades_of(name, BTC), secs=4)
        await rig.advance(8)
        await rig.heal()
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_nonsense_is_a_dead_letter_and_disturbs_nothing(name):
    async with rigs(name) as rig:
        rig.add("garbage", "*", count=5, every_secs=1)
        await rig.advance(8)
        assert rig.count("garbage") == 5
        assert len(rig.letters) == 5
        await rig.heal()
        await rig.advance(1)
        await rig.end()
        assert rig.judge() == set()
        assert rig.exchange.sockets.accepted == 1


@EACH
@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503},
        {"status": 429, "retry_after": 0},
        {"status": 502, "body": "html"},
        {"status": 0},
    ],
    ids=str,
)
async def test_trouble_of_the_history_is_ridden_out(name, trouble):
    async with rigs(name, TRADES[name]) as rig:
        rig.add("http", "*trades*", count=3, **trouble)
        rig.add("drop", trades_of(name), count=3)
        await rig.until(lambda: rig.count("http") == 3)
        await rig.heal()
        await rig.advance(1)
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_a_history_that_refuses_for_good_is_said_to_lose_trades(name):
    async with rigs(name, TRADES[name]) as rig:
        rig.add("http", "*trades*", count=None, status=404)
        # More than once: a snapshot of the venue may tell them before the history refuses.
        rig.add("drop", trades_of(name, BTC), count=None, every_secs=2)
        await rig.until(lambda: rig.basket.of(Gap))
        await rig.heal()
        await rig.end()
        lost = rig.judge()
        assert lost
        reasons = {c.reason for c in rig.basket.of(Coverage) if c.holding is Holding.LOST}
        assert all("404" in reason for reason in reasons)


# --- books ---


@EACH
@pytest.mark.parametrize(
    ("kind", "more"), [("reorder", {}), ("slow", {"secs": 0.45}), ("stall", {"secs": 20.0})]
)
async def test_a_book_out_of_order_or_silent_is_void_and_built_anew(name, kind, more):
    """Until then it cannot be known on the Exchange feed, whose books have no numbers."""
    async with rigs(name) as rig:
        await rig.watch(5)  # it must be known how often it speaks
        rig.add(kind, book_of(name, BTC), **more)
        for _ in range(150):
            await rig.watch(0 if rig.shown(BTC).gaps else 0.1)
        assert rig.shown(BTC).gaps
        await rig.heal()
        await rig.advance(2)
        shown = rig.shown(BTC)
        assert shown.live
        assert shown.snapshots > 1
        await rig.end()
        assert rig.judge() == set()


async def test_a_lost_frame_voids_every_book_of_the_connection_and_all_come_back():
    async with rigs("coinbase_advanced") as rig:
        for number in range(1, 4):
            rig.add("drop", book_of("coinbase_advanced", BTC))
            await rig.until(lambda n=number: rig.shown(BTC).gaps >= n)
            await rig.heal()
            await rig.advance(1)
        for native in (BTC, ETH):
            shown = rig.shown(native)
            assert (shown.live, shown.snapshots) == (True, shown.gaps + 1)
        assert "of the connection are missing" in rig.basket.of(Gap)[0].reason
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_a_repeated_change_disturbs_nothing(name):
    async with rigs(name) as rig:
        rig.add("duplicate", book_of(name), count=None)
        await rig.advance(5)
        assert rig.count("duplicate") > 20
        assert not rig.basket.of(Gap)


@EACH
async def test_a_cut_voids_every_book_and_all_come_back(name):
    async with rigs(name) as rig:
        rig.add("close", book_of(name, BTC))
        await rig.until(lambda: rig.exchange.sockets.accepted == 2)
        await rig.heal()
        await rig.advance(2)
        for native in (BTC, ETH):
            shown = rig.shown(native)
            assert (shown.live, shown.snapshots, shown.gaps) == (True, 2, 1)
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_a_book_that_somebody_doubts_is_built_anew(name):
    async with rigs(name) as rig:
        await rig.feed.resync(rig.inst(BTC), "crossed")
        await rig.heal()
        await rig.advance(2)
        assert [gap.reason for gap in rig.basket.of(Gap)] == ["crossed"]
        assert (rig.shown(BTC).snapshots, rig.shown(ETH).snapshots) == (2, 1)


# --- connections ---


@EACH
async def test_renewals_lose_and_double_nothing(name):
    async with rigs(name) as rig:
        await rig.advance(1)
        await fault_bench.renew(rig, 3)
        assert rig.exchange.sockets.accepted == 4
        assert rig.feed.status()[0].reconnects == 0
        assert not rig.basket.of(Gap)
        assert not rig.letters
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_an_outage_is_repaired(name):
    async with rigs(name) as rig:
        await rig.advance(3)
        await rig.exchange.stop()
        await rig.rush(10)
        await rig.exchange.start()
        await rig.settle()
        await rig.heal()
        await rig.advance(2)
        await rig.end()
        assert rig.judge() == set()
        assert len(rig.basket.of(BookSnapshot)) == 4


@EACH
async def test_a_connection_without_any_frame_is_replaced(name):
    async with rigs(name) as rig:
        await rig.advance(5)
        rig.add("stall", "*", secs=1_000)
        await rig.until(lambda: rig.exchange.sockets.accepted == 2)
        assert rig.shown(BTC).gaps
        await rig.heal()
        await rig.advance(2)
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_what_is_wanted_changes_without_disturbing_the_others(name):
    async with rigs(name) as rig:
        everything = rig.wanted
        rig.wanted = frozenset(sub for sub in everything if sub.inst == rig.inst(BTC))
        await rig.feed.want(rig.wanted)
        await rig.advance(3)
        rig.wanted = everything
        await rig.feed.want(everything)
        await rig.whole()
        await rig.advance(2)
        assert (rig.shown(BTC).snapshots, rig.shown(BTC).gaps) == (1, 0)
        assert rig.exchange.sockets.accepted == 1
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_a_product_that_the_venue_does_not_know_is_named_and_takes_no_other_down(name):
    async with rigs(name) as rig:
        ghost = rig.feed._streams.catalogue[rig.inst(BTC)]
        ghost = type(ghost)(name, "GHOST", "USD", "GHOST-USD")
        rig.feed._streams.catalogue.add(ghost)
        refused = Subscription(ghost.id, TRADES[name])
        await rig.feed.want(rig.wanted | {refused})
        await rig.standing(lambda: rig.feed.status()[0].error)
        (status,) = rig.feed.status()
        assert "GHOST" in status.error
        assert status.state is LinkState.STREAMING
        await rig.advance(2)
        assert status.accepted == len(rig.wanted)
        await rig.end()
        assert rig.judge() == set()


@EACH
async def test_a_wrong_number_costs_no_other_trade(name):
    async with rigs(name, TRADES[name], natives=(BTC,), rate=3.0) as rig:
        for _ in range(3):
            rig.add("wrong_sequence", trades_of(name), shift=3)
            await rig.advance(4)
        assert rig.count("wrong_sequence") == 3
        altered = {
            int(number) + 3
            for applied in rig.exchange.faults.applied
            for number in re.findall(r'"trade_id":"?(\d+)', applied.text)
        }
        rig.exchange.faults.clear()
        await rig.advance(2)
        await rig.end()
        assert rig.judge(altered=altered) == set()


@EACH
async def test_a_storm_of_faults_ends_whole_or_says_what_is_lost(name):
    """Books of the Exchange feed have no numbers: what hits them there is only what can be seen."""
    rng = random.Random(5)
    numbered = name == "coinbase_advanced"
    async with rigs(name, TRADES[name], BOOKS[name], "ticker") as rig:
        for _ in range(40):
            kind = rng.choice(("drop", "duplicate", "reorder", "slow", "garbage", "close", "http"))
            target = rng.choice((trades_of(name), trades_of(name, BTC), "ticker|*"))
            if kind == "http":
                target = "*trades*"
            elif numbered and rng.random() < 0.5:
                target = book_of(name)
            rig.add(kind, target, count=rng.randint(1, 3), secs=rng.uniform(0.1, 2.0))
            await rig.rush(rng.uniform(0.1, 1.5))
        await rig.heal()
        await rig.advance(3)
        for native in (BTC, ETH):
            assert rig.shown(native).live
        assert all(letter.stage == "decode" for letter in rig.letters)
        await rig.end()
        assert rig.judge() == set()
