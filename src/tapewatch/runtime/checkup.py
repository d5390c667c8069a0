"""What `tapewatch doctor` looks at: this machine, the data folder, and each venue, in plain words.

Nothing is changed. A venue is judged by doing what the product does: its listing is fetched, a
link is opened, one stream is subscribed, and the first event is waited for.
"""

import asyncio
import os
import platform
import random
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import structs

from tapewatch.analysis.selftest import Detector, Outcome
from tapewatch.feeds.exchange import ExchangeFeed, fetch_catalogue
from tapewatch.model.errors import TapewatchError
from tapewatch.model.events import AnyEvent, Batch, DeadLetter, MarketEvent
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Clock, Feed, LinkState, Subscription
from tapewatch.runtime import addresses, catalogues, selftest
from tapewatch.runtime.finding import BAD, GOOD, WARNING, Finding
from tapewatch.runtime.plan import Venue
from tapewatch.wire.http import Http

_LIBRARIES = ("msgspec", "picows", "aiohttp", "uvloop", "pyarrow", "duckdb")
_FILES_WANTED = 1024
_SPACE_WANTED = 1 << 30
_FIRST_DATA_SECS = 12.0
_ACCEPT_SECS = 5.0
_SKEW_TOLERATED_SECS = 2.0


def machine() -> list[Finding]:
    """Python, libraries, open files."""
    found = [Finding(GOOD, "python", f"{platform.python_version()} on {platform.platform()}")]
    for name in _LIBRARIES:
        if name == "uvloop" and sys.platform == "win32":
            continue
        try:
            found.append(Finding(GOOD, name, version(name)))
        except PackageNotFoundError:
            found.append(Finding(BAD, name, "not installed", "run `python3 run.py --install`"))
    found.extend(_open_files())
    return found


def _open_files() -> list[Finding]:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return []
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < _FILES_WANTED:
        return [
            Finding(WARNING, "open files", f"limit {limit}", f"raise it: ulimit -n {_FILES_WANTED}")
        ]
    return [Finding(GOOD, "open files", f"limit {limit}")]


def folder(data_dir: Path) -> list[Finding]:
    """Can data be written there, and for how long."""
    there = next(each for each in (data_dir, *data_dir.absolute().parents) if each.exists())
    try:
        probe = there / f".tapewatch-probe-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return [
            Finding(
                BAD,
                "data folder",
                f"{data_dir}: {error.strerror or error}",
                "name another with storage.data_dir (DATA_DIR), or give this user the right",
            )
        ]
    free = shutil.disk_usage(there).free
    text = f"{data_dir.resolve()}, {free / (1 << 30):.1f} GiB free"
    if free < _SPACE_WANTED:
        return [Finding(WARNING, "data folder", text, "make room, or set retention")]
    return [Finding(GOOD, "data folder", text)]


def detectors(found: Sequence[Detector]) -> list[Finding]:
    """Let each show that it can fire, and keep quiet."""
    verdicts = {Outcome.PROVEN: GOOD, Outcome.SETTINGS: WARNING, Outcome.BROKEN: BAD}
    return [
        Finding(
            verdicts[result.outcome],
            result.name,
            result.words,
            selftest.MEANS.get(result.outcome, ""),
        )
        for result in selftest.at_once(found)
    ]


async def stores(data_dir: Path) -> list[Finding]:
    """Read what is stored, as a query would."""
    from tapewatch.stores.duckdb import DuckDb

    query = DuckDb(data_dir)
    try:
        _, rows = await query.sql("SELECT count(*), max(ts)::VARCHAR FROM trades")
    except (TapewatchError, ValueError) as error:
        return [Finding(BAD, "stored data", str(error), "see `tapewatch query sql`")]
    finally:
        query.close()
    count, newest = rows[0]
    text = f"{count:,} trades, the newest of {newest}" if count else "none yet"
    return [Finding(GOOD, "stored data", text)]


