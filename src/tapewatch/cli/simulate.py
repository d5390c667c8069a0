"""`tapewatch simulate`: a simulated exchange on loopback, until Ctrl-C.

Addresses go to stdout, everything else to stderr.
"""

import sys
from difflib import get_close_matches

_VENUES = ("binance",)
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
    """Run a simulated exchange that speaks the venue's real protocol.

    Point a client at the addresses it prints; no internet is needed. The market is made up, and
    the same for the same seed. Ask for faults with POST /sim/faults on the same port.

    Parameters
    ----------
    venue
        Which venue to simulate: binance.
    port
        Where to listen; 0 takes a free port.
    host
        Address to listen on. There is no password: keep it to this machine.
    seed
        Another seed is another market.
    symbols
        How many pairs, 1 to 1000.
    rate
        How many times the usual activity.
    scenario
        Trouble: flash-crash, gap, dup, reorder, disconnect, stall, garbage.
    """
    from tapewatch.sim.listing import MOST
    from tapewatch.sim.scenarios import SCENARIOS

    if venue not in _VENUES:
        return _refuse(_unknown("venue", venue, _VENUES))
    if scenario is not None and scenario not in SCENARIOS:
        return _refuse(_unknown("scenario", scenario, tuple(SCENARIOS)))
    if not 1 <= symbols <= MOST:
        return _refuse(f"--symbols is {symbols}; give a number from 1 to {MOST}.")
    if not 0 < rate <= 10_000:
        return _refuse(f"--rate is {rate}; give a number above 0, at most 10000.")
    if not 0 <= port <= 65_535:
        return _refuse(f"--port is {port}; give a number from 0 to 65535.")
    return _serve(host, port, seed, symbols, rate, scenario)


def _serve(host: str, port: int, seed: int, symbols: int, rate: float, scenario: str | None) -> int:
    import asyncio
    import signal
    import time
    from contextlib import suppress

    from tapewatch.sim.exchange import SimulatedExchange
    from tapewatch.sim.faults import Faults
    from tapewatch.sim.market import open_market
    from tapewatch.sim.scenarios import SCENARIOS, unleash

    market = open_market(start=time.time_ns() // 1_000, seed=seed, symbols=symbols, rate=rate)
    faults = Faults(seed)
    if scenario is not None:
        unleash(SCENARIOS[scenario], market, faults)
        print(f"scenario {scenario}: {SCENARIOS[scenario].says}", file=sys.stderr)

    async def until_interrupted() -> None:
        async with SimulatedExchange(market, faults=faults, host=host, port=port) as exchange:
            _introduce(exchange.ws_url, exchange.rest_url)
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


def _introduce(ws_url: str, rest_url: str) -> None:
    print(f"websocket  {ws_url}")
    print(f"rest       {rest_url}", flush=True)
    print(
        f"""
try it:
  curl '{rest_url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3'
  curl '{rest_url}/sim/truth/book?symbol=BTCUSDT&limit=5'
  curl -X POST '{rest_url}/sim/faults' -d '{{"kind": "drop", "target": "btcusdt@trade"}}'
  streams: {ws_url}/stream?streams=btcusdt@trade/btcusdt@depth@100ms
Ctrl-C ends it.""",
        file=sys.stderr,
    )


def _unknown(what: str, given: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(given, known, n=1, cutoff=0.0)
    return f"unknown {what} {given!r}; did you mean {near[0]!r}? There is: {', '.join(known)}."


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return _BAD_USAGE
