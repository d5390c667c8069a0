"""Binance spot as a server speaks it: how a socket is opened, and the parts put together.

Written from the wire reference, never from a connector: a shared misreading would hide itself.
Streams are in `binance_streams`, requests on the socket in `binance_requests`, REST in
`binance_rest`. Where the documents are silent we chose: too many streams in a URL is HTTP 400.
"""

from collections.abc import Mapping
from urllib.parse import unquote

from msgspec import Struct

from tapewatch.sim.binance_frames import shutdown_notice
from tapewatch.sim.binance_query import Refused
from tapewatch.sim.binance_requests import Requests
from tapewatch.sim.binance_rest import Rest
from tapewatch.sim.binance_streams import GRID, Publisher
from tapewatch.sim.limits import Rules
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.messages import MICROS, MILLIS, Message


class Opening(Struct, frozen=True):
    """What the address of a socket asks for."""

    combined: bool
    unit: int
    streams: list[str]


class Binance:
    """The protocol over one market."""

    grid = GRID
    sockets = ("/ws", "/ws/{streams:.*}", "/stream")

    def __init__(self, market: Market, hub: Hub, rules: Rules) -> None:
        self.publisher = Publisher(market, hub)
        self.requests = Requests(hub, self.publisher, rules.max_streams)
        self.rest = Rest(market, rules)
        self._market = market
        self._max_streams = rules.max_streams

    def opening(self, path: str, query: Mapping[str, str]) -> Opening:
        """Read the address; `Refused` if it asks for too much."""
        combined = path.startswith("/stream")
        listed = query.get("streams", "") if combined else unquote(path.removeprefix("/ws"))
        streams = [name for name in listed.split("/") if name]
        if len(set(streams)) > self._max_streams:
            raise Refused(400, -1104, f"More than {self._max_streams} streams in one connection.")
        unit = MICROS if query.get("timeUnit", "").upper() == "MICROSECOND" else MILLIS
        return Opening(combined, unit, streams)

    def unit(self, headers: Mapping[str, str]) -> int:
        """The unit of time a REST request wants."""
        wanted = headers.get("X-MBX-TIME-UNIT", "").upper()
        return MICROS if wanted == "MICROSECOND" else MILLIS

    def notice(self) -> Message:
        """The warning before a planned end."""
        now = self._market.now
        return Message("!serverShutdown", lambda unit: shutdown_notice(now, unit))
