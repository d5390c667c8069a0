"""`tapewatch simulate`: a simulated exchange on loopback, until Ctrl-C.

Addresses go to stdout, everything else to stderr.
"""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapewatch.sim.world import World

_BAD_USAGE, _UNREACHABLE = 2, 3


def command(
    venue: str = "binance",
    *,
    port: int = 9010,
    host: str = "127.0.0.1",
    seed: int = 1,
    symbols: int = 20,
    rate: float = 1.0,
    scenario: str | None = None,
) -> int:
    """Run a simulated exchange that speaks the venue's real protocol, or a world of them.

    Point a client at the addresses it prints; no internet is needed. The market is made up, and
    the same for the same seed. Ask for faults with POST /sim/faults on the same port.

    Parameters
    ----------
    venue
        Which venue to simulate: binance, binance_futures, okx, bybit, coinbase, coinbase_advanced;
        several with commas between them, or all (coinbase in one dialect): they share one world of
        prices, and each has a port of its own.
    port
        Where to listen; 0 takes a free port. Several venues take this one and the next free ones.
    host
        Address to listen on. There is no password: keep it to this machine.
    seed
        Another seed is another market.
    symbols
        How many pairs of each venue, 1 to 1000.
    rate
        How many times the usual activity.
    scenario
        Trouble: flash-crash, gap, dup, reorder, disconnect, stall, garbage, arbitrage, cascade,
        depeg, one-stall, cycle.
    """
    from tapewatch.sim.listing import MOST
    from tapewatch.sim.scenarios import SCENARIOS
    from tapewatch.sim.venues import VENUES
    from tapewatch.sim.world import WORLD

    names = WORLD if venue == "all" else tuple(dict.fromkeys(venue.split(",")))
    for name in names:
        if name not in VENUES:
            return _refuse(_unknown("venue", name, (*VENUES, "all")))
    if scenario is not None and scenario not in SCENARIOS:
        return _refuse(_unknown("scenario", scenario, tuple(SCENARIOS)))
    if not 1 <= symbols <= MOST:
        return _refuse(f"--symbols is {symbols}; give a number from 1 to {MOST}.")
    if not 0 < rate <= 10_000:
        return _refuse(f"--rate is {rate}; give a number above 0, at most 10000.")
    if not 0 <= port <= 65_535:
        return _refuse(f"--port is {port}; give a number from 0 to 65535.")
    return _serve(names, host, port, seed, symbols, rate, scenario)


def _serve(
    names: Sequence[str],
    host: str,
    port: int,
    seed: int,
    symbols: int,
    rate: float,
    scenario: str | None,
) -> int:
    import asyncio
    import signal
    import time
    from contextlib import suppress

    from tapewatch.sim.scenarios import SCENARIOS
    from tapewatch.sim.world import open_world

    start = time.time_ns() // 1_000
    world = open_world(
        names, start=start, seed=seed, symbols=symbols, rate=rate, host=host, port=port
    )
    if scenario is not None:
        world.unleash(SCENARIOS[scenario])
        print(f"scenario {scenario}: {SCENARIOS[scenario].says}", file=sys.stderr)

    async def until_interrupted() -> None:
        async with world:
            _introduce(world)
            ended = asyncio.Event()
            with suppress(NotImplementedError):  # Windows has no such handlers
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
            await ended.wait()

    try:
        asyncio.run(until_interrupted())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    except OSError as error:
        print(
            f"cannot listen on {host}:{port}: {error.strerror or error}. "
            "Stop what uses the port, or give another with --port (0 takes a free one).",
            file=sys.stderr,
        )
        return _UNREACHABLE
    return 0


def _introduce(world: "World") -> None:
    if len(world.exchanges) > 1:
        for name, (ws_url, rest_url) in world.addresses.items():
            print(f"{name} ws {ws_url} rest {rest_url}")
        sys.stdout.flush()
        print("Ctrl-C ends it. A shock at one is a shock of all.", file=sys.stderr)
        return
    (exchange,) = world.exchanges.values()
    ws_url, rest_url = exchange.ws_url, exchange.rest_url
    print(f"websocket  {ws_url}")
    print(f"rest       {rest_url}", flush=True)
    lines = exchange.venue.try_it(ws_url, rest_url)
    print("\n  ".join(["\ntry it:", *lines]) + "\nCtrl-C ends it.", file=sys.stderr)


def _unknown(what: str, given: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(given, known, n=1, cutoff=0.0)
    return f"unknown {what} {given!r}; did you mean {near[0]!r}? There is: {', '.join(known)}."


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return _BAD_USAGE
