"""How much was liquidated: dollars and counts by the side that was closed, over rolling windows.

Told for each instrument and, as `all:<BASE>`, for all venues together. Where a venue publishes only
a part (Binance, OKX: at most one order a second) a total is a lower bound: its quality is SAMPLED,
which reads "at least", and so is every sum that such a venue is part of. A venue whose derivatives
of that asset live, and which has not shown that it tells all, counts as one of those.

Else a total is PARTIAL until the window is full: since the first liquidation of a stream, or the
first one after a Gap of it, because liquidations have no ids and prove nothing before.
"""

from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import (
    AnyEvent,
    Event,
    Gap,
    InstrumentId,
    Liquidation,
    Metric,
    Micros,
    Quality,
    Rate,
    Side,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import DAY, HOUR, MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.process._worth import Worth, base_of
from tapewatch.stream.keyed import EVERYWHERE
from tapewatch.stream.window import Sums

_WINDOWS = (("1m", MINUTE), ("5m", 5 * MINUTE), ("1h", HOUR), ("24h", DAY))
_STEPS = 60
_MEASURES = ("liq_long_usd", "liq_short_usd", "liq_count")
_CHANNELS = ("forceOrder", "liquidation-orders", "allLiquidation")  # whose Gaps concern us


class LiquidationsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Span(Struct, array_like=True):
    label: str
    longs: Sums
    shorts: Sums
    count: Sums

    def sums(self) -> tuple[Sums, Sums, Sums]:
        return self.longs, self.shorts, self.count


class Tally(Struct, array_like=True):
    """The windows of one instrument, or of all together."""

    inst: InstrumentId
    spans: list[Span]
    told: Micros = Micros(0)
    since: Micros = Micros(0)  # from here on all of it was heard
    is_cut: bool = True  # nothing came yet, or nothing since a Gap

    def take(self, event: Liquidation, usd: float) -> None:
        if self.is_cut:
            self.is_cut = False
            self.since = max(self.since, event.ts)
        for span in self.spans:
            (span.longs if event.side is Side.SELL else span.shorts).add(event.ts, usd)
            span.count.add(event.ts, 1.0)

    def words(self, ts: Micros, recv: Micros, *, sampled: bool) -> list[AnyEvent]:
        self.told = ts
        said: list[AnyEvent] = []
        for span in self.spans:
            for sums in span.sums():
                sums.reach(ts)
            quality = Quality.SAMPLED if sampled else self._quality(span)
            for name, sums in zip(_MEASURES, span.sums(), strict=True):
                value = max(0.0, sums.total)
                said.append(Metric(ts, recv, self.inst, name, value, span.label, quality))
        return said

    def _quality(self, span: Span) -> Quality:
        is_whole = not self.is_cut and self.since <= span.count.begins
        return Quality.COMPLETE if is_whole else Quality.PARTIAL

    @property
    def is_empty(self) -> bool:
        return self.spans[-1].count.total < 0.5


class LiquidationsState(Struct):
    """All venues of one base asset."""

    base: str
    total: Tally
    tallies: dict[InstrumentId, Tally] = field(default_factory=dict)
    worths: dict[InstrumentId, Worth] = field(default_factory=dict)
    tells_all: dict[str, bool] = field(default_factory=dict)  # by venue
    next_at: Micros = Micros(0)

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Gap:
            self._cut(event)
            return ()
        worth = self.worths.get(event.inst) or self.worths.setdefault(
            event.inst, Worth.of(event.inst)
        )
        venue, pair = split_id(event.inst)
        if type(event) is Rate:
            worth.take(event)
            if ":" in pair:  # its derivatives live
                self.tells_all.setdefault(venue, False)
            return ()
        self.tells_all[venue] = event.coverage is Quality.COMPLETE
        usd = event.price * event.size * worth.rate
        tally = self.tallies.get(event.inst) or self._new(event.inst)
        is_first = tally.is_cut
        said: list[AnyEvent] = []
        for each in (tally, self.total):
            each.take(event, usd)
            if is_first:
                each.since = max(each.since, tally.since)
            if event.ts >= each.told + SECOND:
                said += each.words(event.ts, event.recv, sampled=self._is_sampled(each))
        self.next_at = Micros(event.ts + 10 * SECOND)
        return said

    def next_timer(self) -> Micros | None:
        return self.next_at or None

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        """In silence the windows empty: told every ten seconds, then each minute, then not."""
        said: list[AnyEvent] = []
        for tally in (*self.tallies.values(), self.total):
            if not tally.is_empty:
                said += tally.words(at, at, sampled=self._is_sampled(tally))
        is_busy = self.total.spans[1].count.total >= 0.5
        is_over = self.total.is_empty
        self.next_at = Micros(0 if is_over else at + (10 * SECOND if is_busy else MINUTE))
        return said

    def _cut(self, gap: Gap) -> None:
        """Lost is what was between the last liquidation and the next one."""
        if gap.channel not in _CHANNELS:
            return
        self.tells_all.setdefault(split_id(gap.inst)[0], False)  # it is wanted there
        tally = self.tallies.get(gap.inst)
        if tally is not None:
            for each in (tally, self.total):
                each.since = max(each.since, gap.ts, gap.recv)
            tally.is_cut = True

    def _is_sampled(self, tally: Tally) -> bool:
        if tally is self.total:
            return not all(self.tells_all.values())
        return not self.tells_all[split_id(tally.inst)[0]]

    def _new(self, inst: InstrumentId) -> Tally:
        tally = self.tallies[inst] = Tally(inst, _spans())
        return tally


class Liquidations:
    """The processor."""

    def __init__(self, name: str, config: LiquidationsConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Liquidation, Rate, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = LiquidationsState
        labels = tuple(label for label, _ in _WINDOWS)
        self.measures = (
            Measure("liq_long_usd", labels, "usd", "longs that were liquidated", sparse=True),
            Measure("liq_short_usd", labels, "usd", "shorts that were liquidated", sparse=True),
            Measure("liq_count", labels, "count", "liquidations of both sides", sparse=True),
        )

    def key(self, event: Any) -> str:
        return f"{EVERYWHERE}:{base_of(event.inst)}"

    def fresh(self, key: str) -> LiquidationsState:
        return LiquidationsState(key.partition(":")[2], Tally(key, _spans()))

    def adopt(self, state: LiquidationsState) -> LiquidationsState:
        return state


def _spans() -> list[Span]:
    return [
        Span(label, *(Sums(length // _STEPS, _STEPS) for _ in range(3)))
        for label, length in _WINDOWS
    ]


def _positive() -> list[AnyEvent]:
    return [_stage.liquidation(n, 100_000.0) for n in range(30)]


def _quiet() -> list[AnyEvent]:
    return [_stage.liquidation(40.0 * n, 500.0) for n in range(10)]


PLUGIN = Plugin(config=LiquidationsConfig, build=Liquidations)
PROOF = Proof("liq_long_usd", 1_000_000.0, _positive, _quiet)
