"""The JSON conversation on a Bybit socket: subscribe, unsubscribe, ping, errors.

One answer for a request, however many topics it names; a request with one bad topic is refused as
a whole. On linear the first frames of the topics come before the answer, on spot after it. Errors
do not close the connection. The dialects differ: spot says `subscribe` and leaves `req_id` out if
there was none, linear says nothing and has an empty `req_id`.
https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from random import Random
from typing import Any

import msgspec
from msgspec import Struct

from tapewatch.sim.bybit_listing import SPOT
from tapewatch.sim.bybit_streams import Publisher, Topic
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.messages import TEXT, frame

MOST_SPOT_ARGS = 10  # in a request
MOST_CHARACTERS = 21_000  # of all args on a connection
_LETTERS = "0123456789abcdefghijklmnopqrstuv"


class Client(Struct):
    """What the venue knows of one connection."""

    category: str
    conn_id: str
    characters: int = 0  # of the topics it listens to


class _Bad(Exception):
    """What the refusal says."""


def client(category: str, number: int) -> Client:
    """A new connection; ids look like `d967ikkn0ine3iqmjc30-koqj`."""
    draw = Random(f"bybit/{number}")
    tail = "".join(draw.choices(_LETTERS, k=5))
    return Client(category, "d" + "".join(draw.choices(_LETTERS, k=19)) + "-" + tail)


class Requests:
    """Answers what clients send, and keeps their subscriptions."""

    def __init__(self, hub: Hub, publisher: Publisher) -> None:
        self._hub = hub
        self._publisher = publisher

    def heard(self, link: Link, text: str | bytes) -> None:
        """Push the answer to one message, and what else it brings."""
        state: Client = link.state
        request: dict[str, Any] = {}
        first: list[str] = []
        try:
            request = _read(text)
            said = self._act(link, request, first)
        except _Bad as bad:
            answer = _answer(state, request, str(bad), success=False)
        else:
            answer = _answer(state, request, said, success=True)
        texts = [answer, *first] if state.category == SPOT else [*first, answer]
        for one in texts:
            link.push(frame(TEXT, one.encode()))

    def _act(self, link: Link, request: dict[str, Any], first: list[str]) -> str:
        """Do as asked; the answer's text. `first` receives the frames that a topic begins with."""
        op = request["op"]
        is_spot = link.state.category == SPOT
        match op:
            case "ping":
                return "pong"
            case "subscribe":
                first += self._subscribe(link, _args(request))
            case "unsubscribe":
                self._unsubscribe(link, _args(request))
            case _:
                raise _Bad("error:invalid op")
        return op if is_spot else ""

    def _subscribe(self, link: Link, args: list[str]) -> list[str]:
        state: Client = link.state
        if state.category == SPOT and len(args) > MOST_SPOT_ARGS:
            raise _Bad(f"args size >{MOST_SPOT_ARGS}")
        topics = [self._topic(link, arg) for arg in args]
        characters = state.characters + sum(len(topic.text) for topic in topics)
        if characters > MOST_CHARACTERS:
            raise _Bad(f"error:args length >{MOST_CHARACTERS}")
        state.characters = characters
        first: list[str] = []
        for topic in topics:
            if topic.stream in link.names:
                continue  # twice in one request
            text = self._publisher.open(topic)
            if text is not None and not self._publisher.is_silent(topic):
                first.append(text)
            link.names[topic.stream] = None
            self._hub.listen(link, topic.stream)
        return first

    def _topic(self, link: Link, arg: str) -> Topic:
        category = link.state.category
        topic = self._publisher.find(category, arg)
        if topic is None and category == SPOT:
            raise _Bad(f"Invalid symbol :[{arg}]")
        if topic is None:
            raise _Bad(f"error:handler not found,topic:{arg}")
        if topic.stream in link.names:
            raise _Bad(f"error:already subscribed,topic:{arg}")
        return topic

    def _unsubscribe(self, link: Link, args: list[str]) -> None:
        state: Client = link.state
        for arg in args:
            stream = f"{state.category}/{arg}"
            if stream in link.names:
                del link.names[stream]
                self._hub.leave(link, stream)
                state.characters -= len(arg)


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _Bad("error:request is not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise _Bad("error:invalid op")
    return request


def _args(request: dict[str, Any]) -> list[str]:
    args = request.get("args")
    if not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
        raise _Bad("error:args must be a list of topics")
    return args


def _answer(state: Client, request: dict[str, Any], said: str, *, success: bool) -> str:
    answer = {"success": success, "ret_msg": said, "conn_id": state.conn_id}
    if "req_id" in request:
        answer["req_id"] = str(request["req_id"])
    elif state.category != SPOT:
        answer["req_id"] = ""
    answer["op"] = request.get("op", "")
    return msgspec.json.encode(answer).decode()
