"""`tapewatch doctor` against servers that answer what no venue should: what a person is told.

A real simulated exchange in the good case; else a page of HTML, a refusal, a redirect, half an
answer, nobody at all. Each finding must name the host, what came, and a setting that helps.
"""

import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tapewatch.runtime import checkup, plugins
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.finding import BAD, GOOD
from tapewatch.runtime.plan import Venue
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.venues import open_venue
from tapewatch.wire import http

STREAMS = {
    "binance": ("trade", "depth"),
    "binance_futures": ("aggTrade", "markPrice"),
    "okx": ("trades", "books"),
    "bybit": ("publicTrade", "orderbook.50"),
    "coinbase": ("matches", "level2_batch"),
    "coinbase_advanced": ("market_trades", "level2"),
}
SYMBOL = {"coinbase": "BTC-USD", "coinbase_advanced": "BTC-USD"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(http, "_FIRST_DELAY_SECS", 0.001)
    monkeypatch.setattr(http, "_MAX_DELAY_SECS", 0.01)
    monkeypatch.setattr(checkup, "_FIRST_DATA_SECS", 1.5)


def place(name, ws_url, rest_url, **more):
    plugin = plugins.load("venues", name)
    config = plugin.config(
        ws_url=ws_url, rest_url=rest_url, symbols=(SYMBOL.get(name, "BTC-USDT"),),
        streams=STREAMS[name], reconnect_delay=0.05, **more,
    )  # fmt: skip
    return Venue(name, plugin.build(name, config), config)


@asynccontextmanager
async def simulated(name):
    market, make, rules = open_venue(name, start=wall_clock(), symbols=4, rate=5.0)
    async with SimulatedExchange(market, venue=make, rules=rules) as exchange:
        yield exchange


async def findings(venue):
    return [finding async for finding in checkup.venue(venue, wall_clock)]


@pytest.mark.parametrize("name", STREAMS)
async def test_a_venue_that_works_is_found_good_with_each_subscription(name, monkeypatch):
    monkeypatch.setattr(checkup, "_FIRST_DATA_SECS", 12.0)
    async with simulated(name) as exchange:
        found = await findings(place(name, exchange.ws_url, exchange.rest_url))
    assert {each.verdict for each in found} == {GOOD}, found
    assert "instruments listed" in found[-2].detail
    assert "arrived" in found[-1].detail
    assert "2 of 2 subscriptions acknowledged" in found[-1].detail


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 451}, "HTTP 451, restricted region"),
        ({"status": 403, "body": "html"}, "HTTP 403, restricted region or firewall"),
        ({"status": 503}, "HTTP 503"),
        ({"status": 200, "body": "html"}, "gave no list of instruments"),
        ({"status": 200, "body": "empty"}, "gave no list of instruments"),
        ({"status": 0}, "connection was lost before the answer"),
    ],
    ids=str,
)
async def test_rest_that_does_not_answer_as_a_venue_is_told_in_words(fault, words):
    async with simulated("binance") as exchange:
        exchange.faults.add(Fault(kind="http", target="/api/*", count=None, **fault), wall_clock())
        found = await findings(place("binance", exchange.ws_url, exchange.rest_url))
    assert found[-1].verdict == BAD
    assert words in found[-1].detail
    assert "exchanges.binance.rest_url" in found[-1].advice


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"status": 451}, "HTTP 451, restricted region"),
        ({"status": 403}, "HTTP 403, restricted region"),
        ({"status": 200, "body": "html"}, "answered with a web page"),
        ({"status": 503}, "HTTP 503"),
    ],
    ids=str,
)
async def test_a_socket_that_is_refused_is_told_in_words(fault, words):
    async with simulated("binance") as exchange:
        fault = Fault(kind="http", target="/stream*", count=None, retry_after=0, **fault)
        exchange.faults.add(fault, wall_clock())
        found = await findings(place("binance", exchange.ws_url, exchange.rest_url))
    assert found[-1].verdict == BAD
    assert words in found[-1].detail
    assert "exchanges.binance.ws_url" in found[-1].advice


@asynccontextmanager
async def server(handle):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def elsewhere(request):
    raise web.HTTPFound(f"http://{request.host}/elsewhere")


async def half(_request):
    return web.Response(body=b'{"symbols":[{"symbol":"BTCUS', content_type="application/json")


@pytest.mark.parametrize(
    ("handle", "words"),
    [(elsewhere, "leads from address to address"), (half, "gave no list of instruments")],
)
async def test_a_redirect_and_half_an_answer_are_told_in_words(handle, words):
    async with server(handle) as address:
        found = await findings(place("binance", f"ws://{address}", f"http://{address}"))
    assert found[-1].verdict == BAD
    assert words in found[-1].detail


async def test_a_socket_that_leads_elsewhere_is_told_with_the_target():
    async with simulated("binance") as exchange, server(elsewhere) as address:
        found = await findings(place("binance", f"ws://{address}", exchange.rest_url))
    assert found[-1].verdict == BAD
    assert f"redirects to http://{address}/elsewhere" in found[-1].detail


async def test_nobody_at_all_is_told_with_the_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        found = await findings(place("binance", f"ws://{address}", f"http://{address}"))
    assert found[-1].verdict == BAD
    assert f"cannot connect to {address}" in found[-1].detail


async def test_a_host_without_tls_behind_a_secure_address_is_told():
    async with server(half) as address:
        found = await findings(place("binance", f"wss://{address}", f"https://{address}"))
    assert found[-1].what == "binance TLS"
    assert found[-1].verdict == BAD
    assert "no TLS with" in found[-1].detail


async def test_a_retired_address_is_named_before_anything_is_asked():
    url = "wss://fstream.binance.com/stream"
    venue = place("binance_futures", url, "http://127.0.0.1:9")
    async for finding in checkup.venue(venue, wall_clock):
        assert finding.verdict == BAD
        assert "retired on 2026-04-23" in finding.detail
        assert "wss://fstream.binance.com" in finding.advice
        break


async def test_one_bad_venue_does_not_end_the_others():
    async with simulated("okx") as exchange:
        good = place("okx", exchange.ws_url, exchange.rest_url)
        bad = place("binance", "ws://127.0.0.1:9", "http://127.0.0.1:9")
        found = [await findings(bad), await findings(good)]
    assert [each[-1].verdict for each in found] == [BAD, GOOD]
