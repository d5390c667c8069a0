"""The conversation on an OKX socket: subscribe, unsubscribe, `ping`, errors.

Each `arg` is answered by itself, then what the channel says at present follows at once. Errors do
not close the connection, and name the arg only inside their text. A second subscription to the
same arg is acknowledged and changes nothing.
https://www.okx.com/docs-v5/en/#overview-websocket
"""

import re
from typing import Any

import msgspec

from tapewatch.sim.link import Hub, Link
from tapewatch.sim.messages import TEXT, frame
from tapewatch.sim.okx_books import STREAM as BOOKS
from tapewatch.sim.okx_client import Client, client_of
from tapewatch.sim.okx_streams import Publisher

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_LONGEST = 65_536  # bytes of a request
_MEMBERS = {"books-l2-tbt": 6, "books50-l2-tbt": 5}


class _Bad(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Requests:
    """Answers what clients send, and keeps their subscriptions."""

    def __init__(self, hub: Hub, publisher: Publisher) -> None:
        self._hub = hub
        self._publisher = publisher

    def heard(self, link: Link, text: str | bytes, now: float) -> None:
        """Answer one message."""
        said = text if isinstance(text, str) else text.decode(errors="replace")
        if said == "ping":
            link.push(frame(TEXT, b"pong"))
        elif len(said.encode()) > _LONGEST:
            link.end(1009, "Request message exceeds the maximum frame length")
        else:
            self._request(link, said, now)

    def _request(self, link: Link, text: str, now: float) -> None:
        client, request_id = client_of(link), ""
        try:
            request = _read(text)
            request_id = request.get("id", "")
            op, args = _checked(request, text)
            if not client.requests.allows(now):
                raise _Bad("60014", "Requests too frequent")  # noqa: TRY301 - one way out
        except _Bad as bad:
            _push(link, _error(client, request_id, bad))
            return
        for arg in args:
            self._heed(link, op, arg, request_id)

    def _heed(self, link: Link, op: str, arg: dict[str, str], request_id: str) -> None:
        client = client_of(link)
        stream = self._publisher.parsed(link.path, arg)
        if stream is None:
            _push(link, _error(client, request_id, _unknown(op, arg)))
            return
        done = {"event": op, "arg": arg, "connId": client.conn_id}
        _push(link, {"id": request_id, **done} if request_id else done)
        if op == "unsubscribe":
            self._hub.leave(link, stream.name)
            client.fresh.discard(stream.name)
            return
        client.subscribed = True
        if stream.name in self._hub.streams(link):
            return
        self._hub.listen(link, stream.name)
        if stream.name.startswith(BOOKS):
            client.fresh.add(stream.name)
        present = self._publisher.opens(stream)
        if present:
            link.push(frame(TEXT, present.encode()))


def _read(text: str) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _Bad("60012", f"Invalid request: {text[:1_000]}") from None
    if not isinstance(request, dict):
        raise _Bad("60012", f"Invalid request: {text[:1_000]}")
    if not isinstance(request.get("id", ""), str):
        raise _Bad("60033", "Parameter id error")
    return request


def _checked(request: dict[str, Any], text: str) -> tuple[str, list[dict[str, str]]]:
    """What is asked for: the operation and its args."""
    op, args = request.get("op"), request.get("args")
    if "id" in request and not _ID.fullmatch(request["id"]):
        raise _Bad("60033", "Parameter id error")
    if op is None:
        raise _Bad("60012", f"Invalid request: {text[:1_000]}")
    if op not in {"subscribe", "unsubscribe"}:
        raise _Bad("60019", f"Invalid op: {op}")
    if not isinstance(args, list) or not args:
        raise _Bad("60013", "Invalid args")
    for arg in args:
        fits = isinstance(arg, dict) and all(isinstance(value, str) for value in arg.values())
        if not fits or not arg.get("channel"):
            raise _Bad("60013", "Invalid args")
    return op, args


def _unknown(op: str, arg: dict[str, str]) -> _Bad:
    """For a channel that is not there, or not on this socket, or for members only."""
    channel, level = arg["channel"], _MEMBERS.get(arg["channel"])
    if level is not None:
        return _Bad("64003", f"Only users who're VIP{level} and above are able to use {channel}.")
    where = "".join(f",{key}:{value}" for key, value in arg.items() if key != "channel")
    return _Bad(
        "60018",
        f"{op.capitalize()} failed, wrong URL or channel:{channel}{where} doesn't exist. Please "
        "use the correct URL, channel and parameters referring to API document.",
    )


def _error(client: Client, request_id: str, bad: _Bad) -> dict[str, str]:
    said = {"event": "error", "msg": bad.text, "code": bad.code, "connId": client.conn_id}
    return {"id": request_id, **said} if request_id else said


def _push(link: Link, said: dict[str, Any]) -> None:
    link.push(frame(TEXT, msgspec.json.encode(said)))
