"""The USD-M connector over real sockets, with each fault the simulated exchange knows.

Every id that the venue can still give comes exactly once; what cannot be had is said to be lost. A
book that is shown is the true book at its update id.
"""

import pytest

from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Coverage,
    Gap,
    Holding,
    Liquidation,
    MarkPrice,
    Quote,
    Side,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Instrument
from tapewatch.ports import LinkState, Subscription
from tapewatch.sim.market import Shock
from tapewatch.venues.binance_futures import BinanceFutures
from tests.integration import fault_bench
from tests.integration.futures_bench import (
    BTC,
    ETH,
    NUMBERED,
    SOL,
    VENUE,
    exchanges,
    feeding,
    inst_of,
    rigs,
    subs,
)

BTC_DEPTH = "btcusdt@depth*"
PLAIN = ("bookTicker", "markPrice", "kline_1m", "ticker", "miniTicker", "forceOrder")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    fault_bench.quick(monkeypatch)


# --- without faults ---


async def test_without_faults_everything_is_told_once_and_is_true():
    async with rigs() as rig:
        await rig.advance(20)
        assert not rig.basket.of(Gap)
        await rig.whole()
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.letters
        assert {c.holding for c in rig.basket.of(Coverage)} == {Holding.HAVE}
        assert all(rig.shelf(native).compared > 100 for native in (BTC, ETH))


async def test_aggregates_are_echoes_of_the_single_fills_on_the_other_connection():
    async with rigs(*NUMBERED, natives=(BTC,)) as rig:
        await rig.advance(10)
        told = rig.of(Trade, BTC)
        began = next(trade.ts for trade in told if trade.channel == "trade")
        later = [t for t in told if t.channel == "aggTrade" and t.ts > began + 1_000_000]
        assert later
        assert all(trade.echo for trade in later)
        await rig.want(subs([BTC], ["aggTrade"]))
        await rig.advance(1)
        before = len(rig.events)
        await rig.advance(5)
        after = [event for event in rig.events[before:] if type(event) is Trade]
        assert after
        assert not any(trade.echo for trade in after)


async def test_quotes_are_the_top_of_the_book_of_that_update():
    async with rigs("depth", "bookTicker", natives=(BTC,)) as rig:
        await rig.advance(10)
        tops = rig.books[BTC]
        compared = 0
        for quote in rig.of(Quote, BTC):
            if quote.seq in tops:
                bids, asks = tops[quote.seq]
                bid, ask = max(bids), min(asks)
                expected = (bid, bids[bid], ask, asks[ask])
                assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == expected
                compared += 1
        assert compared
        assert not rig.letters


async def test_partial_books_are_the_true_tops():
    async with rigs("depth5", natives=(BTC,)) as rig:
        compared = 0
        for _ in range(20):
            await rig.advance(0.1)
            row = rig.truth("book", BTC)
            told = rig.of(BookSnapshot, BTC)
            if told and told[-1].seq == row["lastUpdateId"]:
                top = [tuple(map(float, level)) for level in row["bids"][:5]]
                assert list(told[-1].bids) == top
                compared += 1
        assert compared
        assert not rig.of(BookDelta, BTC)


async def test_mark_prices_have_the_true_index_and_funding():
    async with rigs("markPrice") as rig:
        compared = 0
        for _ in range(40):
            await rig.advance(0.1)
            for native in (BTC, ETH):
                row, told = rig.truth("mark", native), rig.of(MarkPrice, native)
                if told and told[-1].ts == row["time"] * 1000:
                    expected = (
                        float(row["markPrice"]), float(row["indexPrice"]),
                        float(row["lastFundingRate"]), row["nextFundingTime"] * 1000,
                    )  # fmt: skip
                    one = told[-1]
                    assert (one.mark, one.index, one.funding_rate, one.next_funding) == expected
                    compared += 1
        assert compared > 4
        assert not rig.letters


