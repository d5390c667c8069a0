"""Our conversations on prepared frames: `python -m benchmarks.client_venues FILE ROUNDS`.

Bytes to normalised events; trades pass their chain (each id proven), books their venue's rule, and
every change of a book is applied and its best prices read, as a peer does that hands out books.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tapewatch.model.events import Batch, BookDelta, BookSnapshot, Gap, Micros, Trade
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Answer, Asks, Conversation, Fetch, Streams, Subscription
from tapewatch.runtime import plugins
from tapewatch.stream.book import Book

_BATCH = 256
_NOW = Micros(1_790_002_862_000_000)
_REST = "http://venue"


class Reader:
    def __init__(self, load: dict[str, Any]) -> None:
        venue = load["venue"]
        plugin = plugins.load("venues", venue)
        dialect = plugin.build(venue, plugin.config(ws_url="ws://venue", rest_url=_REST))
        catalogue = Catalogue(
            each for body in load["listing"] for each in dialect.instruments(body.encode())
        )
        wanted = [
            Subscription(catalogue.resolve(native, venue).id, dialect.channel(load["stream"]))
            for native in load["natives"]
        ]
        (route,) = dialect.routes(sorted(wanted))
        self.answers = load["answers"]
        self.native = {catalogue.resolve(n, venue).id: n for n in load["natives"]}
        self.conversation: Conversation = dialect.converse(route, Streams(catalogue))
        self.books: dict[str, Book] = {each: Book() for each in self.native}
        self.trades = self.gaps = 0
        self.last: dict[str, Any] = {}
        out: Batch = []
        self.obey(self.conversation.open(_NOW), out)
        for frame in load["warm_up"]:
            self.obey(self.conversation.decode(frame.encode(), _NOW, out), out)
            self.obey(self.conversation.tick(_NOW, out), out)
        self.hear(out)

    def obey(self, asks: Asks, out: Batch) -> None:
        for ask in asks:
            if isinstance(ask, Fetch):
                body = self.answers[ask.url.removeprefix(_REST)]
                answer = Answer(200, body.encode())
                self.obey(self.conversation.answer(ask, answer, _NOW, out), out)

    def read(self, frames: list[bytes]) -> float:
        """Processor seconds of it."""
        decode, spent = self.conversation.decode, 0.0
        self.gaps = self.trades = 0
        for at in range(0, len(frames), _BATCH):
            out: Batch = []
            began = time.process_time()
            for frame in frames[at : at + _BATCH]:
                decode(frame, _NOW, out)
            self.apply(out)
            spent += time.process_time() - began
            self.hear(out, applied=True)
        return spent

    def apply(self, events: Batch) -> None:
        books, tops = self.books, []
        for event in events:
            if type(event) is BookDelta or type(event) is BookSnapshot:
                book = books[event.inst]
                book.apply(event)
                tops.append(book.best())

    def hear(self, events: Batch, *, applied: bool = False) -> None:
        for event in events:
            if type(event) is Trade:
                self.trades += event.count
                self.last[self.native[event.inst]] = event.id
            elif type(event) is Gap:
                self.gaps += 1
        if not applied:
            self.apply(events)

    def state(self) -> dict[str, Any]:
        """By native name: the best prices, or the id of the last trade."""
        tops = {
            self.native[inst]: list(best)
            for inst, book in self.books.items()
            if (best := book.best())[0] is not None
        }
        return tops or self.last


def main() -> None:
    load = json.loads(Path(sys.argv[1]).read_bytes())
    frames = [each.encode() for each in load["frames"]]
    costs, reader = [], None
    for _ in range(int(sys.argv[2])):
        reader = Reader(load)
        costs.append(reader.read(frames) / len(frames) * 1e6)
    assert reader is not None
    if reader.gaps:
        print(json.dumps({"not_measured": f"{reader.gaps} gaps"}))
        return
    print(json.dumps({"costs": costs, "state": reader.state(), "trades": reader.trades}))


if __name__ == "__main__":
    main()
