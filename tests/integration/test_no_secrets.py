"""Wherever the product speaks, it says no secret: it runs as a child with all it says at DEBUG.

Every place where settings may hold a secret has one of its own. Deliveries succeed, are refused and
never arrive, and the servers at the other end say back what they were told, as some do.
"""

import asyncio
import base64
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapewatch.sim.world import open_world
from tests.integration.mail import PASSWORD, USER, MailServer
from tests.integration.sim_bench import START

TAPEWATCH = Path(sys.executable).with_name("tapewatch")
DEADLINE = 120.0
PLACES = (
    "smtp", "slack", "hook", "hookkey", "sign", "apprise", "appriseuser", "feed", "feeduser",
    "wsuser", "wspath", "wsquery", "restuser", "redis", "proxy", "away",
)  # fmt: skip
SECRETS = {name: f"s3kr3t{number}x{name}" for number, name in enumerate(PLACES)}
SECRETS["mail"] = PASSWORD
CHANNELS = {"mail", "wrong", "slack", "hook", "away", "apprise"}


class Far:
    """Takes, refuses or is broken, and says back all that it heard."""

    def __init__(self):
        self.heard = set()

    async def handle(self, request):
        self.heard.add(request.path.split("/")[1])
        heard = f"{request.url} {request.headers} {request.path_qs}"
        if request.path.startswith("/slack"):
            return web.Response(status=403, text=heard)
        if request.path.startswith("/away"):
            return web.Response(status=500, text=heard)
        return web.Response(text=heard)

    async def feed(self, request):
        return web.Response(status=403, text=f"no feed for {request.url}")


def settings(folder, port, mail, binance, futures):
    s = SECRETS
    far = f"127.0.0.1:{port}"
    email = {
        "type": "email", "smtp_host": "localhost", "smtp_port": mail.port, "security": "starttls",
        "ca_file": mail.ca_file, "username": USER, "password": PASSWORD,
        "from_addr": "w@example.com", "to_addrs": ["a@b.example"],
    }  # fmt: skip
    inside = {"allow_private": True, "type": "webhook"}
    quick = {"symbols": ["BTCUSDT"], "streams": ["bookTicker", "aggTrade"]}
    ws, rest = binance
    return {
        "exchanges": {
            "binance": quick
            | {
                "ws_url": ws.replace("://", f"://u:{s['wsuser']}@"),
                "rest_url": rest.replace("://", f"://u:{s['restuser']}@"),
            },
            "binance_futures": quick
            | {
                "ws_url": f"ws://127.0.0.1:1/{s['wspath']}?token={s['wsquery']}",
                "rest_url": futures[1],
            },
        },
        "storage": {
            "data_dir": str(folder / "data"), "batch_max_age_secs": 0.05,
            "redis_url": f"redis://:{s['redis']}@localhost/0",
        },
        "news": {
            "enabled": True, "poll_day_secs": 5, "poll_night_secs": 5,
            "sources": [f"press=http://u:{s['feeduser']}@{far}/feed?auth_token={s['feed']}"],
        },
        "server": {"port": 0},
        "alerts": {"rules": [{"name": "any", "when": "spread_bps > -1"}]},
        "notify": {
            "group_wait_secs": 0, "group_interval_secs": 0,
            "mail": email,
            "wrong": email | {"password": s["smtp"]},
            "slack": {"webhook_url": f"http://{far}/slack/{s['slack']}", "allow_private": True},
            "hook": inside
            | {"url": f"http://{far}/hook/{s['hook']}?key={s['hookkey']}", "secret": s["sign"]},
            "away": inside | {"url": f"http://{far}/away/{s['away']}"},
            "apprise": {"urls": [f"json://u:{s['appriseuser']}@{far}/apprise/{s['apprise']}"]},
        },
    }  # fmt: skip


