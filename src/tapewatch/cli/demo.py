"""Everything on a simulated exchange: no internet, no settings, true candles in seconds."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def command(
    *,
    seed: int = 1,
    rate: float = 1.0,
    symbols: int = 20,
    port: int = 8000,
    data_dir: Path | None = None,
    scenario: str | None = None,
    open_: Annotated[bool, Parameter(name="--open", negative="")] = False,
    log_level: str = "WARNING",
) -> int:
    """Run the whole product against a simulated exchange: no internet, no settings.

    Parameters
    ----------
    seed
        Another seed is another market.
    rate
        How many times the usual activity.
    symbols
        How many pairs, 1 to 1000.
    port
        Where to look at it; 0 takes a free port.
    data_dir
        Keep what is stored there; without it everything is gone at the end.
    scenario
        Trouble at the exchange: flash-crash, gap, dup, reorder, disconnect, stall, garbage.
    open_
        Open the page in a browser.
    log_level
        DEBUG, INFO, WARNING or ERROR.
    """
    import tempfile

    from tapewatch.runtime import logs

    logs.set_up(log_level, "console")
    if data_dir is not None:
        return _demo(seed, rate, symbols, port, data_dir, scenario, open_=open_)
    with tempfile.TemporaryDirectory(prefix="tapewatch-demo-") as folder:
        return _demo(seed, rate, symbols, port, Path(folder), scenario, open_=open_)


def _demo(
    seed: int,
    rate: float,
    symbols: int,
    port: int,
    folder: Path,
    scenario: str | None,
    *,
    open_: bool,
) -> int:
    from tapewatch.cli._exchange import SimulatedBinance
    from tapewatch.runtime import launch

    print("starting the simulated exchange ...", file=sys.stderr)
    with SimulatedBinance(seed, rate, symbols, scenario) as exchange:
        streams = "aggTrade,depth,bookTicker,ticker,kline_1m"
        options = (
            f"exchanges.binance.ws_url={exchange.ws_url}",
            f"exchanges.binance.rest_url={exchange.rest_url}",
            f"exchanges.binance.symbols=[{','.join(exchange.symbols())}]",
            f"exchanges.binance.streams=[{streams}]",
            f"storage.data_dir={folder}",
            f"server.port={port}",
        )
        loaded = launch.load(None, options, {}, folder)  # nobody's settings
        plan = launch.plan_of(loaded, demo=True)

        def ready(app: object) -> None:
            url = app.server.url  # type: ignore[attr-defined]
            print(f"→ {url}  ·  SIMULATED DATA  ·  press Ctrl-C to stop", file=sys.stderr)
            print(
                f"  tapewatch tail trades BTC-USDT --url {url}\n"
                f"  curl '{url}/historical/BTCUSDT?interval=1m&limit=3'\n"
                f"  faults: curl -X POST {exchange.rest_url}/sim/faults"
                """ -d '{"kind": "drop", "target": "*@aggTrade", "count": 5}'""",
                file=sys.stderr,
                flush=True,
            )
            if open_:
                import webbrowser

                webbrowser.open(url)

        return launch.run(lambda stop: launch.serve(loaded, plan, stop, ready))
