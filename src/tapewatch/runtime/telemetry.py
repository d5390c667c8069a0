"""Prometheus text, made at scrape time from counters that the workers move once a batch.

Labels are worker, venue, type and reason, never free text. `crypto_price` is the one metric with
a symbol label (an earlier system's dashboards rely on it); it is capped.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import Struct, field
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.process_collector import ProcessCollector

from tapewatch.model.events import InstrumentId, Micros
from tapewatch.model.instrument import split_id
from tapewatch.model.times import SECOND
from tapewatch.ports import Clock, Counters, Hot, LinkState, LinkStatus, WorkerHealth
from tapewatch.wire.calls import Calls

_BUCKETS = (1e-6, 2e-6, 4e-6, 8e-6, 16e-6, 32e-6, 64e-6, 1e-3)  # seconds an event
_MAX_SYMBOLS = 2_000


class Processing(Struct):
    """What the gate and the pipeline count: events by type and source, and time an event."""

    events: Counter[tuple[str, str]] = field(default_factory=Counter)  # type, source
    spent_secs: float = 0.0
    spent_events: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))

    def spent(self, secs: float, events: int) -> None:
        """Note one batch: each of its events took an equal share."""
        self.spent_secs += secs
        self.spent_events += events
        share = secs / events
        for index, bound in enumerate(_BUCKETS):
            if share <= bound:
                self.buckets[index] += events
                return
        self.buckets[-1] += events


class Facts(Struct, frozen=True):
    """Where telemetry looks when it is asked."""

    clock: Clock
    hot: Hot
    processing: Processing
    counters: Callable[[], dict[str, Counters]]  # by worker
    links: Callable[[], list[LinkStatus]]
    workers: Callable[[], list[WorkerHealth]]
    clients: Callable[[], int]  # live WebSocket clients
    api_calls: Callable[[], dict[str, Calls]]  # REST, by venue
    news_fetches: Callable[[], dict[str, int]] = dict  # by what came of them


class Telemetry:
    """A Prometheus collector over facts; nothing is kept here."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: registration must not scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield from self._market()
        yield from self._processing()
        yield from self._links()
        yield from self._workers()

    def _market(self) -> Iterator[Metric]:
        price = GaugeMetricFamily("crypto_price", "Latest price", labels=["symbol"])
        newest = 0
        shown: dict[str, tuple[Micros, float]] = {}
        for inst, latest in self._facts.hot.get_all().items():
            newest = max(newest, latest.updated)
            if latest.price is not None and len(shown) < _MAX_SYMBOLS:
                symbol = split_id(inst)[1]
                if symbol not in shown or shown[symbol][0] < latest.updated:
                    shown[symbol] = (latest.updated, latest.price)
        for symbol, (_, value) in shown.items():
            price.add_metric([symbol], value)
        yield price
        yield GaugeMetricFamily(
            "last_update_timestamp", "When anything was last updated", value=newest / SECOND
        )

    def _processing(self) -> Iterator[Metric]:
        processing = self._facts.processing
        events = CounterMetricFamily(
            "events_processed_total", "Events that passed the gate", labels=["type", "source"]
        )
        for (kind, source), count in processing.events.items():
            events.add_metric([kind, source], count)
        yield events
        total, cumulated = 0, []
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), processing.buckets, strict=True):
            total += count
            cumulated.append((bound, total))
        yield HistogramMetricFamily(
            "event_processing_seconds",
            "Time of all processors for one event",
            buckets=cumulated,
            sum_value=processing.spent_secs,
        )
        fetches = CounterMetricFamily("rss_fetch_total", "News requests", labels=["status"])
        for status, count in self._facts.news_fetches().items():
            fetches.add_metric([status], count)
        yield fetches

    def _links(self) -> Iterator[Metric]:
        links = self._facts.links()
        yield GaugeMetricFamily(
            "websocket_connections_total", "Live WebSocket clients", value=self._facts.clients()
        )
        last = GaugeMetricFamily("api_latency_seconds", "Of the last REST call", labels=["venue"])
        calls = SummaryMetricFamily("tapewatch_api_seconds", "REST calls", labels=["venue"])
        for venue, call in self._facts.api_calls().items():
            last.add_metric([venue], call.last_secs)
            calls.add_metric([venue], call.count, call.total_secs)
        yield from (last, calls)
        up = GaugeMetricFamily("tapewatch_link_up", "1: data flows", labels=["venue", "route"])
        age = GaugeMetricFamily(
            "tapewatch_link_data_age_seconds", "Since the last data", labels=["venue", "route"]
        )
        frames = CounterMetricFamily(
            "tapewatch_link_frames", "Frames read", labels=["venue", "route"]
        )
        again = CounterMetricFamily(
            "tapewatch_link_reconnects", "Links made anew", labels=["venue", "route"]
        )
        stalled = GaugeMetricFamily(
            "tapewatch_link_stalled_streams",
            "Streams that are silent beyond their rhythm",
            labels=["venue", "route"],
        )
        now = self._facts.clock()
        for link in links:
            labels = [link.venue, link.route]
            up.add_metric(labels, link.state is LinkState.STREAMING)
            if link.last_data:
                age.add_metric(labels, max(0, now - link.last_data) / SECOND)
            frames.add_metric(labels, link.frames)
            stalled.add_metric(labels, len(link.stalled))
            again.add_metric(labels, link.reconnects)
        yield from (up, age, frames, again, stalled)

    def _workers(self) -> Iterator[Metric]:
        counters = self._facts.counters()
        yield _total(counters, "received", lambda c: c.received)
        yield _total(counters, "sent", lambda c: c.sent)
        dropped = CounterMetricFamily(
            "tapewatch_events_dropped", "Events dropped", labels=["worker", "reason"]
        )
        errors = CounterMetricFamily(
            "tapewatch_errors", "Errors by kind", labels=["worker", "kind"]
        )
        buffered = GaugeMetricFamily(
            "tapewatch_buffer_events", "Events that wait", labels=["worker"]
        )
        failed = 0
        for worker, counter in counters.items():
            for reason, count in counter.dropped.items():
                dropped.add_metric([worker, reason], count)
            for kind, count in counter.errors.items():
                errors.add_metric([worker, kind], count)
                failed += count
            buffered.add_metric([worker], counter.buffered)
        yield from (dropped, errors, buffered)
        yield CounterMetricFamily("collector_errors_total", "Errors of all workers", value=failed)
        restarts = CounterMetricFamily(
            "tapewatch_worker_restarts", "Times a worker was restarted", labels=["worker"]
        )
        for health in self._facts.workers():
            restarts.add_metric([health.name], health.restarts)
        yield restarts


def _total(
    counters: dict[str, Counters], word: str, value: Callable[[Counters], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(
        f"tapewatch_events_{word}", f"Events {word} by a worker", labels=["worker"]
    )
    for worker, counter in counters.items():
        family.add_metric([worker], value(counter))
    return family


def source_of(event: Any) -> str:
    """The venue of a market event, the source of another one: a bounded label."""
    inst: InstrumentId | None = getattr(event, "inst", None)
    if inst is not None:
        return split_id(inst)[0]
    return str(getattr(event, "source", ""))
