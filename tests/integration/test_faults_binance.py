"""Trades: the Binance connector over real sockets, with each fault the simulated exchange knows.

Every id that the venue can still give comes exactly once; what cannot be had is said to be lost.
"""

import pytest

from tapewatch.model.events import Coverage, Gap, Holding, Tick, Trade
from tapewatch.ports import LinkState
from tests.integration import fault_bench
from tests.integration.fault_bench import exchanges, feeding, inst_of, rigs, subs
from tests.integration.truth import wrongly_numbered

BTC, ETH = "BTCUSDT", "ETHUSDT"
NUMBERED = ("trade", "aggTrade")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


def gaps(rig, native, channel):
    return rig.ledger(native, channel).gaps


def holdings(rig):
    return {c.holding for c in rig.basket.of(Coverage)}


async def test_without_faults_everything_is_told_once_and_is_true():
    async with rigs() as rig:
        await rig.advance(20)
        assert not rig.basket.of(Gap)
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.letters
        assert holdings(rig) == {Holding.HAVE}


async def test_dropped_trades_are_fetched_and_stand_in_order_without_a_gap():
    async with rigs(subs([BTC, ETH], NUMBERED)) as rig:
        rig.add("drop", count=None, probability=0.1)
        await rig.advance(10)
        assert rig.exchange.faults.counts["drop"] > 20
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.basket.of(Gap)
        assert any(trade.repaired for trade in rig.basket.of(Trade))


async def test_no_tick_overtakes_a_trade_that_is_being_fetched():
    async with rigs(subs([BTC, ETH], NUMBERED), hold_secs=60.0) as rig:
        rig.add("drop", count=None, probability=0.1)
        rig.add("slow", "/api/*", secs=0.005, count=None)
        await rig.rush(30)
        await rig.heal()
        await rig.stop()
    told, ticks = 0, 0
    assert not rig.basket.of(Gap)
    for event in rig.events:
        if type(event) is Tick:
            told, ticks = event.ts, ticks + 1
        elif type(event) is Trade:
            assert event.ts > told, f"{event} came after a tick of {told}"
    assert ticks > 5


async def test_no_tick_overtakes_what_an_outage_kept_back():
    async with rigs(subs([BTC, ETH], NUMBERED), hold_secs=60.0) as rig:
        await rig.advance(3)
        await rig.exchange.stop()
        await rig.rush(5)
        await rig.exchange.start()
        await rig.settle()
        await rig.advance(8)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
    told = 0
    for event in rig.events:
        if type(event) is Tick:
            told = event.ts
        elif type(event) is Trade:
            assert event.ts > told, f"{event} came after a tick of {told}"
    assert told
    assert any(trade.repaired for trade in rig.basket.of(Trade))


@pytest.mark.parametrize("kind", ["duplicate", "reorder", "slow"])
async def test_repeated_swapped_and_late_frames_change_nothing(kind):
    async with rigs(subs([BTC, ETH], NUMBERED)) as rig:
        rig.add(kind, "*@*", count=None, probability=0.2, secs=0.7)
        await rig.advance(10)
        assert rig.exchange.faults.counts[kind] > 20
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.letters


@pytest.mark.parametrize("shift", [-3, 3])
async def test_a_wrong_number_costs_no_other_trade(shift):
    """Where many trades come: on a slow stream it looks like a restart of the numbering."""
    async with rigs(subs([BTC], NUMBERED), rate=3.0) as rig:
        for _ in range(4):
            rig.add("wrong_sequence", shift=shift)
            await rig.advance(3)
        assert rig.exchange.faults.counts["wrong_sequence"] == 4
        await rig.heal()
        await rig.stop()
        altered = wrongly_numbered(rig.exchange.faults, shift) if shift > 0 else {}
        assert rig.judge(altered=altered) == {}


