"""The OKX connector over real sockets, with each fault the simulated exchange knows.

Every id that the venue can still give comes exactly once; what cannot be had is said to be lost. A
book that is shown is the true book, at every moment at which all is settled.
"""

import pytest
from msgspec.structs import replace

from tapewatch.model.events import (
    BookSnapshot,
    Candle,
    Coverage,
    Gap,
    Holding,
    Liquidation,
    MarkPrice,
    Metric,
    Quality,
    Quote,
    Side,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Instrument
from tapewatch.ports import LinkState, Subscription
from tapewatch.sim.assets import Shock
from tapewatch.sim.venues import open_venue
from tests.integration import fault_bench
from tests.integration.okx_bench import (
    INSTS,
    INVERSE,
    NATIVES,
    ONE,
    SPOT,
    START,
    SWAP,
    exchanges,
    feeding,
    rigs,
    subs,
)

NUMBERED = ("trades", "trades-all")
RULES = open_venue("okx", start=START, symbols=1)[2]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


class Clock:
    """The exchange's own, which the test moves."""

    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


# --- without faults ---


async def test_without_faults_everything_is_told_once_and_is_true():
    async with rigs(*NUMBERED, "books", natives=(SPOT, SWAP, INVERSE)) as rig:
        await rig.advance(10)
        assert not rig.basket.of(Gap)
        assert rig.compared >= 300
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.letters
        assert {c.holding for c in rig.basket.of(Coverage)} == {Holding.HAVE}
        aggregates = [t for t in rig.basket.of(Trade) if t.channel == "trades"]
        assert max(trade.count for trade in aggregates) > 1
        assert {trade.echo for trade in aggregates} == {True}


async def test_single_fills_and_aggregates_are_the_same_volume():
    async with rigs(*NUMBERED, natives=(SWAP,)) as rig:
        await rig.advance(5)
        await rig.stop()
        sums = {
            channel: sum(t.size for t in rig.basket.of(Trade) if t.channel == channel)
            for channel in NUMBERED
        }
        first = {c: min(rig.ledger(SWAP, c).ids(Holding.HAVE)) for c in NUMBERED}
        if first["trades"] == first["trades-all"]:
            assert sums["trades"] == pytest.approx(sums["trades-all"])
        assert rig.judge() == {}


async def test_quotes_are_the_best_prices_of_the_book():
    async with rigs("bbo-tbt", "books5", natives=(SPOT, SWAP)) as rig:
        for _ in range(30):
            await rig.advance(0.1)
            for native in (SPOT, SWAP):
                view = rig.market.book(native, 5)
                quote = rig.of(Quote, native)[-1]
                told = quote.bid, quote.bid_size, quote.ask, quote.ask_size
                true = [n / ONE for n in (*view.bids[0], *view.asks[0])]
                assert told == pytest.approx(true)
                top = rig.of(BookSnapshot, native)[-1]
                assert [p for p, _ in top.bids] == [p / ONE for p, _ in view.bids]


async def test_tickers_and_candles_are_those_of_the_market():
    async with rigs("tickers", "candle1m", natives=(SPOT, SWAP)) as rig:
        await rig.advance(70)
        for native in (SPOT, SWAP):
            day, ticker = rig.market.day(native).bar, rig.of(Ticker, native)[-1]
            assert (ticker.low, ticker.high) == (day.low / ONE, day.high / ONE)
            assert ticker.change == pytest.approx(ticker.last - ticker.open)
            candles = rig.of(Candle, native)
            closed = [candle for candle in candles if candle.closed]
            assert len(closed) == 1
            bar = rig.market.bar(native, "1m", closed[0].ts)
            told = closed[0].open, closed[0].high, closed[0].low, closed[0].close
            assert told == tuple(p / ONE for p in (bar.open, bar.high, bar.low, bar.close))
            assert closed[0].volume == pytest.approx(bar.volume / ONE)
            assert closed[0].quality is Quality.COMPLETE


async def test_marks_indexes_funding_and_interest_are_those_of_the_market():
    channels = "mark-price", "index-tickers", "funding-rate", "open-interest"
    async with rigs(*channels, natives=(SWAP, INVERSE)) as rig:
        await rig.advance(30)
        for native in (SWAP, INVERSE):
            true, told = rig.market.mark(native), rig.of(MarkPrice, native)[-1]
            assert told.mark == pytest.approx(true.mark / ONE, rel=1e-4)
            assert told.index == pytest.approx(true.index / ONE, rel=1e-4)
            assert told.funding_rate == pytest.approx(true.funding_rate, abs=1e-4)
            assert told.next_funding == true.next_funding
            assert any(m.name == "open_interest" and m.value > 0 for m in rig.of(Metric, native))
        assert not rig.letters


async def test_forced_orders_are_true_and_only_those_of_the_wanted():
    async with rigs("liquidation-orders", natives=(SWAP, INVERSE), symbols=8, rate=3.0) as rig:
        rig.market.shock(Shock(at=rig.market.now, change=-0.1, fall_secs=5))
        await rig.advance(20)
        told = rig.basket.of(Liquidation)
        assert {event.inst for event in told} == {INSTS[SWAP], INSTS[INVERSE]}
        for native in (SWAP, INVERSE):
            true = {
                (Side.SELL if each.longs else Side.BUY, each.price / ONE)
                for each in rig.market.liquidations(native)
            }
            mine = rig.of(Liquidation, native)
            assert {(event.side, event.price) for event in mine} <= true
            assert len({(event.ts, event.price, event.size) for event in mine}) == len(mine)
        assert not rig.letters


async def test_ticks_never_overtake_a_trade():
    async with rigs("trades", "books", "tickers", "bbo-tbt", "mark-price", hold_secs=60.0) as rig:
        rig.add("drop", "trades|*", count=None, probability=0.1)
        await rig.advance(15)
        await rig.heal()
        told, ticks = 0, 0
        for event in rig.events:
            if type(event) is Tick:
                told, ticks = event.ts, ticks + 1
            elif type(event) is Trade:
                assert event.ts > told
        assert ticks > 10


# --- trades ---


@pytest.mark.parametrize("channel", NUMBERED)
async def test_dropped_trades_are_fetched_and_stand_in_order_without_a_gap(channel):
    async with rigs(channel) as rig:
        rig.add("drop", f"{channel}|*", count=None, probability=0.2)
        await rig.advance(10)
        assert rig.count("drop") > 10
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.basket.of(Gap)
        assert any(trade.repaired for trade in rig.basket.of(Trade))


@pytest.mark.parametrize("channel", NUMBERED)
@pytest.mark.parametrize("kind", ["duplicate", "reorder", "slow"])
async def test_repeated_swapped_and_late_frames_cost_no_trade(kind, channel):
    async with rigs(channel) as rig:
        rig.add(kind, f"{channel}|*", count=None, probability=0.3, secs=0.7)
        await rig.advance(10)
        assert rig.count(kind) > 10
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.letters


async def test_a_stall_of_trades_is_repaired_in_pages():
    async with rigs(*NUMBERED, rate=5.0) as rig:
        rig.add("stall", f"trades*|{SWAP}", secs=5)
        await rig.advance(8)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        for channel in NUMBERED:
            assert len(rig.ledger(SWAP, channel).ids(Holding.REPAIRED)) > 100


async def test_what_a_wrong_number_pretends_is_said_to_be_lost_and_costs_no_other():
    async with rigs("trades-all", natives=(SWAP,), rate=3.0) as rig:
        rig.add("wrong_sequence", f"trades-all|{SWAP}", shift=3)
        await rig.advance(5)
        assert rig.count("wrong_sequence") == 1
        await rig.heal()
        await rig.stop()
        ledger = rig.ledger(SWAP, "trades-all")
        ids = [int(trade.id) for trade in ledger.trades]
        assert len(ids) == len(set(ids))
        assert set(range(min(ids), rig.market.newest_ids(SWAP)[0] + 1)) == set(ids) | ledger.lost


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503},
        {"status": 500, "body": "empty"},
        {"status": 502, "body": "html"},
        {"status": 200, "body": "html"},
        {"status": 429, "retry_after": 0},
        {"status": 0},
    ],
    ids=str,
)
async def test_a_history_in_trouble_is_asked_again(trouble):
    async with rigs("trades") as rig:
        rig.add("http", "/api/v5/market/history-trades*", count=2, **trouble)
        rig.add("drop", "trades|*", count=3)
        await rig.advance(4)
        assert rig.count("http") == 2
        await rig.heal()
        await rig.advance(10)
        await rig.stop()
        assert rig.judge() == {}


