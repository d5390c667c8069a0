"""From a plan to running workers: the one place that knows all parts.

feeds ──> gate ──> bus ──> processors ──> bus ──> hot, pumps, hub, resync
INGEST                     PROCESS                PROCESS STORE  SERVE
"""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from tapewatch import __version__
from tapewatch.bus.local import LocalBus
from tapewatch.feeds.ccxt import CcxtFeed, Listing
from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.feeds.news import NewsFeed
from tapewatch.model.errors import ConfigError
from tapewatch.model.events import (
    Batch,
)
from tapewatch.model.instrument import Catalogue, split_id
from tapewatch.ports import (
    Buffer,
    Clock,
    Counters,
    LinkStatus,
    Sink,
    Stage,
    Subscription,
    WhenFull,
)
from tapewatch.runtime import catalogues, ccxt_venues, preview, recovery, telling, vitals
from tapewatch.runtime.across import PipelineAcross
from tapewatch.runtime.alerting import Alerting
from tapewatch.runtime.behind import Behind
from tapewatch.runtime.books import PipelineBooks
from tapewatch.runtime.checkpoint import Checkpoint
from tapewatch.runtime.clock import ClockWatch
from tapewatch.runtime.delivery import Outside
from tapewatch.runtime.garbage import seldom_collected
from tapewatch.runtime.plan import CcxtVenue, Plan, Venue
from tapewatch.runtime.processing import Gate, PipelineWorker
from tapewatch.runtime.pump import Pump
from tapewatch.runtime.selftest import SelfTest
from tapewatch.runtime.spill import Spill
from tapewatch.runtime.subscriptions import Subscriptions, merge
from tapewatch.runtime.supervisor import Supervisor
from tapewatch.runtime.telemetry import Facts, Processing, Telemetry
from tapewatch.runtime.workers import FeedWorker, HotWorker, ResyncWorker
from tapewatch.serve.app import Server
from tapewatch.serve.context import Context, Previews
from tapewatch.serve.live import Hub
from tapewatch.stores.dead_letters import DeadLetters
from tapewatch.stores.parquet import Parquet
from tapewatch.stores.seen import Seen
from tapewatch.stores.sqlite import Sqlite
from tapewatch.stream.pipeline import Pipeline
from tapewatch.wire.calls import Calls
from tapewatch.wire.http import Http
from tapewatch.wire.limiter import Window


