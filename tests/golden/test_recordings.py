"""Recorded frames of Binance spot through `decode`'s own path, judged by rules, not by our code."""

import bisect
from collections import defaultdict

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
    Quote,
    Tick,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Route, Streams
from tapewatch.venues.binance import Binance, BinanceConfig
from tests.frames import recording

SESSION = "binance_spot/sessions/hftbacktest_btcusdt_20240808-09.tsv.gz"
TESTNET = "binance_spot/sessions/fastmm_spot_testnet_20260913.tsv.gz"


def play(lines):
    dialect = Binance("binance", BinanceConfig())
    streams = Streams(Catalogue(), lenient=True)
    conversation = dialect.converse(Route("recording", "", ()), streams)
    decoding = Decoding(dialect, streams, conversation)
    return [event for batch in decoding.events(lines) for event in batch], streams


def by_type(events):
    found = defaultdict(list)
    for event in events:
        found[type(event)].append(event)
    return found


class PlainBook:
    """A second opinion: two dicts and two sorted lists of prices."""

    def __init__(self, snapshot):
        self.seq = snapshot.seq
        self.bids, self.asks = dict(snapshot.bids), dict(snapshot.asks)
        self.prices = sorted(self.bids), sorted(self.asks)

    def apply(self, delta):
        assert delta.first_seq <= self.seq + 1 <= delta.seq
        for side, prices, levels in zip(
            (self.bids, self.asks), self.prices, (delta.bids, delta.asks), strict=True
        ):
            for price, size in levels:
                if size and price not in side:
                    bisect.insort(prices, price)
                if not size and price in side:
                    prices.remove(price)
                if size:
                    side[price] = size
                else:
                    side.pop(price, None)
        self.seq = delta.seq

    def top(self):
        bid, ask = self.prices[0][-1], self.prices[1][0]
        return bid, self.bids[bid], ask, self.asks[ask]


@pytest.fixture(scope="module")
def session():
    return play(recording(SESSION))[0]


def test_a_session_of_eleven_minutes_has_no_dead_letter_and_no_gap(session):
    kinds = by_type(session)
    assert not kinds[DeadLetter]
    assert not kinds[Gap]
    lines = recording(SESSION)
    assert len(kinds[Quote]) == sum(b"@bookTicker" in line for line in lines)
    assert len(kinds[Trade]) == sum(b"@trade" in line for line in lines)


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
    assert deltas > 6_000
    assert compared > 500


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


def test_a_recording_without_receive_times_and_snapshot_shows_all_that_it_has():
    lines = recording(TESTNET)
    kinds = by_type(play(lines)[0])
    assert not kinds[DeadLetter]
    assert [len(kinds[kind]) for kind in (Trade, Quote, BookDelta)] == [7, 6, 10]
    assert [gap.reason for gap in kinds[Gap]] == [
        "no snapshot in the recording: changes are shown unproven"
    ]


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("bookTicker.recent2026", Quote, 6),
        ("depth_100ms.recent2026", BookDelta, 10),
        ("trade.recent2026", Trade, 7),
        ("kline_1m", Candle, 2),
        ("ticker.singles", Ticker, 2),
    ],
)
def test_each_frame_of_a_channel_becomes_its_event(name, kind, count):
    kinds = by_type(play(recording(f"binance_spot/{name}.jsonl"))[0])
    assert not kinds[DeadLetter]
    assert len(kinds[kind]) == count


def test_a_listing_in_a_recording_names_the_pairs():
    listing = recording("binance_spot/rest_exchangeInfo.jsonl.gz")
    events, streams = play([*listing, *recording("binance_spot/kline_1m.jsonl")])
    assert len(streams.catalogue) > 1_000
    assert streams.catalogue["binance:BTC/USDT"].tick == 0.01
    assert [event.inst for event in events if isinstance(event, Candle)] == [
        "binance:NKN/USDT",
        "binance:LRC/BTC",
    ]


@pytest.mark.parametrize("place", [0, 1, 40, 600])
def test_a_snapshot_is_found_wherever_it_stands_and_others_are_left(place):
    lines = [line for line in recording(SESSION) if b"@depth" in line][:1_000]
    bodies = recording("binance_spot/rest_depth_snapshot.jsonl.gz")  # BTC and ETH
    expected, _ = play([*lines[:5], bodies[0], *lines[5:]])
    events, _ = play([*lines[:place], *reversed(bodies), *lines[place:]])
    kinds = by_type(events)
    assert not kinds[DeadLetter]
    assert not kinds[Gap]
    assert [snapshot.seq for snapshot in kinds[BookSnapshot]] == [50093239218]
    assert kinds[BookDelta] == by_type(expected)[BookDelta]


def test_raw_frames_mean_the_same_as_wrapped_ones():
    wrapped = recording(TESTNET)
    raw = [line[line.index(b'"data":') + 7 : -1] for line in wrapped]
    assert play(raw)[0] == play(wrapped)[0]


def test_the_same_recording_gives_the_same_events():
    lines = recording(SESSION)[:5_000]
    assert play(lines)[0] == play(lines)[0]
