"""A simulated venue whose frames are made before they are sent, at the times at which they are due.

    record:  a market runs ahead as fast as it can; a feed of ours said what it wants on which
             link, what goes to each link is kept                                   (no time counts)
    ready:   a second market, the same by its seed, stands still and serves handshakes,
             acknowledgements and listings to the client that is measured
    warm:    the second market runs for a while, so that the client gets its books into step
    go:      from then on what was recorded is written to its links, when it is due

So the sender needs a few percent of a core, whatever the market costs, and every id, sequence and
snapshot is the venue's own. For each write it tells how many frames the link has had with it and
when that was: the client's own log of frames says how long they were on their way.

`python -m benchmarks.gale VENUE SYMBOLS RATE SECS FOLDER` prints its port, waits for lines on its
stdin (`links`, `warm` and `go <wall time in us>`, `end`) and answers each with a line.
"""

import asyncio
import json
import random
import struct
import sys
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import uvloop
from msgspec.structs import replace

from benchmarks.fleet import LOADS, natives_of
from tapewatch.feeds.exchange import ExchangeFeed, add_all, fetch_catalogue
from tapewatch.model.events import Micros
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState, Subscription
from tapewatch.runtime import plugins
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.market import Market, Size
from tapewatch.sim.venues import open_venue
from tapewatch.wire.http import Http

START = 1_790_002_860_000_000  # a whole minute
STEP = 5_000  # microseconds of the market in one write
WARM_SECS = 10  # snapshots of books are to be had in this time only
WARM = START + WARM_SECS * 1_000_000
_DEADLINE = 60.0
WRITE = struct.Struct("<HqII")  # port of the client, wall time in us, frames of it, of the link


@dataclass
class Recording:
    """What one link is to get: parallel rows of when, how many frames, and their bytes."""

    path: str
    streams: frozenset[str]
    due: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)


