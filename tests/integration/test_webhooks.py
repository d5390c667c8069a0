"""Slack and webhooks against real HTTP servers: refusals, redirects, and addresses inside."""

import asyncio
import hashlib
import hmac
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapewatch.model.errors import ConfigError, Rejected, Unavailable
from tapewatch.model.secret import Secret
from tapewatch.notify._post import Post
from tapewatch.notify.slack import Slack, SlackConfig
from tapewatch.notify.webhook import Webhook, WebhookConfig
from tests.notices import ETH, START, alert, course, notice

KEY = "T00000/B00000/geheim4711"


class Site:
    """Answers as the test says, and keeps what it got."""

    def __init__(self):
        self.got = []
        self.answers = []

    async def handle(self, request):
        self.got.append((request, await request.read()))
        status, headers, text = self.answers.pop(0) if self.answers else (200, {}, "ok")
        if status == 0:
            await asyncio.Event().wait()
        return web.Response(status=status, headers=headers, text=text)

    async def __aenter__(self):
        application = web.Application()
        application.router.add_route("*", "/{rest:.*}", self.handle)
        self.server = TestServer(application)
        await self.server.start_server()
        self.url = str(self.server.make_url(f"/services/{KEY}"))
        return self

    async def __aexit__(self, *_):
        await self.server.close()


def slack(site, **more):
    fields = {"webhook_url": Secret(site.url), "allow_private": True} | more
    return Slack("slack", SlackConfig(**fields))


def webhook(site, **more):
    fields = {"url": Secret(site.url), "allow_private": True} | more
    return Webhook("hook", WebhookConfig(**fields), lambda: START)


async def sent(channel, told):
    try:
        return await channel.send(told)
    finally:
        await channel.close()


async def test_slack_gets_blocks_that_it_takes():
    alerts = [alert(inst=f"okx:A{n}/USDT", text="up <5> & more") for n in range(60)]
    async with Site() as site:
        said = await sent(slack(site), notice(*alerts, courses=(course(),)))
    assert said == "ok"
    ((_, body),) = site.got
    message = json.loads(body)
    assert message["text"] == "60 symbols: surge"
    assert len(message["blocks"]) <= 50
    assert message["blocks"][0]["type"] == "header"
    assert "up &lt;5&gt; &amp; more" in message["blocks"][1]["text"]["text"]
    assert "and 40 more" in message["blocks"][-1]["elements"][0]["text"]


async def test_slack_says_when_to_come_again():
    async with Site() as site:
        site.answers = [(429, {"Retry-After": "17"}, "rate_limited")]
        with pytest.raises(Unavailable, match="rate_limited") as caught:
            await sent(slack(site), notice())
    assert caught.value.retry_after == 17


@pytest.mark.parametrize(
    ("status", "reaction"),
    [(500, Unavailable), (503, Unavailable), (408, Unavailable), (400, Rejected),
     (403, Rejected), (404, Rejected), (410, Rejected)],
)  # fmt: skip
async def test_a_refusal_is_for_good_or_for_now(status, reaction):
    async with Site() as site:
        site.answers = [(status, {}, "no_service")]
        with pytest.raises(reaction, match=str(status)):
            await sent(slack(site), notice())


async def test_a_webhook_is_signed_with_its_time_and_says_who_it_is():
    async with Site() as site:
        said = await sent(webhook(site, secret=Secret("s3cret")), notice(alert(), alert(inst=ETH)))
    assert said == "HTTP 200"
    ((request, body),) = site.got
    stamp = request.headers["X-Tapewatch-Timestamp"]
    expected = hmac.new(b"s3cret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert request.headers["X-Tapewatch-Signature"] == f"v1={expected}"
    assert request.headers["X-Tapewatch-Id"] == "mail-1"
    told = json.loads(body)
    assert [each["state"] for each in told["alerts"]] == ["firing", "firing"]
    assert told["title"] == "2 symbols: surge"


async def test_the_address_with_its_key_is_in_no_error_even_if_the_server_says_it_back():
    async with Site() as site:
        site.answers = [(404, {}, f"Cannot POST /services/{KEY}"), (404, {}, "no geheim4711 here")]
        for _ in range(2):
            with pytest.raises(Rejected) as caught:
                await sent(webhook(site), notice())
            assert "geheim" not in str(caught.value)
            assert caught.value.__cause__ is None


async def test_a_redirect_is_not_followed():
    async with Site() as inside, Site() as site:
        site.answers = [(307, {"Location": inside.url}, "")]
        with pytest.raises(Rejected, match="redirects are not followed"):
            await sent(webhook(site), notice())
    assert not inside.got


async def test_a_server_that_says_nothing_is_given_up_in_time():
    async with Site() as site:
        site.answers = [(0, {}, "")]
        with pytest.raises(Unavailable, match="in time"):
            await sent(webhook(site, send_secs=0.2), notice())


async def test_nobody_there_is_unavailable_and_the_error_holds_no_address():
    async with Site() as site:
        pass
    with pytest.raises(Unavailable) as caught:
        await sent(webhook(site), notice())
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "127.1", "0x7f.0.0.1", "2130706433", "017700000001",
     "[::ffff:127.0.0.1]", "[::127.0.0.1]", "127。0。0。1", "①②⑦.⓪.⓪.①"],
)  # fmt: skip
async def test_an_address_inside_is_refused_however_it_is_written(host):
    async with Site() as site:
        url = f"http://{host}:{site.server.port}/x"
        post = Post(url, allow_private=False, timeout_secs=5.0)
        # Not every system's resolver reads the odd spellings.
        with pytest.raises((Rejected, Unavailable), match=r"points inside|no address|reached"):
            await post.send(b"{}", {})
        await post.close()
    assert not site.got


async def test_a_name_is_looked_up_once_and_the_connection_goes_where_it_was_judged(monkeypatch):
    """A name whose second answer points elsewhere gains nothing."""
    answers = [[{"host": "10.1.2.3"}], [{"host": "127.0.0.1"}]]
    asked = []

    async def resolve(self, host, port=0, family=0):
        asked.append(host)
        return answers.pop(0)

    monkeypatch.setattr("aiohttp.ThreadedResolver.resolve", resolve)
    async with Site() as site:
        url = f"http://rebound.example:{site.server.port}/"
        post = Post(url, allow_private=False, timeout_secs=5.0)
        with pytest.raises(Rejected, match="points inside"):
            await post.send(b"{}", {})
        await post.close()
    assert asked == ["rebound.example"]
    assert not site.got


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "hooks.slack.com/x", "https://?geheim", "", "http://a:0/"]
)
def test_what_is_no_address_is_told_without_it(url):
    with pytest.raises(
        ConfigError, match=r"notify.slack.webhook_url: must be an address"
    ) as caught:
        Slack("slack", SlackConfig(webhook_url=Secret(url)))
    assert not url or url not in str(caught.value)
