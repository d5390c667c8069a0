"""Everything on simulated exchanges: no internet, no settings, true candles in seconds."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

if TYPE_CHECKING:
    from tapewatch.cli._exchange import SimulatedWorld

# Section of the settings, simulated venue, how its instruments begin there, streams.
_FEEDS = (
    ("binance", "binance", "", "aggTrade,depth,bookTicker,ticker,kline_1m"),
    (
        "binance_futures", "binance_futures", "",
        "aggTrade,depth,bookTicker,ticker,kline_1m,markPrice,forceOrder",
    ),
    ("okx", "okx", "", "trades,books,bbo-tbt,tickers,candle1m,liquidation-orders"),
    ("bybit", "bybit", "spot/", "trades,book,quote,ticker,kline_1m"),
    ("bybit_linear", "bybit", "linear/", "trades,book,quote,ticker,kline_1m,liquidations"),
    ("coinbase", "coinbase", "", "matches,level2_batch,ticker"),
)  # fmt: skip
_SHARE = 0.35  # of the usual activity: five venues together are then as busy as one


def command(
    *,
    seed: int = 1,
    rate: float = 1.0,
    symbols: int = 30,
    port: int = 8000,
    data_dir: Path | None = None,
    scenario: str = "cycle",
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
    log_level: str = "WARNING",
) -> int:
    """Run the whole product against five simulated exchanges: no internet, no settings.

    They share one world of prices. As it comes, something happens now and then (--scenario cycle):
    after one minute the prices of one exchange go astray, after three one of them is silent for
    20 s, after five USDC slips to 0.97 dollars, after seven and a half everything falls and
    positions are liquidated.

    Parameters
    ----------
    seed
        Another seed is another world.
    rate
        How many times the usual activity.
    symbols
        How many pairs altogether, shared out over the exchanges.
    port
        Where to look at it; 0 takes a free port.
    data_dir
        Keep what is stored there; without it everything is gone at the end.
    scenario
        What happens: cycle, none, or trouble of one kind: flash-crash, gap, dup, reorder,
        disconnect, stall, garbage, arbitrage, cascade, depeg, one-stall.
    open_
        Open the page in a browser.
    log_level
        DEBUG, INFO, WARNING or ERROR.
    """
    import tempfile

    from tapewatch.runtime import logs

    logs.set_up(log_level, "console")
    world = _World(seed, rate, symbols, None if scenario == "none" else scenario)
    if data_dir is not None:
        return _demo(world, port, data_dir, open_=open_)
    with tempfile.TemporaryDirectory(prefix="tapewatch-demo-") as folder:
        return _demo(world, port, Path(folder), open_=open_)


class _World(NamedTuple):
    seed: int
    rate: float
    symbols: int
    scenario: str | None


def _demo(wanted: _World, port: int, folder: Path, *, open_: bool) -> int:
    from tapewatch.cli._exchange import SimulatedWorld

    print("starting the simulated exchanges ...", file=sys.stderr)
    names = tuple(dict.fromkeys(venue for _, venue, _, _ in _FEEDS))
    each = max(1, wanted.symbols // len(names))
    rate = wanted.rate * _SHARE
    with SimulatedWorld(names, wanted.seed, rate, each, wanted.scenario) as world:
        from tapewatch.runtime import launch  # while the exchanges start

        options = (*_sections(world), f"storage.data_dir={folder}", f"server.port={port}")
        loaded = launch.load(None, options, {}, folder)  # nobody's settings
        plan = launch.plan_of(loaded, demo=True)

        def ready(app: object) -> None:
            url = app.server.url  # type: ignore[attr-defined]
            _introduce(url, world, wanted.scenario)
            if open_:
                import webbrowser

                webbrowser.open(url)

        return launch.run(lambda stop: launch.serve(loaded, plan, stop, ready))


def _sections(world: "SimulatedWorld") -> Iterator[str]:
    """The settings of `exchanges:` for what is simulated."""
    for section, venue, prefix, streams in _FEEDS:
        listed = world.symbols(venue)
        natives = [name.removeprefix(prefix) for name in listed if name.startswith(prefix)]
        if not natives:
            continue
        ws_url, rest_url = world.addresses[venue]
        yield f"exchanges.{section}.ws_url={ws_url}"
        yield f"exchanges.{section}.rest_url={rest_url}"
        yield f"exchanges.{section}.symbols=[{','.join(natives)}]"
        yield f"exchanges.{section}.streams=[{streams}]"


def _introduce(url: str, world: "SimulatedWorld", scenario: str | None) -> None:
    from tapewatch.sim.scenarios import SCENARIOS

    says = "nothing out of the ordinary" if scenario is None else SCENARIOS[scenario].says
    rest_url = world.addresses["binance"][1]
    print(f"→ {url}  ·  SIMULATED DATA  ·  press Ctrl-C to stop", file=sys.stderr)
    print(
        f"  {', '.join(world.names)}\n"
        f"  scenario: {says}\n"
        f"  tapewatch tail trades BTC-USDT --url {url}\n"
        f"  curl '{url}/historical/binance:BTCUSDT?interval=1m&limit=3'\n"
        f"  faults: curl -X POST {rest_url}/sim/faults"
        """ -d '{"kind": "drop", "target": "*@aggTrade", "count": 5}'\n"""
        f"""  a fall: curl -X POST {rest_url}/sim/shock -d '{{"change": -0.05}}'""",
        file=sys.stderr,
        flush=True,
    )
