"""Many connections of one venue as one Feed: shares subscriptions out, fetches, records.

    run: catalogue known? ──no──> fetch it, for ever ──> routes ──> one Session each
                                                            ^
    want ── what goes: fewer on its link, an empty link ends│
         └─ what comes: a link that has room, else a new one┘   nobody else is disturbed

It decodes nothing and knows no venue: the dialect does.
"""

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping

from tapewatch.model.address import host_of, shown
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import InstrumentId, Micros
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.model.times import SECOND
from tapewatch.ports import (
    NOT_WANTED,
    Clock,
    Conversation,
    Counters,
    Dialect,
    FeedConfig,
    LinkState,
    LinkStatus,
    Outlet,
    Paged,
    Route,
    Streams,
    Subscription,
)
from tapewatch.wire.backoff import Backoff
from tapewatch.wire.calls import Calls
from tapewatch.wire.crew import Crew
from tapewatch.wire.fetcher import Fetcher
from tapewatch.wire.http import Http
from tapewatch.wire.limiter import Window
from tapewatch.wire.outflow import Outflow
from tapewatch.wire.refusal import FORBIDDEN, forbidden
from tapewatch.wire.session import Session
from tapewatch.wire.shared import Shared
from tapewatch.wire.steady import Steady
from tapewatch.wire.tape import TapeWriter, taped

_FLUSH_SECS = 0.5  # of the tape: at least once a second
_CATALOGUE = "catalogue"
_MAX_PAGES = 200  # of one listing: a venue that always names a next page must not hold us

log = logging.getLogger("tapewatch.feeds.exchange")


class Forbidden(Unavailable):
    """451 or 403: only a person can end it."""


class ExchangeFeed:
    """A Feed. `run` may be called again after it failed: streams go on where they were."""

    def __init__(  # noqa: PLR0913 - each is a thing of its own
        self,
        dialect: Dialect,
        config: FeedConfig,
        *,
        clock: Clock,
        catalogue: Catalogue,
        wanted: frozenset[Subscription],
        resume: Mapping[Subscription, int],
        tape: TapeWriter | None = None,
        rng: random.Random | None = None,
        weights: Window | None = None,
    ) -> None:
        self.name = dialect.name
        self.counters = Counters()
        self.calls = Calls()
        self._dialect = dialect
        self._config = config
        self._clock = clock
        self._wanted = wanted
        self._tape = tape
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets
        self._streams = Streams(
            catalogue,
            dict(resume),
            hold_secs=config.hold_secs,
            repair_max_ids=config.repair_max_ids,
        )
        # Both are the venue's: they outlive `run`, and its listing at start is paid from one of them.
        self._connects = Window(dialect.limits.connects, dialect.limits.connects_secs)
        self._weights = weights or Window(dialect.limits.weight, dialect.limits.weight_secs)
        self._shared: Shared | None = None  # while it runs and knows the instruments
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._learning = LinkStatus(self.name, _CATALOGUE)
        self._unknown: frozenset[Subscription] = frozenset()

    async def run(self, outlet: Outlet) -> None:
        crew = Crew()
        http = Http(
            self.name, self._dialect.limits, self._rng, calls=self.calls, weights=self._weights
        )
        clock = Steady(self._clock, asyncio.get_running_loop().time)
        handed = self._tape.handed if self._tape is not None else None
        flow = Outflow(outlet, clock, self.counters, crew.fail, handed)
        try:
            await self._learn(http)
            self._begin_tape()
            self._shared = self._share(flow, Fetcher(http, flow, crew), crew, clock)
            self._allot(self._shared)
            if self._tape is not None:
                crew.spawn(self._keep_flushing(self._tape))
            await crew.wait()
        finally:
            self._shared = None
            await crew.disband()
            self._sessions.clear()
            await http.close()
            if self._tape is not None:
                self._tape.flush()
            await flow.close()

    async def want(self, subscriptions: frozenset[Subscription]) -> None:
        self._wanted = subscriptions
        if self._shared is not None:
            self._allot(self._shared)

    async def resync(self, inst: InstrumentId, reason: str) -> None:
        for session in self._sessions:
            for subscription in session.subscriptions:
                if subscription.inst == inst:
                    session.resync(subscription, reason)

    def status(self) -> list[LinkStatus]:
        statuses = [session.status() for session in self._sessions]
        if self._learning.error or not statuses:
            statuses.append(self._learning)
        return statuses

    def _share(self, flow: Outflow, fetcher: Fetcher, crew: Crew, clock: Clock) -> Shared:
        def converse(route: Route) -> Conversation:
            conversation = self._dialect.converse(route, self._streams)
            if self._tape is None:
                return conversation
            return taped(self._tape, conversation, route, clock())

        return Shared(
            venue=self.name,
            limits=self._dialect.limits,
            config=self._config,
            connects=self._connects,
            converse=converse,
            flow=flow,
            fetcher=fetcher,
            crew=crew,
            counters=self.counters,
            rng=self._rng,
        )

    async def _learn(self, http: Http) -> None:
        """Fetch the venue's instruments, for ever, unless somebody has done it."""
        status = self._learning
        backoff = Backoff(self._config.reconnect_delay, self._config.max_reconnect_delay, self._rng)
        while not self._streams.catalogue.all(self.name):
            status.state, status.since = LinkState.CONNECTING, self._clock()
            try:
                learned = await fetch_catalogue(self._dialect, http)
            except Unavailable as failure:
                delay = backoff.next(failure.retry_after)
                status.state, status.error = LinkState.BACKOFF, failure.reason
                if isinstance(failure, Forbidden):
                    status.state = LinkState.BLOCKED
                    delay = max(delay, self._config.max_reconnect_delay)
                status.retry_at = Micros(self._clock() + int(delay * SECOND))
                status.reconnects += 1
                self._log(logging.WARNING, "catalogue_failed", reason=failure.reason)
                await asyncio.sleep(delay)
            else:
                add_all(self._streams.catalogue, learned)
        status.state, status.error, status.retry_at = LinkState.CLOSED, "", None

    def _allot(self, shared: Shared) -> None:
        """Bring the sessions in line with what is wanted."""
        wanted = self._known(self._wanted)
        for session in tuple(self._sessions):
            kept = session.subscriptions & wanted
            if not kept:
                session.farewell = NOT_WANTED
                self._sessions.pop(session).cancel()
            elif kept != session.subscriptions:
                session.want(kept)
        carried = {each for session in self._sessions for each in session.subscriptions}
        for route in self._dialect.routes(sorted(wanted - carried)):
            self._place(route, shared)

    def _place(self, route: Route, shared: Shared) -> None:
        """Give these to a session with room, as the dialect's own way of sharing out sees it."""
        for session in self._sessions:
            if session.route.url != route.url:
                continue
            together = session.subscriptions.union(route.subscriptions)
            if len(self._dialect.routes(sorted(together))) == 1:
                session.want(together)
                return
        used = {session.route.name for session in self._sessions}
        numbers = range(len(used) + 1)
        free = [route.name, *(f"{self.name}-{number}" for number in numbers)]
        name = next(name for name in free if name not in used)
        session = Session(Route(name, route.url, route.subscriptions), shared, self._clock)
        self._sessions[session] = shared.crew.spawn(session.run())

    def _known(self, wanted: Iterable[Subscription]) -> frozenset[Subscription]:
        """Leave out what the venue does not trade, and say so: it would answer with silence."""
        catalogue = self._streams.catalogue
        wanted = frozenset(wanted)
        whole = f"{self.name}:*"
        unknown = frozenset(s for s in wanted if s.inst not in catalogue and s.inst != whole)
        if unknown - self._unknown:
            names = ", ".join(sorted({s.inst for s in unknown})[:5])
            self._learning.error = f"{self.name} does not list {names}: not subscribed"
            self._log(logging.ERROR, "instrument_unknown", inst=names)
        elif not unknown:
            self._learning.error = ""
        self._unknown = unknown
        return wanted - unknown

    def _begin_tape(self) -> None:
        if self._tape is not None:
            wanted = self._known(self._wanted)
            self._tape.begin(self._dialect, self._config, self._streams, wanted, self._clock())

    async def _keep_flushing(self, tape: TapeWriter) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECS)
            tape.flush()
            if tape.error:
                self.counters.dropped["tape"] = tape.lost

    def _log(self, level: int, event: str, **fields: object) -> None:
        log.log(level, event, extra={"fields": {"venue": self.name, **fields}})