@asynccontextmanager
async def product(folder, form):
    """The product, its ends of the world, and a way to run commands beside it."""
    far = Far()
    application = web.Application()
    application.router.add_get("/feed", far.feed)
    application.router.add_route("*", "/{way:.*}", far.handle)
    world = open_world(("binance", "binance_futures"), start=START, symbols=1, rate=2.0)
    async with MailServer(folder, auth=True) as mail, world, TestServer(application) as server:
        written = settings(
            folder, server.port, mail, world.addresses["binance"],
            world.addresses["binance_futures"],
        )  # fmt: skip
        (folder / "tapewatch.yaml").write_text(json.dumps(written))
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWATCH")}
        proxy = f"http://u:{SECRETS['proxy']}@127.0.0.1:1"
        clean |= {
            "HTTP_PROXY": proxy,
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1" if form == "json" else "",
        }

        async def run(*arguments, out=asyncio.subprocess.PIPE, err=asyncio.subprocess.PIPE):
            return await asyncio.create_subprocess_exec(
                TAPEWATCH, *arguments, cwd=folder, env=clean, stdout=out, stderr=err
            )

        with (folder / "out.log").open("wb") as out, (folder / "err.log").open("wb") as err:
            child = await run("run", "--log-level", "debug", "--log-format", form, out=out, err=err)
            try:
                yield far, mail, run
            finally:
                child.terminate()
                assert await child.wait() == 0


async def until(question, what):
    async with asyncio.timeout(DEADLINE):
        while not (answer := await question()):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
    assert answer, what
    return answer


def leaked(text):
    """Which secrets stand in it, however they are written."""
    found = set()
    for name, secret in SECRETS.items():
        ways = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
        if any(way in text for way in ways):
            found.add(name)
    return found


@pytest.mark.parametrize("form", ["console", "json"])
async def test_no_secret_is_said_at_debug_whatever_fails(tmp_path, form):
    said = {}
    async with product(tmp_path, form) as (far, mail, run), aiohttp.ClientSession() as session:

        async def address():
            lines = (tmp_path / "err.log").read_text().splitlines()
            return next((line.split()[1] for line in lines if line.startswith("→ ")), "")

        url = await until(address, "an address")

        async def ask(path):
            async with session.get(url + path) as answer:
                return await answer.text()

        async def tried():
            """Each channel has had its say, good or bad; so have the feed and the dead link."""
            channels = json.loads(await ask("/alerts/channels"))["channels"]
            links = json.loads(await ask("/health/detailed"))["components"]["links"]
            return {c["name"] for c in channels if c["sent"] or c["error"]} == CHANNELS and sum(
                bool(link["error"]) for link in links
            ) >= 2

        await until(tried, "all channels")
        by_proxy = {"apprise"} if form == "console" else set()  # what asks such a thing fails there
        assert far.heard == {"slack", "hook", "away", "apprise"} - by_proxy
        assert mail.postman.mails
        alert = json.loads(await ask("/alerts"))["alerts"][0]["id"]
        for path in (
            "/", "/config", "/health", "/health/detailed", "/metrics", "/stats", "/news", "/storage",
            "/exchanges", "/alerts", "/alerts/rules", "/alerts/channels", "/alerts/history",
            f"/alerts/why/{quote(alert, safe='')}",
        ):  # fmt: skip
            said[path] = await ask(path)
        if form == "json":  # what commands say has one form
            for words in (
                ("check", "--show"), ("doctor", "--only", "news"), ("doctor", "--only", "channels"),
                ("alerts", "history"), ("alerts", "why", "any"),
                *(("alerts", "send-test", name) for name in sorted(CHANNELS)),
            ):  # fmt: skip
                child = await run(*words)
                said[" ".join(words)] = b"".join(await child.communicate()).decode()
    for name in ("out.log", "err.log"):
        said[name] = (tmp_path / name).read_text()
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    said["names of files"] = "\n".join(map(str, files))
    for path in files:
        if path.name.startswith("alerts.sqlite") or "dead_letters" in path.parts:
            said[path.name] = path.read_bytes().decode(errors="replace")
    assert "frame" in said["err.log"]  # it was at DEBUG
    assert {place: names for place, text in said.items() if (names := leaked(text))} == {}
