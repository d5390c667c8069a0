from tapewatch.model.events import BookDelta, BookSnapshot
from tapewatch.ports import Fetch
from tapewatch.venues._binance_handlers import sequence
from tapewatch.venues._book import BookSync, Source
from tapewatch.venues._recording import MAX_ORPHANS, Orphans

INST = "binance_futures:BTC/USDT:USDT"
NOW = 1_790_000_000_000_000


def snapshot(seq, bid, ask, depth=10):
    bids = tuple((bid - n, 1.0) for n in range(depth))
    asks = tuple((ask + n, 1.0) for n in range(depth))
    return BookSnapshot(NOW, NOW, "", seq, bids, asks)


def change(first, last, bids=(), asks=()):
    return BookDelta(NOW, NOW, INST, first, last, bids, asks)


def begun(changes, *snapshots):
    """What a book of a recording shows after these changes and these snapshots."""
    source = Source(sequence, lambda key: Fetch(key, ""), lambda _body, _now: None)
    book, orphans, out = BookSync(INST, "depth", source, lenient=True), Orphans(), []
    for each in snapshots:
        orphans.add(each)
    for each in changes:
        book.take(each, NOW, out)
        orphans.offer(book, INST, NOW, out)
    return [(type(event), event.seq) for event in out]


BTC = snapshot(150, 100.0, 101.0)
NEAR = change(101, 200, ((100.0, 2.0),), ((102.0, 0.0),))


def test_a_snapshot_begins_the_book_whose_ids_and_prices_it_has():
    assert begun([NEAR], BTC) == [(BookSnapshot, 150), (BookDelta, 200)]


def test_a_snapshot_at_other_prices_is_another_books_though_its_id_fits():
    dearer, cheaper = snapshot(160, 9_000.0, 9_001.0), snapshot(170, 50.0, 50.5)
    assert not begun([NEAR], dearer, cheaper)
    assert begun([NEAR], BTC, dearer, cheaper) == [(BookSnapshot, 150), (BookDelta, 200)]


def test_a_snapshot_that_a_change_would_cross_is_another_books():
    crossing = change(101, 200, ((104.0, 2.0), (100.0, 1.0)), ())
    assert not begun([crossing], BTC)


def test_a_change_that_takes_levels_away_crosses_nothing():
    through = change(101, 200, ((101.5, 2.0),), ((101.0, 0.0),))
    assert begun([through], BTC) == [(BookSnapshot, 150), (BookDelta, 200)]


def test_a_change_far_from_the_top_proves_nothing_yet():
    far = change(101, 200, ((1.0, 2.0),), ((900.0, 2.0),))
    assert not begun([far], BTC)
    assert begun([far, change(201, 300, ((99.0, 1.0),))], BTC) == [
        (BookSnapshot, 150), (BookDelta, 200), (BookDelta, 300),
    ]  # fmt: skip


def test_an_empty_book_is_known_by_its_ids_alone():
    empty = BookSnapshot(NOW, NOW, "", 150, (), ())
    assert begun([NEAR], empty) == [(BookSnapshot, 150), (BookDelta, 200)]


def test_the_newest_of_several_that_fit_is_taken_and_old_ones_are_forgotten():
    assert begun([NEAR], BTC, snapshot(160, 100.0, 101.0))[0] == (BookSnapshot, 160)
    crowd = [snapshot(160, 9_000.0, 9_001.0) for _ in range(MAX_ORPHANS)]
    assert not begun([NEAR], BTC, *crowd)


def test_what_the_ids_rule_out_is_not_looked_at_level_by_level(monkeypatch):
    """A fuzzed recording left many behind, and each change of a book that had not begun read all."""
    monkeypatch.setattr("tapewatch.venues._recording.agrees", lambda *_: 1 / 0)
    older = [snapshot(seq, 100.0, 101.0) for seq in range(MAX_ORPHANS // 2)]
    newer = [snapshot(10**9 + seq, 100.0, 101.0) for seq in range(MAX_ORPHANS // 2)]
    assert not begun([NEAR, change(201, 300)], *older, *newer)
