"""The two simple live protocols: S2's `/ws/price` and S4's `/ws`.

A socket here only reads what its client says and answers; all data goes out through the hub. The
bytes of the hub are written to `request.transport`, which is aiohttp's public way to the socket:
one write for each client, of bytes that were built once for all, and it never waits. (`send_str`
would frame and write each message for each client, and wait for a slow one.)
"""

import asyncio
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from tapewatch.model.codec import encode_json
from tapewatch.model.errors import TapewatchError, Unavailable
from tapewatch.serve import problem
from tapewatch.serve.ask import Operation, check_names
from tapewatch.serve.client import (
    CODE_TOO_MUCH,
    EVENTS,
    PRICE,
    STATES,
    Choice,
    Client,
)
from tapewatch.serve.context import Context, Options
from tapewatch.serve.live import Hub
from tapewatch.serve.problem import BadParameters, Fault

_PING_SECS = 20.0
_MAX_COMMAND_BYTES = 4_096
_COMMANDS_PER_MINUTE = 120
_CLOSE_SECS = 2.0
_TYPES = sorted(EVENTS | STATES - {PRICE})
# Dozens of numbers a second for each instrument are for those who ask for them.
_USUAL = frozenset(_TYPES) - {"metric"}


class Sockets:
    def __init__(self, context: Context, hub: Hub, options: Options) -> None:
        self._context = context
        self._hub = hub
        self._options = options
        self._closing: set[asyncio.Task[None]] = set()  # keeps the tasks alive

    def handler(self, operation: Operation) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            query = check_names(list(request.query.items()), operation.params)
            types = frozenset({PRICE}) if operation.path == "/ws/price" else _types(query)
            return await self._serve(request, Choice(types, self._insts(query)))

        return handle

    def _insts(self, query: dict[str, str]) -> frozenset[str] | None:
        names = [name for name in query.get("symbols", "").split(",") if name.strip()]
        if not names:
            return None
        return frozenset(i.id for name in names for i in self._context.instruments(name))

    async def _serve(self, request: web.Request, choice: Choice) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=_PING_SECS,
            compress=False,  # so that a frame is the same bytes for everybody
            max_msg_size=_MAX_COMMAND_BYTES,
            timeout=_CLOSE_SECS,
        )
        if not socket.can_prepare(request):
            raise web.HTTPUpgradeRequired
        if self._hub.clients >= self._options.max_clients:
            self._hub.stats.refused += 1
            raise Unavailable(f"{self._hub.clients} live clients are connected, and no more fit")
        await socket.prepare(request)
        transport = request.transport
        if transport is None:  # gone while we shook hands
            return socket
        client = Client(
            transport, choice, lambda code, why: self._close(socket, transport, code, why)
        )
        self._hub.join(client)
        try:
            if not await self._listen(socket, client):
                reason = f"at most {_COMMANDS_PER_MINUTE} commands a minute"
                await _shut(socket, transport, CODE_TOO_MUCH, reason)
        except ConnectionResetError:
            pass  # it left while we answered
        finally:
            self._hub.leave(client)
        return socket

    async def _listen(self, socket: web.WebSocketResponse, client: Client) -> bool:
        """Answer commands until the client leaves. False: it sends too many."""
        loop = asyncio.get_running_loop()
        minute, count = loop.time(), 0
        async for message in socket:
            if loop.time() - minute > 60:
                minute, count = loop.time(), 0
            count += 1
            if count > _COMMANDS_PER_MINUTE:
                return False
            await socket.send_str(await self._answer(client, message))
        return True

    async def _answer(self, client: Client, message: WSMessage) -> str:
        text = message.data.strip() if message.type is WSMsgType.TEXT else ""
        if text == "ping":
            return "pong"
        word, _, symbol = text.partition(":")
        try:
            if PRICE in client.choice.types and word in {"subscribe", "unsubscribe"}:
                return await self._change(client, word, symbol)
            valid = "ping" if PRICE not in client.choice.types else "ping, subscribe:, unsubscribe:"
            raise BadParameters(Fault("", f"{text[:40]!r} is no command", f"valid: {valid}"))
        except (TapewatchError, TimeoutError) as error:
            told = problem.of_error(error)
            return encode_json({"type": "error", "data": told}).decode()

    async def _change(self, client: Client, word: str, symbol: str) -> str:
        """Change what this client gets: of every venue that is collected and has the symbol.

        What nobody collects yet is collected from now on.
        """
        collected = {s.inst for s in self._context.control.subscriptions()}
        insts = [i.id for i in self._context.instruments(symbol)]
        if word == "subscribe" and collected.isdisjoint(insts):
            insts = [self._context.instrument(symbol).id]  # one, or Ambiguous
            async with asyncio.timeout(self._options.query_secs):
                await self._context.control.subscribe(insts[0])
        for inst in insts:
            choice = client.choice
            self._hub.choose(
                client, choice.add(inst) if word == "subscribe" else choice.remove(inst)
            )
        if word == "subscribe":
            for inst in insts:
                self._hub.send_states(client, inst)
        only = client.choice.only
        native = self._context.native
        body = {
            "type": f"{word}d",
            "symbol": native(insts[0]),
            "inst": insts[0],
            "insts": insts,
            "symbols": None if only is None else sorted({native(i) for i in only}),
        }
        return encode_json(body).decode()

    def _close(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport, code: int, why: str
    ) -> None:
        task = asyncio.create_task(_shut(socket, transport, code, why))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _shut(
    socket: web.WebSocketResponse, transport: asyncio.Transport, code: int, why: str
) -> None:
    """Close politely; a client that does not even read that is cut off."""
    try:
        async with asyncio.timeout(_CLOSE_SECS):
            await socket.close(code=code, message=why.encode())
    except TimeoutError:
        pass
    finally:
        transport.abort()


def _types(query: dict[str, str]) -> frozenset[str]:
    named = frozenset(word for word in query.get("types", "").split(",") if word)
    unknown = sorted(named - set(_TYPES))
    if unknown:
        hint = f"valid: {', '.join(_TYPES)}"
        raise BadParameters(Fault("?types", f"unknown {', '.join(unknown)[:60]}", hint))
    return named or _USUAL
