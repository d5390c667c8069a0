"""Asks a venue for its past: within its limits, with patience for its troubles, until told to stop.

GET ──200 and readable──> a Page
 ├── 429, 418: the HTTP layer waits as long as the venue asks
 ├── 5xx, no network, a web page: again, for about two minutes in all, then Unavailable
 ├── 403, 451: Unavailable, with the setting that helps
 └── any other 4xx: the venue's own words
"""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

from msgspec import structs

from tapewatch.feeds.exchange import add_all, fetch_catalogue
from tapewatch.model.address import host_of
from tapewatch.model.errors import TapewatchError, Unavailable
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import Answer, Clock, Dialect, Fetch, Limits
from tapewatch.venues._past import Page, Walk
from tapewatch.wire.http import Http
from tapewatch.wire.refusal import FORBIDDEN, TOO_MANY, forbidden

T = TypeVar("T")

RETRY_SECS: tuple[float, ...] = (2, 4, 8, 16, 32, 64)  # each after the tries of the HTTP layer
_BAN_SECS = 3600.0  # a venue that asks for silence so long is waited for
_SHARE = 0.8  # of the venue's budget: a tapewatch at the same address needs some for its repairs


def budget(limits: Limits) -> int:
    return max(1, int(limits.weight * _SHARE))


def paced_secs(limits: Limits, weight: int) -> float:
    """How long it takes at least; the first window's budget can be spent at once."""
    return max(0.0, weight / budget(limits) - 1) * limits.weight_secs


class Stopped(Exception):
    """No error: a person said stop."""


class PastReader:
    def __init__(self, dialect: Dialect, clock: Clock, stop: asyncio.Event) -> None:
        self.requests = 0
        self.weight = 0
        self._dialect = dialect
        self._clock = clock
        self._stop = stop
        self._http = Http(
            dialect.name,
            structs.replace(dialect.limits, weight=budget(dialect.limits)),
            random.Random(),  # noqa: S311 - jitter, not secrets
            patience_secs=_BAN_SECS,
        )

    async def resolve(self, symbol: str) -> Instrument:
        """Find what is meant in the venue's listing. Raises NotFound, Unavailable, Stopped."""
        catalogue = Catalogue()
        listing = await self._unless_stopped(fetch_catalogue(self._dialect, self._http))
        add_all(catalogue, listing)
        return catalogue.resolve(symbol, self._dialect.name)

    async def page(self, walk: Walk, cursor: str) -> Page:
        """Bring the next page. Raises Stopped, Unavailable, TapewatchError with the venue's words."""
        fetch = walk.ask(cursor)
        problem = ""
        for delay in (*RETRY_SECS, None):
            answer = await self._unless_stopped(self._http.get(fetch.url, fetch.weight))
            self.requests += 1
            self.weight += fetch.weight
            problem = self._problem(fetch, answer)
            if not problem:
                try:
                    return walk.read(cursor, answer.body, self._clock())
                except Exception as error:  # noqa: BLE001 - a body is decoded: a web page is one too
                    problem = f"an answer that cannot be read: {error}"
            if delay is not None:
                await self._unless_stopped(asyncio.sleep(delay))
        raise Unavailable(f"{self._dialect.name} does not give its past now: {problem}")

    async def close(self) -> None:
        await self._http.close()

    def _problem(self, fetch: Fetch, answer: Answer) -> str:
        """Give what may pass, in words; raise what will not; empty if all is well."""
        status = answer.status
        words = answer.body[:200].decode(errors="replace").strip()
        if status in FORBIDDEN:
            host = host_of(fetch.url)
            setting = f"exchanges.{self._dialect.name}.rest_url"
            raise Unavailable(forbidden(host, status, setting))
        if 400 <= status < 500 and status not in TOO_MANY:
            raise TapewatchError(f"{self._dialect.name} refuses (HTTP {status}): {words}")
        if status == 200:
            return ""
        return f"HTTP {status} {words}" if status else words

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if self._stop.is_set():
                raise Stopped
            return task.result()
        finally:
            stopped.cancel()
            if not task.cancel() and not task.cancelled():
                task.exception()  # seen: nobody else will ask for it
