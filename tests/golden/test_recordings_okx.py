"""Recorded frames of OKX through `decode`'s own path, judged by rules, not by our code."""

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from msgspec import json

from tapewatch.cli.decode import Decoding, split_line
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
    Metric,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Route, Streams
from tapewatch.venues.okx import Okx, OkxConfig
from tests.frames import recording

OLD = "okx/sessions/cryptofeed_okx_20220513.tsv.gz"  # with checksums, without ids
NEW = "okx/sessions/fastmm_okx_md_20260926.tsv.gz"
MARKS = "okx/sessions/fastmm_okx_perp_20260930.tsv.gz"
LISTING = "okx/rest_instruments.jsonl.gz"
UNPROVEN = "no snapshot in the recording: changes are shown unproven"
SWAP = "okx:BTC/USDT:USDT"


def play(lines):
    dialect = Okx("okx", OkxConfig())
    streams = Streams(Catalogue(), lenient=True)
    conversation = dialect.converse(Route("recording", "", ()), streams)
    decoding = Decoding(dialect, streams, conversation)
    return [event for batch in decoding.events(lines) for event in batch], streams


def by_type(lines):
    found = defaultdict(list)
    for event in play(lines)[0]:
        found[type(event)].append(event)
    return found


def frames(path):
    """Frames of the venue, parsed by another reader than ours."""
    lines = (line for line in recording(path) if not line.startswith(b"SENT"))
    return [json.decode(split_line(line)[1]) for line in lines]


def rows(path, channel):
    return [
        (frame["arg"]["instId"], row)
        for frame in frames(path)
        if "data" in frame and frame["arg"]["channel"] == channel
        for row in frame["data"]
    ]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("ack", {}),
        ("ack.recent2026", {}),
        ("ack.singles", {}),
        ("client_sent", {}),
        ("bbo-tbt.recent2026", {Quote: 29}),
        ("books.recent2026", {BookDelta: 9, Gap: 1}),  # it begins without a snapshot
        ("candle1m.recent2026", {Candle: 1}),
        ("candle1m.singles", {Candle: 6}),  # of seven fields, before 2023
        ("funding-rate.recent2026", {Metric: 4}),
        ("funding-rate.singles", {Metric: 4}),  # of five; the fifth has no rate
        ("index-tickers.recent2026", {Metric: 6}),
        ("liquidation-orders.recent2026", {Liquidation: 2}),
        ("liquidation-orders.singles", {Liquidation: 1}),
        ("mark-price.recent2026", {MarkPrice: 6}),
        ("open-interest.recent2026", {Metric: 6}),
        ("tickers.singles", {Ticker: 9}),
        ("trades-all.singles", {Trade: 1}),
        ("trades.recent2026", {Trade: 34}),
    ],
)
def test_each_frame_of_a_channel_becomes_its_event(name, counts):
    found = {kind: len(events) for kind, events in by_type(recording(f"okx/{name}.jsonl")).items()}
    found.pop(Coverage, None)
    assert found == counts


class PlainBook:
    """A second opinion: two dicts."""

    def __init__(self, snapshot):
        self.bids, self.asks = dict(snapshot.bids), dict(snapshot.asks)

    def apply(self, delta):
        for side, levels in ((self.bids, delta.bids), (self.asks, delta.asks)):
            for price, size in levels:
                side[price] = size
                if not size:
                    del side[price]

    def top(self):
        bid, ask = max(self.bids), min(self.asks)
        return bid, self.bids[bid], ask, self.asks[ask]


def test_every_checksum_of_2022_holds_and_no_book_is_ever_crossed():
    kinds = by_type(recording(OLD))
    assert not kinds[DeadLetter]
    assert not kinds[Gap]  # a checksum that does not hold would be one
    assert all(row["checksum"] for _, row in rows(OLD, "books"))
    assert len(kinds[BookSnapshot]) + len(kinds[BookDelta]) == len(rows(OLD, "books")) == 290
    books = {snapshot.inst: PlainBook(snapshot) for snapshot in kinds[BookSnapshot]}
    assert len(books) == 3
    for delta in kinds[BookDelta]:
        books[delta.inst].apply(delta)
        bid, _, ask, _ = books[delta.inst].top()
        assert bid < ask