async def test_a_stalled_stream_is_repaired_when_it_speaks_again():
    async with rigs() as rig:
        rig.add("stall", "btcusdt@*rade", secs=4)
        await rig.advance(6)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        repaired = {(t.inst, t.channel) for t in rig.basket.of(Trade) if t.repaired}
        assert {inst for inst, _ in repaired} == {inst_of(BTC)}


async def test_a_slow_history_is_a_gap_and_then_late_trades():
    async with rigs(subs([BTC], NUMBERED), hold_secs=0.3) as rig:
        rig.add("slow", "/api/v3/*rades*", secs=0.1, count=None)
        # Again and again: which hole is filled in time depends on the machine.
        rig.add("drop", "*@trade", count=None, every_secs=1)
        await rig.until(lambda: gaps(rig, BTC, "trade"))
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        ids = [int(t.id) for t in rig.ledger(BTC, "trade").trades]
        assert ids != sorted(ids), "nothing came late, so nothing was tried"


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 503},
        {"status": 500, "body": "empty"},
        {"status": 502, "body": "html"},
        {"status": 429, "retry_after": 0},
        {"status": 418, "retry_after": 0},
        {"status": 0},
    ],
    ids=str,
)
async def test_a_history_in_trouble_is_asked_again(trouble):
    async with rigs(subs([BTC], NUMBERED)) as rig:
        rig.add("http", "/api/v3/historicalTrades*", count=2, **trouble)
        rig.add("drop", "*@trade", count=3)
        await rig.advance(2)
        assert rig.exchange.faults.counts["http"] == 2
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 200, "body": "html"}], ids=str)
async def test_trouble_of_a_few_seconds_loses_nothing(trouble):
    async with rigs(subs([BTC, ETH], NUMBERED)) as rig:
        rig.add("http", "/api/v3/historicalTrades*", count=None, **trouble)
        rig.add("drop", "btcusdt@trade", count=3, every_secs=0.5)
        await rig.advance(4)
        await rig.heal()
        await rig.advance(20)
        await rig.stop()
        assert rig.judge() == {}
        assert gaps(rig, BTC, "trade")


async def test_what_the_venue_will_not_give_is_said_to_be_lost():
    async with rigs(subs([BTC, ETH], NUMBERED)) as rig:
        rig.add("http", "/api/v3/historicalTrades*", count=None, status=451)
        rig.add("drop", "btcusdt@trade", count=3, every_secs=0.5)
        await rig.advance(4)
        await rig.heal()
        await rig.stop()
        lost = rig.judge()
        assert {stream: len(ids) for stream, ids in lost.items()} == {(BTC, "trade"): 3}
        for number in lost[BTC, "trade"]:
            assert any(g.first <= number <= g.last for g in gaps(rig, BTC, "trade"))
        told = [c for c in rig.basket.of(Coverage) if c.holding is Holding.LOST]
        assert all(c.reason for c in told)


async def test_garbage_gives_one_dead_letter_each_and_the_connection_lives():
    async with rigs() as rig:
        rig.add("garbage", count=14, every_secs=0.2)
        await rig.advance(5)
        assert rig.exchange.faults.counts["garbage"] == 14
        assert not rig.basket.of(Gap)
        await rig.stop()
        assert len(rig.letters) == 14
        assert rig.feed.counters.errors["decode"] == 14
        assert rig.exchange.sockets.accepted == 1
        assert rig.judge() == {}


async def test_a_cut_costs_no_trade():
    async with rigs() as rig:
        for count in range(1, 6):
            rig.add("close", "btcusdt@trade")
            await rig.until(lambda n=count: rig.exchange.sockets.accepted == n + 1)
            await rig.advance(1)
        assert rig.feed.status()[0].reconnects == 5
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


async def test_an_exchange_that_goes_away_again_and_again_is_found_again():
    async with rigs() as rig:
        for _ in range(5):
            before = rig.feed.status()[0].reconnects
            await rig.exchange.stop()
            await rig.standing(lambda n=before: rig.feed.status()[0].reconnects > n)
            await rig.rush(1)
            states = {status.state for status in rig.feed.status()}
            assert states <= {LinkState.BACKOFF, LinkState.CONNECTING}
            await rig.exchange.start()
            await rig.settle()
            await rig.advance(1)
        assert rig.exchange.sockets.accepted == 6
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


