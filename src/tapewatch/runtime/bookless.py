"""A hot-window backend with the three methods that an earlier system asked for, and no books."""

from collections.abc import Sequence
from typing import Protocol

from tapewatch.model.events import AnyEvent, BookSnapshot, InstrumentId
from tapewatch.ports import Latest


class Backend(Protocol):
    def update(self, events: Sequence[AnyEvent]) -> None: ...

    def get_latest(self, inst: InstrumentId) -> Latest | None: ...

    def get_all(self) -> dict[InstrumentId, Latest]: ...


class Bookless:
    """A `Hot` of such a backend: where a book is asked for, it says why there is none."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.update = backend.update
        self.get_latest = backend.get_latest
        self.get_all = backend.get_all

    def book(self, inst: InstrumentId, levels: int) -> BookSnapshot | None:  # noqa: ARG002
        return None

    def book_gap(self, inst: InstrumentId) -> str:  # noqa: ARG002 - it is so for all
        return f"the backend {type(self._backend).__name__} keeps no books"