async def test_candles_are_the_true_ones_and_each_minute_is_closed():
    async with rigs("kline_1m", natives=(BTC,)) as rig:
        await rig.advance(75)
        rows = {row[0] * 1000: row for row in rig.truth("klines", BTC, interval="1m", limit="1500")}
        closed = [candle for candle in rig.of(Candle, BTC) if candle.closed]
        assert closed
        for candle in closed:
            row = rows[candle.ts]
            prices = (candle.open, candle.high, candle.low, candle.close)
            assert prices == tuple(map(float, row[1:5]))
            told = (candle.volume, candle.quote_volume, candle.trades, candle.buy_volume)
            assert told == (float(row[5]), float(row[7]), row[8], float(row[9]))


async def test_tickers_are_those_of_the_market():
    async with rigs("ticker", "miniTicker", "trade", natives=(BTC,)) as rig:
        await rig.advance(12)
        prices = {trade.price for trade in rig.of(Trade, BTC)}
        tickers = rig.of(Ticker, BTC)
        assert len(tickers) > 6
        assert {ticker.last for ticker in tickers[4:]} <= prices
        for ticker in tickers:
            assert ticker.low <= ticker.last <= ticker.high
            fraction = ticker.change / ticker.open
            assert ticker.change_pct == pytest.approx(fraction, abs=1e-4)


async def test_a_fall_forces_longs_out_and_each_order_is_a_true_one():
    async with rigs("forceOrder", "markPrice", "aggTrade") as rig:
        rig.market.shock(Shock(at=rig.market.now, change=-0.06))
        await rig.advance(10)
        told = rig.basket.of(Liquidation)
        assert told
        assert {event.side for event in told} == {Side.SELL}
        assert {event.inst for event in told} <= {inst_of(BTC), inst_of(ETH)}  # none of COIN-M
        for native in (BTC, ETH):
            rows = {row["time"] * 1000: row for row in rig.truth("liquidations", native)}
            for event in rig.of(Liquidation, native):
                row = rows[event.ts]
                assert (event.price, event.size) == (
                    float(row["averagePrice"]), float(row["qty"]),
                )  # fmt: skip
        assert not rig.letters
        past = 0
        for event in rig.events:
            if type(event) is Tick:
                past = event.ts
            elif type(event) in (Trade, Liquidation):
                assert event.ts > past


async def test_no_tick_overtakes_a_trade():
    async with rigs(*NUMBERED, hold_secs=60.0) as rig:
        rig.add("drop", "*rade", count=None, probability=0.1)
        await rig.rush(30)
        await rig.heal()
        await rig.stop()
    told, ticks = 0, 0
    for event in rig.events:
        if type(event) is Tick:
            told, ticks = event.ts, ticks + 1
        elif type(event) is Trade:
            assert event.ts > told, f"{event} came after a tick of {told}"
    assert ticks > 5


# --- trades ---


async def test_dropped_trades_are_fetched_and_stand_in_order():
    async with rigs(*NUMBERED) as rig:
        rig.add("drop", count=None, probability=0.1)
        await rig.advance(10)
        assert rig.count("drop") > 10
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert any(trade.repaired for trade in rig.basket.of(Trade))


@pytest.mark.parametrize("kind", ["duplicate", "reorder", "slow"])
async def test_repeated_swapped_and_late_frames_cost_no_trade(kind):
    async with rigs(*NUMBERED) as rig:
        rig.add(kind, "*@*", count=None, probability=0.2, secs=0.7)
        await rig.advance(10)
        assert rig.count(kind) > 10
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert not rig.letters


async def test_a_stalled_stream_is_repaired_when_it_speaks_again():
    async with rigs() as rig:
        rig.add("stall", "btcusdt@*rade", secs=4)
        await rig.advance(6)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        repaired = {(t.inst, t.channel) for t in rig.basket.of(Trade) if t.repaired}
        assert {inst for inst, _ in repaired} == {inst_of(BTC)}


async def test_nonsense_is_a_dead_letter_and_disturbs_nothing():
    async with rigs() as rig:
        rig.add("garbage", "*@*", count=5, every_secs=1)
        await rig.advance(8)
        assert rig.count("garbage") == len(rig.letters) == 5
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}
        assert rig.exchange.sockets.accepted == 2


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
async def test_trouble_of_the_history_is_ridden_out(trouble):
    async with rigs(*NUMBERED) as rig:
        rig.add("http", "/fapi/v1/*rades*", count=3, **trouble)
        rig.add("drop", "*rade", count=3)
        await rig.until(lambda: rig.count("http") == 3)
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


