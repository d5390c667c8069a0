"""Binance USD-M futures as a server speaks them: two routed paths, and the parts put together.

The conversation on a socket is that of spot; streams are in `binance_futures_streams`, REST in
`binance_futures_rest`. Written from the wire reference, never from a connector.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from tapewatch.sim.binance_futures_listing import listings
from tapewatch.sim.binance_futures_rest import Rest
from tapewatch.sim.binance_futures_streams import GRID, MARKET, PUBLIC, Publisher
from tapewatch.sim.binance_limits import limited, trouble, used
from tapewatch.sim.binance_query import Refused
from tapewatch.sim.binance_requests import Requests
from tapewatch.sim.limits import Rules, Spent
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import Market
from tapewatch.sim.messages import TEXT, frame
from tapewatch.sim.venue import FaultTexts

__all__ = ["RULES", "BinanceFutures", "listings"]

RULES = Rules(ping_secs=180.0, pong_secs=600.0, inbound_per_sec=10, weight=2_400)
_CATEGORY = re.compile(rf"/({PUBLIC}|{MARKET})(?=/)")


class BinanceFutures:
    """The protocol over one market. `merged=False`: frames as before the merge with COIN-M."""

    name = "binance_futures"
    grid = GRID
    sockets = tuple(
        f"{category}/{rest}"
        for category in ("", f"/{PUBLIC}", f"/{MARKET}")
        for rest in ("ws", "ws/{streams:.*}", "stream")
    )
    paths = ("/fapi/{path:.*}",)
    fault_texts = FaultTexts(
        # `t` is an id in a trade and a time where a candle begins
        ids=re.compile(r'("(?:[UutaflFL]|pu|lastUpdateId)":)(?<!\{"t":)(\d+)(?=[,}])'),
        nonsense=(
            '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","a":1,"p":"618',
            "\u0000\ufffd\ufffd not json",
            "{}",
            "[1,2,3]",
            "<html><body>502 Bad Gateway</body></html>",
            '{"stream":"btcusdt@markPrice","data":{"e":"markPriceUpdate","E":"x","s":7,"p":{},"T":-1}}',
            "null",
        ),
        http="/fapi/*",
        snapshot="/fapi/v1/depth*",
    )

    def __init__(self, market: Market, hub: Hub, rules: Rules, *, merged: bool = True) -> None:
        self.publisher = Publisher(market, hub, merged=merged)
        self.requests = Requests(hub, self._serves, rules.max_streams)
        self.rest = Rest(market, self.publisher, rules)
        self._market = market
        self._rules = rules

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:
        """Read the address. The state is its category, empty on the old paths."""
        found = _CATEGORY.match(path)
        link.state = found[1] if found else ""
        rest = path[found.end() :] if found else path
        link.combined = rest.startswith("/stream")
        listed = query.get("streams", "") if link.combined else unquote(rest.removeprefix("/ws"))
        if not self.requests.subscribe(link, [name for name in listed.split("/") if name]):
            most = self._rules.max_streams
            raise Refused(400, -1104, f"More than {most} streams in one connection.")

    def heard(self, link: Link, text: str | bytes, now: float) -> None:  # noqa: ARG002 - the port
        """Answer a request."""
        link.push(frame(TEXT, self.requests.answer(link, text)))

    def closed(self, link: Link) -> None:
        """Nothing is kept for a client."""

    def tend(self, link: Link, now: float) -> None:
        """No heartbeats but the protocol's own."""

    def step(self, to: int) -> None:
        """Advance and publish."""
        self.publisher.step(to)

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a request costs."""
        return self.rest.weight(path, query)

    def answer(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],  # noqa: ARG002 - the port
        *,
        stale: bool,
    ) -> tuple[bytes, Mapping[str, str]]:
        """Body of a REST answer."""
        return self.rest.answer(path, query, stale=stale), {}

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:
        """Refusal and headers."""
        return limited(spent, self._rules.weight, self._market.now // 1_000), used(spent)

    def trouble(self, status: int) -> bytes:
        """What the venue says with an HTTP error."""
        return trouble(status)

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        """`trades`, `aggTrades`, `klines`, `book`, `liquidations`, `mark`."""
        return self.rest.truth(what, query)

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        """Lines for people."""
        return (
            f"curl '{rest_url}/fapi/v1/premiumIndex?symbol=BTCUSDT'",
            f"curl '{rest_url}/sim/truth/liquidations?symbol=BTCUSDT'",
            f"""curl -X POST '{rest_url}/sim/shock' -d '{{"change": -0.05}}'""",
            f"books: {ws_url}/public/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker",
            f"trades: {ws_url}/market/stream?streams=btcusdt@aggTrade/!forceOrder@arr",
        )

    def _serves(self, link: Link, name: str) -> bool:
        return self.publisher.opens(name, link.state)
