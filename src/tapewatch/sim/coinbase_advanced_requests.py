"""What a client says on the Advanced Trade feed: one channel in each message.

The acknowledgement tells all subscriptions of the connection and comes after the first data.
Errors have neither an envelope nor a number, and do not close the connection. An alias
(`BTC-USDC`) is taken for the product whose book it is. Where the documents are silent we chose:
a request with one wrong part is refused whole.
"""

from typing import Any

import msgspec

from tapewatch.sim import coinbase_advanced_frames as frames
from tapewatch.sim.coinbase_advanced_streams import HEARTBEATS, STATUS, Publisher, stream_of
from tapewatch.sim.link import Hub, Link
from tapewatch.sim.messages import TEXT, frame

_CHANNELS = {
    HEARTBEATS, STATUS, "candles", "ticker", "ticker_batch", "level2", "market_trades",
}  # fmt: skip
_WITH_KEY = {"user", "futures_balance_summary"}


class _Bad(Exception):
    pass


class Requests:
    """Answers what clients send, and keeps their subscriptions in `Link.names`."""

    def __init__(self, hub: Hub, publisher: Publisher, products: dict[str, str]) -> None:
        self._hub = hub
        self._publisher = publisher
        self._products = products  # every name that is known: the product it means

    def heard(self, link: Link, text: str | bytes) -> None:
        """Do as the client says, or say why not."""
        try:
            request = _read(text)
            asked = self._asked(request)
            if request["type"] == "subscribe":
                self._subscribe(link, asked)
            else:
                self._unsubscribe(link, asked, request["channel"])
        except _Bad as bad:
            error = msgspec.json.encode({"type": "error", "message": str(bad)})
            link.push(frame(TEXT, error))

    def _subscribe(self, link: Link, asked: list[tuple[str, str]]) -> None:
        for channel, symbol in asked:
            stream = stream_of(channel, symbol)
            if stream in link.names:
                continue
            link.names[stream] = None
            self._hub.listen(link, stream)
            for event in self._publisher.first(channel, symbol):
                self._publisher.tell(link, channel, event)
        self._acknowledge(link)

    def _unsubscribe(self, link: Link, asked: list[tuple[str, str]], channel: str) -> None:
        """Without products the whole channel goes."""
        streams = [stream_of(*pair) for pair in asked] or [
            name for name in link.names if name.partition("|")[0] == channel
        ]
        for stream in streams:
            link.names.pop(stream, None)
            self._hub.leave(link, stream)
        self._acknowledge(link)

    def _acknowledge(self, link: Link) -> None:
        channels: dict[str, list[str]] = {}
        for stream in link.names:
            channel, _, symbol = stream.partition("|")
            channels.setdefault(channel, []).append(symbol or channel)
        self._publisher.tell(link, "subscriptions", frames.subscriptions(channels))

    def _asked(self, request: dict[str, Any]) -> list[tuple[str, str]]:
        channel = request.get("channel", "")
        if not isinstance(channel, str):
            raise _Bad("channel must be a text")
        if channel in _WITH_KEY:
            raise _Bad("authentication failure")
        if channel not in _CHANNELS:
            raise _Bad(f"channel {channel} is not valid" if channel else "channel is missing")
        if channel in {HEARTBEATS, STATUS}:
            return [(channel, "")]
        products = request.get("product_ids", [])
        if not isinstance(products, list):
            raise _Bad("product_ids must be a list")
        if not products and request["type"] == "subscribe":
            raise _Bad("product_ids are missing")
        for product in products:
            if not isinstance(product, str) or product not in self._products:
                raise _Bad(f"{product} is not a valid product")
        return [(channel, self._products[product]) for product in products]


def _read(text: str | bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise _Bad("malformed JSON") from None
    known = ("subscribe", "unsubscribe")
    if not isinstance(request, dict) or str(request.get("type")) not in known:
        raise _Bad("type must be subscribe or unsubscribe")
    return request
