"""The HTTP side of the simulated exchange: the venue's REST with limits and faults, and `/sim`.

`/sim` is not part of any venue. It lets another process ask for faults and for the truth:

    POST   /sim/faults        {"kind": "drop", "target": "btcusdt@trade"}, or a list of such
    GET    /sim/faults        the faults in force, and what was applied (newest last)
    DELETE /sim/faults        end them all
    POST   /sim/shock         {"change": -0.08, "fall_secs": 6}
    GET    /sim/truth/trades?symbol=&fromId=&limit=      likewise aggTrades, klines, book
    GET    /sim/state         time, clients, counters
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from tapewatch.sim.faults import Fault, Faults
from tapewatch.sim.limits import Rules, Weights
from tapewatch.sim.market import Market, Shock
from tapewatch.sim.venue import Refused, Venue

_JSON = "application/json"
_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_COMPRESSED_FROM = 8_192  # bytes


class _ShockRequest(msgspec.Struct, forbid_unknown_fields=True):
    change: float
    fall_secs: float = 6.0
    recover_secs: float = 90.0
    asset: str | None = None


class WebApi:
    """Handlers for aiohttp."""

    def __init__(
        self, market: Market, venue: Venue, faults: Faults, rules: Rules,
        clock: Callable[[], float], state: Callable[[], Mapping[str, Any]],
    ) -> None:  # fmt: skip
        self.weights = Weights(rules)
        self.shock = market.shock  # what `/sim/shock` does; a world puts all its markets here
        self._market = market
        self._venue = venue
        self._faults = faults
        self._clock = clock
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        """All paths of this side."""
        return [
            *(web.get(path, self._rest) for path in self._venue.paths),
            web.post("/sim/faults", self._add_faults),
            web.get("/sim/faults", self._list_faults),
            web.delete("/sim/faults", self._clear_faults),
            web.post("/sim/shock", self._shock),
            web.get("/sim/truth/{what}", self._truth),
            web.get("/sim/state", self._tell_state),
        ]

    async def troubled(self, request: web.Request) -> tuple[web.Response | None, bool]:
        """Let HTTP faults have their way: an answer in place of the true one, and staleness."""
        stale = False
        for fault in self._faults.http(request.path_qs, self._market.now):
            match fault.kind:
                case "slow":
                    await asyncio.sleep(fault.secs)
                case "stale_snapshot":
                    stale = True
                case _:
                    return self._broken(request, fault), stale
        return None, stale

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        answer, stale = await self.troubled(request)
        if answer is not None:
            return answer
        venue, path, query = self._venue, request.path, request.query
        spent = self.weights.spend(venue.weight(path, query), self._clock())
        refusal, headers = venue.spent(spent)
        if spent.status != 200:
            return _answer(spent.status, refusal, headers)
        try:
            body, more = venue.answer(path, query, request.headers, stale=stale)
        except Refused as refused:
            return _answer(refused.status, refused.body, headers)
        response = _answer(200, body, {**headers, **more})
        if len(body) >= _COMPRESSED_FROM:
            response.enable_compression()
        return response

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=list[Fault] | Fault)
        except msgspec.DecodeError as error:
            return _json({"error": f"not a fault: {error}"}, status=400)
        faults = asked if isinstance(asked, list) else [asked]
        for fault in faults:
            if not self._faults.knows(fault.kind):
                text = f"{self._venue.name} has nothing that {fault.kind} could spoil"
                return _json({"error": text}, status=400)
        return _json({"added": [self._faults.add(fault, self._market.now) for fault in faults]})

    async def _list_faults(self, _request: web.Request) -> web.Response:
        entries = self._faults.entries
        return _json({
            "faults": [{"number": n, "fault": f, "applied": used} for n, f, used in entries],
            "counts": self._faults.counts,
            "applied": list(self._faults.applied),
        })  # fmt: skip

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return _json({"faults": []})

    async def _shock(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=_ShockRequest)
        except msgspec.DecodeError as error:
            return _json({"error": f"not a shock: {error}"}, status=400)
        if not -1 < asked.change < 10:
            return _json({"error": "change must be above -1 and below 10"}, status=400)
        now = self._market.now
        self.shock(Shock(now, asked.change, asked.fall_secs, asked.recover_secs, asked.asset))
        return _json({"at": now})

    async def _truth(self, request: web.Request) -> web.Response:
        """The same rows as REST, without limits, faults and age."""
        what = request.match_info["what"]
        try:
            body = self._venue.truth(what, request.query)
        except Refused as refused:
            return _answer(refused.status, refused.body)
        if body is None:
            return _json({"error": f"no truth about {what} at {self._venue.name}"}, status=404)
        return _answer(200, body)

    def _broken(self, request: web.Request, fault: Fault) -> web.Response:
        """What a venue in trouble answers."""
        if fault.status == 0 and request.transport is not None:
            request.transport.abort()
        status = fault.status or 503
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
        if fault.body == "empty":
            return web.Response(status=status, headers=headers)
        if fault.body == "html":
            text = _HTML.format(f"{status} Trouble")
            return web.Response(status=status, text=text, content_type="text/html", headers=headers)
        return _answer(status, self._venue.trouble(status), headers)

    async def _tell_state(self, _request: web.Request) -> web.Response:
        return _json(self._state())


def _answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=body, content_type=_JSON, headers=headers)


def _json(value: Any, status: int = 200) -> web.Response:
    return _answer(status, msgspec.json.encode(value))
