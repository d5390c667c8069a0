"""Recorded frames of Binance USD-M through `decode`'s own path, judged by rules, not by our code."""

import json
from itertools import pairwise

import pytest

from tapewatch.cli.decode import Decoding
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Coverage,
    DeadLetter,
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
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Route, Streams
from tapewatch.venues.binance_futures import BinanceFutures, FuturesConfig
from tests.frames import recording
from tests.golden.test_recordings import PlainBook, by_type

VENUE = "binance_futures"
SESSION = "binance_usdm/sessions/hftbacktest_btcusdt_20240808.tsv.gz"
RECENT = "binance_usdm/sessions/fastmm_usdm_20260915.tsv.gz"
MARKS = "binance_usdm/sessions/fastmm_markprice_20260930.tsv.gz"
UNPROVEN = "no snapshot in the recording: changes are shown unproven"


def play(lines):
    dialect = BinanceFutures(VENUE, FuturesConfig())
    streams = Streams(Catalogue(), lenient=True)
    conversation = dialect.converse(Route("recording", "", ()), streams)
    decoding = Decoding(dialect, streams, conversation)
    return [event for batch in decoding.events(lines) for event in batch], streams


def data_of(line):
    """What a line says, read apart from the product."""
    frame = json.loads(line.rpartition(b"\t")[2])
    return frame.get("data", frame)


@pytest.fixture(scope="module")
def session():
    return play(recording(SESSION))[0]


def test_a_session_of_six_minutes_has_no_dead_letter_and_no_gap(session):
    kinds = by_type(session)
    assert not kinds[DeadLetter]
    assert not kinds[Gap]
    lines = recording(SESSION)
    assert len(kinds[Quote]) == sum(b"@bookTicker" in line for line in lines)
    assert len(kinds[Trade]) == sum(b"@trade" in line for line in lines)
    assert len(kinds[Trade]) > 21_000


def test_each_trade_of_a_session_is_the_recorded_one_and_ids_follow_by_one(session):
    told = [event for event in session if isinstance(event, Trade)]
    rows = [data_of(line) for line in recording(SESSION) if b"@trade" in line]
    assert [int(event.id) for event in told] == [row["t"] for row in rows]
    assert all(after["t"] == before["t"] + 1 for before, after in pairwise(rows))
    for event, row in zip(told, rows, strict=True):
        side = Side.SELL if row["m"] else Side.BUY
        expected = (float(row["p"]), float(row["q"]), side, row["T"] * 1000)
        assert (event.price, event.size, event.side, event.ts) == expected


def test_each_change_of_a_book_follows_the_one_before_by_pu(session):
    deltas = [event for event in session if isinstance(event, BookDelta)]
    rows = {row["u"]: row for row in map(data_of, recording(SESSION)) if "pu" in row}
    assert all(event.first_seq == rows[event.seq]["pu"] + 1 for event in deltas)
    assert all(after.first_seq == before.seq + 1 for before, after in pairwise(deltas))
    # The first id in a frame does not say where it begins: that is the trap of this venue.
    different = sum(rows[each.seq]["U"] != each.first_seq for each in deltas)
    assert different > 0.9 * len(deltas)


def test_the_book_of_a_session_is_never_crossed_and_its_top_is_the_quote_of_that_update(session):
    quotes = {event.seq: event for event in session if isinstance(event, Quote)}
    book, deltas, compared = None, 0, 0
    for event in session:
        if isinstance(event, BookSnapshot):
            assert book is None
            book = PlainBook(event)
        elif isinstance(event, BookDelta):
            book.apply(event)
            deltas += 1
            bid, bid_size, ask, ask_size = book.top()
            assert bid < ask
            quote = quotes.get(event.seq)
            if quote is not None:
                expected = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
                assert (bid, bid_size, ask, ask_size) == expected
                compared += 1
    assert deltas > 6_500
    assert compared > 600


def test_the_ledger_of_a_session_names_each_trade_once(session):
    trades = [int(event.id) for event in session if isinstance(event, Trade)]
    covered = []
    for event in session:
        if isinstance(event, Coverage):
            assert event.holding is Holding.HAVE
            covered.extend(range(event.first, event.last + 1))
    assert covered == trades == sorted(trades)


def test_ticks_never_go_back_and_never_pass_a_trade_that_is_still_to_come(session):
    told = 0
    for event in session:
        if isinstance(event, Tick):
            assert event.ts > told
            told = event.ts
        elif isinstance(event, Trade):
            assert event.ts > told
    assert told


def test_a_capture_of_2026_is_in_chain_and_shown_unproven_for_want_of_a_snapshot():
    kinds = by_type(play(recording(RECENT))[0])
    assert not kinds[DeadLetter]
    assert [len(kinds[kind]) for kind in (Quote, BookDelta)] == [26, 16]
    assert [gap.reason for gap in kinds[Gap]] == [UNPROVEN]
    pairs = pairwise(kinds[BookDelta])
    assert all(after.first_seq == before.seq + 1 for before, after in pairs)


