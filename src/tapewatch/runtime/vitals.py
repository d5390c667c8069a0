"""How the pipeline is, as metrics: what only the running process knows, told on the bus at a fixed pace.

A feed that is silent sends no event, so no processor can say it: this has a clock. What it measures goes
over the bus like any other input: rules watch it, stores keep it, live clients see it. A replay of a
tape has none of it, because there is no feed; a replay of what is stored has it as it was.

Told of each venue as `binance:*`, of the process as `tapewatch:*`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from tapewatch.bus.local import LocalReader
from tapewatch.model.events import Batch, InstrumentId, Metric, Micros, Quality
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Clock, Counters, Feed, LinkState, LinkStatus, Measure, WhenFull
from tapewatch.runtime.telemetry import Processing
from tapewatch.stream.window import Sums

PACE_SECS = 5
PROCESS: InstrumentId = "tapewatch:*"
_PACE = f"{PACE_SECS}s"
_RECENT = "5m"
_STEPS = 30
_NAMED = 3  # links in the evidence
_UNCOUNTED = ("tick", "dead_letter")
MEASURES = (
    Measure("feed_silent_secs", (_PACE,), "secs", "since a venue sent any data, as binance:*"),
    Measure("feed_latency_ms", (_PACE,), "ms", "from the venue's clock to ours, the slowest link"),
    Measure("feed_links_down", (_PACE,), "count", "links of a venue on which no data flow"),
    Measure("feed_reconnects", (_RECENT,), "count", "times its links had to connect anew"),
    Measure("events_per_sec", (_PACE,), "count", "events that a venue brought"),
    Measure("dead_letter_rate", (_RECENT,), "fraction", "of what it sent could not be read"),
    Measure("buffer_fill", (_PACE,), "fraction", "of the fullest buffer, as tapewatch:*"),
    Measure("consumer_lag", (_PACE,), "count", "events that wait for the slowest reader"),
    Measure("processing_lag_secs", (_PACE,), "secs", "how old what the processors read is"),
    Measure("events_dropped", (_RECENT,), "count", "events that a reader or a worker lost"),
)


class Facts(Struct, frozen=True):
    """Where vitals look."""

    clock: Clock
    feeds: Mapping[str, Feed]
    processing: Processing
    readers: Callable[[], Sequence[LocalReader]]
    counters: Callable[[], Mapping[str, Counters]]
    mark: Callable[[], Micros]  # receive time of what the processors read last
    timer: Callable[[], float] = time.monotonic


class _Course(Struct):
    """What is remembered of one source between two looks."""

    since: Micros  # data came, or it was first looked at
    events: int = 0
    letters: int = 0
    reconnects: int = 0
    recent_events: Sums = field(default_factory=lambda: Sums(5 * MINUTE // _STEPS, _STEPS))
    recent_letters: Sums = field(default_factory=lambda: Sums(5 * MINUTE // _STEPS, _STEPS))
    recent_reconnects: Sums = field(default_factory=lambda: Sums(5 * MINUTE // _STEPS, _STEPS))


class Vitals:
    """A worker."""

    def __init__(
        self,
        facts: Facts,
        publish: Callable[[Batch], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = "vitals"
        self.counters = Counters()
        self._facts = facts
        self._publish = publish
        self._sleep = sleep
        self._courses: dict[str, _Course] = {}
        self._dropped = 0
        self._recent_dropped = Sums(5 * MINUTE // _STEPS, _STEPS)
        self._looked_at = facts.timer()

    async def run(self) -> None:
        while True:
            await self._sleep(PACE_SECS)
            batch = self.look()
            await self._publish(batch)
            self.counters.sent += len(batch)

    def look(self) -> Batch:
        """Measure now."""
        facts = self._facts
        now, timed = facts.clock(), facts.timer()
        secs = max(timed - self._looked_at, 1e-3)
        self._looked_at = timed
        batch: Batch = []
        for venue, feed in facts.feeds.items():
            batch += self._feed(venue, feed.status(), now, secs)
        batch += self._process(now)
        return batch

    def _feed(
        self, venue: str, links: Sequence[LinkStatus], now: Micros, secs: float
    ) -> Iterator[Metric]:
        inst = f"{venue}:*"
        course = self._courses.get(venue) or self._courses.setdefault(venue, _Course(now))
        course.since = max(course.since, *(link.last_data for link in links), Micros(0))
        if not _is_wanted(links) or course.since > now:  # our clock was set back
            course.since = now
        down = [link for link in links if _is_down(link)]
        silent = max(0, now - course.since) / SECOND
        for name, value, told in (
            ("feed_silent_secs", silent, links if silent > PACE_SECS else ()),
            ("feed_links_down", float(len(down)), down),
        ):
            words = tuple(_words(link) for link in told[:_NAMED])
            yield _metric(now, inst, name, value, evidence=words)
        late = [(link.latency_ms, link.route) for link in links if link.latency_ms is not None]
        if late:
            latency, route = max(late)
            # The clocks' difference is in it, and nobody knows how much that is.
            yield _metric(
                now, inst, "feed_latency_ms", latency, quality=Quality.PARTIAL, evidence=(route,)
            )
        yield from self._counts(venue, links, now, secs)

    def _counts(
        self, venue: str, links: Sequence[LinkStatus], now: Micros, secs: float
    ) -> Iterator[Metric]:
        inst, course = f"{venue}:*", self._courses[venue]
        counted = self._facts.processing.events
        letters = counted["dead_letter", venue]
        events = sum(
            count
            for (kind, source), count in counted.items()
            if source == venue and kind not in _UNCOUNTED
        )
        reconnects = sum(link.reconnects for link in links)
        yield _metric(now, inst, "events_per_sec", (events - course.events) / secs)
        course.recent_events.add(now, events - course.events)
        course.recent_letters.add(now, letters - course.letters)
        # A link that is gone takes its count along.
        course.recent_reconnects.add(now, max(0, reconnects - course.reconnects))
        course.events, course.letters, course.reconnects = events, letters, reconnects
        bad = course.recent_letters.total
        share = bad / max(1.0, bad + course.recent_events.total)
        again = course.recent_reconnects.total
        yield _metric(now, inst, "dead_letter_rate", share, _RECENT)
        yield _metric(now, inst, "feed_reconnects", again, _RECENT)

    def _process(self, now: Micros) -> Iterator[Metric]:
        facts = self._facts
        readers = facts.readers()
        fullest = max(readers, key=_fill, default=None)
        if fullest is not None:
            words = (f"{fullest.name}: {fullest.counters.buffered} events wait",)
            yield _metric(now, PROCESS, "buffer_fill", _fill(fullest), evidence=words)
            slowest = max(readers, key=_waiting)
            lag = float(_waiting(slowest))
            yield _metric(now, PROCESS, "consumer_lag", lag, evidence=(slowest.name,))
        behind = any(r.name == "processors" and _waiting(r) for r in readers)
        mark = facts.mark()
        lag = max(0, now - mark) / SECOND if behind and mark else 0.0
        yield _metric(now, PROCESS, "processing_lag_secs", lag)
        dropped = {
            name: sum(counters.dropped.values()) for name, counters in facts.counters().items()
        }
        total = sum(dropped.values())
        self._recent_dropped.add(now, max(0, total - self._dropped))
        self._dropped = total
        worst = sorted((name for name in dropped if dropped[name]), key=lambda n: -dropped[n])[:3]
        evidence = tuple(f"{name}: {dropped[name]} since the start" for name in worst)
        yield _metric(
            now, PROCESS, "events_dropped", self._recent_dropped.total, _RECENT, evidence=evidence
        )


def _metric(
    now: Micros,
    inst: InstrumentId,
    name: str,
    value: float,
    window: str = _PACE,
    *,
    quality: Quality = Quality.COMPLETE,
    evidence: tuple[str, ...] = (),
) -> Metric:
    return Metric(now, now, inst, name, value, window, quality, evidence=evidence)


def _is_wanted(links: Sequence[LinkStatus]) -> bool:
    """Where nothing is subscribed silence is as it should be."""
    return any(link.subscriptions or link.state is not LinkState.CLOSED for link in links)


def _is_down(link: LinkStatus) -> bool:
    return link.state not in (LinkState.STREAMING, LinkState.CLOSED)


def _words(link: LinkStatus) -> str:
    words = f"{link.route}: {link.state.value}"
    if link.stalled:
        words += f", {len(link.stalled)} streams beyond their rhythm"
    return f"{words}, {link.error[:120]}" if link.error else words


def _waiting(reader: LocalReader) -> int:
    return reader.counters.buffered


def _fill(reader: LocalReader) -> float:
    """How full a buffer is that somebody waits for; one that sheds may be full."""
    if reader.buffer.when_full is not WhenFull.BLOCK:
        return 0.0
    return reader.counters.buffered / reader.buffer.max_events
