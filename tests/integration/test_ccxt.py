"""Venues of CCXT: the real library against the simulated exchanges, without and with faults."""

import asyncio
import importlib
import logging
import subprocess
import sys

import pytest

from tapewatch.feeds import ccxt, ccxt_desk
from tapewatch.feeds.ccxt_config import BOOK, TICKER, TRADES, CcxtConfig, exchange_ids
from tapewatch.feeds.ccxt_library import library, make
from tapewatch.model.errors import ConfigError
from tapewatch.model.events import BookSnapshot, DeadLetter, Gap, Quote, Tick, Ticker, Trade
from tapewatch.ports import LinkState
from tests.integration.ccxt_bench import ONE, rig, rigs, subs

LEVELS = 10
# Section: a symbol as CCXT writes it, the market's own, and what CCXT streams there without a key.
ONES = {
    "ccxt_binance": ("BTC/USDT", "BTCUSDT", (TICKER, TRADES, BOOK)),
    "ccxt_okx": ("BTC/USDT", "BTC-USDT", (TICKER, TRADES, BOOK)),
    "ccxt_bybit": ("BTC/USDT", "spot/BTCUSDT", (TICKER, TRADES, BOOK)),
    "coinbaseexchange": ("BTC/USD", "BTC-USD", (TICKER, TRADES)),
    "binanceusdm": ("BTC/USDT:USDT", "BTCUSDT", (TRADES, BOOK, "ticker")),
    "ccxt_coinbase": ("BTC/USD", "BTC-USD", (TRADES, BOOK, "ticker")),
}
SECTIONS = tuple(ONES)
OKX = "ccxt_okx"
# CCXT's own loggers, and asyncio's when somebody forgot to look at an error.
COMPLAINERS = ("ccxt", "asyncio")


@pytest.fixture(autouse=True)
def _nobody_complains(caplog):
    """What CCXT and asyncio log when something is left open or unheard fails the test."""
    caplog.set_level(logging.WARNING)
    yield
    loud = [r for r in caplog.records if r.name.startswith(COMPLAINERS)]
    assert not [record.getMessage() for record in loud]


def is_true(bench, symbol, native, levels=LEVELS):
    shown = bench.shown(symbol)
    truth = bench.true_book(native, levels)
    return shown is not None and tuple(side[:levels] for side in shown) == truth


async def all_told(bench, symbol, native):
    """Until the newest trade of the market was told."""
    newest = bench.market.trades(native)[-1].ts // 1000
    await bench.standing(lambda: max((key[0] for key in bench.told(symbol)), default=0) == newest)


def assert_trades_are_true(bench, symbol, native):
    """Equal to the market's, from the first whole millisecond that was told."""
    told = bench.told(symbol)
    first, last = min(key[0] for key in told), max(key[0] for key in told)
    true = bench.true_trades(native, first + 1, last)
    assert len(true) > 10
    assert {key: size for key, size in told.items() if key[0] > first} == true


# --- without faults ---


