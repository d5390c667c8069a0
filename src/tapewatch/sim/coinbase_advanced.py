"""Coinbase as its Advanced Trade feed and interface speak, the parts put together.

Written from the wire reference, never from a connector. Streams are in
`coinbase_advanced_streams`, requests on the socket in `coinbase_advanced_requests`, REST in
`coinbase_advanced_rest`. Beside what `coinbase` asks of a client, a connection on which nothing
was sent for 60 to 90 seconds is closed: who wants to stay subscribes to heartbeats.
Not offered: channels of users, and futures (one is listed, for clients to pass over).
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from tapewatch.sim import coinbase
from tapewatch.sim.coinbase_advanced_frames import Session
from tapewatch.sim.coinbase_advanced_requests import Requests
from tapewatch.sim.coinbase_advanced_rest import Rest
from tapewatch.sim.coinbase_advanced_streams import Publisher
from tapewatch.sim.coinbase_floor import GRID
from tapewatch.sim.coinbase_listing import aliases, listings
from tapewatch.sim.coinbase_query import advanced_error
from tapewatch.sim.coinbase_truth import truth
from tapewatch.sim.limits import Rules, Spent
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import Market
from tapewatch.sim.messages import TEXT, frame
from tapewatch.sim.venue import FaultTexts

__all__ = ["FAULT_TEXTS", "RULES", "CoinbaseAdvanced", "listings"]

RULES = msgspec.structs.replace(coinbase.RULES, inbound_per_sec=8, connects=8, connects_secs=1.0)
FAULT_TEXTS = FaultTexts(
    ids=re.compile(r'("sequence_num":)(\d+)(?=[,}])'),
    nonsense=(
        '{"channel":"l2_data","timestamp":"2026-08-24T22:34:13.81',
        "\u0000\ufffd\ufffd not json",
        "{}",
        "[1,2,3]",
        "<html><body>502 Bad Gateway</body></html>",
        '{"channel":"market_trades","timestamp":7,"sequence_num":null,"events":[{"trades":{}}]}',
        '{"channel":"l2_data","timestamp":"","sequence_num":"x","events":[{"updates":[{"side":1}]}]}',
        "null",
    ),
    http="/api/v3/*",
    snapshot="/api/v3/brokerage/market/product_book*",
)
_TROUBLES = {429: "Too many requests", 404: "not found", 403: "forbidden"}


class CoinbaseAdvanced:
    """The protocol over one market. `has_client_id` writes envelopes as they were until 2025."""

    name = "coinbase_advanced"
    grid = GRID
    sockets = ("/",)
    paths = (
        "/api/v3/brokerage/time",
        "/api/v3/brokerage/market/{path:.*}",
        "/v2/{path:.*}",
    )
    fault_texts = FAULT_TEXTS

    def __init__(
        self, market: Market, hub: Hub, rules: Rules, *, has_client_id: bool = False
    ) -> None:
        products = {symbol: symbol for symbol in market.symbols} | aliases(market)
        self.publisher = Publisher(market, hub, has_client_id=has_client_id)
        self.requests = Requests(hub, self.publisher, products)
        self.rest = Rest(market, rules)
        self._market = market

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:  # noqa: ARG002 - the port has it
        """The state counts the frames."""
        link.state = Session(link.opened)

    def heard(self, link: Link, text: str | bytes, now: float) -> None:  # noqa: ARG002 - the port has it
        self.requests.heard(link, text)
        link.state.subscribed = link.state.subscribed or bool(link.names)

    def closed(self, link: Link) -> None:
        """Nothing is kept for a client."""

    def tend(self, link: Link, now: float) -> None:
        """Who does not subscribe, does not read, or listens to silence must go."""
        session: Session = link.state
        if session.told != session.sequence:
            session.told, session.quiet_since = session.sequence, now
        if not session.subscribed and now - link.opened >= coinbase.SUBSCRIBE_SECS:
            link.end(1008, "no subscription within 5 seconds")
        elif link.backlog > coinbase.SLOW_BYTES and not link.ended:
            link.push(frame(TEXT, b'{"type":"error","message":"ErrSlowConsume"}'))
            link.end(1008, "ErrSlowConsume")
        elif now - session.quiet_since >= idle_secs(link):
            link.end(1001, "idle")

    def step(self, to: int) -> None:
        self.publisher.step(to)

    def weight(self, path: str, query: Mapping[str, str]) -> int:  # noqa: ARG002 - the port has it
        return 1

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, stale: bool
    ) -> tuple[bytes, Mapping[str, str]]:
        fresh = "no-cache" in headers.get("Cache-Control", "")
        return self.rest.answer(path, query, fresh=fresh, stale=stale), {}

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:  # noqa: ARG002 - the port has it
        return self.trouble(429), {}

    def trouble(self, status: int) -> bytes:
        return advanced_error(status, _TROUBLES.get(status, "something went wrong"))

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        return truth(self._market, what, query)

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        asked = '{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}'
        book = f"{rest_url}/api/v3/brokerage/market/product_book?product_id=BTC-USD&limit=3"
        return (
            f"curl '{book}'",
            f"curl '{rest_url}/sim/truth/trades?symbol=BTC-USD&limit=5'",
            f"""curl -X POST '{rest_url}/sim/faults' -d '{{"kind": "drop", "target": "level2|BTC-USD"}}'""",
            f"socket: {ws_url}/ and say {asked}",
        )


def idle_secs(link: Link) -> float:
    """How long this connection may be silent: not the same for all."""
    return 60.0 + link.number * 7 % 31
