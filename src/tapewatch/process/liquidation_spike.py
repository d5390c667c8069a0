"""Spikes of liquidations, by volume and by frequency, against what is usual for that instrument.

    score = (the last minute - median of the minutes before) / deviation

The median and the deviation of the last two hours' minutes are robust: a spike moves them little,
and the running minute is no part of them. Most minutes of most markets have none; so the deviation
is never taken for less than a floor (`floor_usd`, two orders). Before `warmup` minutes there is not
enough history: 0, PARTIAL, and it is said so. `sigma` (LIQ_SPIKE_SIGMA) is the level from which on a
score is told each second; it falls back to 0 when the minute has passed.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from tapewatch.model.events import (
    AnyEvent,
    Event,
    InstrumentId,
    Liquidation,
    Metric,
    Micros,
    Quality,
    Rate,
)
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.process._worth import Worth
from tapewatch.stream.window import Recent, Sums

_VOLUME, _COUNT = "liq_spike_volume", "liq_spike_count"
_MINUTES = 120
_FLOOR_COUNT = 2.0
_LABEL = "1m"


class LiquidationSpikeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    sigma: Annotated[float, Meta(gt=0)] = 3.0
    warmup: Annotated[int, Meta(ge=3, le=_MINUTES)] = 15  # minutes
    floor_usd: Annotated[float, Meta(gt=0)] = 25_000.0


class Pace(Struct, array_like=True):
    """One of both: dollars or counts."""

    name: str
    floor: float
    rolling: Sums = field(default_factory=lambda: Sums(SECOND, 60))
    usual: Recent = field(default_factory=lambda: Recent(_MINUTES))
    amount: float = 0.0  # of the whole minute that runs

    def score(self) -> float:
        deviation = max(self.usual.deviation, self.floor)
        return (self.rolling.total - self.usual.median) / deviation

    def turn(self, minutes: int) -> None:
        self.usual.push(self.amount)
        for _ in range(min(minutes - 1, _MINUTES)):
            self.usual.push(0.0)
        self.amount = 0.0


class LiquidationSpikeState(Struct):
    inst: InstrumentId
    worth: Worth
    config: LiquidationSpikeConfig
    volume: Pace
    count: Pace
    minute: int = -1
    coverage: Quality = Quality.COMPLETE
    told: Micros = Micros(0)
    is_loud: bool = False
    next_at: Micros = Micros(0)

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Rate:
            self.worth.take(event)
            if self.minute < 0:  # the market lives: from now on silence is a minute without any
                self._turn(event.ts)
                self.next_at = Micros(event.ts + MINUTE)
            return ()
        self._turn(event.ts)
        if event.coverage is not Quality.COMPLETE:
            self.coverage = Quality.SAMPLED
        usd = event.price * event.size * self.worth.rate
        for pace, amount in ((self.volume, usd), (self.count, 1.0)):
            pace.rolling.add(event.ts, amount)
            pace.amount += amount
        self.next_at = Micros(event.ts + SECOND)
        if event.ts < self.told + SECOND:
            return ()
        return self._tell(event.ts, event.recv, (_words(event, usd),))

    def next_timer(self) -> Micros | None:
        return self.next_at or None

    def on_timer(self, at: Micros) -> list[AnyEvent] | tuple[()]:
        self._turn(at)
        said = self._tell(at, at, ()) if self.is_loud or self.count.rolling.total else ()
        is_busy = self.is_loud or self.count.rolling.total > 0
        self.next_at = Micros(at + (SECOND if is_busy else MINUTE))
        return said

    def _turn(self, ts: Micros) -> None:
        minute = ts // MINUTE
        if minute > self.minute:
            if self.minute >= 0:
                self.volume.turn(minute - self.minute)
                self.count.turn(minute - self.minute)
            self.minute = minute
        self.volume.rolling.reach(ts)
        self.count.rolling.reach(ts)

    def _tell(self, ts: Micros, recv: Micros, evidence: tuple[str, ...]) -> list[AnyEvent]:
        self.told = ts
        minutes = len(self.count.usual)
        is_warm = minutes >= self.config.warmup
        if not is_warm:
            evidence = (f"not enough history: {minutes} of {self.config.warmup} minutes",)
        quality = self.coverage if is_warm else Quality.PARTIAL
        scores = [(pace, pace.score() if is_warm else 0.0) for pace in (self.volume, self.count)]
        self.is_loud = any(score >= self.config.sigma for _, score in scores)
        return [
            Metric(
                ts, recv, self.inst, pace.name, max(0.0, score), _LABEL, quality,
                pace.usual.median if is_warm else None, evidence,
            )
            for pace, score in scores
        ]  # fmt: skip


class LiquidationSpike:
    """The processor."""

    def __init__(self, name: str, config: LiquidationSpikeConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Liquidation, Rate})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = LiquidationSpikeState
        self.measures = (
            Measure(_VOLUME, (_LABEL,), "sigma", "dollars liquidated, in deviations", sparse=True),
            Measure(_COUNT, (_LABEL,), "sigma", "liquidations, in deviations", sparse=True),
        )
        self._config = config

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> LiquidationSpikeState:
        volume, count = Pace(_VOLUME, self._config.floor_usd), Pace(_COUNT, _FLOOR_COUNT)
        return LiquidationSpikeState(key, Worth.of(key), self._config, volume, count)

    def adopt(self, state: LiquidationSpikeState) -> LiquidationSpikeState:
        state.config = self._config
        state.volume.floor = self._config.floor_usd
        return state


def _words(event: Liquidation, usd: float) -> str:
    closed = "long" if event.side.value == "sell" else "short"
    return f"{closed} of {usd:,.0f} usd closed @ {event.price:.8g}"


def _calm(minutes: int) -> list[AnyEvent]:
    return [_stage.liquidation(60.0 * n + 7, 2_000.0, longs=n % 2 == 0) for n in range(minutes)]


def _positive() -> list[AnyEvent]:
    return [*_calm(30), *(_stage.liquidation(1_800 + n, 60_000.0) for n in range(20))]


PLUGIN = Plugin(config=LiquidationSpikeConfig, build=LiquidationSpike)
PROOF = Proof(_VOLUME, 3.0, _positive, lambda: _calm(60))
