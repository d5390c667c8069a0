"""Bybit v5 as a server speaks it: spot and linear by path on one port, and the parts together.

Written from the wire reference, never from a connector: a shared misreading would hide itself.
Topics are in `bybit_streams`, requests on the socket in `bybit_requests`, REST in `bybit_rest`.
Where the documents are silent we chose: what errors on the socket say when JSON or the arguments
are wrong, 404 for unknown paths, close code 1000 for an idle connection, and that the body of a
ban is plain text.
"""

import math
import re
from collections.abc import Mapping, Sequence

from tapewatch.sim.bybit_listing import CATEGORIES, listings
from tapewatch.sim.bybit_query import envelope
from tapewatch.sim.bybit_requests import Requests, client
from tapewatch.sim.bybit_rest import PREFIX, Rest
from tapewatch.sim.bybit_streams import GRID, Publisher
from tapewatch.sim.limits import Rules, Spent
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import Market
from tapewatch.sim.venue import FaultTexts

__all__ = ["RULES", "Bybit", "listings"]

RULES = Rules(
    ping_secs=math.inf,  # the client pings, by JSON
    pong_secs=math.inf,
    max_age_secs=math.inf,  # not documented
    inbound_per_sec=1_000,  # not documented
    connects=500,
    connects_secs=300.0,
    weight=600,
    weight_secs=5.0,
    ban_after=0,
    ban_secs=600.0,
    ban_growth=1.0,
    ban_status=403,
)
IDLE_SECS = 600.0  # without a message from the client or to it
_PATH = "/v5/public/"
_BANNED = b"403, access too frequent"
_CODES = {429: 10_006, 403: 10_009, 500: 10_016, 503: 10_016, 504: 10_000}
_SAYS = {
    10_000: "Server Timeout",
    10_006: "Too many visits!",
    10_009: "The requested service is restricted in your region",
}


class Bybit:
    """The protocol over one market."""

    name = "bybit"
    grid = GRID
    sockets = tuple(_PATH + category for category in CATEGORIES)
    paths = (PREFIX + "{path:.*}",)
    fault_texts = FaultTexts(
        # `u` of books and the numeric ids of spot trades; a UUID has no next one
        ids=re.compile(r'("u":|"i":")(\d+)(?=[,"])'),
        nonsense=(
            '{"topic":"publicTrade.BTCUSDT","ts":17892996',
            "\u0000\ufffd\ufffd not json",
            "{}",
            "[1,2,3]",
            "<html><body>502 Bad Gateway</body></html>",
            '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":"x","data":{"s":7,"b":{},"u":null}}',
            "null",
        ),
        http="/v5/*",
        snapshot=PREFIX + "orderbook*",
    )

    def __init__(self, market: Market, hub: Hub, rules: Rules) -> None:
        self.publisher = Publisher(market, hub)
        self.requests = Requests(hub, self.publisher)
        self.rest = Rest(market, self.publisher)
        self._market = market
        self._rules = rules

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:  # noqa: ARG002 - the venue has no parameters here
        link.state = client(path.removeprefix(_PATH), link.number)

    def heard(self, link: Link, text: str | bytes, now: float) -> None:  # noqa: ARG002 - `link.last_in` has the time
        self.requests.heard(link, text)

    def closed(self, link: Link) -> None:
        link.state = None

    def tend(self, link: Link, now: float) -> None:
        if now - max(link.last_in, link.last_out) >= IDLE_SECS:
            link.end(1000, "idle")

    def step(self, to: int) -> None:
        self.publisher.step(to)

    def restart(self, streams: str = "*", kind: str = "snapshot") -> int:
        """As after a restart of the service: books begin anew with `u` 1; how many topics said so.

        A `kind` of "delta" gives the wrong type, which a client must see through.
        """
        return self.publisher.restart(streams, kind)

    def weight(self, path: str, query: Mapping[str, str]) -> int:  # noqa: ARG002 - requests are counted, whatever they ask
        return 1

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, stale: bool,  # noqa: ARG002 - no header matters
    ) -> tuple[bytes, Mapping[str, str]]:  # fmt: skip
        return self.rest.answer(path, query, stale=stale), {}

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:
        return (b"" if spent.status == 200 else _BANNED), {}

    def trouble(self, status: int) -> bytes:
        code = _CODES.get(status, 10_016)
        return envelope({}, self._market.now, code, _SAYS.get(code, "Server error."))

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        return self.rest.truth(what, query)

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        subscribe = '{"op":"subscribe","args":["publicTrade.BTCUSDT","orderbook.50.BTCUSDT"]}'
        return (
            f"{ws_url}{_PATH}linear  (or spot), then send {subscribe}",
            f"curl '{rest_url}{PREFIX}tickers?category=linear&symbol=BTCUSDT'",
        )
