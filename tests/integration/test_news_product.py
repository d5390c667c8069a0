"""The whole product with news alone: from a server's feed to the store, the API and a client."""

import asyncio
import json

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.wiring import App

ITEM = (
    "<item><title>Bitcoin &amp; Solana rally</title><link>https://a.example/{0}</link>"
    "<guid>{0}</guid></item>"
)


class Press:
    """One feed that a test adds articles to, and one wall."""

    def __init__(self) -> None:
        self.articles = 1

    async def feed(self, _request: web.Request) -> web.Response:
        items = "".join(ITEM.format(number) for number in range(1, self.articles + 1))
        return web.Response(text=f"<rss><channel>{items}</channel></rss>")

    async def wall(self, _request: web.Request) -> web.Response:
        return web.Response(text="<!DOCTYPE html><title>No</title>", content_type="text/html")


def app_of(folder, url) -> App:
    settings = {
        "exchanges": {"binance": {"enabled": False}},
        "storage": {"data_dir": str(folder / "data"), "batch_max_age_secs": 0.01},
        "news": {"enabled": True, "sources": [f"press={url}feed", f"wall={url}wall"]},
        "server": {"port": 0},
    }
    (folder / "tapewatch.yaml").write_text(json.dumps(settings))
    loaded = launch.load(folder / "tapewatch.yaml", environ={}, folder=folder)
    plan = launch.plan_of(loaded)
    plan.data_dir.mkdir(exist_ok=True)
    return App(plan, wall_clock)


async def asked(session, url, path, until):
    """Ask until the answer is the one that is waited for."""
    while True:
        async with session.get(url + path) as response:
            answer = await response.json()
        if until(answer):
            return answer


async def lived(folder, url, session, count):
    """Run the product until so many articles are stored; give it and what it said."""
    app, stop = app_of(folder, url), asyncio.Event()
    await app.start()
    running = asyncio.create_task(app.run(stop))
    async with asyncio.timeout(60):
        at = app.server.url
        answer = await asked(session, at, "/news", lambda a: a["count"] == count)
        health = await asked(session, at, "/health", lambda a: a["problems"])
        async with session.get(f"{at}/metrics") as response:
            metrics = await response.text()
        stop.set()
        assert await running == 0
    return app, answer, health, metrics


async def test_news_are_stored_served_and_not_repeated_after_a_restart(tmp_path):
    press = Press()
    site = web.Application()
    site.router.add_get("/feed", press.feed)
    site.router.add_get("/wall", press.wall)
    async with TestServer(site) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("/"))
        app, answer, health, metrics = await lived(tmp_path, url, session, 1)
        assert [item["id"] for item in answer["items"]] == ["1"]
        assert answer["items"][0]["assets"] == ["BTC", "SOL"]
        assert "wall is blocked" in health["problems"][0]
        assert 'rss_fetch_total{status="blocked"} 1.0' in metrics

        press.articles = 2
        app, answer, *_ = await lived(tmp_path, url, session, 2)
        assert sorted(item["id"] for item in answer["items"]) == ["1", "2"]
        assert app.news.counters.sent == 1