async def fetch_catalogue(dialect: Dialect, http: Http) -> list[Instrument]:
    """Ask the venue for all its instruments. Raises Unavailable in words."""
    found: list[Instrument] = []
    waiting = dialect.catalogue()
    for _ in range(_MAX_PAGES):
        if not waiting:
            break
        fetch = waiting.pop(0)
        answer = await http.get(fetch.url, fetch.weight)
        if answer.status in FORBIDDEN:
            host = host_of(fetch.url)
            setting = f"exchanges.{dialect.name}.rest_url"
            raise Forbidden(forbidden(host, answer.status, setting))
        if answer.status != 200:
            said = f"HTTP {answer.status} " if answer.status else ""
            text = answer.body[:200].decode(errors="replace")
            raise Unavailable(f"no list of instruments from {shown(fetch.url)}: {said}{text}")
        try:
            found += dialect.instruments(answer.body)
            following = dialect.next_page(answer.body) if isinstance(dialect, Paged) else None
        except Exception as error:  # a body is decoded here; a web page is an answer too
            raise Unavailable(f"{shown(fetch.url)} gave no list of instruments: {error}") from error
        if following is not None:
            waiting.insert(0, following)
    if not found:
        raise Unavailable(f"{dialect.name} lists no instruments at all")
    return found


def add_all(catalogue: Catalogue, instruments: Iterable[Instrument]) -> None:
    """Add them; two that cannot be told apart are named, and the first one stays."""
    for instrument in instruments:
        try:
            catalogue.add(instrument)
        except ValueError as error:
            log.error(  # noqa: TRY400 - there is nothing in a traceback
                "instrument_ambiguous", extra={"fields": {"reason": str(error)}}
            )
