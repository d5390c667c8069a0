"""Larger candles from a venue's own K-lines, where it gives (or we take) only a base interval.

Takes closed candles of `base` with origin VENUE, gives closed larger ones with origin VENUE. An
interval that the venue itself turns out to send is left to it. A missing part makes a candle
PARTIAL; a part that comes again is left out.
"""

from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import (
    AnyEvent,
    Candle,
    Event,
    InstrumentId,
    Micros,
    Origin,
    Quality,
)
from tapewatch.model.times import Interval
from tapewatch.ports import Measure, Plugin
from tapewatch.process.rollup import extend


class VenueCandlesConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    base: str = "1m"
    intervals: tuple[str, ...] = ("5m", "15m", "1h", "4h", "1d")


class Growing(Struct, array_like=True):
    interval: Interval
    candle: Candle | None = None


class VenueCandlesState(Struct):
    """The growing candles of one instrument."""

    base: Interval
    larger: list[Growing]
    next_ts: Micros = Micros(0)  # open time of the base candle that should come next
    sent: list[str] = field(default_factory=list)  # larger intervals that the venue sends itself

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if event.origin is not Origin.VENUE:
            return ()
        if event.interval != self.base.name:
            self._leave(event.interval)
            return ()
        if not event.closed or event.ts < self.next_ts:
            return ()
        said = [candle for growing in self.larger for candle in self._grow(growing, event)]
        self.next_ts = Micros(event.ts + self.base.micros)
        return said

    def next_timer(self) -> Micros | None:
        return None

    def on_timer(self, at: Micros) -> tuple[()]:  # noqa: ARG002 - the port has it
        return ()

    def _leave(self, interval: str) -> None:
        for growing in self.larger:
            if growing.interval.name == interval and interval not in self.sent:
                self.sent.append(interval)
                growing.candle = None

    def _grow(self, growing: Growing, part: Candle) -> list[AnyEvent]:
        """Add a part; give what has ended, also an earlier candle whose last parts never came."""
        interval = growing.interval
        if interval.name in self.sent:
            return []
        said: list[AnyEvent] = []
        start = interval.floor(part.ts)
        whole = growing.candle
        if whole is not None and whole.ts != start:
            said.append(replace(whole, closed=True, quality=Quality.PARTIAL))
            whole = None
        if whole is None:
            whole = replace(part, ts=start, interval=interval.name)
            missed = part.ts != start
        else:
            whole = extend(whole, part)
            missed = part.ts != self.next_ts
        ended = part.ts + self.base.micros == start + interval.micros
        whole = replace(whole, closed=ended, quality=Quality.PARTIAL if missed else whole.quality)
        growing.candle = None if ended else whole
        return [*said, whole] if ended else said


class VenueCandles:
    """The processor."""

    def __init__(self, name: str, base: Interval, larger: list[Interval]) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Candle})
        self.gives: frozenset[type[Event]] = frozenset({Candle})
        self.state = VenueCandlesState
        self.measures: tuple[Measure, ...] = ()
        self._base = base
        self._larger = larger

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> VenueCandlesState:  # noqa: ARG002 - every key begins alike
        return VenueCandlesState(self._base, [Growing(interval) for interval in self._larger])

    def adopt(self, state: VenueCandlesState) -> VenueCandlesState:
        """Other intervals begin anew."""
        had = (state.base, [growing.interval for growing in state.larger])
        return state if had == (self._base, self._larger) else self.fresh("")


def build(name: str, config: VenueCandlesConfig) -> VenueCandles:
    """Raises ConfigError if the intervals are not made of the base."""
    try:
        base = Interval.parse(config.base)
        larger = sorted({Interval.parse(text) for text in config.intervals})
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    for interval in larger:
        if interval == base or not base.divides(interval):
            raise ConfigError(
                f"{name}.intervals: {interval.name} is not made of two or more {base.name} candles"
            )
    return VenueCandles(name, base, larger)


PLUGIN = Plugin(config=VenueCandlesConfig, build=build)
