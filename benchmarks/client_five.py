"""The whole product on five simulated venues at once, and when each frame had reached its bus.

    python -m benchmarks.client_five SETTINGS FOLDER START WARM

Prints the ports of its sockets when everything is subscribed; takes `warm` and `go <wall time in
us>`, from when on the market's time runs up to WARM and beyond; takes `end <frames by venue>`,
waits until so many are heard, prints what it has seen, and drains as the product does.
"""

import asyncio
import json
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import uvloop

from benchmarks import history
from benchmarks.fleet import LOADS
from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.events import Batch, Coverage, Gap, Holding, InstrumentId, Micros
from tapewatch.ports import LinkState, Outlet
from tapewatch.runtime import heap, launch
from tapewatch.runtime.wiring import App

PRICES = "prices.json"  # by venue and native symbol, left in the folder
HEARD = struct.Struct("<HqI")  # our port, wall time in us, frames that have reached the bus
_PATIENCE_SECS = 30.0
_FAR = 1 << 60
_BEGINS = "the stream begins"  # of a stream whose ids have no order: no gap of what was sent


class Clock:
    """Stands, until it is told the wall's time of a moment; goes on to another moment at most."""

    def __init__(self, start: int) -> None:
        self._moment = self._until = start
        self._began = 0

    def go(self, moment: int, began: int, until: int) -> None:
        self._moment, self._began, self._until = moment, began, until

    def __call__(self) -> Micros:
        passed = time.time_ns() // 1_000 - self._began
        return Micros(min(self._until, self._moment + max(0, passed)))


class Tap:
    """An outlet before the gate of one feed: notes which frames the bus has taken."""

    def __init__(self, feed: ExchangeFeed, gate: Outlet, log: BinaryIO) -> None:
        self.seen: Counter[type] = Counter()
        self.holdings: Counter[Holding] = Counter()
        self.gaps: Counter[str] = Counter()
        self.full = 0  # how often the bus had no room
        self._feed = feed
        self._gate = gate
        self._log = log
        self._frames: dict[int, int] = {}

    def offer(self, events: Batch) -> bool:
        if not self._gate.offer(events):
            self.full += 1
            return False
        self._note(events)
        return True

    async def publish(self, events: Batch) -> None:
        await self._gate.publish(events)
        self._note(events)

    def _note(self, events: Batch) -> None:
        now = time.time_ns() // 1_000
        for port, frames in frames_of(self._feed).items():
            if self._frames.get(port) != frames:
                self._frames[port] = frames
                self._log.write(HEARD.pack(port, now, frames))
        self.seen.update(map(type, events))
        self.holdings.update(e.holding for e in events if type(e) is Coverage)
        self.gaps.update(
            f"{e.inst} {e.reason}"
            for e in events
            if type(e) is Gap and not e.reason.startswith(_BEGINS)
        )


def frames_of(feed: Any) -> dict[int, int]:
    """By the port of our socket."""
    return {port_of(life): life.frames for session in feed._sessions for life in session._lives}


def books_of(feed: Any) -> tuple[int, int]:
    """Those that are in step, and all."""
    states = [getattr(flow, "state", None) for flow in feed._streams.state.values()]
    told = [state.value for state in states if hasattr(state, "value")]
    return told.count("live"), len(told)


def port_of(life: Any) -> int:
    port = getattr(life, "_bench_port", None)
    if port is None:
        transport = life._link._transport.underlying_transport
        port = life._bench_port = transport.get_extra_info("sockname")[1]
    return int(port)


def remember(app: App, prices: dict[str, dict[str, float]], until: int) -> None:
    """Hours that were, so that no window fills while memory is watched."""
    named: dict[InstrumentId, float] = {}
    channels = {}
    for venue, costs in prices.items():
        feed: Any = app.feeds[venue]
        channels[venue] = feed._dialect.channel(LOADS[venue].streams[0])  # its trades
        resolve = feed._streams.catalogue.resolve
        named |= {resolve(native, venue).id: cost for native, cost in costs.items()}
    history.play(app.pipeline, named, channels, until)


