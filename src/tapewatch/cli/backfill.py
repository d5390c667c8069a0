"""`tapewatch backfill`: fetch candles or trades of the past from a venue, and store them.

It writes into the data folder, so no tapewatch may write there meanwhile. Twice is once: rows are
known by their keys. Exit codes: 0, 1 if part of the range cannot be had, 2 for what cannot be
asked, 3 if the venue cannot be reached, 130 after Ctrl-C; after each of them the same command goes
on where this one ended.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tapewatch.model.errors import ConfigError, TapewatchError

if TYPE_CHECKING:  # importing these costs more than printing the help
    from tapewatch.runtime.backfill import Outcome, Wanted
    from tapewatch.settings.loader import Loaded

_PROBLEMS, _STOPPED = 1, 130

app = App(name="backfill", help="Fetch candles or trades of the past from a venue, and store them.")


@Parameter(name="*")
@dataclass(frozen=True)
class What:
    """Which part of the past, and how.

    Parameters
    ----------
    symbol
        Any spelling: BTC-USDT, btcusdt, binance:BTC/USDT.
    since
        From when on: -24h, 2026-11-20T14:00Z, or an epoch number.
    until
        Up to but not including.
    venue
        Whose past, if neither the symbol nor the settings say it.
    resume
        Go on with what was begun by the same words and did not end.
    dry_run
        Only say how many requests it would be. Nothing is written.
    config
        The settings file; without it `tapewatch.yaml` here, or the defaults.
    data_dir
        Where to store, if not where the settings say.
    rest_url
        Another address for the venue's requests.
    """

    symbol: str
    since: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)]
    until: Annotated[str, Parameter(name="--to", allow_leading_hyphen=True)] = "now"
    venue: str | None = None
    resume: bool = True
    dry_run: Annotated[bool, Parameter(negative="")] = False
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None
    data_dir: Path | None = None
    rest_url: str | None = None


@app.command
def trades(*, what: What) -> int:
    """Trades by their ids: what is missing in the ledger becomes repaired, candles are made again."""
    return _run(what, "")


@app.command
def candles(interval: str = "1m", *, what: What) -> int:
    """Candles as the venue made them. Our own, where they saw every trade, stay before them.

    Parameters
    ----------
    interval
        One that the venue has, such as 1m or 1h.
    """
    return _run(what, interval)


def _run(what: What, interval: str) -> int:
    from tapewatch.cli._progress import Progress
    from tapewatch.runtime import launch, logs
    from tapewatch.runtime.backfill import Backfill, Outcome, past_of
    from tapewatch.runtime.clock import wall_clock

    loaded = launch.load(what.config)
    logs.set_up("WARNING", "console")
    wanted = _wanted(what, interval, loaded)
    past_of(wanted)  # before anything is asked or touched
    folder = what.data_dir or Path(loaded.settings.storage.data_dir)
    progress = Progress()
    last: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        last[:] = [outcome]
        progress(outcome)

    async def main(stop: asyncio.Event) -> int:
        backfill = Backfill(
            wanted, folder, clock=wall_clock, candles=_detector(loaded), stop=stop, tell=tell
        )
        if what.dry_run:
            return _estimated(await backfill.rehearse(), wanted)
        return _told(await backfill.run(), progress)

    try:
        return launch.run(main)
    except TapewatchError:
        progress.end()
        if last and last[0].job.rows and not what.dry_run:
            print("What came is stored; the same command goes on from there.", file=sys.stderr)
        raise


def _wanted(what: What, interval: str, loaded: "Loaded") -> "Wanted":
    from tapewatch.cli._span import span
    from tapewatch.runtime.backfill import Wanted

    since, until = span(what.since, what.until, past=True)
    return Wanted(
        venue=_venue(what, loaded),
        symbol=what.symbol,
        since=since,
        until=until,
        asked=f"{what.since} {what.until}",
        interval=interval,
        resume=what.resume,
    )


def _venue(what: What, loaded: "Loaded") -> Any:
    """The section of the settings, or the venue's usual values. Raises NotFound, ConfigError."""
    from msgspec import structs

    from tapewatch.runtime import plugins
    from tapewatch.runtime.plan import Venue

    prefix = what.symbol.partition(":")[0] if ":" in what.symbol else ""
    sections = loaded.settings.exchanges
    enabled = [name for name, section in sections.items() if section.enabled]
    name = what.venue or (prefix.lower() if prefix.lower() in plugins.names("venues") else "")
    if not name and len(enabled) != 1:
        raise ConfigError(
            f"which venue? Say --venue, such as --venue {(enabled or ['binance'])[0]}"
        )
    name = name or enabled[0]
    plugin = plugins.load("venues", name)
    config = sections.get(name) or plugin.config()
    if what.rest_url:
        config = structs.replace(config, rest_url=what.rest_url)
    return Venue(name, plugin.build(name, config), config)


def _detector(loaded: "Loaded") -> Any:
    """Our own candles with the intervals of the settings."""
    from tapewatch.runtime import plugins

    plugin = plugins.load("process", "candles")
    section = loaded.settings.detectors.get("candles") or plugin.config()
    return plugin.build("candles", section)


def _estimated(outcome: "Outcome", wanted: "Wanted") -> int:
    from tapewatch.runtime.past_reader import paced_secs

    limits = wanted.venue.dialect.limits
    calls = outcome.requests + (outcome.left or 0)
    weight = outcome.weight + outcome.weight_each * (outcome.left or 0)
    print(
        f"{_range(outcome)}: about {calls:,} requests with a weight of {weight:,},"
        f" at least {paced_secs(limits, weight):,.0f} s within the limits of"
        f" {wanted.venue.name}; judged by the first page, nothing was written"
    )
    return _complained(outcome)


def _told(outcome: "Outcome", progress: Any) -> int:
    progress.end()
    if outcome.stopped:
        print(
            f"stopped: {outcome.job.rows:,} rows are stored; the same command goes on from there",
            file=sys.stderr,
        )
        return _STOPPED
    begun = " (taken up again)" if outcome.resumed else ""
    known = outcome.seen - outcome.written
    print(
        f"{_range(outcome)}{begun}: {outcome.written:,} new, {known:,} were stored already",
        file=sys.stderr,
    )
    if outcome.own_candles:
        print(
            f"{outcome.own_candles:,} candles of ours are complete now that were not before",
            file=sys.stderr,
        )
    return _complained(outcome)


def _complained(outcome: "Outcome") -> int:
    for problem in outcome.problems:
        print(f"cannot be had: {problem}", file=sys.stderr)
    if outcome.job.rows or outcome.seen:
        return _PROBLEMS if outcome.problems else 0
    print("the venue has nothing there", file=sys.stderr)
    return _PROBLEMS


def _range(outcome: "Outcome") -> str:
    from tapewatch.model.times import iso

    job = outcome.job
    return f"{job.inst} {job.what}, {iso(job.since)[:19]}Z to {iso(job.until)[:19]}Z"
