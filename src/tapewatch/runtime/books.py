"""The order books that are served: those that `book_stats` keeps for its numbers, read in place.

There is one copy of each book in the process. A book is given only while it is proven: after a
`Gap` of its channel, or while it is crossed, there is none, and the reason is.
"""

from tapewatch.model.events import BookSnapshot, InstrumentId
from tapewatch.process.book_stats import BookStatsState
from tapewatch.stream.pipeline import Pipeline

KEEPER = "book_stats"
_CROSSED = "crossed: somebody bids as much as somebody asks"


class PipelineBooks:
    """A `Books`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def book(self, inst: InstrumentId, levels: int) -> BookSnapshot | None:
        state = self._pipeline.state(KEEPER, inst)
        if not isinstance(state, BookStatsState) or not state.book.live or state.book.crossed:
            return None
        book = state.book
        bids, asks = book.top(levels)
        return BookSnapshot(book.ts, book.ts, inst, book.seq, tuple(bids), tuple(asks))

    def gap(self, inst: InstrumentId) -> str:
        state = self._pipeline.state(KEEPER, inst)
        if not isinstance(state, BookStatsState):
            is_kept = any(each.name == KEEPER for each in self._pipeline.processors)
            return "" if is_kept else f"{KEEPER}, which keeps the books, is switched off"
        return _CROSSED if state.book.live and state.book.crossed else state.gap
