"""What a simulated venue must say; sockets, HTTP, faults and limits are the same for all.

`exchange` drives time and calls `step`; `sockets` brings what clients send; `web_api` asks for
REST answers. A venue writes frames to its streams through `Hub.send`, where faults have their
way, and answers to one client through `Link.push`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tapewatch.sim.faults import FaultTexts
from tapewatch.sim.limits import Spent
from tapewatch.sim.link import Link

__all__ = ["FaultTexts", "Refused", "Venue"]


class Refused(Exception):
    """The venue's error to a REST request or a handshake: an HTTP status and a body."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(body.decode(errors="replace"))
        self.status = status
        self.body = body


class Venue(Protocol):
    """One per simulated exchange; made from a Market, a Hub and Rules."""

    @property
    def name(self) -> str:
        """As in `venues.VENUES`. All five of these may be plain class attributes."""
        ...

    @property
    def grid(self) -> int:
        """Microseconds between the times at which timed streams send."""
        ...

    @property
    def sockets(self) -> Sequence[str]:
        """Patterns (aiohttp) of paths that are WebSockets; they win over `paths`."""
        ...

    @property
    def paths(self) -> Sequence[str]:
        """Patterns (aiohttp) of REST paths (GET)."""
        ...

    @property
    def fault_texts(self) -> FaultTexts:
        """How faults spoil this venue's frames."""
        ...

    def opened(self, link: Link, path: str, query: Mapping[str, str]) -> None:
        """A client has shaken hands. `link.state` is the venue's own to set.

        Raises Refused before the handshake is answered if the address is wrong.
        """
        ...

    def heard(self, link: Link, text: str | bytes, now: float) -> None:
        """A client sent a text: answer by `link.push(frame(TEXT, ...))`. `now`: steady seconds."""
        ...

    def closed(self, link: Link) -> None:
        """A client is gone; the hub has forgotten it already."""
        ...

    def tend(self, link: Link, now: float) -> None:
        """About once a second: the venue's own heartbeats, notices and deadlines.

        Protocol pings, pongs and the maximum age are seen to by Link, by the Rules.
        """
        ...

    def step(self, to: int) -> None:
        """Advance the market to `to`, at most to the next point of the grid, and publish."""
        ...

    def weight(self, path: str, query: Mapping[str, str]) -> int:
        """What a REST request costs."""
        ...

    def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], *, stale: bool
    ) -> tuple[bytes, Mapping[str, str]]:
        """Body and extra headers, or Refused. `stale` gives the oldest book remembered."""
        ...

    def spent(self, spent: Spent) -> tuple[bytes, Mapping[str, str]]:
        """Headers of every answer; when `spent.status` is not 200 also the body of the refusal."""
        ...

    def trouble(self, status: int) -> bytes:
        """The JSON body with which the venue tells an HTTP error of this status."""
        ...

    def truth(self, what: str, query: Mapping[str, str]) -> bytes | None:
        """`trades`, `klines`, `book`, `liquidations` ... as REST rows without limits, age, faults.

        None: nothing is known under this name. May raise Refused.
        """
        ...

    def try_it(self, ws_url: str, rest_url: str) -> Sequence[str]:
        """Lines that show a person what to type, for `tapewatch simulate`."""
        ...
