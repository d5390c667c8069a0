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
    Side,
    Trade,
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
    ts: Micros = _NEVER  # of the order whose trades are coming in
    side: Side = Side.BUY
    amount: float = 0.0  # its worth in quote
    size: float = 0.0
    first: str = ""  # its first trade
    limit: float = 0.0  # in quote: what an order must be worth to be looked at
    told: float = 0.0  # worth of this order when it was told
    clear_at: Micros = _NEVER
    broken: Micros = _NEVER

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Trade:
            ts = event.ts
            amount = event.price * event.size
            if ts == self.ts and event.side is self.side:
                self.amount += amount
                self.size += event.size
            else:
                self.ts = ts
                self.side = event.side
                self.first = event.id
                self.size = event.size
                self.amount = amount
                self.told = 0.0
            return self._judge(event) if self.amount >= self.limit else ()
        if type(event) is Rate:
            self.worth.take(event)
            self.set_limit()
        elif type(event) is Second:
            self.minute.add(event.ts, event.bought + event.sold)
        else:
            self.broken = event.ts
        return ()

    def set_limit(self) -> None:
        """The smaller of both floors, so that nearly every trade costs one comparison."""
        least = min(self.config.usd_min, self.config.share_floor_usd)
        self.limit = least / self.worth.rate if self.worth.rate else 1e300

    def next_timer(self) -> Micros | None:
        return self.clear_at or None

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        self.clear_at = _NEVER
        quality = Quality.COMPLETE if self.worth.measured else Quality.PARTIAL
        return [
            Metric(at, at, self.inst, name, 0.0, window, quality)
            for name, window in (("whale_usd", "1m"), ("whale_share", "1m"))
        ]

    def _judge(self, trade: Trade) -> list[AnyEvent] | tuple[()]:
        worth, rate = self.amount, self.worth.rate
        usd, usd_min = worth * rate, self.config.usd_min
        becomes_one = self.told * rate < usd_min <= usd  # told for its share alone before
        if worth < self.told * _LOUDER and not becomes_one:
            return ()
        self.minute.reach(trade.ts)
        total = self.minute.total + worth  # the running second is not in it yet
        share = worth / total if total > 0 and self.minute.is_whole else 0.0
        if usd < usd_min and share < self.config.share_min:
            return ()
        self.told = worth
        self.clear_at = Micros(trade.ts + MINUTE)
        is_whole = self.worth.measured and self.minute.is_whole
        is_whole = is_whole and self.broken < self.minute.begins
        quality = Quality.COMPLETE if is_whole else Quality.PARTIAL
        evidence = (words(self.side, worth, self.size, self.first),)
        said: list[AnyEvent] = [
            Metric(trade.ts, trade.recv, self.inst, "whale_usd", usd, "1m", quality, None, evidence)
        ]
        if share:
            others = (total - worth) * self.worth.rate
            said.append(
                Metric(
                    trade.ts, trade.recv, self.inst, "whale_share", share, "1m", quality, others,
                    evidence,
                )
            )  # fmt: skip
        return said


class Whale:
    """The processor."""

    def __init__(self, name: str, config: WhaleConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Trade, Second, Rate, Gap})
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
        self._config = config

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> WhaleState:
        return self.adopt(WhaleState(key, Worth.of(key), self._config, Sums(SECOND, 60)))

    def adopt(self, state: WhaleState) -> WhaleState:
        state.config = self._config
        state.set_limit()
        return state


def _positive() -> list[AnyEvent]:
    return [*_stage.quiet(90), _stage.trade(90, 9_000, 60_000.0, 20.0)]


PLUGIN = Plugin(config=WhaleConfig, build=Whale)
PROOF = Proof("whale_usd", 1_000_000.0, _positive, lambda: list(_stage.quiet(180)))
