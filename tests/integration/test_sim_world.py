"""Several simulated venues at once: ports, one world of prices, shocks and scenarios for all."""

import socket

import aiohttp
import pytest

from tapewatch.cli._exchange import SimulatedWorld
from tapewatch.sim.market import Shock
from tapewatch.sim.scenarios import SCENARIOS
from tapewatch.sim.venues import VENUES
from tapewatch.sim.world import WORLD, open_world

START = 1_790_000_000_000_000
SECOND = 1_000_000
# the same coin in dollars, as each venue names it
BITCOIN = {
    "binance": "BTCUSDT", "binance_futures": "BTCUSDT", "okx": "BTC-USDT",
    "bybit": "spot/BTCUSDT", "coinbase": "BTC-USD",
}  # fmt: skip


def opened(names=WORLD, **options):
    return open_world(names, **{"start": START, "symbols": 2, "live": False, **options})


def prices(world):
    found = {}
    for name, exchange in world.exchanges.items():
        bid, _, ask, _ = exchange.market.live_book(BITCOIN[name]).top()
        found[name] = (bid + ask) / 2
    return found


def spread(world, *names):
    found = [price for name, price in prices(world).items() if not names or name in names]
    return max(found) / min(found) - 1


async def test_five_venues_have_one_price():
    world = opened()
    for _ in range(10):
        await world.advance(SECOND)
        assert spread(world) < 0.003
    assert len({exchange.market.now for exchange in world.exchanges.values()}) == 1


async def test_each_venue_has_its_own_port_from_the_one_given_upward():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wished = taken.getsockname()[1]
        async with opened(("binance", "okx"), port=wished) as world:
            ports = [exchange.port for exchange in world.exchanges.values()]
            assert wished < ports[0] != ports[1] > wished
            async with aiohttp.ClientSession() as session:
                for name, (_, rest_url) in world.addresses.items():
                    async with session.get(f"{rest_url}/sim/state") as response:
                        assert (await response.json())["venue"] == name


async def test_a_venue_by_itself_takes_the_port_given_or_fails():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await opened(("okx",), port=taken.getsockname()[1]).start()


async def test_a_shock_at_one_is_a_shock_of_all():
    async with opened() as world:
        before = prices(world)
        url = world.addresses["okx"][1] + "/sim/shock"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json={"change": -0.05}) as response,
        ):
            assert response.status == 200
        await world.advance(8 * SECOND)
        now = prices(world)
        assert all(now[name] < before[name] * 0.97 for name in WORLD)


async def test_arbitrage_moves_one_venue_away_and_back():
    world = opened()
    world.unleash(SCENARIOS["arbitrage"])
    await world.advance(19 * SECOND)
    assert spread(world) < 0.003
    await world.advance(6 * SECOND)
    others = [name for name in WORLD if name != "bybit"]
    assert prices(world)["bybit"] > max(prices(world)[name] for name in others)
    assert spread(world) > 0.008
    assert spread(world, *others) < 0.003
    await world.advance(30 * SECOND)
    assert spread(world) < 0.003


async def test_a_cascade_closes_positions_at_every_venue_that_has_derivatives():
    world = opened()
    world.unleash(SCENARIOS["cascade"])
    await world.advance(32 * SECOND)
    derivatives = {
        "binance_futures": "BTCUSDT", "okx": "BTC-USDT-SWAP", "bybit": "linear/BTCUSDT",
    }  # fmt: skip
    for name, symbol in derivatives.items():
        told = world.exchanges[name].market.liquidations(symbol)
        assert sum(each.longs for each in told) > 5, name


async def test_a_dollar_coin_slips_and_recovers():
    world = opened(("binance", "okx"), symbols=5)
    world.unleash(SCENARIOS["depeg"])
    exchange = world.exchanges["binance"]

    def ratio():
        tops = (exchange.market.live_book(name).top() for name in ("BTCUSDC", "BTCUSDT"))
        in_coin, in_dollars = (bid + ask for bid, _, ask, _ in tops)
        return in_dollars / in_coin

    await world.advance(15 * SECOND)
    assert ratio() == pytest.approx(1.0, abs=0.003)
    await world.advance(26 * SECOND)
    assert ratio() == pytest.approx(0.97, abs=0.006)
    await world.advance(75 * SECOND)
    assert ratio() == pytest.approx(1.0, abs=0.004)


async def test_one_venue_is_silent_while_its_sockets_stay_open():
    async with opened() as world, aiohttp.ClientSession() as session:
        world.unleash(SCENARIOS["one-stall"])
        bybit = await session.ws_connect(world.addresses["bybit"][0] + "/v5/public/spot")
        await bybit.send_json({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
        await bybit.receive()
        await world.advance(45 * SECOND)
        bybit_faults = world.exchanges["bybit"].faults
        assert bybit_faults.counts["stall"] > 5
        times = [fault.ts for fault in bybit_faults.applied]
        assert min(times) >= START + 20 * SECOND
        assert max(times) >= START + 40 * SECOND  # and on
        others = (each for name, each in world.exchanges.items() if name != "bybit")
        assert not any(each.faults.counts for each in others)
        assert not bybit.closed
        await bybit.send_json({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
        while "op" not in await bybit.receive_json():
            pass  # what was traded before
        await world.advance(30 * SECOND)  # 75 s: the first snapshot is lost like all the others
        await bybit.send_json({"op": "ping"})
        assert (await bybit.receive_json())["ret_msg"] == "pong"
        await bybit.close()


@pytest.mark.parametrize("names", [("binance",), ("okx", "coinbase_advanced")])
def test_a_process_beside_ours_tells_the_addresses(names):
    with SimulatedWorld(names, seed=1, rate=1.0, symbols=2, scenario="cycle") as world:
        assert tuple(world.addresses) == names
        for name, (ws_url, rest_url) in world.addresses.items():
            assert ws_url.startswith("ws://127.0.0.1:")
            assert rest_url.removeprefix("http") == ws_url.removeprefix("ws")
            assert len(world.symbols(name)) == 2


@pytest.mark.parametrize("name", VENUES)
async def test_every_venue_serves_its_state(name):
    async with opened((name,)) as world, aiohttp.ClientSession() as session:
        await world.advance(SECOND)
        async with session.get(world.addresses[name][1] + "/sim/state") as response:
            state = await response.json()
        assert state["venue"] == name
        assert state["now"] == START + SECOND


def test_a_deviation_is_of_one_market_only():
    world = opened(("okx", "coinbase"))
    world.exchanges["okx"].market.deviate(Shock(at=START, change=0.01, fall_secs=1))
    for exchange in world.exchanges.values():
        exchange.market.advance(START + 6 * SECOND)
    assert spread(world) > 0.005
