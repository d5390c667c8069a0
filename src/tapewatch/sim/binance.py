"""Binance spot as a server speaks it: how a socket is opened, and the parts put together.

Written from the wire reference, never from a connector: a shared misreading would hide itself.
Streams are in `binance_streams`, requests on the socket in `binance_requests`, REST in
`binance_rest`. Where the documents are silent we chose: too many streams in a URL is HTTP 400.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from tapewatch.sim.binance_frames import partial_depth, shutdown_notice
from tapewatch.sim.binance_limits import limited, trouble, used
from tapewatch.sim.binance_query import Query, Refused
from tapewatch.sim.binance_requests import Requests
from tapewatch.sim.binance_rest import Rest
from tapewatch.sim.binance_streams import GRID, Publisher
from tapewatch.sim.limits import Rules, Spent
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.listing import listings
from tapewatch.sim.market import Market
from tapewatch.sim.messages import MICROS, MILLIS, TEXT, Message, frame
from tapewatch.sim.venue import FaultTexts

__all__ = ["FAULT_TEXTS", "RULES", "Binance", "listings"]

RULES = Rules()
FAULT_TEXTS = FaultTexts(
    # `t` is an id in a trade and a time where a candle begins
    ids=re.compile(r'("(?:[UutaflFL]|lastUpdateId)":)(?<!\{"t":)(\d+)(?=[,}])'),
    nonsense=(
        '{"stream":"btcusdt@trade","data":{"e":"trade","p":"618',
        "\u0000\ufffd\ufffd not json",
        "{}",
        "[1,2,3]",
        "<html><body>502 Bad Gateway</body></html>",
        '{"stream":"btcusdt@trade","data":{"e":"trade","E":"x","s":7,"t":null,"p":{},"q":[],"T":-1}}',
        "null",
    ),
    http="/api/*",
    snapshot="/api/v3/depth*",
)
_TRUTHS = {"trades": "historicalTrades", "aggTrades": "aggTrades", "klines": "klines"}


class Binance:
    """The protocol over one market."""

    name = "binance"
    grid = GRID
    sockets = ("/ws", "/ws/{streams:.*}", "/stream")
    paths = ("/api/{path:.*}",)
    fault_texts = FAULT_TEXTS

    def __init__(self, market: Market, hub: Hub, rules: Rules) -> None:
        self.publisher = Publisher(market, hub)
        self.requests = Requests(hub, self._serves, rules.max_streams)
        self.rest = Rest(market, rules)
        self._market = market
        self._rules = rules

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:
        """Read the address; `Refused` if it asks for too much. The state is whether it was warned."""
        link.state = False
        link.combined = path.startswith("/stream")
        link.unit = MICROS if query.get("timeUnit", "").upper() == "MICROSECOND" else MILLIS
        listed = query.get("streams", "") if link.combined else unquote(path.removeprefix("/ws"))
        if not self.requests.subscribe(link, [name for name in listed.split("/") if name]):
            most = self._rules.max_streams
            raise Refused(400, -1104, f"More than {most} streams in one connection.")

    def heard(self, link: Link, text: str | bytes, now: float) -> None:  # noqa: ARG002 - the port
        """Answer a request."""
        link.push(frame(TEXT, self.requests.answer(link, text)))

    def closed(self, link: Link) -> None:
        """Nothing is kept for a client."""

    def tend(self, link: Link, now: float) -> None:
        """The warning before a planned end."""
        warn = self._rules.notice_secs
        if warn is None or link.state or now - link.opened < self._rules.max_age_secs - warn:
            return
        link.state, ts = True, self._market.now
        notice = Message("!serverShutdown", lambda unit: shutdown_notice(ts, unit))
        link.push(notice.frame_for(link))

    def step(self, to: int) -> None:
        """Advance and publish."""
        self.publisher.step(to)

    def _serves(self, _link: Link, name: str) -> bool:
        return self.publisher.opens(name)

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a request costs."""
        return self.rest.weight(path, query)

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, stale: bool
    ) -> tuple[bytes, Mapping[str, str]]:
        """Body of a REST answer, in the unit of time that the headers want."""
        wanted = headers.get("X-MBX-TIME-UNIT", "").upper()
        unit = MICROS if wanted == "MICROSECOND" else MILLIS
        return self.rest.answer(path, query, unit, stale=stale), {}

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:
        """Refusal and headers."""
        return limited(spent, self._rules.weight, self._market.now // MILLIS), used(spent)

    def trouble(self, status: int) -> bytes:
        """What the venue says with an HTTP error."""
        return trouble(status)

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        """The same rows as REST, without limits, faults and age."""
        if what == "book":
            asked = Query(query, self._market.symbols)
            view = self._market.book(asked.symbol(), asked.limit(5_000, 5_000))
            return partial_depth(view).encode()
        path = _TRUTHS.get(what)
        return None if path is None else self.rest.answer(f"/api/v3/{path}", query)

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        """Lines for people."""
        return (
            f"curl '{rest_url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3'",
            f"curl '{rest_url}/sim/truth/book?symbol=BTCUSDT&limit=5'",
            f"""curl -X POST '{rest_url}/sim/faults' -d '{{"kind": "drop", "target": "btcusdt@trade"}}'""",
            f"streams: {ws_url}/stream?streams=btcusdt@trade/btcusdt@depth@100ms",
        )
