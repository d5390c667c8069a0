"""How much more is traded than is usual: the volume of a window over the median of such windows.

The window rolls with the trades (in steps of a sixtieth). What is usual is the median of the last
whole windows before it (two hours of 1m, five of 5m), so a surge is not part of its own baseline, and
a few surges move it little; or the median of those of the last half hour, if that is more: else each
morning would be a surge against the night. So what lasts for more than some fifteen minutes becomes
usual. Until `warmup` windows are over there is not enough history: 0, PARTIAL, and it is said so.

Told once a second while the ratio is above `loud` or was, else once a minute.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from msgspec import Meta, Struct

from tapewatch.model.events import (
    AnyEvent,
    Event,
    Gap,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Second,
)
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.stream.window import Recent, Sums

NAME = "volume_surge"
# label, length, how many before it are usual, how many of them are half an hour
_WINDOWS = (("1m", MINUTE, 120, 30), ("5m", 5 * MINUTE, 60, 6))
_SLOW = MINUTE
_LONGEST_SKIP = 59 * SECOND  # less than any of the rings: a ring that is jumped over is made anew


class VolumeSurgeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    warmup: Annotated[int, Meta(ge=3, le=60)] = 20  # windows that are over before it judges
    loud: Annotated[float, Meta(gt=1)] = 2.0  # ratio from which on it is told each second


class Pace(Struct, array_like=True):
    """One window."""

    label: str
    length: int
    rolling: Sums
    long: Recent
    short: Recent
    ends: Micros = Micros(0)  # of the whole window that runs; 0: none does
    amount: float = 0.0  # traded in it
    basis: float = 0.0  # what is usual; 0: there is not enough history
    broken: Micros = Micros(0)  # the last Gap
    told: Micros = Micros(0)
    ratio: float = 0.0  # as it was told

    def turn(self, ts: Micros, warmup: int) -> None:
        """The running window is over; those without a trade count as well."""
        number = ts // self.length
        if self.ends:
            self._push(self.amount)
            for _ in range(min(number - self.ends // self.length, self.long.count)):
                self._push(0.0)
        self.ends = Micros((number + 1) * self.length)
        self.amount = 0.0
        self.weigh(warmup)

    def weigh(self, warmup: int) -> None:
        is_warm = len(self.long) >= warmup
        self.basis = max(self.long.median, self.short.median) if is_warm else 0.0

    def _push(self, amount: float) -> None:
        self.long.push(amount)
        self.short.push(amount)


class VolumeSurgeState(Struct):
    """The paces of one instrument. Amounts are in units of quote.

    A second without a trade changes nothing that is told, but for the moments in `next_timer`;
    so it costs nothing, and what is told is what looking at every second would tell.
    """

    inst: InstrumentId
    warmup: int
    loud: float
    paces: list[Pace]
    edge: Micros = Micros(0)  # up to here all is counted
    due: Micros = Micros(0)  # a pace has something to tell then, or a window of it ends
    fades: Micros = Micros(0)  # the last trade leaves the longest window then

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Second:
            amount = event.bought + event.sold
            edge = Micros(event.ts + SECOND)
            if event.late or edge <= self.edge:
                return self._take_late(amount)
            return self._turn(edge, event.recv, amount)
        for pace in self.paces:
            pace.broken = event.ts
        return ()

    def next_timer(self) -> Micros | None:
        """A second more, for a trade that comes late."""
        if self.edge >= self.fades:
            return None
        return Micros(min(self.due, self.fades, self.edge + _LONGEST_SKIP) + SECOND)

    def on_timer(self, at: Micros) -> list[AnyEvent] | tuple[()]:
        return self._turn(Micros(at - SECOND), at, 0.0)

    def plan(self) -> None:
        """When to look again: a quiet pace grows loud by a trade or by another baseline only."""
        soonest = min(map(self._due, self.paces))
        self.due = Micros(max(soonest, self.edge + SECOND))  # other settings may be louder

    def _due(self, pace: Pace) -> int:
        pause = SECOND if pace.ratio >= self.loud else _SLOW
        return min(pace.told + pause + 1, pace.ends + SECOND)

    def _take_late(self, amount: float) -> tuple[()]:
        """What comes late, or a second in parts, counts with the second that was counted last."""
        for pace in self.paces if self.edge else ():
            pace.amount += amount
            pace.rolling.add(Micros(self.edge - 1), amount)
        return ()

    def _turn(self, edge: Micros, recv: Micros, amount: float) -> list[AnyEvent] | tuple[()]:
        """A second is over."""
        if edge <= self.edge:
            return ()
        self.edge = edge
        last, loud = Micros(edge - 1), self.loud
        said: list[AnyEvent] = []
        for pace in self.paces:
            if last >= pace.ends:
                pace.turn(last, self.warmup)
            pace.amount += amount
            rolling, basis = pace.rolling, pace.basis
            rolling.add(last, amount)
            ratio = rolling.total / basis if basis else 0.0
            is_loud = ratio >= loud or pace.ratio >= loud
            if last >= pace.told + (SECOND if is_loud else _SLOW):
                pace.told, pace.ratio = last, ratio
                said.append(self._tell(pace, last, recv))
        if amount:
            self.fades = Micros((rolling.newest + rolling.count) * rolling.width + SECOND)
        if edge >= self.due or said:
            self.plan()
        return said

    def _tell(self, pace: Pace, ts: Micros, recv: Micros) -> Metric:
        is_warm = len(pace.long) >= self.warmup
        evidence: tuple[str, ...] = ()
        if not is_warm:
            evidence = (f"not enough history: {len(pace.long)} of {self.warmup} {pace.label}",)
        is_whole = is_warm and pace.rolling.is_whole and pace.broken < pace.rolling.begins
        quality = Quality.COMPLETE if is_whole else Quality.PARTIAL
        baseline = pace.basis if is_warm else None
        return Metric(
            ts, recv, self.inst, NAME, pace.ratio, pace.label, quality, baseline, evidence
        )


class VolumeSurge:
    """The processor."""

    def __init__(self, name: str, config: VolumeSurgeConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Second, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = VolumeSurgeState
        self.measures = (
            Measure(
                NAME, tuple(label for label, *_ in _WINDOWS), "ratio",
                "volume of the window over the usual of the windows before",
            ),
        )  # fmt: skip
        self._config = config

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> VolumeSurgeState:
        paces = [
            Pace(label, length, Sums(length // 60, 60), Recent(long), Recent(short))
            for label, length, long, short in _WINDOWS
        ]
        return self.adopt(VolumeSurgeState(key, self._config.warmup, self._config.loud, paces))

    def adopt(self, state: VolumeSurgeState) -> VolumeSurgeState:
        state.warmup, state.loud = self._config.warmup, self._config.loud
        for pace in state.paces:
            pace.weigh(state.warmup)
        state.plan()
        return state


_WARM = 102 * 60  # seconds: 20 windows of five minutes, by which the ready-made rule goes


def _quiet(until: float = _WARM + 300.0) -> Iterator[AnyEvent]:
    return _stage.quiet(until, every=2.0)


def _positive() -> Iterator[AnyEvent]:
    yield from _quiet(_WARM)
    for n in range(60):
        yield _stage.trade(_WARM + n, 9_000 + n, 60_000.0, 0.2)


PLUGIN = Plugin(config=VolumeSurgeConfig, build=VolumeSurge)
PROOF = Proof(NAME, 4.0, lambda: _stage.seconds(_positive()), lambda: _stage.seconds(_quiet()))