async def test_what_the_venue_will_not_give_is_said_to_be_lost():
    async with rigs("trades") as rig:
        rig.add("http", "/api/v5/market/history-trades*", count=None, status=451)
        rig.add("drop", f"trades|{SPOT}", count=3, every_secs=0.5)
        await rig.advance(4)
        await rig.heal()
        await rig.stop()
        lost = rig.judge()
        assert lost.keys() == {(SPOT, "trades")}
        gaps = rig.ledger(SPOT, "trades").gaps
        for number in lost[SPOT, "trades"]:
            assert any(gap.first <= number <= gap.last for gap in gaps)


async def test_a_new_process_goes_on_where_the_ledger_ends():
    wanted = subs((SPOT, SWAP), NUMBERED)
    async with exchanges() as exchange:
        async with feeding(exchange, wanted) as first:
            await first.advance(3)
        resume = {}
        for each in first.basket.of(Coverage):
            sub = Subscription(each.inst, each.channel)
            resume[sub] = max(each.last, resume.get(sub, 0))
        assert resume.keys() == wanted
        await exchange.advance(5_000_000)
        async with feeding(exchange, wanted, resume=resume) as second:
            await second.stop()
        assert second.judge() == {}
        for sub, last in resume.items():
            ledger = second.ledger(NATIVES[sub.inst], sub.channel)
            assert min(ledger.ids(Holding.REPAIRED)) == last + 1


