"""What the server is given: where its facts come from, and how it is to behave.

The handlers know nothing else of the product. Everything here is a value, a contract of `ports`,
or a function to ask; nothing is kept, so no answer can be older than the moment of asking.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct, field

from tapewatch.analysis.selftest import Detector, Result
from tapewatch.model.channel import ChannelStatus
from tapewatch.model.errors import Ambiguous, Unavailable
from tapewatch.model.events import Alert, InstrumentId, Micros, Quote
from tapewatch.model.instrument import Catalogue, Instrument, squeeze
from tapewatch.ports import (
    Books,
    Clock,
    Counters,
    Hot,
    Ledger,
    LinkStatus,
    Processor,
    Query,
    Subscription,
    WorkerHealth,
)
from tapewatch.rules.defaults import RuleSet
from tapewatch.rules.matchers import Matcher
from tapewatch.rules.notices import Silence
from tapewatch.rules.preview import Question, Report
from tapewatch.rules.story import Line, Story

Previews: TypeAlias = Callable[[Question], Awaitable[Report]]  # raises ValueError


class Options(Struct, frozen=True, kw_only=True):
    """How to serve. The runtime makes this of the settings' `server` section."""

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free one
    health_port: int | None = None  # the same pages on a second port, for probes
    cors_origins: tuple[str, ...] = ()  # "*": any (development); empty: our own pages only
    query_secs: float = 10.0  # what one question may take
    max_queries: int = 4  # of stored data at a time; others wait
    max_body_bytes: int = 65_536
    max_clients: int = 2_000  # live WebSocket clients


class LiveStats(Struct):
    """What the hub counts of its clients."""

    clients: int = 0
    total_connections: int = 0
    messages_sent: int = 0  # one message to one client
    bytes_sent: int = 0
    failed_sends: int = 0  # messages that a client could not get any more
    dropped: int = 0  # messages that were left out for a client that was behind; it is told
    closed_slow: int = 0
    refused: int = 0  # clients over the limit


class Control(Protocol):
    """Change what is collected, while it runs."""

    async def subscribe(
        self, symbol: str, streams: Iterable[str] | None = None
    ) -> list[Subscription]: ...

    async def unsubscribe(self, symbol: str) -> list[Subscription]: ...

    def subscriptions(self) -> frozenset[Subscription]: ...


class Desk(Protocol):
    """Who was told of which alert, and what is silenced."""

    def firing(self) -> list[Alert]: ...

    def held(self) -> dict[str, dict[str, str]]:
        """By alert and channel: why it was not told yet."""
        ...

    def channels(self) -> list[ChannelStatus]: ...

    def silences(self) -> list[Silence]: ...

    async def silence(
        self, matchers: tuple[Matcher, ...], starts: Micros, ends: Micros, comment: str
    ) -> Silence: ...

    async def unsilence(self, silence_id: str) -> bool: ...

    async def history(
        self, since: Micros, until: Micros, limit: int, channel: str = ""
    ) -> list[Line]: ...

    async def story(self, alert_id: str) -> Story: ...

    async def newest_ids(self, limit: int) -> list[str]: ...


def _nowhere(symbol: str, now: Micros) -> list["VenueQuote"]:  # noqa: ARG001 - its form
    return []


class VenueQuote(Struct, frozen=True):
    """What one venue quotes for a symbol that others may trade too."""

    inst: InstrumentId
    quote: Quote | None
    why_not: str = ""  # it does not count in comparisons; empty if it does


class Context(Struct, kw_only=True):
    """What the handlers may ask."""

    hot: Hot
    books: Books
    query: Query
    ledger: Ledger
    catalogue: Catalogue
    control: Control
    links: Callable[[], list[LinkStatus]]
    workers: Callable[[], list[WorkerHealth]]
    counters: Callable[[], dict[str, Counters]]  # by worker
    settings_view: Callable[[], dict[str, Any]]  # secrets are *** already
    metrics: Callable[[], bytes]
    clock: Clock
    started: Micros
    version: str
    demo: bool = False
    processors: Sequence[Processor[Any]] = ()
    detectors: Mapping[str, Detector] = field(default_factory=dict)  # by processor
    proofs: Mapping[str, Result] = field(default_factory=dict)  # what came of the self-test so far
    rules: RuleSet = field(default_factory=lambda: RuleSet(()))
    preview: Previews | None = None
    alerting: Desk | None = None
    news: Callable[[], list[LinkStatus]] = list  # one a source; no link to an exchange
    across: Callable[[str, Micros], list[VenueQuote]] = _nowhere  # by symbol: BTC/USDT
    live: LiveStats = field(default_factory=LiveStats)

    def native(self, inst: InstrumentId) -> str:
        """Name an instrument as S2's clients know it: `BTCUSDT`."""
        known = self.catalogue.get(inst)
        return known.native if known is not None else squeeze(inst.partition(":")[2])

    def instrument(self, text: str) -> Instrument:
        """Read any spelling. Among several venues the one that is collected is meant.

        Raises NotFound with the nearest that exist, Ambiguous if several are collected,
        Unavailable while no listing has been read.
        """
        found = self.instruments(text)
        if len(found) > 1:
            raise Ambiguous("symbol", text, tuple(sorted(i.id for i in found)))
        return found[0]

    def instruments(self, text: str) -> list[Instrument]:
        """Give all that a spelling means: of those that are collected, if there is one."""
        found = self.catalogue.spelled(text)
        if not found and not len(self.catalogue):
            raise Unavailable(
                "no symbol listing has been read yet; see /health/detailed, and ask again",
                retry_after=2.0,
            )
        if not found:
            found = [self.catalogue.resolve(text)]  # which raises, with the nearest
        return [i for i in found if self._is_collected(i.id)] or found

    def _is_collected(self, inst: InstrumentId) -> bool:
        return any(s.inst == inst for s in self.control.subscriptions())
