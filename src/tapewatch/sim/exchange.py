"""The simulated exchange: one market behind real sockets on one port.

Two drives move its time. Live: a task follows the steady clock, about fifty times a second; a
market opened just now shows the time of day, one opened at another time keeps its own. Manual
(`live=False`): nothing happens until `advance`, and when that returns the frames are on the
sockets. Keep-alive, limits and ages of connections follow the steady clock in both drives; it can
be given, so that a test need not wait.
It refuses to buffer without bound: a client that does not read is dropped, and counted.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tapewatch.sim.binance import Binance
from tapewatch.sim.faults import Faults
from tapewatch.sim.limits import Rules
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Market
from tapewatch.sim.sockets import Sockets
from tapewatch.sim.venues import MakeVenue
from tapewatch.sim.web_api import WebApi

_log = logging.getLogger("tapewatch.sim.exchange")
_TICK_SECS = 0.02
_LONGEST_ADDRESS = 65_536  # bytes; 1,024 stream names in one URL
_JUST_OPENED = 60_000_000  # microseconds
_MOST_LAG = 5_000_000  # microseconds; further behind, the missed time is skipped


class SimulatedExchange:
    """Start it, use `ws_url` and `rest_url`, stop it. Also an async context manager."""

    def __init__(  # noqa: PLR0913 - options by name, each with its default
        self, market: Market, *, venue: MakeVenue = Binance, faults: Faults | None = None,
        rules: Rules | None = None, host: str = "127.0.0.1", port: int = 0, live: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.market = market
        self.faults = faults or Faults()
        self.host = host
        self.port = port
        self.skipped_micros = 0
        self._rules = rules or Rules()
        self._live = live
        self._hub = Hub(self.faults)
        self.venue = venue(market, self._hub, self._rules)
        self.faults.texts = self.venue.fault_texts
        self.sockets = Sockets(self.venue, self._hub, self._rules, clock)
        self.api = WebApi(market, self.venue, self.faults, self._rules, clock, self.state)
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ws_url(self) -> str:
        """The address before the venue's paths of sockets."""
        return f"ws://{self.host}:{self.port}"

    @property
    def rest_url(self) -> str:
        """The address before the venue's paths of requests."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Open the port (OSError if it is taken) and, when live, let time run."""
        app = web.Application()
        app.add_routes([web.get(path, self._socket) for path in self.venue.sockets])
        app.add_routes(self.api.routes())
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, max_line_size=_LONGEST_ADDRESS
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        drives = [self._keep_alive()]
        if self._live:
            drives += [self._run(), self._make_history()]
        self._tasks = [asyncio.create_task(drive) for drive in drives]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cut all clients and free the port. It can be started again, on the same port."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        self.sockets.abort_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.stop()

    async def advance(self, micros: int) -> None:
        """Move time (manual drive). On return all frames are on the sockets."""
        to = self.market.now + micros
        self.sockets.look()
        while self.market.now < to:
            self._step(to)
            await self.sockets.drain()
            await asyncio.sleep(0)

    def state(self) -> Mapping[str, Any]:
        """Counters, for people and tests."""
        links = list(self._hub.links.values())
        return {
            "venue": self.venue.name,
            "now": self.market.now,
            "symbols": len(self.market.symbols),
            "whales": self.market.whales,
            "clients": len(links),
            "accepted": self.sockets.accepted,
            "streams": sum(len(self._hub.streams(link)) for link in links),
            "frames": sum(link.frames for link in links),
            "dropped_slow": self.sockets.dropped_slow,
            "dropped_chatty": self.sockets.dropped_chatty,
            "weight_used": self.api.weights.used,
            "skipped_micros": self.skipped_micros,
            "faults": dict(self.faults.counts),
        }

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        answer, _ = await self.api.troubled(request)
        return answer if answer is not None else await self.sockets.serve(request)

    def _step(self, to: int) -> None:
        """Advance to the next point of the venue's grid, at most to `to`."""
        now, grid = self.market.now, self.venue.grid
        self.venue.step(min(to, now - now % grid + grid))
        for message in self.faults.due(self.market.now):
            self._hub.deliver(message)
        self.sockets.flush()
        self.sockets.cut(self.faults.take_cut())

    async def _run(self) -> None:
        """The live drive."""
        wall = time.time_ns() // 1_000
        if 0 < wall - self.market.now < _JUST_OPENED:
            self.market.skip(wall)  # what it took to get here must not show as latency
        base, began = self.market.now, time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECS)
            self.sockets.look()
            to = base + int((time.monotonic() - began) * 1e6)
            behind = to - self.market.now
            if behind > _MOST_LAG:
                self._skip(behind)
            while self.market.now < to:
                self._step(to)
                await asyncio.sleep(0)

    async def _make_history(self) -> None:
        """The past day of a symbol costs some ms; made now and then, it never shows."""
        for symbol in self.market.symbols:
            await asyncio.sleep(_TICK_SECS)
            self.market.day(symbol)

    def _skip(self, behind: int) -> None:
        self.skipped_micros += behind
        _log.warning("market_time_skipped", extra={"fields": {"micros": behind}})
        self.market.skip(self.market.now + behind)

    async def _keep_alive(self) -> None:
        pause = min(1.0, self._rules.ping_secs / 5, self._rules.max_age_secs / 5)
        while True:
            await asyncio.sleep(pause)
            self.sockets.tend()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A drive ends by `stop` only; anything else is a bug that people must see."""
        if not task.cancelled() and task.exception() is not None:
            _log.error("drive_failed", exc_info=task.exception())
            self.sockets.abort_all()