class App:
    """Everything that runs. `start` builds it, `run` lives until `stop` is set."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self.clock = clock
        self.started = clock()
        self.processing = Processing()
        self.bus = LocalBus()
        self.pipeline = Pipeline(plan.processors)
        self.parquet = Parquet(
            plan.data_dir, clock=clock, config=plan.parquet, keep_days=plan.keep_days
        )
        self.sqlite = Sqlite(plan.data_dir / "tapewatch.sqlite", clock=clock)
        self.feeds: dict[str, ExchangeFeed | CcxtFeed] = {}
        self.news: NewsFeed | None = None
        self.server: Server | None = None
        self.hub: Hub | None = None
        self.alerting: Alerting
        self.self_test = SelfTest(plan.detectors)
        self._budgets: dict[str, Window] = {}
        self._workers: dict[str, Any] = {}
        self._sinks: dict[str, Counters] = {}
        self._supervisor = Supervisor(
            clock=clock, drain_secs=plan.drain_secs, on_stage_end=self._end_stage
        )
        self._must_see = Buffer(plan.max_events, WhenFull.BLOCK)
        self._reader = self.bus.subscribe("processors", self.pipeline.wants, self._must_see)
        self._checkpoint: Checkpoint | None = None

    async def start(self) -> None:
        """Recover, ask the venues for their listings, check what is wanted, build the workers.

        Raise ConfigError if the settings cannot be used; nothing is running then.
        """
        numbered = {venue.dialect.name: venue.dialect.numbered for venue in self.plan.venues}
        numbered |= dict.fromkeys((other.name for other in self.plan.ccxt), False)
        found = await recovery.recover(self.parquet, self.sqlite, numbered)
        catalogue = await catalogues.load(
            self.plan.venues, self.plan.data_dir / "catalogue", self._http
        )
        listings = await ccxt_venues.load(
            self.plan.ccxt, self.plan.data_dir / "catalogue", catalogue
        )
        subscriptions = self._choose(found, catalogue, listings)
        gate = Gate(self.bus, self.processing)
        for venue in self.plan.venues:
            self._add_feed(venue, catalogue, found, subscriptions.subscriptions(), gate)
        for other in self.plan.ccxt:
            self._add_ccxt(other, catalogue, listings, subscriptions.subscriptions(), gate)
        self._add_news(gate)
        self._add_processors()
        self._add_stores()
        await self._add_alerting()
        self._add(Stage.SERVE, ClockWatch())
        self._add(Stage.SERVE, self.self_test)
        if self.plan.serve:
            self._add_server(catalogue, subscriptions)
        assert self._checkpoint is not None
        async for derived in recovery.catch_up(
            self._checkpoint, self.pipeline, self.parquet, self.clock
        ):
            await self.bus.publish(derived, skip=self._reader)
        self.alerting.agree_with(telling.firing(self.plan.processors))

    async def run(self, stop: asyncio.Event) -> int:
        """Run until `stop`; give the exit code. Everything accepted is written when it returns."""
        try:
            with seldom_collected():
                return await self._supervisor.run(stop)
        finally:
            await self.alerting.log.close()
            self.plan.query.close()
            if self.plan.previews is not None:
                self.plan.previews.close()

    def _choose(
        self, found: recovery.Found, catalogue: Catalogue, listings: Mapping[str, Listing]
    ) -> Subscriptions:
        complain = self.plan.complain or _nobody_listens
        venues: tuple[Venue | CcxtVenue, ...] = (*self.plan.venues, *self.plan.ccxt)
        configured = [
            subscription
            for venue in venues
            for subscription in catalogues.wanted(venue, catalogue, complain)
        ]
        for other in self.plan.ccxt:
            if other.name in listings:
                ccxt_venues.check(other, listings[other.name], complain)
        dialects = {venue.dialect.name: venue.dialect for venue in venues}
        streams = {venue.dialect.name: venue.config.streams for venue in venues}
        subscriptions = Subscriptions(self.feeds, dialects, streams, catalogue, self.sqlite)
        subscriptions.start(merge(configured, found.kept))
        return subscriptions

    def _add_feed(
        self,
        venue: Venue,
        catalogue: Catalogue,
        found: recovery.Found,
        wanted: frozenset[Subscription],
        gate: Gate,
    ) -> None:
        name = venue.dialect.name
        feed = ExchangeFeed(
            venue.dialect,
            venue.config,
            clock=self.clock,
            catalogue=catalogue,
            wanted=frozenset(s for s in wanted if split_id(s.inst)[0] == name),
            resume=found.resume,
            rng=random.Random(),  # noqa: S311 - jitter, not secrets
            weights=self._budget(venue),
        )
        self.feeds[name] = feed
        self._add(Stage.INGEST, FeedWorker(feed, gate))

    def _add_ccxt(
        self,
        venue: CcxtVenue,
        catalogue: Catalogue,
        listings: Mapping[str, Listing],
        wanted: frozenset[Subscription],
        gate: Gate,
    ) -> None:
        feed = CcxtFeed(
            venue.name,
            venue.config,
            clock=self.clock,
            catalogue=catalogue,
            wanted=frozenset(s for s in wanted if split_id(s.inst)[0] == venue.name),
            listing=listings.get(venue.name),
        )
        self.feeds[venue.name] = feed
        self._add(Stage.INGEST, FeedWorker(feed, gate))

    def _add_news(self, gate: Gate) -> None:
        wanted = self.plan.news
        if wanted is None:
            return
        seen = Seen(self.plan.data_dir / "news.sqlite", clock=self.clock)
        self.news = NewsFeed(
            wanted.sources,
            wanted.hours,
            clock=self.clock,
            seen=seen,
            user_agent=wanted.user_agent,
        )
        self._add(Stage.INGEST, FeedWorker(self.news, gate))

    def _add_processors(self) -> None:
        worker = PipelineWorker(
            self.pipeline, self._reader, self.bus, self.processing, time.perf_counter
        )
        self._checkpoint = Checkpoint(
            self.plan.data_dir / "checkpoint",
            self.pipeline,
            lambda: worker.mark,
            self.plan.checkpoint_secs,
        )
        self._add(Stage.PROCESS, worker)
        self._add_vitals(worker)
        hot = self.bus.subscribe("hot", HotWorker.wants, self._must_see)
        self._add(Stage.STORE, HotWorker(self.plan.hot, hot))
        resync = self.bus.subscribe("resync", ResyncWorker.wants, self._must_see)
        self._add(Stage.STORE, ResyncWorker(self.feeds, resync))
        self._add(Stage.SERVE, self._checkpoint)

    def _add_vitals(self, worker: PipelineWorker) -> None:
        facts = vitals.Facts(
            clock=self.clock,
            feeds=self.feeds,
            processing=self.processing,
            readers=lambda: self.bus.readers,
            counters=self.counters,
            mark=lambda: worker.mark,
        )
        self._add(Stage.INGEST, vitals.Vitals(facts, self.bus.publish))  # an input like any other

    def _add_stores(self) -> None:
        outside = Outside(letters=self._letters, clock=self.clock)
        folder = self.plan.data_dir / "spill"
        letters = DeadLetters(self.plan.data_dir)
        behind = Behind(self.parquet, self.sqlite)
        self._sinks = {
            "parquet": self.parquet.counters,
            "sqlite": self.sqlite.counters,
            "ledger": behind.counters,
            "dead_letters": letters.counters,
        }
        sinks: tuple[Sink, ...] = (behind, letters, *self.plan.sinks)
        for sink in sinks:
            reader = self.bus.subscribe(sink.name, sink.wants, self._must_see)
            spill = Spill(folder / sink.name, max_bytes=self.plan.spill_max_bytes)
            pace = self.plan.pace
            if sink in self.plan.sinks:  # one that is away for long must not stop the others
                pace = structs.replace(pace, when_full=WhenFull.DROP_OLDEST)
            self._add(Stage.STORE, Pump(sink, reader, spill, outside, pace))

    async def _add_alerting(self) -> None:
        reader = self.bus.subscribe("alerting", Alerting.wants, self._must_see)
        self.alerting, couriers = telling.assemble(self.plan, reader, self.clock)
        await self.alerting.open()
        self._add(Stage.STORE, self.alerting)
        for courier in couriers:  # what they do not bring now is brought after the next start
            self._add(Stage.SERVE, courier)

    def _add_server(self, catalogue: Catalogue, subscriptions: Subscriptions) -> None:
        context = Context(
            hot=self.plan.hot,
            books=PipelineBooks(self.pipeline),
            across=PipelineAcross(self.pipeline),
            query=self.plan.query,
            ledger=self.sqlite,
            catalogue=catalogue,
            control=subscriptions,
            links=self.links,
            news=self.news_links,
            workers=self._supervisor.health,
            counters=self.counters,
            settings_view=self.plan.settings_view,
            metrics=self._telemetry().text,
            clock=self.clock,
            started=self.started,
            version=__version__,
            demo=self.plan.demo,
            processors=self.plan.processors,
            detectors={each.name: each for each in self.plan.detectors},
            proofs=self.self_test.results,
            rules=self.plan.rules,
            preview=self._previews(),
            alerting=self.alerting,
        )
        reader = self.bus.subscribe(
            "hub", Hub.wants, Buffer(self.plan.max_events, WhenFull.DROP_OLDEST)
        )
        self.hub = hub = Hub(reader, context)
        self.server = Server(context, hub, self.plan.options)
        self.server.bind()  # a port that is taken stops the start, before anything runs
        self._add(Stage.SERVE, hub)
        self._add(Stage.SERVE, self.server)

    def _previews(self) -> Previews | None:
        aside = self.plan.previews
        policy = self.plan.telling.policy
        return None if aside is None else preview.beside(aside, self.plan.rules.measures, policy)

    def _telemetry(self) -> Telemetry:
        return Telemetry(
            Facts(
                clock=self.clock,
                hot=self.plan.hot,
                processing=self.processing,
                counters=self.counters,
                links=lambda: [*self.links(), *self.news_links()],
                workers=self._supervisor.health,
                clients=lambda: self.hub.clients if self.hub is not None else 0,
                api_calls=self._calls,
                news_fetches=lambda: {} if self.news is None else dict(self.news.fetches),
            )
        )

    def links(self) -> list[LinkStatus]:
        return [status for feed in self.feeds.values() for status in feed.status()]

    def news_links(self) -> list[LinkStatus]:
        return [] if self.news is None else self.news.status()

    def counters(self) -> dict[str, Counters]:
        named = {
            name: worker.counters
            for name, worker in self._workers.items()
            if hasattr(worker, "counters")
        }
        named |= {f"store-{name}": counters for name, counters in self._sinks.items()}
        named |= {f"bus-{reader.name}": reader.counters for reader in self.bus.readers}
        return named

    def _http(self, venue: Venue) -> Http:
        rng = random.Random()  # noqa: S311 - jitter
        return Http(venue.name, venue.dialect.limits, rng, weights=self._budget(venue))

    def _budget(self, venue: Venue) -> Window:
        """What may be asked of a venue: one budget, for its listing and for its feed."""
        limits = venue.dialect.limits
        return self._budgets.setdefault(venue.name, Window(limits.weight, limits.weight_secs))

    def _calls(self) -> dict[str, Calls]:
        return {name: feed.calls for name, feed in self.feeds.items()}

    def _add(self, stage: Stage, worker: Any) -> None:
        self._workers[worker.name] = worker
        self._supervisor.add(stage, worker)

    async def _letters(self, batch: Batch) -> None:
        await self.bus.publish(batch)

    async def _end_stage(self, stage: Stage) -> None:
        """The end of the stream, stage by stage."""
        if stage is Stage.INGEST:
            self._reader.end()
        elif stage is Stage.PROCESS:
            await self.bus.close()
            assert self._checkpoint is not None
            self._checkpoint.save()


def _nobody_listens(path: str, message: str, hint: str) -> None:
    """Without a settings file there is no line to point at."""
    raise ConfigError(f"{path}: {message}; {hint}" if hint else f"{path}: {message}")


async def build(plan: Plan, clock: Clock) -> App:
    """Make an app that is ready to run."""
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    app = App(plan, clock)
    await app.start()
    return app
