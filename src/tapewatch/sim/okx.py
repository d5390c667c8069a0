"""OKX v5 as a server speaks it: its two public sockets, idle rule, notices, and REST.

Written from the wire reference, never from a connector: a shared misreading would hide itself.
`public` has trades, books, tickers and what swaps have; `business` has candles and single fills.
Where the documents are silent we chose: a socket on which nobody ever subscribed is closed after
30 s even if it pings; the limits of REST paths are counted in the market's time.
With `checksums=True` books have their CRC32 as before June 2026; since then the field is 0.
"""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from tapewatch.sim.faults import FaultTexts
from tapewatch.sim.limits import Rules, Spent
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.market import Market
from tapewatch.sim.messages import TEXT, frame
from tapewatch.sim.okx_client import Client, client_of
from tapewatch.sim.okx_listing import listings
from tapewatch.sim.okx_query import refusal
from tapewatch.sim.okx_requests import Requests
from tapewatch.sim.okx_rest import API, Rest
from tapewatch.sim.okx_streams import BUSINESS, GRID, PUBLIC, Publisher

__all__ = ["FAULT_TEXTS", "IDLE_SECS", "RULES", "Okx", "listings"]

IDLE_SECS = 30.0
RULES = Rules(
    ping_secs=math.inf,  # the client pings, with a text
    max_age_secs=math.inf,  # no limit is documented; upgrades are announced
    notice_secs=60.0,
    inbound_per_sec=1_000,  # none is documented either; requests are counted by the hour
    connects=3,
    connects_secs=1.0,
    weight=1_000_000,  # each path has a limit of its own instead
    weight_secs=2.0,
    snapshot_age_micros=50_000,
)
_CHECKSUMS = re.compile(r'("checksum":)(-?\d+)')
FAULT_TEXTS = FaultTexts(
    ids=re.compile(r'("(?:seqId|prevSeqId)":|"tradeId":")(\d+)'),
    nonsense=(
        '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-US',
        "\u0000\ufffd\ufffd not json",
        "{}",
        "[1,2,3]",
        "<html><body>502 Bad Gateway</body></html>",
        '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":7,"px":{},"sz":[]}]}',
        '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}',
        "null",
    ),
    http="/api/*",
    snapshot="/api/v5/market/books*",
)


class Okx:
    """The protocol over one market."""

    name = "okx"
    grid = GRID
    sockets = (PUBLIC, BUSINESS)
    paths = ("/api/{path:.*}",)

    def __init__(self, market: Market, hub: Hub, rules: Rules, *, checksums: bool = False) -> None:
        self.publisher = Publisher(market, hub, checksums=checksums)
        self.requests = Requests(hub, self.publisher)
        self.rest = Rest(market, self.publisher.rows, rules)
        self.fault_texts = (
            msgspec.structs.replace(FAULT_TEXTS, checksums=_CHECKSUMS) if checksums else FAULT_TEXTS
        )
        self._rules = rules

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:  # noqa: ARG002 - the port
        """Both sockets open alike, and wait for a subscription."""
        link.state = Client(link)

    def heard(self, link: Link, text: str | bytes, now: float) -> None:
        """Answer a request or a ping."""
        self.requests.heard(link, text, now)

    def closed(self, link: Link) -> None:
        """Nothing is kept for a client."""

    def tend(self, link: Link, now: float) -> None:
        """End what is idle; warn a minute before a planned end."""
        client, warn = client_of(link), self._rules.notice_secs
        silent = now - link.last_out >= IDLE_SECS
        if silent or (not client.subscribed and now - link.opened >= IDLE_SECS):
            link.end(4004, "No data received in 30s.")
            return
        if warn is None or client.noticed or now - link.opened < self._rules.max_age_secs - warn:
            return
        client.noticed = True
        said = {
            "event": "notice",
            "code": "64008",
            "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
            "connId": client.conn_id,
        }
        link.push(frame(TEXT, msgspec.json.encode(said)))

    def step(self, to: int) -> None:
        """Advance and publish."""
        self.publisher.step(to)

    def reset_sequences(self, symbol: str | None = None) -> None:
        """Maintenance: `seqId` begins anew, of one instrument or of all; the chain holds."""
        self.publisher.reset_sequences(symbol)

    def weight(self, path: str, query: Mapping[str, str]) -> int:  # noqa: ARG002 - the port
        """Requests are counted by path, in `Rest`."""
        return 1

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, stale: bool  # noqa: ARG002 - the port
    ) -> tuple[bytes, Mapping[str, str]]:  # fmt: skip
        """Body of a REST answer."""
        return self.rest.answer(path, query, stale=stale), {}

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:  # noqa: ARG002 - the port
        """No headers tell what is left."""
        return self.trouble(429), {}

    def trouble(self, status: int) -> bytes:
        """What the venue says with an HTTP error."""
        if status == 429:
            return refusal("50011", "Too Many Requests").body
        return refusal("50001", "Service temporarily unavailable. Try again later").body

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        """REST rows without limits, faults and age."""
        return self.rest.truth(what, query)

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        """Lines for people."""
        market = f"{rest_url}{API}market"
        return (
            f"curl '{market}/candles?instId=BTC-USDT&bar=1m&limit=3'",
            f"curl '{rest_url}/sim/truth/book?instId=BTC-USDT-SWAP'",
            f"""curl -X POST '{rest_url}/sim/faults' -d '{{"kind": "drop", "target": "books|*"}}'""",
            f"public: {ws_url}{PUBLIC}",
            f"business: {ws_url}{BUSINESS}",
            'say: {"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}',
        )
