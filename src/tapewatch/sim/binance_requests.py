"""The JSON conversation on a Binance socket: subscribe, list, properties, errors.

Answers are never wrapped. A name that means no stream is acknowledged and stays silent.
Errors do not close the connection. Codes 0 to 3 and their texts as documented:
https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from tapewatch.sim.link import Hub, Link

_METHODS = (
    "SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY",
)  # fmt: skip
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


class _Bad(Exception):
    def __init__(self, code: int, text: str, request_id: Any = None) -> None:
        super().__init__(text)
        self.answer = {"code": code, "msg": text}
        if request_id is not None:
            self.answer["id"] = request_id


class Requests:
    """Answers what clients send, and keeps their subscriptions.

    `serves` says whether a name is a stream that this client can have.
    """

    def __init__(self, hub: Hub, serves: Callable[[Link, str], bool], max_streams: int) -> None:
        self._hub = hub
        self._serves = serves
        self._max_streams = max_streams

    def answer(self, link: Link, text: str | bytes) -> bytes:
        """The answer to one message."""
        try:
            return msgspec.json.encode(self._answered(link, text))
        except _Bad as bad:
            return msgspec.json.encode(bad.answer)

    def subscribe(self, link: Link, names: list[str]) -> bool:
        """Add streams; False, and none added, if there would be too many."""
        fresh = [name for name in dict.fromkeys(names) if name not in link.names]
        if len(link.names) + len(fresh) > self._max_streams:
            return False
        for name in fresh:
            link.names[name] = None
            if self._serves(link, name):
                self._hub.listen(link, name)
        return True

    def _answered(self, link: Link, text: str | bytes) -> dict[str, Any]:
        request = _read(text)
        request_id = _id_of(request)
        params = request.get("params", [])
        match request["method"]:
            case "SUBSCRIBE":
                if not self.subscribe(link, _names(params)):
                    raise _Bad(2, f"Invalid request: more than {self._max_streams} streams")
            case "UNSUBSCRIBE":
                for name in _names(params):
                    link.names.pop(name, None)
                    self._hub.leave(link, name)
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(link.names), "id": request_id}
            case "GET_PROPERTY":
                _check_property(params, 1, request_id)
                return {"result": link.combined, "id": request_id}
            case _:
                _check_property(params, 2, request_id)
                if not isinstance(params[1], bool):
                    raise _Bad(1, "Invalid value type: expected Boolean")
                link.combined = params[1]
        return {"result": None, "id": request_id}


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _Bad(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict):
        raise _Bad(2, "Invalid request: invalid type, expected a request object")
    if "method" not in request:
        raise _Bad(2, f"Invalid request: missing field `method` at line 1 column {len(text)}")
    if request["method"] not in _METHODS:
        known = ", ".join(f"`{name}`" for name in _METHODS)
        raise _Bad(2, f"Invalid request: unknown variant `{request['method']}`, expected {known}")
    return request


def _id_of(request: dict[str, Any]) -> int | str | None:
    """A signed 64-bit integer, a text of up to 36 letters and digits, or null."""
    if "id" not in request:
        raise _Bad(2, "Invalid request: missing field `id`")
    found = request["id"]
    is_whole = isinstance(found, int) and not isinstance(found, bool)
    fits = (
        found is None
        or (is_whole and -(2**63) <= found < 2**63)
        or (isinstance(found, str) and _ID.fullmatch(found) is not None)
    )
    if not fits:
        raise _Bad(
            2, "Invalid request: request ID must be an unsigned integer, a string of up to 36 "
            "alphanumeric characters, or null",
        )  # fmt: skip
    return found  # type: ignore[no-any-return]  # checked above


def _names(params: Any) -> list[str]:
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        raise _Bad(2, "Invalid request: params must be a list of stream names")
    if not params:
        raise _Bad(2, "Invalid request: no stream names in params")
    return params


def _check_property(params: Any, count: int, request_id: Any) -> None:
    if not isinstance(params, list) or len(params) < count:
        raise _Bad(2, "Invalid request: missing parameters")
    if len(params) > count:
        raise _Bad(2, "Invalid request: too many parameters")
    if not isinstance(params[0], str):
        raise _Bad(2, "Invalid request: property name must be a string")
    if params[0] != "combined":
        raise _Bad(0, "Unknown property", request_id)
