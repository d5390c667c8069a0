"""What every channel promises. A new one joins by a line in CHANNELS; each talks to a real server."""

import warnings
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import AlertState
from tapewatch.model.secret import Secret
from tapewatch.notify.apprise import Apprise, AppriseConfig
from tapewatch.notify.email import Email, EmailConfig
from tapewatch.notify.slack import Slack, SlackConfig
from tapewatch.notify.webhook import Webhook, WebhookConfig
from tapewatch.runtime import plugins
from tests.integration.mail import PASSWORD, USER, MailServer
from tests.notices import ETH, alert, course, notice

KEY = "geheim4711"


class Far:
    """The other side: what came, and whether it takes anything now."""

    def __init__(self):
        self.texts = []
        self.is_open = True

    async def handle(self, request):
        if not self.is_open:
            return web.Response(status=503, text=f"not now, {KEY}")
        self.texts.append(await request.text())
        return web.Response()


@asynccontextmanager
async def site(make):
    far, application = Far(), web.Application()
    application.router.add_post(f"/{KEY}", far.handle)
    async with TestServer(application) as server:
        yield make(server), far


def slack(server):
    url = Secret(str(server.make_url(f"/{KEY}")))
    return Slack("mine", SlackConfig(webhook_url=url, allow_private=True))


def webhook(server):
    url = Secret(str(server.make_url(f"/{KEY}")))
    return Webhook("mine", WebhookConfig(url=url, allow_private=True, secret=Secret(KEY)))


def apprise(server):
    url = f"json://user:{KEY}@{server.host}:{server.port}/{KEY}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own services, when it looks for them
        return Apprise("mine", AppriseConfig(urls=(Secret(url),)))


@asynccontextmanager
async def email(folder):
    async with MailServer(folder, auth=True) as server:
        far = Far()

        class Mails(list):
            def __iter__(self):
                for _, mail in server.postman.mails:
                    yield mail.get_body(("plain",)).get_content()

        far.texts = Mails()
        config = EmailConfig(
            smtp_host="localhost", smtp_port=server.port, security="starttls", username=USER,
            password=Secret(PASSWORD), from_addr="a@b.example", to_addrs=("c@d.example",),
            ca_file=server.ca_file,
        )  # fmt: skip
        channel = Email("mine", config)
        plain = server.postman.handle_DATA

        async def handle(*call):
            return await plain(*call) if far.is_open else f"451 not now, {KEY}"

        server.postman.handle_DATA = handle
        yield channel, far


CHANNELS = {
    "email": email,
    "slack": lambda _: site(slack),
    "webhook": lambda _: site(webhook),
    "apprise": lambda _: site(apprise),
}


@pytest.fixture(params=CHANNELS)
async def pair(request, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # requests keeps its connections
        async with CHANNELS[request.param](tmp_path) as (channel, far):
            yield channel, far
            await channel.close()


def test_every_channel_is_held_to_this():
    assert set(CHANNELS) == set(plugins.names("notify"))


async def test_a_notice_comes_with_what_matters(pair):
    channel, far = pair
    said = await channel.send(
        notice(alert(), alert(inst=ETH, severity="info"), courses=(course(),))
    )
    (text,) = far.texts
    for words in ("BTC/USDT", "ETH/USDT", "5.2 times the usual volume", "trade 4711 sell 3.2"):
        assert words in text
    assert said
    assert KEY not in said


async def test_an_end_is_told_too_and_the_same_notice_may_come_twice(pair):
    channel, far = pair
    over = notice(alert(AlertState.RESOLVED, value_now=0.625))
    await channel.send(over)
    await channel.send(over)
    assert len(list(far.texts)) == 2
    said = next(iter(far.texts))
    assert "resolved" in said.lower()
    for word in ("5.2", "trade 4711", "0.625"):  # then, on what it rested, and now
        assert word in said


async def test_who_does_not_take_it_now_is_unavailable_and_no_secret_is_told(pair):
    channel, far = pair
    far.is_open = False
    with pytest.raises(Unavailable) as caught:
        await channel.send(notice())
    assert PASSWORD not in caught.value.reason
    if channel.__class__ is not Email:  # there it is the server's own word, no secret of ours
        assert KEY not in caught.value.reason
    far.is_open = True
    assert await channel.send(notice())


async def test_a_thousand_alerts_are_one_message_that_is_not_too_long(pair):
    channel, far = pair
    many = (alert(inst=f"okx:A{n}/USDT", number=n, text="€" * 200) for n in range(1_000))
    await channel.send(notice(*many))
    assert len(list(far.texts)) == 1