@pytest.mark.parametrize("section", SECTIONS)
async def test_watched_trades_tickers_and_books_are_the_true_ones(section):
    symbol, native, channels = ONES[section]
    async with rig(section, [symbol], *channels) as bench:
        await bench.until(lambda: all(bench.live(channel) for channel in channels))
        for _ in range(20):
            await bench.step()
            if BOOK in channels:
                await bench.standing(lambda: is_true(bench, symbol, native))
        await bench.until(lambda: len(bench.told(symbol)) > 30 and bench.of(Ticker, symbol))
        await all_told(bench, symbol, native)
        assert_trades_are_true(bench, symbol, native)
        ticker = bench.of(Ticker, symbol)[-1]
        assert ticker.low <= ticker.last <= ticker.high
        assert ticker.last in {trade.price for trade in bench.of(Trade, symbol)}
        assert ticker.change == pytest.approx(ticker.last - ticker.open)
        assert not bench.basket.of(Gap)
        assert not bench.basket.of(DeadLetter)
        ids = [trade.id for trade in bench.of(Trade, symbol)]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("symbol", "native"), [("BTC/USDT:USDT", "BTC-USDT-SWAP"), ("BTC/USD:BTC", "BTC-USD-SWAP")]
)
async def test_contracts_become_base_units(symbol, native):
    async with rig(OKX, [symbol], TRADES, BOOK) as bench:
        await bench.until(lambda: bench.live(TRADES) and bench.live(BOOK))
        for _ in range(30):
            await bench.step()
        await all_told(bench, symbol, native)
        true = bench.market.trades(native)[-1]
        told = [t for t in bench.of(Trade, symbol) if t.ts == true.ts // 1000 * 1000]
        sizes = sum(t.qty for t in bench.market.trades(native) if t.ts // 1000 == true.ts // 1000)
        assert sum(trade.size for trade in told) == pytest.approx(sizes / ONE, rel=1e-6)
        await bench.step()
        top = bench.true_book(native, 1)[0][0]
        await bench.standing(
            lambda: (book := bench.shown(symbol)) and book[0][0] == pytest.approx(top, rel=1e-6)
        )


async def test_time_goes_on_with_ticks_that_no_event_comes_behind():
    symbol, native, _ = ONES[OKX]
    async with rig(OKX, [symbol], TRADES) as bench:
        await bench.until(lambda: len(bench.basket.of(Tick)) > 3)
        await all_told(bench, symbol, native)
        reached = 0
        for event in bench.basket.events:
            if isinstance(event, Tick):
                assert event.source == OKX
                reached = event.ts
            elif isinstance(event, Trade):
                assert event.ts > reached


# --- polling ---


async def test_tickers_of_all_symbols_are_polled_in_one_request():
    symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    async with rig("ccxt_binance", symbols, TICKER, poll_secs=0.2) as bench:
        bench.add("slow", "/api/*", secs=0, count=None)  # to see what is asked for
        await bench.until(lambda: bench.live(TICKER) and bench.link(TICKER).frames >= 3)
        await bench.until(lambda: all(bench.of(Ticker, symbol) for symbol in symbols))
        asked = [each.target for each in bench.exchange.faults.applied if "ticker" in each.target]
        assert len(asked) - bench.link(TICKER).frames in {0, 1}  # one may be under way
        assert all(name in asked[0] for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT"))
        for symbol in symbols:
            ticker, quote = bench.of(Ticker, symbol)[-1], bench.of(Quote, symbol)[-1]
            assert ticker.open <= ticker.high
            assert ticker.low <= ticker.last
            assert (ticker.bid, ticker.ask) == (quote.bid, quote.ask)
        assert bench.link(TICKER).accepted == 3
        assert bench.feed.calls.count >= bench.link(TICKER).frames


async def test_a_polled_price_is_the_markets_last():
    async with rig("ccxt_bybit", ["BTC/USDT"], TICKER, poll_secs=0.2) as bench:
        await bench.until(lambda: bench.link(TICKER) and bench.link(TICKER).frames >= 2)
        frames = bench.link(TICKER).frames + 1  # that one may have been answered before
        await bench.standing(lambda: bench.link(TICKER).frames > frames)
        last = bench.market.trades("spot/BTCUSDT")[-1]
        assert bench.of(Ticker, "BTC/USDT")[-1].last == last.price / ONE


async def test_spot_and_derivatives_are_polled_side_by_side():
    symbols = ["BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"]
    async with rig(OKX, symbols, TICKER, poll_secs=0.2) as bench:
        # A market that has not traded yet has a quote and no ticker.
        await bench.until(lambda: all(bench.of(Ticker, symbol) for symbol in symbols))
        volumes = [bench.of(Ticker, symbol)[-1].volume for symbol in symbols]
        assert all(0 < volume < 1e7 for volume in volumes)


# --- losses ---


async def test_a_cut_is_a_gap_and_the_book_is_gone_until_there_is_a_new_one():
    symbol, native, channels = ONES["ccxt_bybit"]
    async with rig("ccxt_bybit", [symbol], *channels) as bench:
        await bench.until(lambda: all(map(bench.live, channels)) and is_true(bench, symbol, native))
        bench.exchange.sockets.abort_all()
        await bench.standing(lambda: bench.gaps(TRADES) and bench.gaps(BOOK))
        assert bench.shown(symbol) is None
        await bench.until(lambda: all(map(bench.live, channels)) and is_true(bench, symbol, native))
        assert bench.link(TRADES).reconnects >= 1
        assert len(bench.gaps(TRADES)) == len(bench.gaps(BOOK)) == 1
        ids = [trade.id for trade in bench.of(Trade, symbol)]
        assert len(ids) == len(set(ids))


async def test_a_cut_is_told_also_while_nobody_asks_ccxt_for_more():
    symbol, _, _ = ONES["ccxt_bybit"]
    async with rig("ccxt_bybit", [symbol], TRADES) as bench:
        await bench.until(lambda: bench.live(TRADES))
        bench.basket.fill()
        await bench.until(lambda: bench.basket.refused)  # from here on the stream waits for room
        bench.exchange.sockets.abort_all()
        await bench.standing(lambda: bench.feed.status()[0].state is not LinkState.STREAMING)
        bench.basket.empty()
        await bench.until(lambda: bench.gaps(TRADES) and bench.live(TRADES))


async def test_a_lost_change_voids_the_book_and_a_new_one_comes():
    symbol, native, _ = ONES[OKX]
    async with rig(OKX, [symbol], BOOK) as bench:
        await bench.until(lambda: bench.live(BOOK) and is_true(bench, symbol, native))
        bench.add("drop", "books*", count=1)
        await bench.until(lambda: bench.gaps(BOOK))
        assert "nonce" in bench.gaps(BOOK)[0].reason
        await bench.until(lambda: is_true(bench, symbol, native))


async def test_frames_that_nobody_can_read_are_kept_and_the_stream_goes_on():
    symbol, native, _ = ONES["ccxt_bybit"]
    async with rig("ccxt_bybit", [symbol], TRADES) as bench:
        await bench.until(lambda: bench.live(TRADES))
        bench.add("garbage", "*", count=4)
        await bench.until(lambda: bench.basket.of(DeadLetter))
        bench.exchange.faults.clear()
        for _ in range(10):
            await bench.step()
        await all_told(bench, symbol, native)
        letter = bench.basket.of(DeadLetter)[0]
        assert letter.raw.startswith('{"topic"')
        assert (letter.source, letter.stage) == ("ccxt_bybit", "decode")
        assert bench.live(TRADES)


async def test_a_frame_that_nobody_can_read_voids_a_book_that_it_may_have_changed():
    symbol, native, _ = ONES["ccxt_bybit"]
    async with rig("ccxt_bybit", [symbol], BOOK) as bench:
        await bench.until(lambda: bench.live(BOOK) and is_true(bench, symbol, native))
        bench.add("garbage", "*", count=1)
        await bench.until(lambda: bench.gaps(BOOK))
        assert "could not be read" in bench.gaps(BOOK)[0].reason
        await bench.until(lambda: is_true(bench, symbol, native))


async def test_a_book_that_stands_still_is_not_shown(monkeypatch):
    monkeypatch.setattr(ccxt, "_LOOK_SECS", 0.001)
    symbol, native, _ = ONES[OKX]
    async with rig(OKX, [symbol], BOOK, rate=20.0) as bench:
        await bench.until(lambda: bench.live(BOOK) and len(bench.of(BookSnapshot, symbol)) > 30)
        bench.add("stall", "books*", secs=300.0)
        await bench.until(lambda: bench.gaps(BOOK))
        assert "silent" in bench.gaps(BOOK)[0].reason
        bench.exchange.faults.clear()
        await bench.until(lambda: is_true(bench, symbol, native))


async def test_a_book_that_is_found_impossible_is_asked_for_anew():
    symbol, native, _ = ONES["ccxt_bybit"]
    async with rig("ccxt_bybit", [symbol], BOOK) as bench:
        await bench.until(lambda: bench.live(BOOK) and is_true(bench, symbol, native))
        await bench.feed.resync(f"ccxt_bybit:{symbol}", "crossed book")
        await bench.standing(lambda: bench.gaps(BOOK))
        await bench.until(lambda: is_true(bench, symbol, native))
        assert len(bench.gaps(BOOK)) == 1


# --- errors of REST ---


@pytest.mark.parametrize("body", ["json", "html"])
@pytest.mark.parametrize("status", [500, 502, 503, 0])
async def test_trouble_of_the_venue_is_tried_again(status, body):
    async with rig("ccxt_binance", ["BTC/USDT"], TICKER, poll_secs=0.2) as bench:
        bench.add("http", "*exchangeInfo*", status=status, body=body, count=None)
        await bench.until(lambda: bench.link("catalogue") and bench.link("catalogue").error)
        bench.exchange.faults.clear()
        bench.add("http", "*ticker*", status=status, body=body, count=None)
        await bench.until(lambda: bench.link(TICKER) and bench.link(TICKER).error)
        assert bench.link(TICKER).state is LinkState.BACKOFF
        bench.exchange.faults.clear()
        await bench.until(lambda: bench.live(TICKER))
        assert bench.link(TICKER).error == ""
        assert len(bench.link(TICKER).error) < 300


async def test_a_web_page_instead_of_an_answer_is_tried_again():
    async with rig("ccxt_binance", ["BTC/USDT"], TICKER, poll_secs=0.2) as bench:
        bench.add("http", "*ticker*", status=200, body="html", count=None)
        await bench.until(lambda: bench.link(TICKER) and bench.link(TICKER).error)
        assert "<" not in bench.link(TICKER).error
        bench.exchange.faults.clear()
        await bench.until(lambda: bench.live(TICKER))


@pytest.mark.parametrize("status", [451, 403])
async def test_a_venue_that_does_not_serve_this_machine_is_blocked_in_words(status):
    async with rig("ccxt_binance", ["BTC/USDT"], TICKER) as bench:
        bench.add("http", "*exchangeInfo*", status=status, count=None)
        await bench.until(lambda: bench.feed.status()[0].state is LinkState.BLOCKED)
        assert f"HTTP {status}" in bench.feed.status()[0].error
        assert "exchanges.ccxt_binance.urls" in bench.feed.status()[0].error
        bench.exchange.faults.clear()
        await bench.until(lambda: bench.live(TICKER))


async def test_a_venue_that_asks_for_patience_gets_it_from_all_its_streams(monkeypatch):
    monkeypatch.setattr(ccxt_desk, "_SLOW_DOWN_SECS", 1.0)
    async with rig("ccxt_binance", ["BTC/USDT", "ETH/USDT"], TICKER, poll_secs=0.2) as bench:
        await bench.until(lambda: bench.live(TICKER))
        bench.add("http", "*ticker*", status=429, count=1)
        await bench.standing(lambda: bench.link(TICKER).error)
        asked = bench.feed.calls.count
        loop = asyncio.get_running_loop()
        assert bench.feed._desk._calm_at > loop.time()
        await bench.standing(lambda: bench.feed._desk._calm_at <= loop.time())
        assert bench.feed.calls.count == asked
        await bench.standing(lambda: bench.link(TICKER).error == "")


@pytest.mark.parametrize("status", [429, 418])
async def test_the_patience_is_as_long_as_the_venue_asks_for(status):
    async with rig("ccxt_binance", ["BTC/USDT"], TICKER, poll_secs=0.2) as bench:
        await bench.until(lambda: bench.live(TICKER))
        bench.add("http", "*ticker*", status=status, retry_after=77, count=1)
        await bench.standing(lambda: bench.link(TICKER).retry_at)
        assert bench.link(TICKER).retry_at >= bench.market.now + 77_000_000


# --- what cannot be had ---


async def test_a_symbol_that_is_not_listed_is_refused_with_the_nearest():
    async with rig(OKX, ["BTC/USDT", "BTC/USDX"], TRADES) as bench:
        await bench.until(lambda: bench.live(TRADES))
        assert bench.link(TRADES).subscriptions == 1
        assert "BTC/USDX (did you mean BTC/USD" in bench.link("catalogue").error


async def test_one_bad_symbol_does_not_stop_the_others():
    symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    async with rig("ccxt_binance", symbols, TICKER, poll_secs=0.2) as bench:
        await bench.until(lambda: bench.live(TICKER))
        exchange = bench.feed._desk.exchange
        exchange.markets["ETH/USDT"]["id"] = "ETHUSDX"  # as after a delisting
        before = len(bench.of(Ticker, "SOL/USDT"))
        await bench.until(lambda: "BadSymbol" in bench.link(TICKER).error)
        await bench.until(lambda: len(bench.of(Ticker, "SOL/USDT")) > before + 1)
        assert bench.link(TICKER).state is LinkState.STREAMING


async def test_a_stream_that_needs_a_key_is_given_up_in_words():
    async with rig("coinbaseexchange", ["BTC/USD"], TRADES, BOOK) as bench:
        await bench.until(lambda: bench.live(TRADES))
        await bench.until(lambda: bench.link(BOOK).state is LinkState.CLOSED)
        assert "apiKey" in bench.link(BOOK).error
        assert bench.feed.counters.errors["AuthenticationError"] == 1


# --- at run time ---


async def test_what_is_wanted_can_change_and_nobody_else_is_disturbed():
    async with rig(OKX, ["BTC/USDT"], TRADES, BOOK) as bench:
        await bench.until(lambda: bench.live(TRADES) and bench.live(BOOK))
        more = [
            *subs(OKX, ["BTC/USDT"], TRADES, BOOK),
            *subs(OKX, ["ETH/USDT"], TRADES, TICKER),
        ]
        await bench.feed.want(frozenset(more))
        await bench.until(lambda: bench.live(TRADES) and bench.live(TICKER))
        assert bench.link(TRADES).subscriptions == 2
        await bench.feed.want(frozenset(subs(OKX, ["ETH/USDT"], TRADES)))
        await bench.standing(lambda: not bench.feed._desk._flow.batch)
        count = len(bench.of(Trade, "BTC/USDT"))
        told = len(bench.of(Trade, "ETH/USDT"))
        await bench.until(lambda: len(bench.of(Trade, "ETH/USDT")) > told + 20)
        assert len(bench.of(Trade, "BTC/USDT")) == count
        assert [link.route for link in bench.feed.status()] == [TRADES]
        await bench.feed.want(frozenset(subs(OKX, ["BTC/USDT"], BOOK)))
        await bench.until(lambda: is_true(bench, "BTC/USDT", "BTC-USDT"))
        assert not bench.basket.of(Gap)


async def test_three_venues_with_ten_symbols_each_run_at_once():
    wanted = [
        ("ccxt_binance", [], (TRADES, BOOK, TICKER)),
        ("ccxt_bybit", [], (TRADES, BOOK, TICKER)),
        (OKX, [], (TRADES, BOOK, TICKER)),
    ]
    async with rigs(*wanted, count=12, rate=10.0) as benches:
        everything = (TRADES, BOOK, TICKER)

        async def live_up(bench):
            await bench.until(lambda: bench.feed._desk is not None)
            symbols = list(bench.feed._desk.exchange.markets)[:10]
            await bench.feed.want(frozenset(subs(bench.section, symbols, TRADES, BOOK, TICKER)))
            await bench.until(lambda: all(map(bench.live, everything)))
            assert [bench.link(each).subscriptions for each in everything] == [10, 10, 10]
            # Not of books: CCXT finds at times that Binance's first change does not fit.
            assert not bench.gaps(TRADES)
            await bench.until(lambda: len({t.inst for t in bench.basket.of(Trade)}) == 10)

        # All at once: a market that stands while another is looked at would be taken for dead.
        await asyncio.gather(*map(live_up, benches))


async def test_ccxt_is_imported_only_when_a_venue_of_it_is_named(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from tapewatch.runtime import launch, wiring, ccxt_checkup\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "plan = launch.plan_of(launch.load(None, environ={}, folder=folder))\n"
        "assert not plan.ccxt and plan.venues\n"
        "file = folder / 'k.yaml'\n"
        "file.write_text('exchanges: {kraken: {symbols: [BTC/USD]}}')\n"
        "assert launch.plan_of(launch.load(file, environ={}, folder=folder)).ccxt\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'ccxt'])\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert (child.returncode, out.decode().strip()) == (0, "[]")


def test_the_ids_that_the_folder_shows_are_those_of_ccxt():
    known = importlib.import_module("ccxt").exchanges
    assert set(exchange_ids()) == set(known)


async def test_an_address_that_is_not_ccxts_is_refused_with_those_that_are():
    config = CcxtConfig(urls={"https://api.krakn.com": "http://127.0.0.1:1"})
    with pytest.raises(ConfigError, match=r"exchanges.kraken.urls: .*https://api.kraken.com"):
        make(await library(), "kraken", config)
