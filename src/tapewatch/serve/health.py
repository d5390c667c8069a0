"""How the product is, judged from facts at the moment of asking.

    no link delivers           unhealthy (503); within the first seconds: starting (503)
    something is wrong         degraded (200), and `problems` says what, in words
    all links deliver          healthy (200)

A link delivers when its state is live *and* its last data is young; a worker is well when the
supervisor says that it runs. Nothing here is a flag that somebody set and forgot. A source of news
that is blocked is a problem, and no more; news make nothing healthy unless nothing else is asked for.

`/health` has the fields of S2 and of S3's producer, `/health/detailed` those of S4.
"""

from msgspec import Struct

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND, iso
from tapewatch.ports import LinkState, LinkStatus, Stage, WorkerHealth
from tapewatch.serve import detectors
from tapewatch.serve.context import Context
from tapewatch.serve.stats import (
    ConnectionStats,
    FlowView,
    ProviderStats,
    connection_stats,
    flows,
    of_stage,
    provider_stats,
    streams,
    uptime_secs,
)

STALE_SECS = 60  # sessions judge by their venue's own limit before; this is the last word
START_SECS = 15  # so long after the start nothing need be there yet
_NEWS_TROUBLE = frozenset({LinkState.BLOCKED, LinkState.BACKOFF})
FULL_EVENTS = 50_000  # of the 65,536 that a buffer holds by default: somebody is too slow


class LinkView(Struct, kw_only=True):
    """One connection to a venue."""

    venue: str
    route: str
    state: str
    since: str
    url: str
    subscriptions: int
    accepted: int
    frames: int
    last_data: str | None
    data_age_secs: float | None
    latency_ms: float | None
    reconnects: int
    error: str
    retry_in_secs: float | None
    stalled: list[str]  # streams that are silent beyond their rhythm while others flow


class WorkerView(Struct, kw_only=True):
    name: str
    stage: str
    state: str
    since: str
    restarts: int
    error: str


class Health(Struct, kw_only=True):
    status: str
    timestamp: str
    crypto_provider: str
    active_websocket_connections: int
    connection_stats: ConnectionStats
    subscribed_symbols: list[str]
    provider_stats: ProviderStats
    produced: int
    dlq: int
    ws_connected: bool
    version: str
    demo: bool
    problems: list[str]


class Components(Struct, kw_only=True):
    event_bus: str
    websocket_connections: int
    enabled_exchanges: list[str]
    ingestors: dict[str, str]
    workers: list[WorkerView]
    links: list[LinkView]
    news: list[LinkView]
    buffers: dict[str, FlowView]
    detectors: dict[str, str]  # how the self-test went: proven, settings, broken, pending


class Detailed(Struct, kw_only=True):
    status: str
    timestamp: str
    uptime_seconds: float
    version: str
    demo: bool
    problems: list[str]
    components: Components


class Verdict(Struct, frozen=True):
    status: str  # healthy, degraded, starting, unhealthy
    problems: list[str]

    @property
    def code(self) -> int:
        return 200 if self.status in {"healthy", "degraded"} else 503


def judge(context: Context) -> Verdict:
    """Look at the facts and say how it is."""
    now, links = context.clock(), context.links()
    states = [flow(link, now) for link in links]
    problems = [
        _link_problem(link, state, now)
        for link, state in zip(links, states, strict=True)
        if state != "live"
    ]
    problems += [
        f"{len(link.stalled)} streams of {link.route} are silent, such as {link.stalled[0]}"
        for link in links
        if link.stalled
    ]
    news = context.news()
    problems += [
        _link_problem(source, source.state.value, now)
        for source in news
        if source.state in _NEWS_TROUBLE
    ]
    channels = context.alerting.channels() if context.alerting is not None else ()
    problems += [
        f"{each.waiting} notices wait for {each.name}: {each.error}"
        for each in channels
        if each.waiting and each.error
    ]
    problems += [_worker_problem(w) for w in context.workers() if not _is_well(w)]
    counters = context.counters()
    problems += [f"{name}: {each.trouble}" for name, each in counters.items() if each.trouble]
    problems += [
        f"{name} has {counter.buffered:,} events waiting: who reads there is slower than the market"
        for name, counter in counters.items()
        if counter.buffered > FULL_EVENTS
    ]
    problems += detectors.problems(context)
    if not links:  # nothing but news is collected
        states = [source.state.value for source in news]
    if "live" in states:
        return Verdict("degraded" if problems else "healthy", problems)
    if now - context.started < START_SECS * SECOND:
        return Verdict("starting", problems)
    if not states:
        problems.append("nothing is collected: no exchange is enabled or no symbol is subscribed")
    return Verdict("unhealthy", problems)


