from tapewatch.model.events import BookSnapshot
from tapewatch.process.book_stats import BookStats, BookStatsConfig
from tapewatch.runtime.books import PipelineBooks
from tapewatch.stream.pipeline import Pipeline
from tests.rows import INST, at, delta, gap, snapshot, trade


class Kept:
    def __init__(self, *events):
        self.pipeline = Pipeline([BookStats("book_stats", BookStatsConfig())])
        self.books = PipelineBooks(self.pipeline)
        self.hear(*events)

    def hear(self, *events):
        self.pipeline.process(list(events))

    def book(self, levels=100, inst=INST):
        return self.books.book(inst, levels)

    def gap(self, inst=INST):
        return self.books.gap(inst)


def test_a_book_is_shown_as_it_stands_after_its_changes():
    kept = Kept(snapshot(1), delta(2, 1, ((98.0, 0.0), (98.5, 4.0))))
    assert kept.book() == BookSnapshot(
        at(1), at(1), INST, 2, ((99.0, 1.0), (98.5, 4.0)), ((101.0, 1.5), (102.0, 3.0))
    )
    assert kept.gap() == ""


def test_a_gap_of_the_book_voids_it_with_the_reason_until_the_next_snapshot():
    kept = Kept(snapshot(1), gap(2, channel="depth"), delta(3))
    assert kept.book() is None
    assert kept.gap() == "lost"
    kept.hear(snapshot(9))
    assert kept.book().seq == 9
    assert kept.gap() == ""


def test_a_gap_of_the_trades_leaves_the_book_alone():
    assert Kept(snapshot(1), gap(2, channel="aggTrade")).book() is not None


def test_a_crossed_book_is_not_shown_and_the_reason_is():
    kept = Kept(snapshot(1), delta(2, bids=((101.5, 1.0),)))
    assert kept.book() is None
    assert "crossed" in kept.gap()
    kept.hear(delta(3, bids=((101.5, 0.0),)))
    assert kept.book() is not None
    assert kept.gap() == ""


def test_a_book_that_was_given_up_because_it_is_crossed_says_so_until_it_is_built_anew():
    kept = Kept(snapshot(1), delta(2, 2, bids=((101.5, 1.0),)), delta(3, 3))
    assert kept.book() is None
    assert "crossed book: bid 101.5, ask 101.0" in kept.gap()
    kept.hear(snapshot(9, 4))
    assert kept.gap() == ""


def test_a_book_before_its_snapshot_is_not_shown():
    assert Kept(delta(2)).book() is None


def test_a_reader_may_ask_for_fewer_levels():
    assert Kept(snapshot(1)).book(1).asks == ((101.0, 1.5),)


def test_of_an_instrument_nobody_spoke_of_there_is_no_book_and_no_reason():
    kept = Kept(trade(1))
    for inst in (INST, "binance:ETH/USDT"):
        assert kept.book(5, inst) is None
        assert kept.gap(inst) == ""


def test_without_the_keeper_there_are_no_books():
    books = PipelineBooks(Pipeline([]))
    assert books.book(INST, 5) is None
    assert "book_stats" in books.gap(INST)
