"""Recorded frames of Bybit through `decode`'s own path, judged by rules, not by our code.

Files with frames of several categories are read as the category that most of them are; the others
are dead letters with the reason, and counted here.
"""

import json
from collections import defaultdict

import pytest

from tapewatch.cli.decode import Decoding, split_line
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    DeadLetter,
    Gap,
    Liquidation,
    MarkPrice,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Route, Streams
from tapewatch.runtime import plugins
from tests.frames import recording

TESTNET = "bybit/sessions/fastmm_bybit_spot_testnet_20260913.tsv.gz"
TICKERS = "bybit/sessions/fastmm_bybit_tickers_20260930.tsv.gz"
SPOT = "bybit/sessions/tickvault_bybit_spot_20260824.tsv.gz"
INVERSE = "is an inverse contract, neither spot nor linear"
DATED = "no known quote currency ends 'BTCUSDU23'"
RECENT = ("orderbook.1", "orderbook.50", "publicTrade", "tickers", "allLiquidation", "ack")


def play(venue, path):
    plugin = plugins.load("venues", venue)
    dialect = plugin.build(venue, plugin.config())
    streams = Streams(Catalogue(), lenient=True)
    conversation = dialect.converse(Route("recording", "", ()), streams)
    decoding = Decoding(dialect, streams, conversation)
    kinds = defaultdict(list)
    for batch in decoding.events(recording(path)):
        for event in batch:
            kinds[type(event)].append(event)
    return kinds


def frames(path):
    """What the lines say, read by something else than our decoder."""
    return [json.loads(split_line(line)[1]) for line in recording(path)]


def books(events):
    """Each book after each change, from two dicts; crossed or out of step is an error."""
    held = {}
    for event in events:
        if isinstance(event, BookSnapshot):
            held[event.inst] = (event.seq, dict(event.bids), dict(event.asks))
        else:
            seq, bids, asks = held[event.inst]
            assert event.first_seq == event.seq == seq + 1
            for side, levels in ((bids, event.bids), (asks, event.asks)):
                for price, size in levels:
                    side[price] = size
                    if not size:
                        del side[price]
            held[event.inst] = (event.seq, bids, asks)
        _, bids, asks = held[event.inst]
        bid, ask = max(bids), min(asks)
        assert bid < ask
        yield event, (bid, bids[bid], ask, asks[ask])


@pytest.mark.parametrize("venue", ["bybit", "bybit_linear"])
@pytest.mark.parametrize(
    "path", [*(f"bybit/{name}.recent2026.jsonl" for name in RECENT), TESTNET, TICKERS, SPOT]
)
def test_frames_of_today_have_no_dead_letter_and_no_gap(venue, path):
    kinds = play(venue, path)
    assert not kinds[DeadLetter]
    assert not kinds[Gap]
    says_something = [f for f in frames(path) if "topic" in f]
    assert bool(sum(map(len, kinds.values()))) == bool(says_something)


@pytest.mark.parametrize(
    ("venue", "name", "reasons"),
    [
        ("bybit", "publicTrade", [INVERSE]),
        ("bybit_linear", "orderbook.50", []),
        ("bybit_linear", "tickers", [INVERSE, INVERSE, DATED, DATED]),
        ("bybit_linear", "allLiquidation", []),
        ("bybit", "ack", []),
    ],
)
def test_old_samples_are_read_but_for_other_categories(venue, name, reasons):
    letters = play(venue, f"bybit/{name}.singles.jsonl")[DeadLetter]
    assert len(letters) == len(reasons)
    for letter, reason in zip(letters, reasons, strict=True):
        assert reason in letter.error


@pytest.mark.parametrize(("path", "changes"), [(TESTNET, 18), (SPOT, 8)])
def test_a_recorded_book_is_in_step_and_never_crossed(path, changes):
    kinds = play("bybit", path)
    assert len(kinds[BookSnapshot]) == 1
    assert len(kinds[BookDelta]) == changes
    steps = list(books([*kinds[BookSnapshot], *kinds[BookDelta]]))
    assert len(steps) == changes + 1


def test_the_top_of_the_book_is_the_quote_of_the_same_moment():
    kinds = play("bybit", TESTNET)
    common = {  # `u` of the book of depth 50 to the number that all streams share
        frame["data"]["u"]: frame["data"]["seq"]
        for frame in frames(TESTNET)
        if frame.get("topic") == "orderbook.50.BTCUSDT"
    }
    quotes = {quote.seq: quote for quote in kinds[Quote]}
    compared = 0
    for event, top in books([*kinds[BookSnapshot], *kinds[BookDelta]]):
        quote = quotes.get(common[event.seq])
        if quote is not None:
            assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == top
            compared += 1
    assert compared >= 8


def test_each_trade_comes_once_with_the_engines_time():
    kinds = play("bybit", TESTNET)
    rows = [
        row
        for frame in frames(TESTNET)
        if frame.get("topic", "").startswith("publicTrade")
        for row in frame["data"]
    ]
    assert [(t.id, t.ts // 1000, t.price, t.size) for t in kinds[Trade]] == [
        (row["i"], row["T"], float(row["p"]), float(row["v"])) for row in rows
    ]
    assert len({t.id for t in kinds[Trade]}) == len(rows) == 8


def test_recorded_tickers_are_merged():
    kinds = play("bybit_linear", TICKERS)
    held, expected = {}, {}
    for frame in (f for f in frames(TICKERS) if "topic" in f):
        data = frame["data"]
        known = held.setdefault(data["symbol"], {})
        known.update(data)
        expected[frame["ts"] * 1000, data["symbol"]] = dict(known)
    assert len(kinds[Ticker]) == 47
    for event in kinds[Ticker]:
        native = event.inst.partition(":")[2].partition("/")[0] + "USDT"
        now = expected[event.ts, native]
        assert (event.last, event.bid, event.ask, event.volume) == tuple(
            float(now[key]) for key in ("lastPrice", "bid1Price", "ask1Price", "volume24h")
        )
    assert {m.inst for m in kinds[MarkPrice]} == {
        "bybit_linear:BTC/USDT:USDT",
        "bybit_linear:ETH/USDT:USDT",
    }
    assert all(m.funding_rate is not None and m.next_funding for m in kinds[MarkPrice])


def test_recorded_liquidations_are_told_by_the_order_that_closed():
    path = "bybit/allLiquidation.recent2026.jsonl"
    rows = [row for frame in frames(path) for row in frame["data"]]
    sides = [Side.SELL if row["S"] == "Buy" else Side.BUY for row in rows]
    assert [event.side for event in play("bybit_linear", path)[Liquidation]] == sides
    assert {Side.SELL, Side.BUY} == set(sides)
