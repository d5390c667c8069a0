"""The web application: binds the operations to aiohttp, and stands between them and the world.

    request -> guard: id, origin, problem+json -> adapter: names, body, time limit -> handler

This is the only place, with `sockets` and `app`, that knows the web framework.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from tapewatch.serve import problem
from tapewatch.serve.ask import Ask, Handler, Operation, Reply, check_names
from tapewatch.serve.context import Context, Options
from tapewatch.serve.live import Hub
from tapewatch.serve.operations import OPERATIONS
from tapewatch.serve.problem import Problem
from tapewatch.serve.sockets import Sockets

log = logging.getLogger("tapewatch.serve.web")

_REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")  # each request has its task
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_encode = msgspec.json.Encoder(enc_hook=str).encode  # settings hold paths and secrets; *** stays
_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(context: Context, hub: Hub, options: Options) -> web.Application:
    front = _Front(context, options)
    sockets = Sockets(context, hub, options)
    application = web.Application(middlewares=[front.guard], client_max_size=options.max_body_bytes)
    application.on_response_prepare.append(front.dress)
    for operation in OPERATIONS:
        # A symbol may be written with a slash, so a parameter takes the rest of the path.
        path = re.sub(r"{(\w+)}", r"{\1:.+}", operation.path)
        handler = (
            sockets.handler(operation)
            if operation.handler is None
            else front.adapter(operation, operation.handler)
        )
        application.router.add_route(operation.method, path, handler)
        if operation.method == "GET" and operation.handler is not None:
            application.router.add_route("HEAD", path, handler)
    return application


class _Front:
    def __init__(self, context: Context, options: Options) -> None:
        self._context = context
        self._options = options
        self._queries = asyncio.Semaphore(options.max_queries)

    @web.middleware
    async def guard(self, request: web.Request, handler: _Next) -> web.StreamResponse:
        """Whatever goes wrong behind this becomes a problem; what is a bug is logged."""
        given = request.headers.get("X-Request-Id", "")
        _REQUEST_ID.set(given if _ID.fullmatch(given) else secrets.token_hex(8))
        try:
            return await self._admit(request, handler)
        except web.HTTPException as refused:
            told = problem.of_status(refused.status, _words(request, refused))
            headers = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
            return _respond(request, told, headers)
        except Exception as error:  # a request is like a frame: its bug ends only itself
            if request.writer.output_size:
                raise  # an answer, or a WebSocket, has begun: the framework cuts it off and logs
            return _respond(request, problem.of_error(error) or _bug(request, error))

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give every response the headers that keep a browser from being misused."""
        for name, value in _SAFE.items():
            response.headers.setdefault(name, value)
        response.headers["Server"] = "tapewatch"  # not which Python and which library
        response.headers["X-Request-Id"] = _REQUEST_ID.get()
        origin = request.headers.get("Origin")
        if origin and self._allows(request, origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After"
            response.headers["Vary"] = "Origin"

    def adapter(self, operation: Operation, handler: Handler) -> _Next:
        async def handle(request: web.Request) -> web.StreamResponse:
            async with asyncio.timeout(self._options.query_secs):
                await self._refuse_body(request)
                ask = Ask(
                    path=request.match_info,
                    query=check_names(list(request.query.items()), operation.params),
                    now=self._context.clock(),
                    accept=request.headers.get("Accept", ""),
                )
                if operation.is_query:
                    async with self._queries:
                        answer = await handler(self._context, ask)
                else:
                    answer = await handler(self._context, ask)
            return _answer(answer)

        return handle

    async def _admit(self, request: web.Request, handler: _Next) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        foreign = origin is not None and not self._allows(request, origin)
        asks_first = (
            request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        )
        changes = request.method not in {"GET", "HEAD"} or "Upgrade" in request.headers
        if foreign and (changes or asks_first):
            return _respond(
                request,
                problem.problem(
                    "forbidden-origin",
                    f"pages of {origin} may not do this; server.cors_origins lists who may",
                ),
            )
        if asks_first:
            headers = {
                "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
                "Access-Control-Allow-Headers": "Content-Type, X-Request-Id",
                "Access-Control-Max-Age": "600",
            }
            return web.Response(status=204, headers=headers)
        return await handler(request)

    def _allows(self, request: web.Request, origin: str) -> bool:
        """Say whether a page may talk to us: it is ours, or the settings name it."""
        allowed = self._options.cors_origins
        return "*" in allowed or origin in allowed or urlsplit(origin).netloc == request.host

    async def _refuse_body(self, request: web.Request) -> None:
        """Read what came, within the limit, and forget it: no request of ours needs a body."""
        if (request.content_length or 0) > self._options.max_body_bytes:
            raise web.HTTPRequestEntityTooLarge(
                self._options.max_body_bytes, request.content_length or 0
            )
        if request.can_read_body:
            await request.read()


def _answer(answer: Any) -> web.Response:
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    body = reply.body if isinstance(reply.body, bytes) else _encode(reply.body)
    return web.Response(
        body=body,
        status=reply.status,
        headers={"Content-Type": reply.content_type, **reply.headers},
    )


def _respond(
    request: web.Request, told: Problem, headers: dict[str, str] | None = None
) -> web.Response:
    told.instance = request.path
    told.request_id = _REQUEST_ID.get()
    headers = dict(headers or {}, **{"Content-Type": problem.JSON})
    if told.retry_after_secs is not None:
        headers["Retry-After"] = str(max(1, round(told.retry_after_secs)))
    if told.status == 426:
        headers["Upgrade"] = "websocket"
    return web.Response(body=_encode(told), status=told.status, headers=headers)


def _bug(request: web.Request, error: Exception) -> Problem:
    fields = {"path": request.path, "request_id": _REQUEST_ID.get()}
    log.error("request_failed", extra={"fields": fields}, exc_info=error)
    return problem.problem(
        "internal", "this is a fault of ours; the log has it under the request_id"
    )


def _words(request: web.Request, refused: web.HTTPException) -> str:
    match refused.status:
        case 404:
            return f"there is no {request.path} here; /openapi.json lists what there is"
        case 405:
            allowed = refused.headers.get("Allow", "another method")
            return f"{request.path} takes {allowed}, not {request.method}"
        case 426:
            return f"{request.path} is a WebSocket: connect to it with ws://"
        case _:
            return refused.reason or str(refused.status)
