"""The whole product tells people: an alert on the bus, real channels, the API, the command line."""

import asyncio
import json
import subprocess
import sys

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapewatch.cli import _alert_channels, _alert_log, _alert_silence
from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.model.events import Micros
from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.wiring import App
from tests.integration.mail import PASSWORD, USER, MailServer
from tests.notices import BTC, ETH, alert


class Hook:
    def __init__(self):
        self.got = []
        self.answers = []

    async def handle(self, request):
        self.got.append(await request.json())
        return web.Response(status=self.answers.pop(0) if self.answers else 200)

    async def news(self, _request):
        return web.Response(text="<rss><channel></channel></rss>")


class Product:
    """A product whose only source is an empty feed of news, and the world that it tells."""

    def __init__(self, folder):
        self.folder = folder
        self.hook = Hook()

    async def __aenter__(self):
        application = web.Application()
        application.router.add_post("/hook-geheim4711", self.hook.handle)
        application.router.add_get("/feed", self.hook.news)
        self.server = TestServer(application)
        await self.server.start_server()
        self.mail = await MailServer(self.folder, auth=True).__aenter__()
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_):
        await self.session.close()
        await self.mail.__aexit__()
        await self.server.close()

    def settings(self, **notify):
        url = str(self.server.make_url("/"))
        return {
            "exchanges": {"binance": {"enabled": False}},
            "storage": {"data_dir": str(self.folder / "data"), "batch_max_age_secs": 0.01},
            "news": {"enabled": True, "sources": [f"press={url}feed"]},
            "server": {"port": 0},
            "notify": {
                "group_wait_secs": 0, "group_interval_secs": 0,
                "desk": {"type": "webhook", "url": f"{url}hook-geheim4711", "allow_private": True},
                "ops": {
                    "type": "email", "smtp_host": "localhost", "smtp_port": self.mail.port,
                    "security": "starttls", "ca_file": self.mail.ca_file, "username": USER,
                    "password": PASSWORD, "from_addr": "w@example.com", "to_addrs": ["a@b.example"],
                },
            } | notify,
        }  # fmt: skip

    def write(self, **notify):
        file = self.folder / "tapewatch.yaml"
        file.write_text(json.dumps(self.settings(**notify)))
        return file

    async def start(self, **notify):
        loaded = launch.load(self.write(**notify), environ={}, folder=self.folder)
        plan = launch.plan_of(loaded)
        plan.data_dir.mkdir(exist_ok=True)
        self.app, self.stop = App(plan, wall_clock), asyncio.Event()
        await self.app.start()
        self.running = asyncio.create_task(self.app.run(self.stop))

    async def end(self):
        self.stop.set()
        assert await self.running == 0

    async def fire(self, inst=BTC, **more):
        now = wall_clock()
        fired = alert(inst=inst, number=now, ts=now, since=now, **more)
        await self.app.bus.publish([fired])
        return fired

    async def ask(self, path, method="GET", **query):
        url = f"{self.app.server.url}{path}"
        async with self.session.request(method, url, params=query) as answer:
            return answer.status, await answer.json(content_type=None)

    async def until(self, holds):
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - servers and threads do what is waited for
                await asyncio.sleep(0.005)


async def test_an_alert_reaches_its_channels_and_the_log_tells_the_story(tmp_path, capsys):
    async with Product(tmp_path) as product:
        await product.start()
        product.hook.answers = [503]
        fired = await product.fire()
        await product.until(lambda: product.mail.postman.mails)
        _, now = await product.ask("/alerts")
        assert [each["id"] for each in now["alerts"]] == [fired.id]
        await product.until(lambda: len(product.hook.got) == 2)  # 503, and again
        status = product.app.alerting.channels
        await product.until(lambda: all(each.sent == 1 for each in status()))
        _, why = await product.ask(f"/alerts/why/{fired.id}")
        assert [each["status"] for each in why["told"]] == ["sent", "sent"]
        assert [each["ok"] for each in why["told"][0]["attempts"]] == [False, True]
        _, history = await product.ask("/alerts/history")
        assert {line["channel"] for line in history["lines"]} == {"desk", "ops"}
        await product.end()

        assert product.hook.got[0]["id"] == product.hook.got[1]["id"]
        data = tmp_path / "data"
        assert _alert_log.why("surge", data_dir=data) == 0
        assert _alert_log.list_alerts(listing=_alert_log.Listing(data_dir=data)) == 0
        assert _alert_log.history(listing=_alert_log.Listing(data_dir=data)) == 0
        out = capsys.readouterr().out
        assert "it reached desk, ops" in out
        assert "attempt 1 failed" in out
        assert "geheim4711" not in out


async def test_nothing_is_told_twice_after_a_restart_and_an_end_that_nobody_saw_is_told(tmp_path):
    async with Product(tmp_path) as product:
        await product.start()
        await product.fire()
        await product.until(lambda: product.mail.postman.mails and product.hook.got)
        await product.end()
        await product.start()
        await product.until(lambda: len(product.mail.postman.mails) == 2)
        await product.until(lambda: len(product.hook.got) == 2)
        await product.end()
        subjects = [mail["Subject"] for _, mail in product.mail.postman.mails]
        # No rule of these settings fires in the rules' memory: so it is over.
        assert subjects == ["BTC/USDT: surge", "resolved: BTC/USDT: surge"]
        assert [each["alerts"][0]["state"] for each in product.hook.got] == ["firing", "resolved"]


