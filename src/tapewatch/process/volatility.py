"""Realised volatility: the root of the sum of squared log returns of a second, scaled to a day.

A price is the last one of each second that traded; silence is a return of zero. 0.03 means that
prices move as in a day of three per cent. PARTIAL while there is less history than the window, or
a Gap in it.

Seconds are put together to blocks of five, as often as anything is told. What comes late changes
nothing: the price has gone on.
"""

from math import log, sqrt
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

NAME = "volatility"
_WINDOWS = (("1m", MINUTE), ("5m", 5 * MINUTE), ("15m", 15 * MINUTE), ("1h", HOUR))
_STEPS = 60
_BLOCK = 5 * SECOND
_GRACE = 2 * SECOND


class VolatilityConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Span(Struct, array_like=True):
    label: str
    length: int
    squares: Sums
    told: Micros = Micros(0)


class VolatilityState(Struct):
    inst: InstrumentId
    spans: list[Span]
    end: Micros = Micros(0)  # of the running block
    square: float = 0.0  # in it
    closed: float = 0.0  # the price of the last second
    broken: Micros = Micros(0)

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Gap:
            self.broken = event.ts
            return ()
        if event.late:
            return ()
        said: list[AnyEvent] | tuple[()] = ()
        if event.ts >= self.end:
            said = self._turn(event.recv) if self.end else ()
            self.end = Micros(event.ts - event.ts % _BLOCK + _BLOCK)
        if self.closed:
            move = log(event.close / self.closed)
            self.square += move * move
        self.closed = event.close
        return said

    def next_timer(self) -> Micros | None:
        is_alive = self.square > 0 or any(span.squares.total > 0 for span in self.spans)
        return Micros(self.end + _GRACE) if is_alive else None

    def on_timer(self, at: Micros) -> list[AnyEvent] | tuple[()]:
        said = self._turn(at)
        self.end = Micros(self.end + _BLOCK)
        return said

    def _turn(self, recv: Micros) -> list[AnyEvent]:
        """The running block is over."""
        last = Micros(self.end - 1)
        for span in self.spans:
            span.squares.add(last, self.square)
        self.square = 0.0
        return [word for span in self.spans for word in self._tell(span, last, recv)]

    def _tell(self, span: Span, ts: Micros, recv: Micros) -> list[AnyEvent]:
        if ts < span.told + max(_BLOCK, span.length // _STEPS):
            return []
        span.told = ts
        value = sqrt(max(0.0, span.squares.total) * DAY / span.length)
        is_whole = span.squares.is_whole and self.broken < span.squares.begins
        quality = Quality.COMPLETE if is_whole else Quality.PARTIAL
        return [Metric(ts, recv, self.inst, NAME, value, span.label, quality)]


class Volatility:
    """The processor."""

    def __init__(self, name: str, config: VolatilityConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Second, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = VolatilityState
        labels = tuple(label for label, _ in _WINDOWS)
        text = "realised volatility of one-second returns, scaled to a day"
        self.measures = (Measure(NAME, labels, "fraction", text),)

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> VolatilityState:
        return VolatilityState(key, [_span(label, length) for label, length in _WINDOWS])

    def adopt(self, state: VolatilityState) -> VolatilityState:
        return state


def _span(label: str, length: int) -> Span:
    step = max(length // _STEPS, _BLOCK)
    return Span(label, length, Sums(step, length // step))


def _positive() -> list[AnyEvent]:
    return [_stage.trade(n, n, 60_000.0 * (1.0 + 0.002 * (-1) ** n), 0.01) for n in range(2 * 60)]


PLUGIN = Plugin(config=VolatilityConfig, build=Volatility)
PROOF = Proof(
    NAME, 0.2, lambda: _stage.seconds(_positive()), lambda: _stage.seconds(_stage.quiet(5 * 60))
)
