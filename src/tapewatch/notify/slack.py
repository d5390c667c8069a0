"""Slack, by an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/.

Slack takes about one message a second on a webhook and answers 429 with `Retry-After` beyond that.
A refusal is a status and a word in the body: 400 `invalid_payload`, 403 `invalid_token`,
404 `no_service`, 410 `channel_is_archived`.
"""

from typing import Any

import msgspec

from tapewatch.model.channel import ChannelConfig, Notice
from tapewatch.model.events import Alert, AlertState
from tapewatch.model.secret import Secret
from tapewatch.notify import _words
from tapewatch.notify._post import Post, check_url
from tapewatch.ports import Plugin

# What Slack takes at most: blocks in a message, characters in a header and in a section.
_MAX_HEADER, _MAX_SECTION = 150, 3_000
_MARKS = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":information_source:"}  # fmt: skip


class SlackConfig(ChannelConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `notify: slack:`."""

    webhook_url: Secret
    allow_private: bool = False  # an address inside: Mattermost, a proxy of one's own


class Slack:
    def __init__(self, name: str, config: SlackConfig) -> None:
        self.name = name
        url = config.webhook_url.reveal()
        check_url(url, f"notify.{name}.webhook_url")
        self._post = Post(url, allow_private=config.allow_private, timeout_secs=config.send_secs)

    async def send(self, notice: Notice) -> str:
        body = msgspec.json.encode(message(notice))
        said = await self._post.send(body, {"Content-Type": "application/json"})
        return said.text or f"HTTP {said.status}"

    async def probe(self) -> str:
        return await self._post.probe()

    async def close(self) -> None:
        await self._post.close()


def message(notice: Notice) -> dict[str, Any]:
    """Make blocks, and `text` for notifications and screen readers."""
    subject = _words.subject(notice)
    head = {"type": "plain_text", "text": subject[:_MAX_HEADER], "emoji": False}
    blocks: list[dict[str, Any]] = [{"type": "header", "text": head}]
    blocks += [_section(_alert(notice, alert)) for alert in _words.shown(notice)]
    tail = "\n".join([*_words.courses(notice), _words.more(notice)]).strip()
    if tail:
        element = {"type": "mrkdwn", "text": _escaped(tail)[:_MAX_SECTION]}
        blocks.append({"type": "context", "elements": [element]})
    return {"text": _escaped(subject), "blocks": blocks}


def _alert(notice: Notice, alert: Alert) -> str:
    over = alert.state is AlertState.RESOLVED
    mark = ":white_check_mark:" if over else _MARKS.get(alert.severity, "")
    lines = [f"{mark} *{_escaped(_words.headline(alert))}*"]
    lines += [_escaped(line) for line in _words.details(alert)]
    address = _words.link(notice, alert)
    return "\n".join([*lines, f"<{address}|why, with the chart>"] if address else lines)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_MAX_SECTION]}}


def _escaped(text: str) -> str:
    """The three characters by which Slack reads links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


PLUGIN = Plugin(config=SlackConfig, build=Slack)
