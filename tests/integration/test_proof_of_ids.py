"""What a restart makes of ids: what proves something is in the ledger, what does not is called so."""

import asyncio
import time
from contextlib import asynccontextmanager

import aiohttp

from tapewatch.runtime import launch
from tapewatch.runtime.clock import wall_clock
from tapewatch.runtime.verification import verify
from tapewatch.runtime.wiring import App
from tapewatch.sim.world import WORLD, open_world
from tests.integration.test_watching_product import SECOND, sections

PROVEN = {"binance", "binance_futures", "okx", "coinbase"}
UNPROVEN = {"bybit", "bybit_linear"}
WORDS = "not provable: ids of this stream have no order"


@asynccontextmanager
async def running(folder, world):
    options = (*sections(world), f"storage.data_dir={folder / 'data'}", "server.port=0")
    plan = launch.plan_of(launch.load(None, options, {}, folder), demo=True)
    plan.data_dir.mkdir(exist_ok=True)
    app, stop = App(plan, wall_clock), asyncio.Event()
    await app.start()
    task = asyncio.create_task(app.run(stop))
    async with aiohttp.ClientSession() as session:

        async def ask(path):
            async with session.get(app.server.url + path) as answer:
                assert answer.status == 200, await answer.text()
                return (await answer.json())["streams"]

        yield ask
    stop.set()
    assert await task == 0


async def told_of_all(ask, path, venues):
    """The answer, as soon as something is said of each of these venues."""
    async with asyncio.timeout(120):
        while not venues <= {each["inst"].partition(":")[0] for each in await ask(path)}:  # noqa: ASYNC110 - by HTTP nobody tells
            await asyncio.sleep(0.05)
    return await ask(path)


async def test_after_a_restart_only_ids_that_are_numbers_prove_something(tmp_path):
    world = open_world(WORLD, start=int(time.time()) * SECOND, symbols=3, rate=3.0)
    path = "/completeness"
    async with world:
        async with running(tmp_path, world) as ask:
            await told_of_all(ask, path, PROVEN | UNPROVEN)
        async with running(tmp_path, world) as ask:  # the disk has shown its ids to the ledger
            streams = await told_of_all(ask, path, PROVEN | UNPROVEN)
            ledger = await told_of_all(ask, "/coverage", PROVEN)
    assert {each["inst"].partition(":")[0] for each in ledger} == PROVEN
    for each in streams:
        is_proven = each["inst"].partition(":")[0] in PROVEN
        hours = each["hours"]
        assert each["numbered"] == is_proven
        assert each["proof"] == ("by trade id" if is_proven else WORDS)
        assert {hour["proven_percent"] is None for hour in hours} == {not is_proven}
        assert {hour["missing"] is None for hour in hours} == {not is_proven}
        assert is_proven or not any(hour["absent"] for hour in hours)
    found = await asyncio.to_thread(verify, tmp_path / "data", None, 0, 1 << 52)
    assert {s.inst.partition(":")[0] for s in found if not s.numbered} == UNPROVEN