def flow(link: LinkStatus, now: Micros) -> str:
    """Say what a link does: `live` only if data came lately, whatever its state claims."""
    age = now - (link.last_data or link.since)
    is_old = link.state is LinkState.STREAMING and age > STALE_SECS * SECOND
    return str((LinkState.STALE if is_old else link.state).value)


def health(context: Context, verdict: Verdict) -> Health:
    provider = provider_stats(context)
    ingest = of_stage(context, Stage.INGEST)
    now = context.clock()
    is_live = any(flow(link, now) == "live" for link in context.links())
    return Health(
        status=verdict.status,
        timestamp=iso(now),
        crypto_provider="running" if is_live else "stopped",
        active_websocket_connections=context.live.clients,
        connection_stats=connection_stats(context),
        subscribed_symbols=streams(context),
        provider_stats=provider,
        produced=sum(counter.sent for counter in ingest),
        dlq=provider.messages_failed,
        ws_connected=is_live,
        version=context.version,
        demo=context.demo,
        problems=verdict.problems,
    )


def detailed(context: Context, verdict: Verdict) -> Detailed:
    now, links = context.clock(), context.links()
    venues = sorted({link.venue for link in links})
    return Detailed(
        status=verdict.status,
        timestamp=iso(now),
        uptime_seconds=uptime_secs(context),
        version=context.version,
        demo=context.demo,
        problems=verdict.problems,
        components=Components(
            event_bus=_bus_state(context),
            websocket_connections=context.live.clients,
            enabled_exchanges=venues,
            ingestors={v: ingestor(links, v, now) for v in venues},
            workers=[_worker_view(worker) for worker in context.workers()],
            links=[link_view(link, flow(link, now), now) for link in links],
            news=[link_view(source, source.state.value, now) for source in context.news()],
            buffers=flows(context),
            detectors=detectors.outcomes(context),
        ),
    )


def ingestor(links: list[LinkStatus], venue: str, now: Micros) -> str:
    """S4's word for a venue: connected, degraded or disconnected."""
    live = [flow(link, now) == "live" for link in links if link.venue == venue]
    if all(live):
        return "connected"
    return "degraded" if any(live) else "disconnected"


def _is_well(worker: WorkerHealth) -> bool:
    return worker.state == "running" or (
        worker.state == "ended" and worker.stage is not Stage.INGEST
    )


def _bus_state(context: Context) -> str:
    behind = any(counter.buffered > FULL_EVENTS for counter in context.counters().values())
    return "degraded" if behind else "healthy"


def _worker_problem(worker: WorkerHealth) -> str:
    return f"{worker.name} is {worker.state} (restarts: {worker.restarts}): {worker.error or '?'}"


def _link_problem(link: LinkStatus, state: str, now: Micros) -> str:
    words = f"{link.venue} {link.route} is {state} for {(now - link.since) // SECOND} s"
    if state == LinkState.STALE.value and link.last_data:
        words = f"{link.venue} {link.route}: no data for {(now - link.last_data) // SECOND} s"
    if link.error:
        words += f": {link.error}"
    if link.retry_at is not None and link.retry_at > now:
        words += f"; next try in {(link.retry_at - now) / SECOND:.0f} s"
    return words


def _worker_view(worker: WorkerHealth) -> WorkerView:
    return WorkerView(
        name=worker.name,
        stage=worker.stage.name.lower(),
        state=worker.state,
        since=iso(worker.since),
        restarts=worker.restarts,
        error=worker.error,
    )


def link_view(link: LinkStatus, state: str, now: Micros) -> LinkView:
    return LinkView(
        venue=link.venue,
        route=link.route,
        state=state,
        since=iso(link.since),
        url=link.url,
        subscriptions=link.subscriptions,
        accepted=link.accepted,
        frames=link.frames,
        last_data=iso(link.last_data) if link.last_data else None,
        data_age_secs=max(0, now - link.last_data) / SECOND if link.last_data else None,
        latency_ms=link.latency_ms,
        reconnects=link.reconnects,
        error=link.error,
        retry_in_secs=max(0, link.retry_at - now) / SECOND if link.retry_at else None,
        stalled=list(link.stalled),
    )
