"""A webhook of one's own: JSON with a signature.

    POST ...                         {"version": 1, "id": "desk-17", "title": ..., "alerts": [...]}
    X-Tapewatch-Id: desk-17          the same at each attempt: who knows it already may say 200
    X-Tapewatch-Timestamp: 1795224600
    X-Tapewatch-Signature: v1=HEX    HMAC-SHA256 of "TIMESTAMP.BODY" with `secret`

Any 2xx is yes. 408, 425, 429 and 5xx are asked again (`Retry-After` is heeded), all else is no.
"""

import hashlib
import hmac
import time
from typing import Any

import msgspec

from tapewatch.model.channel import ChannelConfig, Notice
from tapewatch.model.secret import Secret
from tapewatch.model.times import SECOND
from tapewatch.notify import _words
from tapewatch.notify._post import Post, check_url
from tapewatch.ports import Clock, Plugin

VERSION = 1


class WebhookConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `notify: NAME:` with `type: webhook`."""

    url: Secret
    secret: Secret | None = None  # without it nothing is signed
    allow_private: bool = False  # an address inside: loopback, 10.0.0.0/8, ...


class Webhook:
    def __init__(self, name: str, config: WebhookConfig, clock: Clock | None = None) -> None:
        self.name = name
        url = config.url.reveal()
        check_url(url, f"notify.{name}.url")
        self._secret = config.secret
        self._clock = clock
        self._post = Post(url, allow_private=config.allow_private, timeout_secs=config.send_secs)

    async def send(self, notice: Notice) -> str:
        body = msgspec.json.encode(payload(notice))
        stamp = self._clock() // SECOND if self._clock else int(time.time())
        headers = {
            "Content-Type": "application/json",
            "X-Tapewatch-Id": notice.id,
            "X-Tapewatch-Timestamp": str(stamp),
        }
        if self._secret:
            headers["X-Tapewatch-Signature"] = sign(self._secret, stamp, body)
        said = await self._post.send(body, headers)
        return f"HTTP {said.status}"

    async def probe(self) -> str:
        return await self._post.probe()

    async def close(self) -> None:
        await self._post.close()


def payload(notice: Notice) -> dict[str, Any]:
    """The alerts are as `/alerts` and the WebSocket have them."""
    alerts = [
        {**msgspec.to_builtins(alert), "link": _words.link(notice, alert)}
        for alert in notice.alerts
    ]
    return {
        "version": VERSION,
        "id": notice.id,
        "channel": notice.channel,
        "at": notice.at,
        "title": _words.subject(notice),
        "rule": notice.rule,
        "repeated": notice.repeated,
        "alerts": alerts,
        "courses": msgspec.to_builtins(notice.courses),
    }


def sign(secret: Secret, stamp: int, body: bytes) -> str:
    """Sign the time too, so that an old request cannot be sent again for ever."""
    text = f"{stamp}.".encode() + body
    return f"v1={hmac.new(secret.reveal().encode(), text, hashlib.sha256).hexdigest()}"


PLUGIN = Plugin(config=WebhookConfig, build=Webhook)