async def test_silences_are_made_listed_and_ended_by_the_api_and_the_command_line(tmp_path, capsys):
    async with Product(tmp_path) as product:
        await product.start()
        url = product.app.server.url
        status, made = await product.ask(
            "/alerts/silences", "POST", match="rule=surge,venue=binance", comment="planned work"
        )
        assert (status, made["id"], made["matchers"]) == (
            200,
            "s1",
            ["rule=surge", "venue=binance"],
        )
        fired = await product.fire()
        await product.fire(inst=ETH)
        await product.until(lambda: len(product.hook.got) == 1)
        assert product.hook.got[0]["alerts"][0]["inst"] == ETH
        _, now = await product.ask("/alerts")
        held = {each["id"]: each["held"] for each in now["alerts"]}
        assert held[fired.id]["desk"] == "silenced by s1: planned work"
        assert await asyncio.to_thread(_alert_silence.ls, url=url) == 0
        assert "s1   rule=surge,venue=binance" in capsys.readouterr().out
        assert await asyncio.to_thread(_alert_silence.drop, "s1", url=url) == 0
        await product.until(lambda: len(product.hook.got) == 2)
        add, why = _alert_silence.add, "night"
        assert await asyncio.to_thread(add, "severity=info", comment=why, for_="2h", url=url) == 0
        with pytest.raises(NotFound):
            await asyncio.to_thread(_alert_silence.drop, "s9", url=url)
        with pytest.raises(ConfigError, match="is no matcher"):
            await asyncio.to_thread(add, "severity", comment=why, url=url)
        await product.end()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"comment": "x"}, "?match"),
        ({"match": "rule=x"}, "?comment"),
        ({"match": "rule=x", "comment": "y", "for": "5 parsecs"}, "?for"),
        ({"match": "rule=x", "comment": "y", "start": "-2h"}, "?for"),
        ({"match": "rule=x", "comment": "y", "for": "99999w"}, "?for"),
    ],
)
async def test_a_silence_that_makes_no_sense_is_refused(tmp_path, query, pointer):
    async with Product(tmp_path) as product:
        await product.start()
        status, problem = await product.ask("/alerts/silences", "POST", **query)
        assert status == 400
        assert problem["errors"][0]["pointer"] == pointer
        await product.end()


async def test_an_unknown_alert_names_the_newest(tmp_path):
    async with Product(tmp_path) as product:
        await product.start()
        fired = await product.fire()
        await product.until(lambda: product.hook.got)
        status, problem = await product.ask("/alerts/why/nobody")
        assert status == 404
        assert problem["suggestions"] == [fired.id]
        await product.end()


async def test_a_channel_that_is_dead_delays_no_other_and_no_end_of_the_product(tmp_path):
    dead = {"type": "webhook", "url": "http://127.0.0.1:9/x", "allow_private": True}
    async with Product(tmp_path) as product:
        await product.start(dead=dead)
        for count in (1, 2, 3):
            await product.fire()
            await product.until(lambda count=count: len(product.hook.got) == count)
        status = product.app.alerting.channels
        await product.until(lambda: any(each.waiting == 3 and each.error for each in status()))
        _, found = await product.ask("/alerts/channels")
        by_name = {each["name"]: each for each in found["channels"]}
        assert by_name["dead"]["waiting"] == 3
        assert "cannot be reached" in by_name["dead"]["error"]
        _, health = await product.ask("/health")
        assert any("3 notices wait for dead" in each for each in health["problems"])
        await product.end()


async def test_no_secret_is_in_the_settings_that_are_shown_nor_in_a_log_line(tmp_path, caplog):
    async with Product(tmp_path) as product:
        await product.start(bad={"type": "slack", "webhook_url": "http://127.0.0.1:9/geheim-0815"})
        product.hook.answers = [500]
        await product.fire()
        await product.until(lambda: len(product.hook.got) == 2)
        _, config = await product.ask("/config")
        await product.end()
        text = json.dumps(config) + caplog.text
        text += "".join(str(getattr(record, "fields", "")) for record in caplog.records)
        for secret in ("geheim4711", "geheim-0815", PASSWORD):
            assert secret not in text


async def test_a_test_notice_is_sent_by_the_command_line(tmp_path, capsys):
    async with Product(tmp_path) as product:
        file = product.write()
        send = _alert_channels.send_test
        assert await asyncio.to_thread(send, "ops", config=file) == 0
        assert await asyncio.to_thread(send, "desk", config=file) == 0
        assert (
            "this is a test" in product.mail.postman.mails[0][1].get_body(("plain",)).get_content()
        )
        assert "desk took it: HTTP 200" in capsys.readouterr().out
        with pytest.raises(NotFound):
            await asyncio.to_thread(send, "dsk", config=file)


async def test_the_doctor_asks_each_channel_and_sends_nothing(tmp_path, capsys):
    async with Product(tmp_path) as product:
        down = {"type": "webhook", "url": "http://127.0.0.1:9/geheim-0815", "allow_private": True}
        inside = {"type": "slack", "webhook_url": "http://localhost:9/geheim-0815"}
        file = product.write(down=down, inside=inside)
        code = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tapewatch.cli.main", "doctor", "-c", file, "--only", "channels"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert code.returncode == 1, code.stderr
        words = code.stdout
        assert "✓ channel ops" in words
        assert "localhost:" in words
        assert "logged in (starttls)" in words
        assert "✗ channel down" in words
        assert "localhost points inside" in words
        assert "geheim" not in words + code.stderr
        assert not product.hook.got
        assert not product.mail.postman.mails


async def test_a_notice_is_on_its_way_at_once(tmp_path):
    """From the event to the hand-over nothing waits for a clock; figures are in the docs."""
    async with Product(tmp_path) as product:
        await product.start()
        fired = await product.fire()
        await product.until(lambda: product.hook.got)
        await product.end()
        notice_at = Micros(product.hook.got[0]["at"])
        assert notice_at >= fired.ts
        assert msgspec.convert(product.hook.got[0]["alerts"][0]["since"], int) == fired.since