# --- books ---

OTHERS = f"books|{SWAP}"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop", {}),
        ("reorder", {}),
        ("slow", {"secs": 0.45}),
        ("wrong_sequence", {"shift": 7}),
        ("wrong_sequence", {"shift": -7}),
        ("stall", {"secs": 1.0}),
    ],
    ids=str,
)
async def test_a_broken_book_is_void_and_built_anew_while_others_go_on(kind, more):
    async with rigs("books") as rig:
        for number in range(1, 4):
            rig.add(kind, f"books|{SWAP}", **more)
            await rig.until(lambda n=number: rig.shown(SWAP).gaps >= n)
            await rig.heal()
            await rig.advance(1)
        assert rig.shown(SWAP).snapshots == rig.shown(SWAP).gaps + 1 >= 4
        other = rig.shown(SPOT)
        assert (other.snapshots, other.gaps, other.live) == (1, 0, True)
        assert rig.exchange.sockets.accepted == 1
        assert not rig.letters


async def test_a_repeated_change_disturbs_no_book():
    async with rigs("books") as rig:
        rig.add("duplicate", "books|*", count=None)
        await rig.advance(5)
        assert rig.count("duplicate") > 50
        assert not rig.basket.of(Gap)


async def test_a_sequence_that_is_set_back_breaks_no_book():
    async with rigs("books", "trades") as rig:
        await rig.advance(1)
        rig.exchange.venue.reset_sequences()
        await rig.advance(3)
        assert not rig.basket.of(Gap)
        assert rig.compared > 50


async def test_a_quiet_book_is_kept_by_signs_of_life():
    async with rigs("books", natives=(SPOT,), rate=0.001, clock=Clock()) as rig:
        await rig.advance(70)
        assert not rig.basket.of(Gap)
        assert not rig.letters
        assert rig.shown(SPOT).live


async def test_checksums_of_the_old_kind_hold_and_a_wrong_one_voids_the_book():
    async with rigs("books", checksums=True) as rig:
        await rig.advance(5)
        assert not rig.basket.of(Gap)
        rig.add("wrong_checksum", f"books|{SWAP}")
        await rig.until(lambda: rig.shown(SWAP).gaps)
        assert "checksum" in rig.basket.of(Gap)[0].reason
        await rig.heal()
        await rig.advance(1)
        assert rig.shown(SWAP).live
        assert rig.shown(SPOT).gaps == 0


async def test_a_book_that_somebody_doubts_is_built_anew():
    async with rigs("books") as rig:
        await rig.feed.resync(INSTS[SWAP], "crossed")
        await rig.heal()
        await rig.advance(2)
        assert [gap.reason for gap in rig.basket.of(Gap)] == ["crossed"]
        assert rig.shown(SWAP).live


# --- connections ---


async def test_garbage_gives_one_dead_letter_each_and_the_connection_lives():
    async with rigs() as rig:
        rig.add("garbage", count=14, every_secs=0.2)
        await rig.advance(5)
        assert rig.count("garbage") == 14
        assert len(rig.letters) == 14
        assert not rig.basket.of(Gap)
        await rig.stop()
        assert rig.judge() == {}


