"""Connections of Binance: renewed before the cut, shared out, changed at run time, refused."""

import pytest

from tapewatch.feeds.exchange import add_all
from tapewatch.model.events import Gap, Trade
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import LinkState, Subscription
from tapewatch.sim.limits import Rules
from tests.integration import fault_bench
from tests.integration.fault_bench import CHANNELS, exchanges, feeding, inst_of, rigs, subs

BTC, ETH, SOL = "BTCUSDT", "ETHUSDT", "SOLUSDT"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


def assert_nothing_noticed(rig):
    """Nobody who reads the events can see that connections changed."""
    assert not rig.basket.of(Gap)
    assert not any(trade.repaired for trade in rig.basket.of(Trade))
    assert not rig.letters


async def test_renewals_before_the_cut_lose_and_double_nothing():
    async with rigs() as rig:
        await fault_bench.renew(rig, 4)
        assert rig.exchange.sockets.accepted == 5
        assert rig.feed.status()[0].reconnects == 0
        assert_nothing_noticed(rig)
        await rig.stop()
        assert rig.judge() == {}


async def test_a_shutdown_that_is_announced_is_forestalled(open_clock):
    rules = Rules(ping_secs=3_600, max_age_secs=1_000, notice_secs=100)
    async with (
        exchanges(rules=rules, clock=open_clock) as exchange,
        feeding(exchange) as rig,
    ):
        await rig.whole()
        open_clock.now += 950
        exchange.sockets.tend()
        await rig.until(lambda: exchange.sockets.accepted == 2 and len(rig.lives) == 1)
        open_clock.now += 100  # now the first connection would have been cut
        exchange.sockets.tend()
        await rig.settle()
        await rig.advance(2)
        assert exchange.sockets.accepted == 2
        assert rig.feed.status()[0].reconnects == 0
        assert_nothing_noticed(rig)
        await rig.stop()
        assert rig.judge() == {}


class OpenClock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def open_clock():
    return OpenClock()


async def test_a_cut_that_nobody_announced_is_repaired(open_clock):
    rules = Rules(ping_secs=3_600, max_age_secs=1_000)
    async with (
        exchanges(rules=rules, clock=open_clock) as exchange,
        feeding(exchange) as rig,
    ):
        await rig.whole()
        open_clock.now += 1_001
        exchange.sockets.tend()
        await rig.until(lambda: exchange.sockets.accepted == 2)
        await rig.heal()
        await rig.advance(1)
        reasons = {gap.reason for gap in rig.basket.of(Gap)}
        assert len(reasons) == 1
        assert "1001" in reasons.pop()
        await rig.stop()
        assert rig.judge() == {}


async def test_silence_on_an_open_socket_ends_it_and_a_new_one_is_made():
    async with rigs(idle_secs=60) as rig:
        rig.add("stall", "*", secs=1_000)
        await rig.rush(1)
        await fault_bench.silence(rig)
        assert rig.exchange.sockets.accepted == 2
        assert "no data for 60 s" in {gap.reason for gap in rig.basket.of(Gap)}
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


async def test_what_is_wanted_changes_without_disturbing_the_others():
    async with rigs(subs([BTC]), symbols=4) as rig:
        natives = list(rig.market.symbols)
        for native in natives[1:]:
            await rig.want(rig.wanted | subs([native]))
            await rig.settle()
            await rig.advance(1)
        for native in natives[2:]:
            await rig.want(rig.wanted - subs([native]))
            await rig.advance(1)
        assert {s for life in rig.lives for s in life.accepted} == subs(natives[:2])
        steady = rig.shelf(BTC)
        assert (steady.snapshots, steady.gaps, steady.live) == (1, 0, True)
        assert steady.compared > 40
        for native in natives[2:]:
            told = rig.shelf(native)
            assert (told.snapshots, told.gaps, told.live) == (1, 1, False)
        gone = {inst_of(native) for native in natives[2:]}
        before = len(rig.events)
        await rig.advance(2)
        assert not [e for e in rig.events[before:] if getattr(e, "inst", "") in gone]
        assert not any(trade.repaired for trade in rig.basket.of(Trade))
        assert rig.exchange.sockets.accepted == 1
        await rig.stop()
        assert rig.judge() == {}


