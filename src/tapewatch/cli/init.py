"""Write settings to start from, commented, and an example of the environment."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tapewatch.cli._complain import refuse
from tapewatch.model.errors import ConfigError, NotFound

_TEMPLATE = """\
# Settings of tapewatch. `tapewatch check --show` prints every value in effect and its origin.
# All keys: docs/settings.md. Completion in editors: tapewatch check --schema > tapewatch.schema.json
# yaml-language-server: $schema=tapewatch.schema.json

exchanges:
{exchanges}
storage:
  data_dir: data            # Parquet by the hour, subscriptions, what is known to be missing
  hot_window_hours: 24      # closed minute candles kept in memory

server:
  host: 127.0.0.1           # this machine only; 0.0.0.0 for everybody
  port: 8000
  # cors_origins: [https://charts.example.com]   # pages that may ask; "*" for all

# detectors:
#   candles:
#     intervals: [1m, 5m, 15m, 1h, 4h, 1d]       # any other is made when it is asked for

# retention:                # in days; without a number data is kept for ever
#   orderbook_days: 7
#   trades_days: 365

log:
  level: INFO               # DEBUG shows raw frames and every stored tick
  format: console           # or json
"""
_EXCHANGE = """\
  {name}:
    symbols: [{symbols}]
    streams: [ticker, trades, depth]   # or the venue's own names; ticker alone without this line
    # reconnect_delay: 5        # seconds, the first; then longer and longer up to
    # max_reconnect_delay: 60
    # ws_url: wss://...         # if the usual address cannot be reached from here
"""


def command(
    path: Path = Path(),
    *,
    exchange: Annotated[tuple[str, ...], Parameter(negative="")] = ("binance",),
    symbol: Annotated[tuple[str, ...], Parameter(negative="")] = ("BTC/USDT", "ETH/USDT"),
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="")] = False,
) -> int:
    """Write a commented settings file and `.env.example`. Never overwrites.

    Parameters
    ----------
    path
        A folder, or the name of the settings file.
    exchange
        Which venue; may be repeated.
    symbol
        Which pair, in any spelling; may be repeated.
    yes
        Do not ask.
    """
    from tapewatch.runtime import plugins
    from tapewatch.settings.environment import example

    for name in exchange:
        plugins.load("venues", name)
    target = path if path.suffix in {".yaml", ".yml"} else path / "tapewatch.yaml"
    if target.exists():
        return refuse(f"{target} exists and stays as it is; give another name, or remove it")
    if not yes and not _agreed(target):
        return refuse("nothing was written")
    pairs = [_pair(exchange[0], text) for text in symbol]
    _write(target, _settings(exchange, pairs))
    others = target.with_name(".env.example")
    if others.exists():
        print(f"kept   {others}", file=sys.stderr)
    else:
        _write(others, example())
    print(f"→ look at it, then: tapewatch run -c {target}", file=sys.stderr)
    return 0


def _settings(exchanges: tuple[str, ...], pairs: list[str]) -> str:
    symbols = ", ".join(pairs)
    sections = "".join(_EXCHANGE.format(name=name, symbols=symbols) for name in exchanges)
    return _TEMPLATE.format(exchanges=sections)


def _pair(venue: str, text: str) -> str:
    from tapewatch.model.instrument import guess

    plain = text.strip().removeprefix(f"{venue}:")
    found = guess(venue, plain)
    if found is None or not (found.base + found.quote).isalnum():
        raise NotFound("symbol (write base and quote)", text, ("BTC/USDT", "ETH-USDT"))
    return found.symbol


def _agreed(target: Path) -> bool:
    """Ask a person; a script has said what it wants by calling."""
    if not sys.stdin.isatty():
        return True
    print(f"Write {target} and .env.example beside it? [Y/n] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"", "y", "yes"}


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror or error}") from error
    print(f"wrote  {file}", file=sys.stderr)
