"""Whales: taker orders that are large in dollars, or large beside what was traded of late.

    trades of one moment and side = one order --over `usd_min`, or over `share_min` of a minute-->
        whale_usd: its worth in dollars        whale_share: its worth over the last minute's volume

Both fall back to 0 a minute after the last whale. Shares need a minute of history and some volume
(`share_floor_usd`), else a lonely trade in a quiet market would be all of it.
"""

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
    Rate,
    Second,
    TakerOrder,
)
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.process._orders import words
from tapewatch.process._worth import Worth
from tapewatch.stream.window import Sums

_LOUDER = 1.5  # an order that grows is told again when it is so much larger
_NEVER = Micros(0)


class WhaleConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    usd_min: Annotated[float, Meta(gt=0)] = 500_000.0
    share_min: Annotated[float, Meta(gt=0, le=1)] = 0.5
    share_floor_usd: Annotated[float, Meta(ge=0)] = 50_000.0  # of the order, for shares


class WhaleState(Struct):
    inst: InstrumentId
    worth: Worth
    config: WhaleConfig
    minute: Sums
    first: str = ""  # the first trade of the order that was told
    told: float = 0.0  # its worth then
    clear_at: Micros = _NEVER
    broken: Micros = _NEVER

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is TakerOrder:
            return self._judge(event)
        if type(event) is Second:
            self.minute.add(event.ts, event.bought + event.sold)
        elif type(event) is Rate:
            self.worth.take(event)
        else:
            self.broken = event.ts
        return ()

    def next_timer(self) -> Micros | None:
        return self.clear_at or None

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        self.clear_at = _NEVER
        quality = Quality.COMPLETE if self.worth.measured else Quality.PARTIAL
        return [
            Metric(at, at, self.inst, name, 0.0, window, quality)
            for name, window in (("whale_usd", "1m"), ("whale_share", "1m"))
        ]

    def _judge(self, order: TakerOrder) -> list[AnyEvent] | tuple[()]:
        if order.first != self.first:
            self.first, self.told = order.first, 0.0
        worth, rate = order.worth, self.worth.rate
        usd, usd_min = worth * rate, self.config.usd_min
        becomes_one = self.told * rate < usd_min <= usd  # told for its share alone before
        if worth < self.told * _LOUDER and not becomes_one:
            return ()
        self.minute.reach(order.ts)
        total = self.minute.total + worth  # the running second is not in it yet
        share = worth / total if total > 0 and self.minute.is_whole else 0.0
        is_share = share >= self.config.share_min and usd >= self.config.share_floor_usd
        if usd < usd_min and not is_share:
            return ()
        self.told = worth
        self.clear_at = Micros(order.ts + MINUTE)
        is_whole = self.worth.measured and self.minute.is_whole
        is_whole = is_whole and self.broken < self.minute.begins
        quality = Quality.COMPLETE if is_whole else Quality.PARTIAL
        evidence = (words(order),)
        said: list[AnyEvent] = [
            Metric(order.ts, order.recv, self.inst, "whale_usd", usd, "1m", quality, None, evidence)
        ]
        if share:
            others = (total - worth) * self.worth.rate
            said.append(
                Metric(
                    order.ts, order.recv, self.inst, "whale_share", share, "1m", quality, others,
                    evidence,
                )
            )  # fmt: skip
        return said


class Whale:
    """The processor."""

    def __init__(self, name: str, config: WhaleConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({TakerOrder, Second, Rate, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = WhaleState
        self.measures = (
            Measure(
                "whale_usd", ("1m",), "usd", "worth of the last large taker order", sparse=True
            ),
            Measure(
                "whale_share",
                ("1m",),
                "ratio",
                "its share of the last minute's volume",
                sparse=True,
            ),
        )
        self.order_usd_min = min(config.usd_min, config.share_floor_usd)
        self._config = config

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> WhaleState:
        return self.adopt(WhaleState(key, Worth.of(key), self._config, Sums(SECOND, 60)))

    def adopt(self, state: WhaleState) -> WhaleState:
        state.config = self._config
        return state


def _positive() -> list[AnyEvent]:
    """Less than a minute: without shares, so that it is `usd_min` which is tried."""
    return [*_stage.quiet(30), _stage.trade(30, 9_000, 60_000.0, 20.0)]


PLUGIN = Plugin(config=WhaleConfig, build=Whale)
PROOF = Proof(
    "whale_usd",
    1_000_000.0,
    lambda: _stage.seconds(_positive()),
    lambda: _stage.seconds(_stage.quiet(180)),
)