def port(host: str, number: int) -> list[Finding]:
    """Can the server listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            return [
                Finding(
                    WARNING,
                    "port",
                    f"{host}:{number}: {error.strerror or error}",
                    "stop what uses it (perhaps tapewatch itself), or set server.port",
                )
            ]
    return [Finding(GOOD, "port", f"{host}:{number} is free")]


async def venue(place: Venue, clock: Clock) -> AsyncIterator[Finding]:
    """Walk the way that data takes, and stop at the first step that does not go."""
    name, given = place.name, addresses.of(place.config)
    for finding in addresses.retired(name, given):
        yield finding
    async for finding in _names(place):
        yield finding
        if finding.verdict == BAD:
            return
    for finding in await addresses.tls(name, given, clock()):
        yield finding
        if finding.verdict == BAD:
            return
    http = Http(name, place.dialect.limits, random.Random())  # noqa: S311 - jitter
    try:
        async with asyncio.timeout(20.0):
            instruments = await fetch_catalogue(place.dialect, http)
    except (TapewatchError, TimeoutError) as error:
        why = str(error) or "no answer in 20 s"
        yield Finding(BAD, f"{name} REST", why, f"set exchanges.{name}.rest_url, or use a proxy")
        return
    finally:
        await http.close()
    yield Finding(GOOD, f"{name} REST", f"{len(instruments):,} instruments listed")
    async for finding in _first_data(place, Catalogue(instruments), clock):
        yield finding


async def _names(place: Venue) -> AsyncIterator[Finding]:
    loop = asyncio.get_running_loop()
    for key, url in addresses.of(place.config).items():
        host = urlsplit(url).hostname
        if not host:
            continue
        try:
            await loop.getaddrinfo(host, None)
        except OSError as error:
            yield Finding(
                BAD,
                f"{place.name} {host}",
                f"the name cannot be resolved: {error.strerror or error}",
                f"check the network and DNS, or set exchanges.{place.name}.{key}",
            )
            return


class _First:
    """An outlet that waits for the first event about the market."""

    def __init__(self) -> None:
        self.event: asyncio.Future[AnyEvent] = asyncio.get_running_loop().create_future()
        self.letters = 0

    def offer(self, events: Batch) -> bool:
        for event in events:
            self.letters += isinstance(event, DeadLetter)
            if isinstance(event, MarketEvent) and not self.event.done():
                self.event.set_result(event)
        return True

    async def publish(self, events: Batch) -> None:
        self.offer(events)


async def _first_data(place: Venue, catalogue: Catalogue, clock: Clock) -> AsyncIterator[Finding]:
    complaints: list[str] = []
    wanted = catalogues.wanted(
        place,
        catalogue,
        lambda path, message, hint: complaints.append(f"{path}: {message}; {hint}"),
    )
    for complaint in complaints:
        yield Finding(BAD, f"{place.name} settings", complaint, "mend the settings")
    if wanted:
        feed = _feed(place, catalogue, frozenset(wanted[:4]), clock)
        advice = f"set exchanges.{place.name}.ws_url, or check the network"
        yield await first_event(feed, f"{place.name} WebSocket", advice, clock)


async def first_event(feed: Feed, what: str, advice: str, clock: Clock) -> Finding:
    """Let a feed run until its first event about the market."""
    first = _First()
    task = asyncio.create_task(feed.run(first))
    try:
        async with asyncio.timeout(_FIRST_DATA_SECS):
            event = await first.event
        finding = _data(what, event, clock)
        return structs.replace(finding, detail=f"{finding.detail}; {await _accepted(feed)}")
    except TimeoutError:
        status = next(iter(feed.status()), None)
        state = status.state.value if status else LinkState.CONNECTING.value
        why = (status.error if status else "") or f"no data in {_FIRST_DATA_SECS:g} s"
        return Finding(BAD, what, f"{state}: {why}", advice)
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5.0)


async def _accepted(feed: Feed) -> str:
    """How many subscriptions the venue has acknowledged; some answer after the first data."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _ACCEPT_SECS
    while True:
        links = feed.status()
        accepted = sum(link.accepted for link in links)
        asked = sum(link.subscriptions for link in links)
        if accepted >= asked or loop.time() >= until:
            break
        await asyncio.sleep(0.05)
    refused = "".join(f"; {link.error}" for link in links if link.error)
    return f"{accepted} of {asked} subscriptions acknowledged{refused}"


def _feed(
    place: Venue, catalogue: Catalogue, wanted: frozenset[Subscription], clock: Clock
) -> ExchangeFeed:
    return ExchangeFeed(
        place.dialect,
        place.config,
        clock=clock,
        catalogue=catalogue,
        wanted=wanted,
        resume={},
        rng=random.Random(),  # noqa: S311 - jitter
    )


def _data(what: str, event: AnyEvent, clock: Clock) -> Finding:
    kind = event.__struct_config__.tag
    if event.ts == event.recv:
        return Finding(GOOD, what, f"first {kind} arrived")
    skew = (clock() - event.ts) / 1e6
    text = f"first {kind} arrived, {skew * 1000:+.0f} ms behind the venue's clock"
    if abs(skew) > _SKEW_TOLERATED_SECS:
        return Finding(WARNING, what, text, "set this machine's clock (NTP)")
    return Finding(GOOD, what, text)
