"""Record a tape: every frame of a venue verbatim with its receive time, to be replayed exactly.

A tape is complete in itself: `tapewatch replay` needs neither the venue nor the settings. The
hash of the events goes beside it, so that `tapewatch replay --verify` can prove them.
"""

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Batch

if TYPE_CHECKING:  # importing these costs more than printing the help
    from tapewatch.feeds.exchange import ExchangeFeed
    from tapewatch.ports import Dialect, FeedConfig
    from tapewatch.wire.tape import TapeWriter

_SAY_EVERY_SECS = 10.0
_SAY_EVERY_SECS_TO_PEOPLE = 1.0


def command(
    venue: str,
    symbols: list[str],
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    streams: list[str] | None = None,
    seconds: float | None = None,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    ws_url: str | None = None,
    rest_url: str | None = None,
) -> int:
    """Record what a venue sends, verbatim, until Ctrl-C.

    Parameters
    ----------
    venue
        Whose frames, such as binance.
    symbols
        Any spelling: BTC/USDT, btc-usdt, BTCUSDT.
    output
        The tape, ending in .tape or .tape.gz. An existing file is never written over.
    streams
        The venue's own words for its streams, such as aggTrade or depth.
    seconds
        Stop after so long.
    config
        A settings file whose section of this venue is used.
    ws_url
        Another address for its streams.
    rest_url
        Another address for its requests.
    """
    from tapewatch.runtime import launch, logs, plugins

    _refuse_output(output)
    plugin = plugins.load("venues", venue)
    section = launch.load(config).settings.exchanges.get(venue) if config else None
    settings = _adjust(section or plugin.config(), streams, ws_url, rest_url)
    dialect = plugin.build(venue, settings)
    logs.set_up("WARNING", "console")
    recording = _Recording(dialect, settings, symbols, output)
    return launch.run(lambda stop: recording.run(stop, seconds))


class _Recording:
    """Also the Outlet: it counts and hashes what the tape will give again."""

    def __init__(
        self, dialect: "Dialect", settings: "FeedConfig", symbols: list[str], output: Path
    ) -> None:
        self._dialect = dialect
        self._settings = settings
        self._symbols = symbols
        self._output = output
        self._events = 0
        self._hash = hashlib.sha256()

    def offer(self, events: Batch) -> bool:
        from tapewatch.model.codec import json_lines

        self._events += len(events)
        self._hash.update(json_lines(events))
        return True

    async def publish(self, events: Batch) -> None:
        self.offer(events)

    async def run(self, stop: asyncio.Event, seconds: float | None) -> int:
        from tapewatch.wire.tape import TapeWriter

        tape = TapeWriter(self._output)
        feed = await self._feed(tape)
        worker = asyncio.create_task(feed.run(self))
        teller = asyncio.create_task(self._tell(feed))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                {worker, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (worker, teller, stopped):
                task.cancel()
            results = await asyncio.gather(worker, return_exceptions=True)
            tape.close()
        for result in results:
            if isinstance(result, Exception):
                raise result
        return self._end(feed, tape)

    async def _feed(self, tape: "TapeWriter") -> "ExchangeFeed":
        """Resolve what people typed. Raises NotFound, or Unavailable if the venue is away."""
        import random

        from tapewatch.feeds.exchange import ExchangeFeed, add_all, fetch_catalogue
        from tapewatch.model.instrument import Catalogue
        from tapewatch.ports import Subscription
        from tapewatch.runtime.clock import wall_clock
        from tapewatch.wire.http import Http

        dialect = self._dialect
        channels = [dialect.channel(stream) for stream in self._settings.streams]
        rng = random.Random()  # noqa: S311 - jitter, not secrets
        http = Http(dialect.name, dialect.limits, rng)
        try:
            instruments = await fetch_catalogue(dialect, http)
        finally:
            await http.close()
        catalogue = Catalogue()
        add_all(catalogue, instruments)
        found = [catalogue.resolve(symbol, dialect.name) for symbol in self._symbols]
        wanted = frozenset(Subscription(i.id, channel) for i in found for channel in channels)
        return ExchangeFeed(
            dialect,
            self._settings,
            clock=wall_clock,
            catalogue=catalogue,
            wanted=wanted,
            resume={},
            tape=tape,
            rng=rng,
        )

    async def _tell(self, feed: "ExchangeFeed") -> None:
        is_seen = sys.stderr.isatty()
        while True:
            await asyncio.sleep(_SAY_EVERY_SECS_TO_PEOPLE if is_seen else _SAY_EVERY_SECS)
            trouble = next((each.error for each in feed.status() if each.error), "")
            text = f"{feed.counters.received:,} frames, {self._events:,} events  {trouble}"
            print(
                f"\r{text:<100}" if is_seen else text, end="" if is_seen else "\n", file=sys.stderr
            )

    def _end(self, feed: "ExchangeFeed", tape: "TapeWriter") -> int:
        frames = f"{feed.counters.received:,} frames, {self._events:,} events"
        if tape.error:
            print(f"the tape is not complete: {tape.error}; {frames}", file=sys.stderr)
            return 1
        digest = self._hash.hexdigest()
        write_hashes(self._output, {"events": digest})
        print(f"\n{frames}\n{self._output}\nsha256 of the events {digest}", file=sys.stderr)
        return 0


def hash_file(tape: Path) -> Path:
    return tape.with_name(f"{tape.name}.sha256")


def write_hashes(tape: Path, hashes: dict[str, str]) -> None:
    """One line each: what it is the hash of, and the hash."""
    lines = [f"{digest}  {name}\n" for name, digest in hashes.items()]
    hash_file(tape).write_text("".join(lines), encoding="utf-8")


def _adjust(
    settings: Any, streams: list[str] | None, ws_url: str | None, rest_url: str | None
) -> Any:
    from msgspec import structs

    given = {"ws_url": ws_url, "rest_url": rest_url, "streams": tuple(streams or ()) or None}
    changes = {name: value for name, value in given.items() if value is not None}
    unknown = changes.keys() - set(settings.__struct_fields__)
    if unknown:
        raise ConfigError(f"this venue has no setting {', '.join(sorted(unknown))}")
    return structs.replace(settings, **changes)


def _refuse_output(path: Path) -> None:
    if not path.name.endswith((".tape", ".tape.gz")):
        raise ConfigError(f"{path}: the name of a tape ends in .tape or .tape.gz")
    if path.exists():
        raise ConfigError(
            f"{path} is there already and will not be written over: take another name"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}: make it first")
