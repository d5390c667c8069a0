"""The whole product with a venue of CCXT: settings, start, serving, storing."""

import asyncio
import json

import aiohttp
import pytest

from tapewatch.model.events import Micros, Quality
from tapewatch.model.instrument import Catalogue
from tapewatch.runtime import catalogues, ccxt_checkup, ccxt_venues, finding, launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.wiring import App
from tapewatch.settings.problems import InvalidSettings
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.venues import open_venue
from tests.integration.ccxt_bench import SIZE

DEADLINE = 60.0


class Okx(SimulatedExchange):
    def __init__(self):
        market, make, rules = open_venue(
            "okx", start=wall_clock(), symbols=6, rate=20.0, size=SIZE, alone=True
        )
        super().__init__(market, venue=make, rules=rules)


def loaded_from(folder, exchange, **section):
    urls = {"https://www.okx.com": exchange.rest_url, "wss://ws.okx.com:443": exchange.ws_url}
    given = {"symbols": ["BTC-USDT"], "streams": ["ticker", "trades", "book"], **section}
    settings = {
        "exchanges": {"ccxt_okx": {"urls": urls, "reconnect_delay": 0.05, **given}},
        "storage": {"data_dir": str(folder / "data"), "batch_max_age_secs": 0.01},
        "server": {"port": 0},
    }
    (folder / "tapewatch.yaml").write_text(json.dumps(settings))
    return launch.load(folder / "tapewatch.yaml", environ={}, folder=folder)


def app_of(loaded):
    plan = launch.plan_of(loaded)
    plan.data_dir.mkdir(exist_ok=True)
    return App(plan, wall_clock)


async def until(condition):
    while not condition():  # noqa: ASYNC110 - the product tells nobody when it is so
        await asyncio.sleep(0.01)


async def asked(session, url, until):
    """Ask until the answer is the one that is waited for."""
    while True:
        async with session.get(url) as response:
            answer = await response.json()
        if until(answer):
            return answer


def has_trade(app, inst):
    latest = app.plan.hot.get_latest(inst)
    return latest is not None and latest.trade is not None


async def test_a_venue_of_ccxt_is_collected_served_and_stored(tmp_path):
    async with Okx() as exchange, aiohttp.ClientSession() as session:
        app, stop = app_of(loaded_from(tmp_path, exchange)), asyncio.Event()
        await app.start()
        running = asyncio.create_task(app.run(stop))
        async with asyncio.timeout(DEADLINE):
            at = app.server.url
            health = await asked(
                session,
                f"{at}/health/detailed",
                lambda a: (
                    [link["state"] for link in a["components"]["links"]] == ["live"] * 3
                    and a["status"] == "healthy"
                ),
            )
            more = f"{at}/symbol/ccxt_okx:ETH-USDT/subscribe?streams=trades"
            async with session.post(more) as response:
                assert response.status == 200, await response.text()
            await until(lambda: has_trade(app, "ccxt_okx:ETH/USDT"))
            await until(lambda: app.plan.hot.get_latest("ccxt_okx:BTC/USDT").candles)
            stop.set()
            assert await running == 0
        assert {link["venue"] for link in health["components"]["links"]} == {"ccxt_okx"}
        candles = app.plan.hot.get_latest("ccxt_okx:BTC/USDT").candles.values()
        assert candles
        assert all(candle.quality is Quality.PARTIAL for candle in candles)
        trades = await app.plan.query.trades(
            "ccxt_okx:BTC/USDT", Micros(0), Micros(wall_clock()), 1_000
        )
        app.plan.query.close()
        assert trades
        assert len({trade.id for trade in trades}) == len(trades)


async def test_a_symbol_that_the_venue_does_not_list_stops_the_start_with_the_nearest(tmp_path):
    async with Okx() as exchange:
        loaded = loaded_from(tmp_path, exchange, symbols=["BTC/USDT", "BTC/USDX"])
        listings = await ccxt_venues.load(
            launch.plan_of(loaded).ccxt, tmp_path, catalogue := Catalogue()
        )
        (venue,) = launch.plan_of(loaded).ccxt
        catalogues.wanted(venue, catalogue, loaded.complain)
        ccxt_venues.check(venue, listings["ccxt_okx"], loaded.complain)
        with pytest.raises(InvalidSettings) as caught:
            loaded.refuse()
        (problem,) = caught.value.problems
        assert problem.path == "exchanges.ccxt_okx.symbols.1"
        assert "BTC/USDT" in problem.hint


async def test_a_venue_that_does_not_answer_stops_nobody_and_comes_later(tmp_path, monkeypatch):
    monkeypatch.setattr(ccxt_venues, "PATIENCE_SECS", 0.5)
    async with Okx() as exchange:
        exchange.faults.add(
            Fault(kind="http", target="*", status=503, count=None), exchange.market.now
        )
        app, stop = app_of(loaded_from(tmp_path, exchange, streams=["trades"])), asyncio.Event()
        await app.start()
        running = asyncio.create_task(app.run(stop))
        async with asyncio.timeout(DEADLINE):
            await until(lambda: app.links() and app.links()[0].error)
            assert app.links()[0].route == "catalogue"
            exchange.faults.clear()
            await until(lambda: has_trade(app, "ccxt_okx:BTC/USDT"))
            stop.set()
            assert await running == 0


async def test_the_doctor_walks_the_way_that_data_takes(tmp_path):
    async with Okx() as exchange:
        (place,) = launch.plan_of(loaded_from(tmp_path, exchange)).ccxt
        found = [each async for each in ccxt_checkup.venue(place, wall_clock)]
        assert [each.verdict for each in found] == [finding.GOOD, finding.GOOD]
        assert "instruments listed" in found[0].detail
        exchange.faults.add(
            Fault(kind="http", target="*", status=451, count=None), exchange.market.now
        )
        (found,) = [each async for each in ccxt_checkup.venue(place, wall_clock)]
        assert found.verdict == finding.BAD
        assert "HTTP 451" in found.detail
