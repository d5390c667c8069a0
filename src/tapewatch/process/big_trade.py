"""How unusual the worth of a taker order is: a running z-score, told only above a floor.

Worths of trades are spread over magnitudes, so their logarithms are judged: mean and variance of
the last few thousand orders, exponentially forgotten. An order enters the baseline at no more than
CLIP deviations, so a giant does not eat the baseline by which the next one is judged. Before
`warmup` orders there is not enough history: nothing is scored; what passes the floor is told with
0, PARTIAL, and says so.

`big_trade` is told for orders worth `usd_min` dollars (BIG_TRADE_USD_MIN) or more, and falls back to
0 a minute after the last one. In a quiet market it is silent.
"""

from math import copysign, exp, log, sqrt
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from tapewatch.model.events import (
    AnyEvent,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Rate,
    Second,
    TakerOrder,
)
from tapewatch.model.times import MINUTE
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.process._orders import words
from tapewatch.process._worth import Worth

NAME = "big_trade"
CLIP = 3.0
EVERY = 8
_FORGET = 1.0 / 1_000.0  # of the baseline, with each order that enters it
_LOUDER = 1.5
_NEVER = Micros(0)


class BigTradeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    usd_min: Annotated[float, Meta(gt=0)] = 250_000.0
    warmup: Annotated[int, Meta(ge=10)] = 300  # orders


class Baseline(Struct, array_like=True):
    """Of logarithms of worths, in quote."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def take(self, value: float) -> None:
        self.count += 1
        weight = max(_FORGET, 1.0 / self.count)
        variance = self.variance
        delta = value - self.mean
        if delta * delta > CLIP * CLIP * variance and self.count > 30:
            delta = copysign(CLIP * sqrt(variance), delta)
        self.mean += weight * delta
        self.variance = (1.0 - weight) * (variance + weight * delta * delta)

    def score(self, value: float) -> float:
        return (value - self.mean) / sqrt(self.variance) if self.variance > 0 else 0.0


class BigTradeState(Struct):
    inst: InstrumentId
    worth: Worth
    usd_min: float
    warmup: int
    baseline: Baseline = field(default_factory=Baseline)
    skip: int = 0  # orders that the baseline passes over
    first: str = ""  # the first trade of the order that was told
    told: float = 0.0  # its worth then
    clear_at: Micros = _NEVER

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is TakerOrder:
            return self._judge(event)
        if type(event) is Second:
            self._learn(event.orders)
        elif type(event) is Rate:
            self.worth.take(event)
        return ()

    def _learn(self, worths: tuple[float, ...]) -> None:
        """While there is little history each order counts, later one of EVERY: as good a sample."""
        at, count = self.skip, len(worths)
        baseline, plenty = self.baseline, 2 * self.warmup
        while at < count:
            if worths[at] > 0:
                baseline.take(log(worths[at]))
            at += 1 if baseline.count < plenty else EVERY
        self.skip = at - count

    def next_timer(self) -> Micros | None:
        return self.clear_at or None

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        self.clear_at = _NEVER
        return [Metric(at, at, self.inst, NAME, 0.0, "1m", self._quality())]

    def _judge(self, order: TakerOrder) -> list[AnyEvent] | tuple[()]:
        if order.first != self.first:
            self.first, self.told = order.first, 0.0
        worth = order.worth
        usd = worth * self.worth.rate
        if usd < self.usd_min or worth < self.told * _LOUDER:
            return ()
        self.told = worth
        self.clear_at = Micros(order.ts + MINUTE)
        evidence: tuple[str, ...] = (f"{usd:,.0f} usd", words(order))
        is_warm = self.baseline.count >= self.warmup
        if not is_warm:
            short = f"not enough history: {self.baseline.count} of {self.warmup} orders"
            evidence = (*evidence, short)
        usual = exp(self.baseline.mean) * self.worth.rate if is_warm else None
        score = self.baseline.score(log(worth)) if is_warm else 0.0
        return [
            Metric(
                order.ts, order.recv, self.inst, NAME, score, "1m", self._quality(), usual,
                evidence,
            )
        ]  # fmt: skip

    def _quality(self) -> Quality:
        is_sure = self.worth.measured and self.baseline.count >= self.warmup
        return Quality.COMPLETE if is_sure else Quality.PARTIAL


class BigTrade:
    """The processor."""

    def __init__(self, name: str, config: BigTradeConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({TakerOrder, Second, Rate})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = BigTradeState
        text = "deviations of a large taker order's worth from what is usual"
        self.measures = (Measure(NAME, ("1m",), "sigma", text, sparse=True),)
        self.order_usd_min = config.usd_min
        self._config = config

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> BigTradeState:
        config = self._config
        return self.adopt(BigTradeState(key, Worth.of(key), config.usd_min, config.warmup))

    def adopt(self, state: BigTradeState) -> BigTradeState:
        state.usd_min, state.warmup = self._config.usd_min, self._config.warmup
        return state


def _positive() -> list[AnyEvent]:
    return [*_stage.quiet(400), _stage.trade(400, 9_000, 60_000.0, 20.0)]


PLUGIN = Plugin(config=BigTradeConfig, build=BigTrade)
PROOF = Proof(
    NAME, 4.0, lambda: _stage.seconds(_positive()), lambda: _stage.seconds(_stage.quiet(600))
)
