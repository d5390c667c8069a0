"""Frames of each simulated venue, taken without a socket, for anybody who can read them.

Our own conversation subscribes; what the venue pushes to each link is kept in order. Of a case the
warm-up ends when every book is in step, so that what follows is one event a frame or more.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from benchmarks.fleet import natives_of
from benchmarks.gale import STEP, Tray, exchange
from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Answer, Asks, Conversation, Fetch, Send, Streams, Subscription
from tapewatch.runtime import plugins
from tapewatch.sim.link import Link

REST = "http://venue"
WARM_SECS = 2.0
SYMBOLS = 5


class Case(Struct, frozen=True):
    """One row: a venue, a stream of it, and how busy its market is for that."""

    venue: str
    stream: str
    kind: str  # trades or book
    rate: float


CASES = tuple(
    Case(venue, stream, kind, 10.0)
    for venue, trades, book in (
        ("binance", "aggTrade", "depth"),
        ("binance_futures", "aggTrade", "depth"),
        ("okx", "trades", "books"),
        ("bybit", "publicTrade", "orderbook.50"),
        ("coinbase", "matches", "level2_batch"),
        ("coinbase_advanced", "market_trades", "level2"),
    )
    for stream, kind in ((trades, "trades"), (book, "book"))
)


class Taken(NamedTuple):
    """What a link was told, and what it asked for meanwhile."""

    warm_up: list[str]
    frames: list[str]
    answers: dict[str, str]  # REST path with query: body
    natives: list[str]
    listing: list[str]


def payloads(data: bytes) -> list[bytes]:
    """The texts of server frames that lie one behind the other."""
    found, at = [], 0
    while at < len(data):
        size, begin = data[at + 1], at + 2
        if size == 126:
            size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        elif size == 127:
            size, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
        if data[at] & 15 == 1:
            found.append(data[begin : begin + size])
        at = begin + size
    return found


class Wire:
    """One conversation of ours and one link of the venue, face to face."""

    def __init__(self, case: Case, seed_rate: float | None = None) -> None:
        self.source = exchange(case.venue, SYMBOLS, seed_rate or case.rate)
        self.tray = Tray()
        self.answers: dict[str, str] = {}
        self.told: list[str] = []
        plugin = plugins.load("venues", case.venue)
        dialect = plugin.build(case.venue, plugin.config(ws_url="ws://venue", rest_url=REST))
        self.listing = [self.fetch(each.url) for each in dialect.catalogue()]
        catalogue = Catalogue(
            each for body in self.listing for each in dialect.instruments(body.encode())
        )
        self.natives = natives_of(case.venue, self.source.market.symbols, SYMBOLS)
        wanted = [
            Subscription(catalogue.resolve(native, case.venue).id, dialect.channel(case.stream))
            for native in self.natives
        ]
        (route,) = dialect.routes(sorted(wanted))
        self.streams = Streams(catalogue)
        self.conversation: Conversation = dialect.converse(route, self.streams)
        url = urlsplit(route.url)
        hub: Any = self.source._hub
        tray: Any = self.tray
        self.link = Link(1, tray, self.source._rules, lambda: 0.0, url.path)
        self.source.venue.opened(self.link, url.path, dict(parse_qsl(url.query)))
        hub.links[1] = self.link
        self.out: Batch = []
        self.obey(self.conversation.open(self.now))

    @property
    def now(self) -> Micros:
        return Micros(self.source.market.now)

    def obey(self, asks: Asks) -> None:
        for ask in asks:
            if isinstance(ask, Send):
                self.source.venue.heard(self.link, ask.frame.decode(), 0.0)
                self.link.flush()
            elif isinstance(ask, Fetch):
                body = self.fetch(ask.url)
                answer = Answer(200, body.encode())
                self.obey(self.conversation.answer(ask, answer, self.now, self.out))

    def fetch(self, url: str) -> str:
        split = urlsplit(url)
        query: Mapping[str, str] = dict(parse_qsl(split.query))
        body, _ = self.source.venue.answer(split.path, query, {}, stale=False)
        self.answers[url.removeprefix(REST)] = body.decode()
        return body.decode()

    def step(self) -> list[str]:
        """Let the market go on; what was told by it, and by what we asked for."""
        self.source._step(self.source.market.now + STEP)
        found = []
        while self.tray.taken:
            data = b"".join(self.tray.taken)
            self.tray.taken.clear()
            for payload in payloads(data):
                found.append(payload.decode())
                self.obey(self.conversation.decode(payload, self.now, self.out))
        self.obey(self.conversation.tick(self.now, self.out))
        return found


def take(case: Case, count: int) -> Taken:
    """So many frames behind the warm-up."""
    wire = Wire(case)
    warm_up: list[str] = []
    frames: list[str] = []
    began = wire.source.market.now
    while wire.source.market.now < began + WARM_SECS * 1e6:
        warm_up += wire.step()
    while len(frames) < count:
        frames += wire.step()
    return Taken(warm_up, frames[:count], wire.answers, wire.natives, wire.listing)


def dump(case: Case, taken: Taken) -> bytes:
    return json.dumps(
        {"venue": case.venue, "stream": case.stream, "kind": case.kind, **taken._asdict()}
    ).encode()