async def test_fills_older_than_the_newest_thousand_are_said_to_be_lost():
    async with rigs("trade", natives=(BTC,), rate=3.0) as rig:
        before = rig.market.newest_ids(BTC)[0]
        rig.add("drop", "btcusdt@trade", count=None)
        await rig.until(lambda: rig.market.newest_ids(BTC)[0] > before + 1_500)
        await rig.heal()
        await rig.stop()
        lost = rig.judge()[BTC, "trade"]
        assert min(lost) == before + 1
        assert {gap.channel for gap in rig.basket.of(Gap)} == {"trade"}


# --- books ---


def assert_others_untouched(rig):
    for native in (ETH, SOL):
        shelf = rig.shelf(native)
        assert (shelf.snapshots, shelf.gaps, shelf.live) == (1, 0, True)
        assert shelf.compared > 10


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop", {}),
        ("reorder", {}),
        ("slow", {"secs": 0.45}),
        ("wrong_sequence", {"shift": 7}),
        ("wrong_sequence", {"shift": 1_000_000}),
        ("wrong_sequence", {"shift": -7}),
        ("stall", {"secs": 1.0}),
    ],
)
async def test_a_broken_book_is_void_and_built_anew_while_others_go_on(kind, more):
    async with rigs("depth", natives=(BTC, ETH, SOL)) as rig:
        for number in range(1, 4):
            rig.add(kind, BTC_DEPTH, **more)
            await rig.until(lambda n=number: rig.shelf(BTC).gaps >= n)
            await rig.heal()
            await rig.advance(1)
        shelf = rig.shelf(BTC)
        assert shelf.live
        assert shelf.snapshots == shelf.gaps + 1
        assert_others_untouched(rig)
        await rig.stop()
        rig.judge()
        assert not rig.letters


async def test_a_repeated_change_disturbs_nothing():
    async with rigs("depth", natives=(BTC, ETH, SOL)) as rig:
        rig.add("duplicate", "*@depth*", count=None)
        await rig.advance(5)
        assert rig.shelf(BTC).gaps == 0
        assert_others_untouched(rig)


@pytest.mark.parametrize(
    "trouble",
    [
        {"kind": "stale_snapshot"},
        {"kind": "http", "status": 503},
        {"kind": "http", "status": 200, "body": "html"},
        {"kind": "http", "status": 429, "retry_after": 0},
        {"kind": "http", "status": 0},
    ],
    ids=str,
)
async def test_a_book_is_not_shown_before_a_good_snapshot_proves_it(trouble):
    async with rigs("depth", natives=(BTC, ETH, SOL)) as rig:
        rig.add(**{"target": "/fapi/v1/depth?symbol=BTCUSDT*", "count": None, **trouble})
        rig.add("drop", BTC_DEPTH)
        await rig.until(lambda: rig.shelf(BTC).gaps)
        await rig.advance(5)
        assert not rig.shelf(BTC).live
        assert 2 <= rig.count(trouble["kind"]) <= 40  # again and again, but not in a hurry
        await rig.heal()
        assert_others_untouched(rig)
        await rig.advance(2)
        await rig.stop()
        rig.judge()
        assert rig.shelf(BTC).snapshots == 2


# --- connections ---


async def test_a_cut_of_one_path_leaves_the_other_alone():
    async with rigs(*NUMBERED, "depth") as rig:
        rig.add("close", BTC_DEPTH)
        await rig.until(lambda: rig.exchange.sockets.accepted == 3)
        await rig.heal()
        await rig.advance(2)
        statuses = {status.url.rpartition(":")[2][5:]: status for status in rig.feed.status()}
        assert {path: s.reconnects for path, s in statuses.items()} == {
            "/public/stream": 1, "/market/stream": 0,
        }  # fmt: skip
        assert {gap.channel for gap in rig.basket.of(Gap)} == {"depth"}
        await rig.stop()
        assert rig.judge() == {}


