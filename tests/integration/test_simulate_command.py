"""`tapewatch simulate`: what it refuses, and that it serves until Ctrl-C."""

import asyncio
import os
import signal
import socket
import sys

import aiohttp
import pytest

from tapewatch.cli.simulate import command
from tapewatch.sim.world import WORLD
from tests.integration.sim_bench import DEADLINE

# --- the command --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "nearest"),
    [
        ({"venue": "binanse"}, "'binance'"),
        ({"venue": "okx,coinbas"}, "'coinbase'"),
        ({"scenario": "flashcrash"}, "'flash-crash'"),
        ({"symbols": 5_000}, "1 to 1000"),
        ({"rate": 0.0}, "above 0"),
        ({"port": 99_999}, "0 to 65535"),
    ],
)
def test_command_refuses_nonsense_in_one_sentence(options, nearest, capsys):
    assert command(**options) == 2
    said = capsys.readouterr().err
    assert nearest in said
    assert said.count("\n") == 1


def test_command_says_that_the_port_is_taken(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert command(port=taken.getsockname()[1], symbols=1) == 3
    assert "--port" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
async def test_command_serves_until_interrupted():
    code = (
        "import sys; from tapewatch.cli.simulate import command; "
        "sys.exit(command(port=0, symbols=2, scenario='gap'))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        addresses = [(await process.stdout.readline()).split()[1].decode() for _ in range(2)]
        ping = addresses[1] + "/api/v3/ping"
        async with aiohttp.ClientSession() as session, session.get(ping) as response:
            assert await response.json() == {}
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert process.returncode == 0
    assert b"scenario gap" in said
    assert b"Traceback" not in said


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
async def test_command_serves_all_venues_of_a_world_on_ports_of_their_own():
    code = (
        "import sys; from tapewatch.cli.simulate import command; "
        "sys.exit(command('all', port=0, symbols=1))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(DEADLINE):
        lines = [(await process.stdout.readline()).decode().split() for _ in WORLD]
        assert [line[0] for line in lines] == list(WORLD)
        assert all((line[1], line[3]) == ("ws", "rest") for line in lines)
        async with aiohttp.ClientSession() as session:
            for line in lines:
                async with session.get(f"{line[4]}/sim/state") as response:
                    assert (await response.json())["venue"] == line[0]
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in said