async def test_a_cut_costs_no_trade_and_every_book_comes_back():
    async with rigs(*NUMBERED, "books", "candle1m") as rig:
        for stream in ("trades", "books", "trades-all"):
            before = rig.exchange.sockets.accepted
            rig.add("close", f"{stream}|{SPOT}")
            await rig.until(lambda n=before: rig.exchange.sockets.accepted == n + 1)
            await rig.heal()
            await rig.advance(1)
        await rig.stop()
        assert rig.judge() == {}
        assert {gap.channel for gap in rig.basket.of(Gap)} == {"books"}


async def test_an_exchange_that_goes_away_is_found_again():
    async with rigs(*NUMBERED, "books") as rig:
        for _ in range(3):
            before = max(status.reconnects for status in rig.feed.status())
            await rig.exchange.stop()
            await rig.standing(lambda n=before: all(s.reconnects > n for s in rig.feed.status()))
            await rig.rush(1)
            await rig.exchange.start()
            await rig.settle()
            await rig.advance(1)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


async def test_renewals_lose_and_double_nothing():
    async with rigs("trades", "books", "bbo-tbt") as rig:
        await rig.advance(1)
        await fault_bench.renew(rig, 2)
        assert rig.exchange.sockets.accepted == 6
        assert {status.reconnects for status in rig.feed.status()} == {0}
        assert not rig.basket.of(Gap)
        assert not rig.letters
        await rig.stop()
        assert rig.judge() == {}
        assert not any(trade.repaired for trade in rig.basket.of(Trade))


async def test_an_upgrade_that_is_announced_is_forestalled():
    clock = Clock()
    rules = replace(RULES, max_age_secs=100.0, notice_secs=60.0)
    async with rigs("trades", "books", rules=rules, clock=clock) as rig:
        for links in (2, 4):  # after the second round the first connections would have been cut
            for _ in range(55):
                clock.now += 1
                await rig.rush(0.1)
                rig.exchange.sockets.tend()
            await rig.until(
                lambda n=links: rig.exchange.sockets.accepted >= n + 2 and len(rig.lives) == 2
            )
        await rig.settle()
        assert {status.reconnects for status in rig.feed.status()} == {0}
        assert not rig.basket.of(Gap)
        await rig.stop()
        assert rig.judge() == {}


async def test_what_is_wanted_changes_without_disturbing_the_others():
    async with rigs("trades", "books", natives=(SPOT,)) as rig:
        await rig.want(subs((SPOT, SWAP, INVERSE), (*NUMBERED, "books", "index-tickers")))
        await rig.whole()
        await rig.advance(2)
        await rig.want(subs((SPOT,), ("trades", "books")))
        await rig.settle()
        await rig.advance(2)
        assert rig.shown(SPOT).snapshots == 1
        assert not rig.of(Gap, SPOT)
        await rig.stop()
        assert rig.judge() == {}


async def test_what_single_fills_told_alone_is_no_echo_any_more_when_they_end():
    async with rigs(*NUMBERED, natives=(SPOT,)) as rig:
        await rig.advance(1)
        await rig.want(subs((SPOT,), ("trades",)))
        await rig.settle()
        before = len(rig.of(Trade, SPOT))
        await rig.advance(3)
        later = rig.of(Trade, SPOT)[before:]
        assert later
        assert {trade.echo for trade in later} == {False}


async def test_a_symbol_that_the_venue_does_not_know_is_named_and_takes_no_other_down():
    async with rigs("trades", "books") as rig:
        ghost = Instrument("okx", "GHOST", "USDT", "GHOST-USDT")
        rig.feed._streams.catalogue.add(ghost)
        refused = Subscription(ghost.id, "trades")
        await rig.feed.want(rig.wanted | {refused})
        await rig.standing(lambda: any(status.error for status in rig.feed.status()))
        status = next(status for status in rig.feed.status() if status.error)
        assert "GHOST-USDT" in status.error
        assert status.state is LinkState.STREAMING
        await rig.advance(2)
        assert sum(status.accepted for status in rig.feed.status()) == len(rig.wanted)
        await rig.stop()
        assert rig.judge() == {}


async def test_signs_of_life_keep_a_quiet_connection_open():
    clock = Clock()
    async with rigs("trades", natives=(SPOT,), rate=0.01, clock=clock) as rig:
        for _ in range(60):
            clock.now += 5
            await rig.advance(5)
            rig.exchange.sockets.tend()
        assert rig.exchange.sockets.accepted == 1
        assert rig.feed.status()[0].reconnects == 0