class Tray:
    """In the place of a transport: keeps what is written."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.taken.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        pass

    abort = close


class Silent:
    """An outlet for a feed that only says what it wants."""

    def offer(self, _events: list[Any]) -> bool:
        return True

    async def publish(self, _events: list[Any]) -> None:
        pass


def exchange(venue: str, symbols: int, rate: float) -> SimulatedExchange:
    size = Size(levels=100, trades=2_000, book_changes=2_000, history_minutes=30)
    listed = 2 * symbols if venue == "bybit" else symbols  # a half of them is linear
    market, make, rules = open_venue(venue, start=START, symbols=listed, rate=rate, size=size)
    rules = replace(
        rules, ping_secs=inf, max_age_secs=inf, inbound_per_sec=1_000, connects=1_000,
        weight=100_000, max_backlog_bytes=64_000_000,
    )  # fmt: skip
    return SimulatedExchange(market, venue=make, rules=rules, live=False, clock=lambda: 0.0)


async def record(venue: str, symbols: int, rate: float, secs: float) -> list[Recording]:
    """Let a feed subscribe, then take its place and run the market ahead."""
    source = exchange(venue, symbols, rate)
    async with source:
        feed = await _subscribed(source, venue, symbols)
        hub: Any = source._hub
        simulated: Any = source.venue
        links = {link: hub.streams(link) for link in hub.links.values()}
        # The feed goes, and nobody is told: its links stay, with trays for sockets.
        hub.remove = simulated.closed = lambda _link: None
        feed.cancel()
        await asyncio.wait([feed])
        await asyncio.sleep(0.1)
        found = [(link, Tray(), Recording(link.path, streams)) for link, streams in links.items()]
        for link, tray, _ in found:
            link.flush()
            link._transport = tray
            link.ended, link.frames = False, 0
            hub.links[link.number] = link
        while source.market.now < START + int(secs * 1e6):
            source._step(source.market.now + STEP)
            for link, tray, recording in found:
                _keep(recording, source.market.now, link, tray)
        for link, _, _ in found:
            link.ended = True
            hub.links.pop(link.number, None)
    return [recording for _, _, recording in found]


def _keep(recording: Recording, now: int, link: Any, tray: Tray) -> None:
    if tray.taken:
        recording.due.append(now)
        recording.frames.append(link.frames)
        recording.chunks.append(b"".join(tray.taken))
        tray.taken.clear()
        link.frames = 0


async def _subscribed(source: SimulatedExchange, venue: str, symbols: int) -> asyncio.Task[None]:
    plugin = plugins.load("venues", venue)
    config = plugin.config(ws_url=source.ws_url, rest_url=source.rest_url)
    dialect = plugin.build(venue, config)
    dialect.limits = replace(dialect.limits, frames_per_sec=1_000, connects=1_000)
    catalogue = Catalogue()
    http = Http(venue, dialect.limits, random.Random(1))
    add_all(catalogue, await fetch_catalogue(dialect, http))
    await http.close()
    wanted = frozenset(
        Subscription(catalogue.resolve(native, venue).id, dialect.channel(stream))
        for native in natives_of(venue, source.market.symbols, symbols)
        for stream in LOADS[venue].streams
    )
    feed = ExchangeFeed(
        dialect, config, clock=lambda: Micros(source.market.now), catalogue=catalogue, wanted=wanted,
        resume={}, rng=random.Random(1),
    )  # fmt: skip
    running = asyncio.create_task(feed.run(Silent()))
    async with asyncio.timeout(_DEADLINE):
        while not _settled(feed, len(wanted)):
            if running.done():
                running.result()
            await asyncio.sleep(0.01)
    return running


def _settled(feed: ExchangeFeed, wanted: int) -> bool:
    status = feed.status()
    return (
        all(each.state is LinkState.STREAMING for each in status)
        and sum(each.accepted for each in status) == wanted
    )


class Gale:
    """Serves, waits, and lets go."""

    def __init__(self, recordings: list[Recording], served: SimulatedExchange, log: Path) -> None:
        self._recordings = recordings
        self._served = served
        self._log = log
        self.late: list[int] = []  # microseconds, of each write

    def links(self) -> dict[int, Recording]:
        """Port of the client's socket, and what goes there. Raises KeyError if they differ."""
        kept = {(each.path, each.streams): each for each in self._recordings}
        hub = self._served._hub
        return {_port(link): kept[link.path, hub.streams(link)] for link in hub.links.values()}

    async def warm(self, began: int) -> None:
        """Let the market that is served run; `began` is the wall's time of START."""
        while self._served.market.now < WARM:
            await _until(began + self._served.market.now + STEP - START)
            await self._served.advance(STEP)

    async def go(self, began: int) -> dict[str, Any]:
        """Write everything when it is due; `began` is the wall's time of WARM."""
        links = {_port(link): link for link in self._served._hub.links.values()}
        recordings = self.links()
        plan = sorted(
            (due, port, row)
            for port, recording in recordings.items()
            for row, due in enumerate(recording.due)
            if due > WARM
        )
        with self._log.open("wb", buffering=1 << 20) as log:
            for due, port, row in plan:
                at = began + due - WARM
                await _until(at)
                link, recording = links[port], recordings[port]
                if link.gone:
                    return {"failed": f"the client left port {port}"}
                now = time.time_ns() // 1_000
                link.frames += recording.frames[row]
                link._transport.write(recording.chunks[row])
                recording.chunks[row] = b""
                self.late.append(now - at)
                log.write(WRITE.pack(port, now, recording.frames[row], link.frames))
        late = sorted(self.late)
        return {
            "frames": sum(recordings[port].frames[row] for _, port, row in plan),
            "total": sum(link.frames for link in links.values()),
            "late_p99_ms": late[len(late) * 99 // 100] / 1_000,
            "cpu_secs": time.process_time(),
        }


async def _until(at: int) -> None:
    while (ahead := at - time.time_ns() // 1_000) > 0:
        await asyncio.sleep(ahead / 1e6)


def prices_of(venue: str, market: Market, natives: list[str]) -> dict[str, float]:
    listed = "spot/" if venue == "bybit" else ""
    return {native: market.live_book(listed + native).bids.best / 1e8 for native in natives}


def _port(link: Any) -> int:
    port: int = link._transport.get_extra_info("peername")[1]
    return port


async def _serve(venue: str, symbols: int, rate: float, secs: float, log: Path) -> None:
    recordings = await record(venue, symbols, rate, secs)
    frames = sum(sum(each.frames) for each in recordings)
    served = exchange(venue, symbols, rate)
    loop = asyncio.get_running_loop()
    async with served:
        size = sum(len(chunk) for each in recordings for chunk in each.chunks)
        natives = natives_of(venue, served.market.symbols, symbols)
        prices = prices_of(venue, served.market, natives)
        _say({"port": served.port, "frames": frames, "bytes": size, "prices": prices})
        gale = Gale(recordings, served, log)
        cpu = 0.0
        while words := (await loop.run_in_executor(None, sys.stdin.readline)).split():
            match words:
                case ["links"]:
                    _say({"links": sorted(gale.links())})
                case ["warm", began]:
                    await gale.warm(int(began))
                    _say({})
                case ["go", began]:
                    cpu = time.process_time()
                    told = await gale.go(int(began))
                    _say({**told, "cpu_secs": time.process_time() - cpu})
                case _:
                    break


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)


def main() -> None:
    venue, symbols, rate, secs, log = sys.argv[1:6]
    uvloop.run(_serve(venue, int(symbols), float(rate), float(secs), Path(log)))


if __name__ == "__main__":
    main()
