"""Coinbase as its Exchange feed and interface speak, the parts put together.

Written from the wire reference, never from a connector: a shared misreading would hide itself.
Streams are in `coinbase_streams`, requests on the socket in `coinbase_requests`, REST in
`coinbase_rest`; the same market in the other dialect is `coinbase_advanced`.
Not offered: sessions with a key, auctions and quotes (both are acknowledged and silent), the
error frame before a client that sends too much is cut.
"""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from tapewatch.sim.coinbase_floor import GRID
from tapewatch.sim.coinbase_listing import listings
from tapewatch.sim.coinbase_requests import Requests
from tapewatch.sim.coinbase_rest import Rest
from tapewatch.sim.coinbase_streams import Publisher
from tapewatch.sim.coinbase_truth import truth
from tapewatch.sim.limits import Rules, Spent
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import Market
from tapewatch.sim.messages import TEXT, frame
from tapewatch.sim.venue import FaultTexts

__all__ = ["FAULT_TEXTS", "RULES", "Coinbase", "listings"]

SUBSCRIBE_SECS = 5.0
SLOW_BYTES = 32_000_000  # of unread frames; more is told as `ErrSlowConsume`

RULES = Rules(
    ping_secs=math.inf,
    max_age_secs=math.inf,
    inbound_per_sec=100,
    max_streams=10_000,
    connects=20,  # eight a second, bursts of twenty
    connects_secs=2.5,
    weight=15,  # ten requests a second, bursts of fifteen
    weight_secs=1.0,
    ban_after=1_000_000_000,  # nobody is banned
    max_backlog_bytes=64_000_000,
)
FAULT_TEXTS = FaultTexts(
    ids=re.compile(r'("(?:trade_id|last_trade_id|sequence)":)(\d+)(?=[,}])'),
    nonsense=(
        '{"type":"match","trade_id":1100243515,"maker_order_id":"e28c3252-6afa',
        "\u0000\ufffd\ufffd not json",
        "{}",
        "[1,2,3]",
        "<html><body>502 Bad Gateway</body></html>",
        '{"type":"match","trade_id":null,"side":7,"size":{},"price":[],"product_id":"BTC-USD"}',
        '{"type":"l2update","product_id":"BTC-USD","changes":[["buy","x",null]],"time":-1}',
        "null",
    ),
    http="/products*",
    snapshot="/products/*/book*",
)
_TROUBLES = {429: "Public rate limit exceeded", 404: "NotFound", 403: "Forbidden"}


class Coinbase:
    """The protocol over one market."""

    name = "coinbase"
    grid = GRID
    sockets = ("/",)
    paths = ("/products", "/products/{path:.*}", "/currencies", "/time")
    fault_texts = FAULT_TEXTS

    def __init__(self, market: Market, hub: Hub, rules: Rules) -> None:
        self.publisher = Publisher(market, hub)
        self.requests = Requests(hub, self.publisher, frozenset(market.symbols))
        self.rest = Rest(market, rules)
        self._market = market

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:  # noqa: ARG002 - the port has it
        """The state is whether the client has subscribed to anything yet."""
        link.state = False

    def heard(self, link: Link, text: str | bytes, now: float) -> None:  # noqa: ARG002 - the port has it
        self.requests.heard(link, text)
        link.state = link.state or bool(link.names)

    def closed(self, link: Link) -> None:
        """Nothing is kept for a client."""

    def tend(self, link: Link, now: float) -> None:
        """Who does not subscribe soon, or does not read, must go."""
        if not link.state and now - link.opened >= SUBSCRIBE_SECS:
            link.end(1008, "no subscription within 5 seconds")
        elif link.backlog > SLOW_BYTES and not link.ended:
            link.push(frame(TEXT, b'{"type":"error","message":"ErrSlowConsume"}'))
            link.end(1008, "ErrSlowConsume")

    def step(self, to: int) -> None:
        self.publisher.step(to)

    def weight(self, path: str, query: Mapping[str, str]) -> int:  # noqa: ARG002 - the port has it
        return 1

    def answer(
        self, path: str, query: Mapping[str, str],
        headers: Mapping[str, str],  # noqa: ARG002 - the port has it
        *, stale: bool,
    ) -> tuple[bytes, Mapping[str, str]]:  # fmt: skip
        return self.rest.answer(path, query, stale=stale)

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:  # noqa: ARG002 - the port has it
        return self.trouble(429), {}

    def trouble(self, status: int) -> bytes:
        text = _TROUBLES.get(status, "Internal server error" if status >= 500 else "Bad Request")
        return msgspec.json.encode({"message": text})

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        return truth(self._market, what, query)

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        asked = '{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}'
        return (
            f"curl '{rest_url}/products/BTC-USD/candles?granularity=60'",
            f"curl '{rest_url}/sim/truth/book?symbol=BTC-USD&limit=5'",
            f"""curl -X POST '{rest_url}/sim/faults' -d '{{"kind": "drop", "target": "matches|BTC-USD"}}'""",
            f"socket: {ws_url}/ and say {asked}",
        )