async def test_an_instrument_that_comes_back_has_its_trades_of_meanwhile():
    async with rigs(subs([BTC, ETH])) as rig:
        everything = rig.wanted
        await rig.want(subs([BTC]))
        await rig.advance(3)
        await rig.want(everything)
        await rig.advance(1)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert {t.inst for t in rig.basket.of(Trade) if t.repaired} == {inst_of(ETH)}


async def test_many_streams_are_shared_out_and_each_is_acknowledged():
    async with rigs(symbols=60) as rig:
        statuses = rig.feed.status()
        assert len(statuses) > 1
        assert sum(status.accepted for status in statuses) == 60 * len(CHANNELS)
        assert all(status.accepted == status.subscriptions for status in statuses)
        assert all(status.state is LinkState.STREAMING for status in statuses)
        await rig.advance(3)
        rig.add("close", "btcusdt@trade")
        await rig.until(lambda: rig.exchange.sockets.accepted == len(statuses) + 1)
        await rig.heal()
        on_the_link = next(s.subscriptions for s in rig.feed._sessions if s.status().reconnects)
        hurt = {gap.inst for gap in rig.basket.of(Gap)}
        assert hurt == {sub.inst for sub in on_the_link}
        await rig.stop()
        rig.judge()


async def test_a_refused_subscription_is_told_and_the_rest_goes_on(caplog):
    rules = Rules(ping_secs=3_600, max_streams=3)
    wanted = subs([BTC], ["trade", "ticker", "depth"])
    async with rigs(wanted, rules=rules) as rig:
        refused = Subscription(inst_of(ETH), "trade")
        await rig.feed.want(wanted | {refused})
        await rig.standing(lambda: rig.feed.status()[0].error)
        (status,) = rig.feed.status()
        assert status.error == (
            "binance:ETH/USDT trade refused: code 2: Invalid request: more than 3 streams"
        )
        assert (status.accepted, status.subscriptions) == (3, 4)
        assert status.state is LinkState.STREAMING
        assert "subscription_refused" in caplog.messages
        await rig.advance(2)
        assert rig.exchange.sockets.accepted == 1
        await rig.stop()
        assert rig.judge() == {}


async def test_a_stream_that_is_accepted_and_never_speaks_is_told(caplog):
    """Binance acknowledges a name that does not exist, and stays silent."""
    async with exchanges() as exchange:
        ghost = Instrument("binance", "GHOST", "USDT", "GHOSTUSDT")
        known = Catalogue()
        add_all(known, [ghost, Instrument("binance", "BTC", "USDT", BTC)])
        silent = Subscription(ghost.id, "ticker")
        wanted = subs([BTC], ["trade"]) | {silent}
        async with feeding(exchange, wanted, catalogue=known) as rig:
            await rig.settle()
            assert rig.feed.status()[0].accepted == 2
            await rig.rush(61)
            await rig.standing(lambda: rig.feed.status()[0].stalled)
            (status,) = rig.feed.status()
            assert len(status.stalled) == 1
            assert "binance:GHOST/USDT ticker: accepted, but nothing came" in status.stalled[0]
            assert "stream_stalled" in caplog.messages
            assert exchange.sockets.accepted == 1
            await rig.stop()
            assert rig.judge() == {}


async def test_an_instrument_that_is_not_listed_is_told_and_not_asked_for():
    async with rigs(subs([BTC], ["trade"])) as rig:
        await rig.feed.want(rig.wanted | {Subscription("binance:GHOST/USDT", "trade")})
        await rig.advance(1)
        errors = [status.error for status in rig.feed.status() if status.error]
        assert errors == ["binance does not list binance:GHOST/USDT: not subscribed"]
        assert rig.feed.status()[0].state is LinkState.STREAMING