async def settled(app: App) -> None:
    """Everything accepted. Books whose snapshots are asked for begin with their first change."""
    async with asyncio.timeout(_PATIENCE_SECS):
        while not _is_settled(app):
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)  # what is under way still arrives, and the log ends with it


def _is_settled(app: App) -> bool:
    links = app.links()
    if not all(link.state is LinkState.STREAMING for link in links):
        return False
    return sum(link.accepted for link in links) == sum(link.subscriptions for link in links)


def without_refresh() -> None:
    """Its books have no numbers and are asked for anew, in turn; here the venue stands still."""
    from tapewatch.venues.coinbase import CoinbaseConversation

    CoinbaseConversation.refresh_secs = 0.0


async def measure(settings: Path, folder: Path, start: int, warm: int) -> dict[str, Any]:
    without_refresh()
    loop, clock = asyncio.get_running_loop(), Clock(start)
    plan = launch.plan_of(launch.load(settings, environ={}, folder=folder))
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    app = App(plan, clock)
    await app.start()
    remember(app, json.loads((folder / PRICES).read_text()), start)
    with (folder / "heard.log").open("wb", buffering=1 << 20) as log:
        taps = {}
        for name, feed in app.feeds.items():
            assert isinstance(feed, ExchangeFeed)
            worker = app._workers[f"feed-{name}"]
            taps[name] = worker._outlet = Tap(feed, worker._outlet, log)
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(stop))
        await settled(app)
        _say({"links": {name: frames_of(feed) for name, feed in app.feeds.items()}})
        words = (await loop.run_in_executor(None, sys.stdin.readline)).split()
        clock.go(start, int(words[1]), warm)
        words = (await loop.run_in_executor(None, sys.stdin.readline)).split()
        clock.go(warm, int(words[1]), _FAR)
        cpu, wall = time.process_time(), time.monotonic()
        words = (await loop.run_in_executor(None, sys.stdin.readline)).split(maxsplit=1)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        await heard(app, json.loads(words[1]))
        telling = told(app, taps)
        stop.set()
        await running
    return {**telling, "cpu_secs": cpu, "wall_secs": wall}


async def heard(app: App, frames: dict[str, int]) -> None:
    """Wait until so many are heard, or for as long as anybody would."""
    try:
        async with asyncio.timeout(_PATIENCE_SECS):
            for name, wanted in frames.items():
                while sum(frames_of(app.feeds[name]).values()) < wanted:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
    except TimeoutError:
        pass  # what is missing shows in the count


def told(app: App, taps: dict[str, Tap]) -> dict[str, Any]:
    seen: Counter[type] = sum((tap.seen for tap in taps.values()), Counter())
    holdings: Counter[Holding] = sum((tap.holdings for tap in taps.values()), Counter())
    dropped = {name: dict(each.dropped) for name, each in app.counters().items() if each.dropped}
    gaps: Counter[str] = sum((tap.gaps for tap in taps.values()), Counter())
    return {
        "frames": {name: frames_of(app.feeds[name]) for name in taps},
        "events": {kind.__name__: count for kind, count in seen.items()},
        "holdings": {holding.value: count for holding, count in holdings.items()},
        "dropped": dropped,
        "full": sum(tap.full for tap in taps.values()),
        "books": {name: books_of(app.feeds[name]) for name in taps},
        "gaps": dict(gaps.most_common(5)),
        "reconnects": sum(link.reconnects for link in app.links()),
        "errors": {name: dict(each.errors) for name, each in app.counters().items() if each.errors},
    }


def _say(words: dict[str, Any]) -> None:
    print(json.dumps(words), flush=True)


def main() -> None:
    settings, folder, start, warm = sys.argv[1:5]
    heap.keep_little()  # as `launch.run` does
    _say(uvloop.run(measure(Path(settings), Path(folder), int(start), int(warm))))


if __name__ == "__main__":
    main()