async def test_an_outage_that_is_too_long_is_said_and_left_to_a_backfill():
    async with rigs(subs([BTC], ["trade"]), repair_max_ids=20) as rig:
        await rig.exchange.stop()
        before = rig.market.newest_ids(BTC)[0]
        await rig.rush(20)
        after = rig.market.newest_ids(BTC)[0]
        assert after - before > 20
        await rig.exchange.start()
        await rig.settle()
        await rig.advance(3)
        await rig.stop()
        ledger = rig.ledger(BTC, "trade")
        missing = ledger.ids(Holding.MISSING)
        assert missing[0] == before + 1
        assert set(missing) >= set(range(before + 1, after + 1))
        assert [gap.first for gap in ledger.gaps] == [before + 1]
        assert "backfill" in next(c.reason for c in ledger.coverage if c.reason)
        assert {int(t.id) for t in ledger.trades}.isdisjoint(missing)


async def test_a_new_process_goes_on_where_the_ledger_ends():
    wanted = subs([BTC, ETH], NUMBERED)
    async with exchanges() as exchange:
        async with feeding(exchange, wanted) as first:
            await first.settle()
            await first.advance(3)
        resume = {}
        for each in first.basket.of(Coverage):
            sub = next(s for s in wanted if (s.inst, s.channel) == (each.inst, each.channel))
            resume[sub] = max(each.last, resume.get(sub, 0))
        assert resume.keys() == wanted
        await exchange.advance(5_000_000)
        async with feeding(exchange, wanted, resume=resume) as second:
            await second.whole()
            await second.stop()
        assert second.judge() == {}
        for sub, last in resume.items():
            native = BTC if sub.inst == inst_of(BTC) else ETH
            assert min(second.ledger(native, sub.channel).ids(Holding.REPAIRED)) == last + 1


@pytest.mark.parametrize("status", [451, 403])
async def test_a_closed_door_is_blocked_and_names_the_setting_that_helps(status, caplog):
    async with exchanges() as exchange, feeding(exchange, subs([BTC], ["trade"])) as rig:
        rig.add("http", "/stream*", status=status, count=None)
        await rig.standing(lambda: rig.feed.status()[0].state is LinkState.BLOCKED)
        said = rig.feed.status()[0].error
        assert str(status) in said
        assert "exchanges.binance.ws_url" in said
        assert said in str([vars(record) for record in caplog.records])
        rig.exchange.faults.clear()
        await rig.settle()


@pytest.mark.parametrize("status", [451, 403])
async def test_a_closed_catalogue_is_blocked_and_names_the_setting_that_helps(status):
    async with exchanges() as exchange, feeding(exchange, subs([BTC], ["trade"])) as rig:
        rig.add("http", "/api/v3/exchangeInfo*", status=status, count=None)
        await rig.standing(lambda: rig.feed.status()[0].error)
        (told,) = rig.feed.status()
        assert told.state is LinkState.BLOCKED
        assert str(status) in told.error
        assert "exchanges.binance.rest_url" in told.error
        rig.exchange.faults.clear()
        await rig.settle()


@pytest.mark.parametrize(
    "trouble", [{"status": 503}, {"status": 502, "body": "html"}, {"status": 0}], ids=str
)
async def test_a_handshake_in_trouble_is_tried_again(trouble):
    async with exchanges() as exchange, feeding(exchange, subs([BTC], NUMBERED)) as rig:
        rig.add("http", "/stream*", count=3, **trouble)
        rig.add("http", "/api/v3/exchangeInfo*", count=6, **trouble)
        await rig.settle()
        assert exchange.faults.counts["http"] == 9
        await rig.advance(2)
        await rig.stop()
        assert rig.judge() == {}