async def test_renewals_lose_and_double_nothing():
    async with rigs(*NUMBERED, "depth", *PLAIN) as rig:
        await rig.advance(1)
        await fault_bench.renew(rig, 2)
        assert rig.exchange.sockets.accepted == 6
        assert {status.reconnects for status in rig.feed.status()} == {0}
        assert not rig.basket.of(Gap)
        assert not rig.letters
        for kind in (MarkPrice, Quote):
            told = [
                (event.inst, event.ts, getattr(event, "seq", 0)) for event in rig.basket.of(kind)
            ]
            assert len(told) == len(set(told))
        await rig.stop()
        assert rig.judge() == {}


async def test_an_outage_is_repaired_and_forced_orders_are_said_to_be_missing():
    async with rigs(*NUMBERED, "depth", "forceOrder") as rig:
        await rig.advance(3)
        await rig.exchange.stop()
        await rig.rush(8)
        await rig.exchange.start()
        await rig.settle()
        await rig.heal()
        await rig.advance(2)
        await rig.stop()
        assert rig.judge() == {}
        cut = [gap.inst for gap in rig.basket.of(Gap) if gap.channel == "forceOrder"]
        assert set(cut) == {inst_of(BTC), inst_of(ETH)}


async def test_a_connection_that_says_nothing_is_replaced():
    async with rigs(idle_secs=60) as rig:
        rig.add("stall", "*", secs=1_000)
        await rig.rush(1)
        await fault_bench.silence(rig)
        assert rig.exchange.sockets.accepted == 4
        assert "no data for 60 s" in {gap.reason for gap in rig.basket.of(Gap)}
        await rig.heal()
        await rig.stop()
        assert rig.judge() == {}


async def test_what_is_wanted_changes_without_disturbing_the_others():
    async with rigs(natives=(BTC,)) as rig:
        steady = rig.wanted
        await rig.want(steady | subs([ETH], (*NUMBERED, "depth", "forceOrder")))
        await rig.whole()
        await rig.advance(2)
        await rig.want(steady)
        await rig.advance(2)
        shelf = rig.shelf(BTC)
        assert (shelf.snapshots, shelf.gaps, shelf.live) == (1, 0, True)
        assert rig.exchange.sockets.accepted == 2
        before = len(rig.events)
        await rig.advance(2)
        assert not [e for e in rig.events[before:] if getattr(e, "inst", "") == inst_of(ETH)]
        await rig.stop()
        assert rig.judge() == {}


class Astray(BinanceFutures):
    """As if the venue had moved books to the other path: accepted, and never served."""

    def routes(self, wanted):
        return [type(r)(r.name, r.url.replace("public", "market"), r.subscriptions)
                for r in super().routes(wanted)]  # fmt: skip


async def test_a_stream_on_the_wrong_path_is_noticed_and_named():
    wanted = subs([BTC], ["depth", "bookTicker", "markPrice"])
    async with exchanges() as exchange, feeding(exchange, wanted, dialect=Astray) as rig:
        await rig.settle()
        await rig.until(lambda: any(life.stalled for life in rig.lives))
        silent = {sub.channel: why for life in rig.lives for sub, why in life.stalled.items()}
        assert set(silent) == {"depth", "bookTicker"}
        assert all("nothing came within 60 s" in why for why in silent.values())
        told = [words for status in rig.feed.status() for words in status.stalled]
        assert [words.partition(":")[0] for words in told] == [VENUE, VENUE]
        assert rig.basket.of(MarkPrice)


async def test_a_name_that_the_venue_does_not_know_is_named_and_takes_no_other_down():
    async with rigs("depth", "markPrice", natives=(BTC,)) as rig:
        ghost = Instrument(VENUE, "GHOST", "USDT", "GHOSTUSDT", "USDT")
        rig.feed._streams.catalogue.add(ghost)
        lost = Subscription(ghost.id, "markPrice")
        await rig.want(rig.wanted | {lost})
        await rig.until(lambda: any(lost in life.stalled for life in rig.lives))
        assert any("GHOST" in str(status.stalled) for status in rig.feed.status())
        assert all(status.state is LinkState.STREAMING for status in rig.feed.status())
        shelf = rig.shelf(BTC)
        assert (shelf.snapshots, shelf.gaps, shelf.live) == (1, 0, True)
