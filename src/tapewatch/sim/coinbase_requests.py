"""What a client says on the Exchange feed: subscribe, unsubscribe, and the errors.

There are no request ids; the answer is always the complete list of the connection. A request with
one wrong part is refused whole. Where the documents are silent we chose: `last_match` comes before
the answer, a snapshot, a ticker and the status after it; what is subscribed already sends nothing
anew; unknown products in an unsubscribe are passed over.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from tapewatch.sim.coinbase_streams import STATUS, Publisher, stream_of
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.messages import TEXT, frame

_CHANNELS = {
    "heartbeat", STATUS, "ticker", "ticker_batch", "matches", "level2_batch", "auctionfeed",
    "rfq_matches",
}  # fmt: skip
_OLD_NAMES = {"level2_50": "level2_batch", "ticker_1000": "ticker_batch"}
_WITH_KEY = {"level2", "level3", "full", "user"}
_AUTHENTICATE = (
    "level2, level3, and full channels now require authentication. "
    "https://docs.cdp.coinbase.com/exchange/docs/websocket-auth"
)


class _Bad(Exception):
    def __init__(self, reason: str, text: str = "Failed to subscribe") -> None:
        super().__init__(reason)
        self.text = text


class Requests:
    """Answers what clients send, and keeps their subscriptions in `Link.names`."""

    def __init__(self, hub: Hub, publisher: Publisher, products: frozenset[str]) -> None:
        self._hub = hub
        self._publisher = publisher
        self._products = products

    def heard(self, link: Link, text: str | bytes) -> None:
        """Do as the client says, or say why not."""
        try:
            request = _read(text)
            if request["type"] == "subscribe":
                self._subscribe(link, list(self._asked(request)))
            else:
                self._unsubscribe(link, request)
        except _Bad as bad:
            error = {"type": "error", "message": bad.text}
            if str(bad):
                error["reason"] = str(bad)
            _push(link, error)

    def _subscribe(self, link: Link, asked: list[tuple[str, str]]) -> None:
        if not asked:
            raise _Bad("no channels were provided")
        fresh = [pair for pair in dict.fromkeys(asked) if stream_of(*pair) not in link.names]
        before = [pair for pair in fresh if pair[0] == "matches"]
        self._begin(link, before)
        for channel, symbol in fresh:
            stream = stream_of(channel, symbol)
            link.names[stream] = None
            self._hub.listen(link, stream)
        _push(link, _subscriptions(link))
        self._begin(link, [pair for pair in fresh if pair not in before])

    def _begin(self, link: Link, pairs: list[tuple[str, str]]) -> None:
        for channel, symbol in pairs:
            text = self._publisher.first(channel, symbol)
            if text is not None:
                link.push(frame(TEXT, text.encode()))

    def _unsubscribe(self, link: Link, request: dict[str, Any]) -> None:
        """Without products the whole channel goes."""
        everywhere = _texts(request.get("product_ids", []), "product_ids")
        for channel, own in _channels(request):
            products = everywhere if own is None else own
            for stream in list(link.names):
                kind, _, symbol = stream.partition("|")
                if kind == channel and (not products or symbol in products):
                    del link.names[stream]
                    self._hub.leave(link, stream)
        _push(link, _subscriptions(link))

    def _asked(self, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Channel and product, one by one; the first wrong one is told."""
        everywhere = _texts(request.get("product_ids", []), "product_ids")
        for channel, own in _channels(request):
            products = everywhere if own is None else own
            if channel in _WITH_KEY:
                raise _Bad(_AUTHENTICATE)
            if channel not in _CHANNELS:
                raise _Bad(f"{channel} is not a valid channel")
            if channel == STATUS:
                yield STATUS, ""
                continue
            if not products:
                raise _Bad(f"{channel} needs product_ids")
            for product in products:
                if product not in self._products:
                    raise _Bad(f"{product} is not a valid product")
                yield channel, product


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _Bad("", "Malformed JSON") from None
    if not isinstance(request, dict):
        raise _Bad("the message is not an object", "Invalid message")
    if str(request.get("type")) not in {"subscribe", "unsubscribe"}:
        raise _Bad(f"{request.get('type')} is not a valid type", "Invalid message")
    return request


def _channels(request: dict[str, Any]) -> Iterator[tuple[str, list[str] | None]]:
    """Each channel, under today's name, with products of its own if it has any."""
    channels = request.get("channels", [])
    if not isinstance(channels, list):
        raise _Bad("channels must be a list")
    for channel in channels:
        name, own = channel, None
        if isinstance(channel, dict):
            name = channel.get("name")
            if "product_ids" in channel:
                own = _texts(channel["product_ids"], "product_ids")
        if not isinstance(name, str):
            raise _Bad("a channel must be a name or an object with a name")
        yield _OLD_NAMES.get(name, name), own


def _texts(found: Any, name: str) -> list[str]:
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise _Bad(f"{name} must be a list of texts")
    return found


def _subscriptions(link: Link) -> dict[str, Any]:
    """All of the connection, channel by channel."""
    channels: dict[str, list[str]] = {}
    for stream in link.names:
        channel, _, symbol = stream.partition("|")
        channels.setdefault(channel, []).extend([symbol] if symbol else [])
    rows = [
        {"name": name, "product_ids": symbols, "account_ids": None}
        for name, symbols in channels.items()
    ]
    return {"type": "subscriptions", "channels": rows}


def _push(link: Link, answer: dict[str, Any]) -> None:
    link.push(frame(TEXT, msgspec.json.encode(answer)))
