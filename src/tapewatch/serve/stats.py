"""What went through, in numbers: S2's statistics, and the counters of every worker.

All is added up at the moment of asking from counters that the workers move once a batch.
"""

from msgspec import Struct

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND, iso
from tapewatch.ports import Counters, Stage
from tapewatch.serve.context import Context


class FlowView(Struct, kw_only=True):
    """What went through one worker."""

    received: int
    sent: int
    buffered: int
    dropped: dict[str, int]
    errors: dict[str, int]
    last_event: str | None


class ConnectionStats(Struct, kw_only=True):
    total_connections: int
    messages_sent: int
    failed_sends: int
    bytes_sent: int
    dropped: int
    closed_slow: int
    refused: int


class StoreStats(Struct, kw_only=True):
    """S2's words; the numbers are of whatever stores are configured."""

    total_writes: int
    successful_writes: int
    failed_writes: int
    retry_count: int
    last_write_time: str | None
    queue_size: int


class ProviderStats(Struct, kw_only=True):
    messages_received: int
    messages_processed: int
    messages_failed: int
    kafka_messages_sent: int
    start_time: str
    uptime_seconds: float
    subscribed_symbols: list[str]
    cached_symbols: list[str]
    influxdb_stats: StoreStats


class System(Struct, kw_only=True):
    active_websocket_connections: int
    connection_stats: ConnectionStats
    uptime_seconds: float
    start_time: str


class Stats(Struct, kw_only=True):
    system: System
    crypto_provider: ProviderStats
    subscribed_symbols: list[str]
    workers: dict[str, FlowView]
    dropped_total: int
    errors_total: int
    candle_mismatches: dict[str, float]  # whose newest closed candle is not the venue's
    timestamp: str


def stats(context: Context) -> Stats:
    counters = context.counters()
    return Stats(
        system=System(
            active_websocket_connections=context.live.clients,
            connection_stats=connection_stats(context),
            uptime_seconds=uptime_secs(context),
            start_time=iso(context.started),
        ),
        crypto_provider=provider_stats(context),
        subscribed_symbols=streams(context),
        workers=flows(context),
        dropped_total=sum(sum(c.dropped.values()) for c in counters.values()),
        errors_total=sum(sum(c.errors.values()) for c in counters.values()),
        candle_mismatches=mismatches(context),
        timestamp=iso(context.clock()),
    )


def mismatches(context: Context) -> dict[str, float]:
    """Give the largest relative difference by instrument; only of those that differ."""
    found: dict[str, float] = {}
    for inst, latest in context.hot.get_all().items():
        told = [each.value for each in latest.metrics.values() if each.name == "candle_mismatch"]
        if any(told):
            found[inst] = max(told)
    return found


def streams(context: Context) -> list[str]:
    """S2's names: `BNBUSDT@kline_1m`."""
    return sorted(f"{context.native(s.inst)}@{s.channel}" for s in context.control.subscriptions())


def connection_stats(context: Context) -> ConnectionStats:
    live = context.live
    return ConnectionStats(
        total_connections=live.total_connections,
        messages_sent=live.messages_sent,
        failed_sends=live.failed_sends,
        bytes_sent=live.bytes_sent,
        dropped=live.dropped,
        closed_slow=live.closed_slow,
        refused=live.refused,
    )


def provider_stats(context: Context) -> ProviderStats:
    received = sum(link.frames for link in context.links())
    failed = sum(sum(c.errors.values()) for c in of_stage(context, Stage.INGEST))
    hot = context.hot.get_all()
    return ProviderStats(
        messages_received=received,
        messages_processed=max(0, received - failed),
        messages_failed=failed,
        kafka_messages_sent=0,
        start_time=iso(context.started),
        uptime_seconds=uptime_secs(context),
        subscribed_symbols=[stream.lower() for stream in streams(context)],
        cached_symbols=sorted(
            context.native(inst) for inst, latest in hot.items() if latest.price is not None
        ),
        influxdb_stats=_store_stats(of_stage(context, Stage.STORE)),
    )


def flows(context: Context) -> dict[str, FlowView]:
    return {
        name: FlowView(
            received=counter.received,
            sent=counter.sent,
            buffered=counter.buffered,
            dropped=counter.dropped,
            errors=counter.errors,
            last_event=iso(counter.last_ts) if counter.last_ts else None,
        )
        for name, counter in context.counters().items()
    }


def _store_stats(counters: list[Counters]) -> StoreStats:
    written = sum(counter.sent for counter in counters)
    last = max((counter.last_ts for counter in counters), default=Micros(0))
    failed = sum(sum(counter.errors.values()) for counter in counters)
    return StoreStats(
        total_writes=written + failed,
        successful_writes=written,
        failed_writes=failed,
        retry_count=sum(counter.errors.get("retry", 0) for counter in counters),
        last_write_time=iso(last) if last else None,
        queue_size=sum(counter.buffered for counter in counters),
    )


def of_stage(context: Context, stage: Stage) -> list[Counters]:
    counters = context.counters()
    return [counters[w.name] for w in context.workers() if w.stage is stage and w.name in counters]


def uptime_secs(context: Context) -> float:
    return max(0, context.clock() - context.started) / SECOND