def test_quotes_of_2026_fall_inside_the_changes_that_follow_them():
    kinds = by_type(play(recording(RECENT))[0])
    last = kinds[BookDelta][-1].seq
    inside = [
        any(delta.first_seq <= quote.seq <= delta.seq for delta in kinds[BookDelta])
        for quote in kinds[Quote]
        if quote.seq <= last
    ]
    assert inside
    assert all(inside)


def test_mark_prices_come_each_second_with_index_and_funding():
    lines = recording(MARKS)
    told = by_type(play(lines)[0])[MarkPrice]
    assert {event.inst for event in told} == {
        f"{VENUE}:BTC/USDT:USDT",
        f"{VENUE}:ETH/USDT:USDT",
    }
    for event, line in zip(told, lines, strict=True):
        row = data_of(line)
        assert (event.mark, event.index) == (float(row["p"]), float(row["i"]))
        assert (event.funding_rate, event.next_funding) == (float(row["r"]), row["T"] * 1000)


def test_mark_prices_of_2020_and_2021_a_dated_one_among_them():
    told = by_type(play(recording("binance_usdm/markPrice_1s.singles.jsonl"))[0])[MarkPrice]
    assert [(event.inst.partition(":")[2], event.funding_rate) for event in told] == [
        ("BTC/USDT:USDT", 0.0001564),
        ("BTC/BUSD:BUSD-210129", None),
    ]
    assert told[1].next_funding is None
    assert told[1].index == 31307.034


@pytest.mark.parametrize("name", ["forceOrder.recent2026", "forceOrder.singles"])
def test_forced_orders_are_told_by_their_fills(name):
    lines = recording(f"binance_usdm/{name}.jsonl")
    told = by_type(play(lines)[0])[Liquidation]
    orders = [data_of(line)["o"] for line in lines]
    assert [(e.side.value.upper(), e.price, e.size, e.ts) for e in told] == [
        (o["S"], float(o["ap"]), float(o["z"]), o["T"] * 1000) for o in orders
    ]


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("bookTicker.recent2026", Quote, 27),
        ("depth_100ms.recent2026", BookDelta, 16),
        ("forceOrder.recent2026", Liquidation, 3),
        ("forceOrder.singles", Liquidation, 1),
        ("kline_1m", Candle, 67),
        ("markPrice_1s.recent2026", MarkPrice, 20),
        ("markPrice_1s.singles", MarkPrice, 2),
        ("ticker.singles", Ticker, 2),
    ],
)
def test_each_frame_of_a_channel_becomes_its_event(name, kind, count):
    kinds = by_type(play(recording(f"binance_usdm/{name}.jsonl"))[0])
    assert not kinds[DeadLetter]
    assert len(kinds[kind]) == count


def test_a_listing_in_a_recording_names_the_contracts():
    listing = recording("binance_usdm/rest_exchangeInfo.jsonl.gz")
    events, streams = play([*listing, *recording("binance_usdm/kline_1m.jsonl")])
    assert not by_type(events)[DeadLetter]
    symbols = {each["symbol"]: each for each in json.loads(listing[0])["symbols"]}
    catalogue = streams.catalogue
    assert {each.native for each in catalogue.all()} == set(symbols)
    assert catalogue[f"{VENUE}:BTC/USDT:USDT"].tick == 0.01
    assert catalogue[f"{VENUE}:1000SHIB/USDT:USDT"].native == "1000SHIBUSDT"
    dated = [each.id for each in catalogue.all() if each.expiry]
    assert sorted(dated) == [f"{VENUE}:{coin}/USDT:USDT-210924" for coin in ("BTC", "ETH")]
    assert [each.native for each in catalogue.all() if not each.active] == ["BTCSTUSDT"]


@pytest.mark.parametrize("place", [0, 1, 40, 600])
def test_a_snapshot_is_found_wherever_it_stands_and_others_are_left(place):
    lines = [line for line in recording(SESSION) if b"@depth" in line][:1_000]
    # BTC's and another symbol's. Its id is among those of this book: all symbols share a counter.
    bodies = recording("binance_usdm/rest_depth_snapshot.jsonl.gz")
    events, _ = play([*lines[:place], *reversed(bodies), *lines[place:]])
    kinds = by_type(events)
    assert not kinds[DeadLetter]
    assert not kinds[Gap]
    own = json.loads(bodies[0])["lastUpdateId"]
    assert [snapshot.seq for snapshot in kinds[BookSnapshot]] == [own]
    after = [row["u"] for row in map(data_of, lines) if row["u"] > own]
    assert [delta.seq for delta in kinds[BookDelta]] == after


def test_raw_frames_mean_the_same_as_wrapped_ones():
    wrapped = [line.partition(b"\t")[2] for line in recording(RECENT)]
    raw = [line[line.index(b'"data":') + 7 : -1] for line in wrapped]
    assert play(raw)[0] == play(wrapped)[0]


def test_the_same_recording_gives_the_same_events():
    lines = recording(SESSION)[:5_000]
    assert play(lines)[0] == play(lines)[0]
