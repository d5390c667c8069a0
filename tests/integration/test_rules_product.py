"""Rules in the whole product: from a metric on the bus to the store, the API and a live client."""

import asyncio
import json

import aiohttp
import pytest

from tapewatch.model.events import Metric, Quality
from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.wiring import App

BTC = "binance:BTC/USDT"


def app_of(folder) -> App:
    settings = {
        "exchanges": {"binance": {"enabled": False}},
        "storage": {"data_dir": str(folder / "data"), "batch_max_age_secs": 0.01},
        "news": {"enabled": True, "sources": ["nobody=http://127.0.0.1:9/feed"]},
        "server": {"port": 0},
    }
    (folder / "tapewatch.yaml").write_text(json.dumps(settings))
    plan = launch.plan_of(launch.load(folder / "tapewatch.yaml", environ={}, folder=folder))
    plan.data_dir.mkdir(exist_ok=True)
    return App(plan, wall_clock)


class Running:
    """A product, its client, and a way to put metrics on its bus."""

    def __init__(self, app: App, session: aiohttp.ClientSession) -> None:
        self.app = app
        self.session = session

    async def tell(self, ratio: float) -> None:
        now = wall_clock()
        event = Metric(now, now, BTC, "volume_surge", ratio, "5m", Quality.COMPLETE, 10.0)
        await self.app.bus.publish([event])

    async def ask(self, path, until=lambda _: True, method="GET"):
        """Ask until the answer is the one that is waited for."""
        async with asyncio.timeout(60):
            while True:
                async with self.session.request(method, self.app.server.url + path) as response:
                    assert response.status == 200, await response.text()
                    answer = await response.json()
                if until(answer):
                    return answer

    async def standing(self, count):
        def stands(answer):
            return sum(len(rule["standing"]) for rule in answer["rules"]) == count

        return await self.ask("/alerts/rules", stands)


@pytest.fixture
async def life(tmp_path):
    """Call it to run the product on one folder, each time until the block ends."""
    lives = []

    async def life() -> Running:
        app, stop = app_of(tmp_path), asyncio.Event()
        await app.start()
        session = aiohttp.ClientSession()
        task = asyncio.create_task(app.run(stop))
        lives.append((session, stop, task))
        return Running(app, session)

    async def end() -> None:
        session, stop, task = lives.pop()
        stop.set()
        await session.close()
        assert await task == 0

    life.end = end
    yield life
    if lives:
        await end()


async def test_an_alert_is_told_live_stored_and_shown(life):
    product = await life()
    async with product.session.ws_connect(f"{product.app.server.url}/ws?types=alert") as socket:
        await product.tell(5.0)
        told = json.loads((await asyncio.wait_for(socket.receive(), 60)).data)
        assert (told["type"], told["data"]["rule"]) == ("alert", "volume_surge")
        assert told["data"]["text"] == "BTC/USDT on binance: 5.0 times the usual volume in 5m"
        await product.tell(1.0)
        over = json.loads((await asyncio.wait_for(socket.receive(), 60)).data)
    assert (over["data"]["id"], over["data"]["state"]) == (told["data"]["id"], "resolved")
    events = await product.ask("/alerts/events", lambda answer: answer["count"] == 2)
    assert [each["state"] for each in events["alerts"]] == ["resolved", "firing"]
    assert events["alerts"][1]["baseline"] == 10.0


async def test_a_metric_is_told_live_with_its_mark_to_those_who_ask_for_it(life):
    product = await life()
    url = f"{product.app.server.url}/ws"
    async with (
        product.session.ws_connect(f"{url}?types=metric") as asked,
        product.session.ws_connect(url) as usual,
    ):
        await product.tell(5.0)
        told = json.loads((await asyncio.wait_for(asked.receive(), 60)).data)
        while told["data"]["inst"] != BTC:  # there are those of the process, too
            told = json.loads((await asyncio.wait_for(asked.receive(), 60)).data)
        assert (told["type"], told["data"]["name"]) == ("metric", "volume_surge")
        assert (told["data"]["quality"], told["data"]["baseline"]) == ("complete", 10.0)
        first = json.loads((await asyncio.wait_for(usual.receive(), 60)).data)
        assert first["type"] == "alert"


async def test_a_restart_remembers_what_fires_and_ends_it_once(life):
    product = await life()
    await product.tell(5.0)
    before = await product.standing(1)
    await life.end()
    again = await life()
    assert await again.standing(1) == before
    await again.tell(5.0)
    await again.tell(1.0)
    await again.standing(0)
    events = await again.ask("/alerts/events", lambda answer: answer["count"] >= 2)
    assert [each["state"] for each in events["alerts"]] == ["resolved", "firing"]
    assert len({each["id"] for each in events["alerts"]}) == 1


async def test_a_rule_is_tried_on_what_was_just_stored(life):
    product = await life()
    await product.tell(5.0)
    await product.tell(1.0)
    path = "/alerts/preview?rule=volume_surge&start=-1h&sweep=2,9"
    answer = await product.ask(path, lambda answer: answer["firings"], "POST")
    assert [firing["inst"] for firing in answer["firings"]] == [BTC]
    assert [(each["threshold"], each["firings"]) for each in answer["sweep"]] == [
        ("2", 1),
        ("9", 0),
    ]
    assert 0 < answer["covered_percent"] < 10


async def test_a_mistake_in_a_question_is_told_with_its_parameter(life):
    product = await life()
    url = f"{product.app.server.url}/alerts/preview?rule=x&when=volume_surge5m%20%3E%201"
    async with product.session.post(url) as response:
        assert response.status == 400
        (fault,) = (await response.json())["errors"]
    assert fault["pointer"] == "?when"
    assert "did you mean volume_surge_5m" in fault["hint"]


async def test_the_detectors_prove_themselves_while_the_product_runs(life, monkeypatch):
    monkeypatch.setattr("tapewatch.runtime.selftest.SelfTest.__init__.__defaults__", (0.0,))
    product = await life()

    def is_over(answer):
        return all(each["self_test"]["outcome"] != "pending" for each in answer["detectors"])

    answer = await product.ask("/detectors", is_over)
    found = {each["name"]: each["self_test"]["outcome"] for each in answer["detectors"]}
    assert found["volume_surge"] == found["liquidation_spike"] == "proven"
    assert found["candles"] == found["rules"] == "none"
    whale = next(each for each in answer["detectors"] if each["name"] == "whale")
    assert whale["settings"]["usd_min"] == 500_000
    assert whale["text"].startswith("Whales")
    tried = {name: outcome for name, outcome in found.items() if outcome != "none"}
    url = f"{product.app.server.url}/health/detailed"  # nothing is collected here: 503
    async with product.session.get(url) as response:
        assert (await response.json())["components"]["detectors"] == tried
