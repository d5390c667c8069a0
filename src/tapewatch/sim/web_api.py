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

from tapewatch.sim.binance import Binance
from tapewatch.sim.binance_frames import partial_depth
from tapewatch.sim.binance_query import Query, Refused
from tapewatch.sim.faults import Fault, Faults
from tapewatch.sim.limits import Rules, Weights
from tapewatch.sim.market import Market, Shock

_JSON = "application/json"
_HTML = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
_RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms."
)
_TRUTHS = {"trades": "historicalTrades", "aggTrades": "aggTrades", "klines": "klines"}


class _ShockRequest(msgspec.Struct, forbid_unknown_fields=True):
    change: float
    fall_secs: float = 6.0
    recover_secs: float = 90.0
    asset: str | None = None


class WebApi:
    """Handlers for aiohttp."""

    def __init__(
        self, market: Market, venue: Binance, faults: Faults, rules: Rules,
        clock: Callable[[], float], state: Callable[[], Mapping[str, Any]],
    ) -> None:  # fmt: skip
        self.weights = Weights(rules)
        self._market = market
        self._venue = venue
        self._faults = faults
        self._clock = clock
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        """All paths of this side."""
        return [
            web.get("/api/{path:.*}", self._rest),
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
                    return _broken(request, fault), stale
        return None, stale

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        answer, stale = await self.troubled(request)
        if answer is not None:
            return answer
        rest = self._venue.rest
        spent = self.weights.spend(rest.weight(request.path, request.query), self._clock())
        headers = {
            "X-MBX-USED-WEIGHT": str(spent.used),
            "X-MBX-USED-WEIGHT-1M": str(spent.used),
        }
        if spent.status != 200:
            headers["Retry-After"] = str(spent.retry_secs)
            body = _limited(spent.status, self._market.now // 1_000 + spent.retry_secs * 1_000)
            return web.Response(status=spent.status, body=body, content_type=_JSON, headers=headers)
        try:
            unit = self._venue.unit(request.headers)
            body = rest.answer(request.path, request.query, unit, stale=stale)
        except Refused as refused:
            return web.Response(
                status=refused.status, body=refused.body, content_type=_JSON, headers=headers
            )
        response = web.Response(body=body, content_type=_JSON, headers=headers)
        if request.path.endswith("/exchangeInfo"):
            response.enable_compression()
        return response

    async def _add_faults(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=list[Fault] | Fault)
        except msgspec.DecodeError as error:
            return _json({"error": f"not a fault: {error}"}, status=400)
        faults = asked if isinstance(asked, list) else [asked]
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
        self._market.shock(
            Shock(now, asked.change, asked.fall_secs, asked.recover_secs, asked.asset)
        )
        return _json({"at": now})

    async def _truth(self, request: web.Request) -> web.Response:
        """The same rows as REST, without limits, faults and age."""
        what = request.match_info["what"]
        try:
            if what == "book":
                query = Query(request.query, self._market.symbols)
                view = self._market.book(query.symbol(), query.limit(5_000, 5_000))
                body = partial_depth(view).encode()
            elif what in _TRUTHS:
                body = self._venue.rest.answer(f"/api/v3/{_TRUTHS[what]}", request.query)
            else:
                known = ", ".join([*_TRUTHS, "book"])
                return _json({"error": f"no truth about {what}; there is {known}"}, status=404)
        except Refused as refused:
            return web.Response(status=refused.status, body=refused.body, content_type=_JSON)
        return web.Response(body=body, content_type=_JSON)

    async def _tell_state(self, _request: web.Request) -> web.Response:
        return _json(self._state())


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type=_JSON, status=status)


def _limited(status: int, until_millis: int) -> bytes:
    if status == 429:
        text = (
            "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
    else:
        text = f"Way too much request weight used; IP banned until {until_millis}."
    return msgspec.json.encode({"code": -1003, "msg": text})


def _broken(request: web.Request, fault: Fault) -> web.Response:
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
    codes = {429: -1003, 418: -1003, 451: 0, 504: -1007}
    text = _RESTRICTED if status == 451 else "An unknown error occurred while processing."
    body = msgspec.json.encode({"code": codes.get(status, -1000), "msg": text})
    return web.Response(status=status, body=body, content_type=_JSON, headers=headers)
