"""Who presses: share of taker buys, cumulative volume delta, and the average price paid.

`buy_ratio` is the worth of taker buys over all that was traded, 0 to 1; `cvd` is buys less sells in
units of quote; `vwap` is worth over size. All over rolling windows; `cvd` and `vwap` of `day` begin
at midnight UTC. PARTIAL while there is less history than the window, or a Gap in it.

Seconds are put together to blocks of five, as often as anything is told: a second costs three
additions. What comes late counts with the running block.
"""

from typing import Any

from msgspec import Struct

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
from tapewatch.model.times import DAY, HOUR, MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.stream.window import Sums

_BLOCK = 5 * SECOND
# label, length, how often it is told
_WINDOWS = (
    ("1m", MINUTE, _BLOCK),
    ("5m", 5 * MINUTE, _BLOCK),
    ("1h", HOUR, MINUTE),
    ("24h", DAY, MINUTE),
)
_STEPS = 60
_GRACE = 2 * SECOND


class FlowRatioConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Span(Struct, array_like=True):
    """One window: what was bought and sold by takers, in quote; and how much, in base.

    Blocks wait until it is `due`, because it is not looked at before.
    """

    label: str
    every: int
    bought: Sums
    sold: Sums
    size: Sums
    due: Micros = Micros(0)
    waiting_bought: float = 0.0
    waiting_sold: float = 0.0
    waiting_size: float = 0.0

    def take(self, ts: Micros, bought: float, sold: float, size: float) -> None:
        if not self.due:
            self.due = Micros(ts - ts % self.every + self.every)
        self.waiting_bought += bought
        self.waiting_sold += sold
        self.waiting_size += size

    def turn(self) -> Micros:
        """Count what waits. Gives the last moment that is counted."""
        last = Micros(self.due - 1)
        self.bought.add(last, self.waiting_bought)
        self.sold.add(last, self.waiting_sold)
        self.size.add(last, self.waiting_size)
        self.waiting_bought = self.waiting_sold = self.waiting_size = 0.0
        self.due = Micros(0)
        return last


class Day(Struct, array_like=True):
    """Since midnight UTC."""

    number: int = -1
    bought: float = 0.0
    sold: float = 0.0
    size: float = 0.0
    is_whole: bool = False


class FlowRatioState(Struct):
    inst: InstrumentId
    spans: list[Span]
    day: Day
    end: Micros = Micros(0)  # of the running block
    bought: float = 0.0  # in it
    sold: float = 0.0
    size: float = 0.0
    broken: Micros = Micros(0)
    told: Micros = Micros(0)  # of the day

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Gap:
            self.broken = event.ts
            self.day.is_whole = False
            return ()
        said: list[AnyEvent] | tuple[()] = ()
        if event.ts >= self.end:
            said = self._turn(event.ts, event.recv) if self.end else ()
            self.end = Micros(event.ts - event.ts % _BLOCK + _BLOCK)
        self.bought += event.bought
        self.sold += event.sold
        self.size += event.size
        return said

    def next_timer(self) -> Micros | None:
        is_alive = self.size > 0 or self.spans[0].size.total > 0
        return Micros(self.end + _GRACE) if is_alive else None

    def on_timer(self, at: Micros) -> list[AnyEvent] | tuple[()]:
        said = self._turn(self.end, at)
        self.end = Micros(self.end + _BLOCK)
        return said

    def _turn(self, now: Micros, recv: Micros) -> list[AnyEvent]:
        """The running block is over; time has come to `now`."""
        last = Micros(self.end - 1)
        bought, sold, size = self.bought, self.sold, self.size
        self.bought = self.sold = self.size = 0.0
        self._take_day(last, bought, sold, size)
        said: list[AnyEvent] = []
        for span in self.spans:
            span.take(last, bought, sold, size)
            if now >= span.due:
                said += self._tell(span, span.turn(), recv)
        return said + self._tell_day(last, recv)

    def _take_day(self, ts: Micros, bought: float, sold: float, size: float) -> None:
        number = ts // DAY
        if number != self.day.number:
            begins_whole = self.day.number == number - 1
            self.day = Day(number, is_whole=begins_whole)
        day = self.day
        day.bought += bought
        day.sold += sold
        day.size += size

    def _tell(self, span: Span, ts: Micros, recv: Micros) -> list[AnyEvent]:
        is_whole = span.size.is_whole and self.broken < span.size.begins
        bought, sold, size = span.bought.total, span.sold.total, span.size.total
        worth = bought + sold
        ratio = bought / worth if worth > 0 else 0.5
        found = [("buy_ratio", min(1.0, max(0.0, ratio)))]  # sums are a float's breadth beside
        if span.label in ("1h", "24h"):
            found.append(("cvd", bought - sold))
        if span.label in ("1h", "24h") and size > 0:
            found.append(("vwap", worth / size))
        return [
            self._metric(ts, recv, name, value, span.label, whole=is_whole) for name, value in found
        ]

    def _tell_day(self, ts: Micros, recv: Micros) -> list[AnyEvent]:
        if ts < self.told + MINUTE:
            return []
        self.told = ts
        day = self.day
        found = [("cvd", day.bought - day.sold)]
        if day.size > 0:
            found.append(("vwap", (day.bought + day.sold) / day.size))
        return [self._metric(ts, recv, name, v, "day", whole=day.is_whole) for name, v in found]

    def _metric(
        self, ts: Micros, recv: Micros, name: str, value: float, window: str, *, whole: bool
    ) -> AnyEvent:
        quality = Quality.COMPLETE if whole else Quality.PARTIAL
        return Metric(ts, recv, self.inst, name, value, window, quality)


class FlowRatio:
    """The processor."""

    def __init__(self, name: str, config: FlowRatioConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Second, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = FlowRatioState
        labels = tuple(label for label, *_ in _WINDOWS)
        long = ("1h", "24h", "day")
        self.measures = (
            Measure("buy_ratio", labels, "ratio", "worth of taker buys over all that was traded"),
            Measure("cvd", long, "quote", "taker buys less taker sells"),
            Measure("vwap", long, "quote", "average price paid"),
        )

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> FlowRatioState:
        return FlowRatioState(key, [_span(*window) for window in _WINDOWS], Day())

    def adopt(self, state: FlowRatioState) -> FlowRatioState:
        return state


def _span(label: str, length: int, every: int) -> Span:
    step = max(length // _STEPS, _BLOCK)
    count = length // step
    return Span(label, every, Sums(step, count), Sums(step, count), Sums(step, count))


def _positive() -> list[AnyEvent]:
    return [_stage.trade(n, n, 60_000.0, 0.05) for n in range(120)]


def _quiet() -> list[AnyEvent]:
    """Sides in turn, twice a second: no second has one side only."""
    return list(_stage.quiet(240, every=0.5))


PLUGIN = Plugin(config=FlowRatioConfig, build=FlowRatio)
PROOF = Proof(
    "buy_ratio", 0.9, lambda: _stage.seconds(_positive()), lambda: _stage.seconds(_quiet())
)