def test_one_wrong_digit_in_a_book_of_2022_is_found_by_its_checksum():
    lines = recording(OLD)
    index = next(i for i, line in enumerate(lines) if b'"update"' in line and b"BTC-USDT" in line)
    bad = lines[index].replace(b'"asks":[["', b'"asks":[["1', 1)
    kinds = by_type([*lines[:index], bad, *lines[index + 1 :]])
    assert "checksum" in kinds[Gap][0].reason


def test_trades_of_2022_are_each_there_once_in_order():
    kinds = by_type(recording(OLD))
    told = defaultdict(list)
    for trade in kinds[Trade]:
        told[trade.inst].append(int(trade.id))
    assert sum(map(len, told.values())) == len(rows(OLD, "trades")) == 74
    for ids in told.values():
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert {coverage.holding for coverage in kinds[Coverage]} == {Holding.HAVE}


def test_aggregates_of_2026_touch_and_cover_every_fill():
    kinds = by_type(recording(NEW))
    assert not kinds[DeadLetter]
    trades = kinds[Trade]
    assert [str(row["tradeId"]) for _, row in rows(NEW, "trades")] == [t.id for t in trades]
    assert max(trade.count for trade in trades) > 1
    for before, after in pairwise(trades):
        assert int(after.id) - after.count == int(before.id)
    covered = sum(e.last - e.first + 1 for e in kinds[Coverage] if e.holding is Holding.HAVE)
    assert covered == sum(trade.count for trade in trades)
    assert [gap.reason for gap in kinds[Gap]] == [UNPROVEN]


def test_book_changes_of_2026_are_a_chain_and_agree_with_the_quotes():
    events, _ = play(recording(NEW))
    deltas = [event for event in events if isinstance(event, BookDelta)]
    for before, after in pairwise(deltas):
        assert after.first_seq == before.seq + 1
    quotes = {event.seq: event for event in events if isinstance(event, Quote)}
    compared = 0
    for delta in deltas:
        quote = quotes.get(delta.seq)
        for side, price, size in (
            (delta.bids, "bid", "bid_size"),
            (delta.asks, "ask", "ask_size"),
        ):
            sizes = dict(side)
            if quote is not None and getattr(quote, price) in sizes:
                assert sizes[getattr(quote, price)] == getattr(quote, size)
                compared += 1
    assert compared > 3


def test_marks_and_funding_are_told_together_once_the_mark_is_known():
    kinds = by_type(recording(MARKS))
    assert not kinds[DeadLetter]
    assert {event.inst for event in kinds[MarkPrice]} == {SWAP, "okx:ETH/USDT:USDT"}
    assert len(kinds[MarkPrice]) + len(kinds[Metric]) == 22
    with_funding = [event for event in kinds[MarkPrice] if event.funding_rate is not None]
    assert with_funding
    assert {event.next_funding for event in with_funding} == {1790784000000000}


def test_with_a_listing_sizes_are_in_base_units():
    lines = recording(NEW)
    without, _ = play(lines)
    events, streams = play([*recording(LISTING), *lines])
    assert streams.catalogue[SWAP].contract_size == 0.01
    assert not [event for event in events if isinstance(event, DeadLetter)]
    sizes = [[e.size for e in some if isinstance(e, Trade)] for some in (without, events)]
    assert [size * 0.01 for size in sizes[0]] == sizes[1]
    assert len(streams.catalogue) == 513 + 166 + 104


def test_a_forced_order_closes_on_the_side_that_the_venue_says():
    long, short = by_type(recording("okx/liquidation-orders.recent2026.jsonl"))[Liquidation]
    assert (long.side, short.side) == (Side.SELL, Side.BUY)


def test_the_same_recording_gives_the_same_events():
    assert play(recording(OLD))[0] == play(recording(OLD))[0]
    assert Counter(map(type, play(recording(OLD))[0]))[Trade] == 74
