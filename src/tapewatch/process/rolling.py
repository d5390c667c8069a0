"""How much the price changed in the last 24 hours and in a short window, from prices in memory.

The reference is the last price at or before the beginning of the window, to the width of a
sample: 1/288 of the longer window (5 min of 24 h), 1/60 of the shorter one. Prices are those at
which seconds close, and the venue's ticker where no trade came for a minute. A trade that comes
late changes nothing: the samples it would belong to stay.

`quality` is PARTIAL while there is less history than the window, or a Gap within it; SAMPLED if
the price came from a ticker. A change is told at most once a second of event time; in silence
once a minute, because the reference moves on; and after a day of silence no more.
"""

from typing import Any

from msgspec import Struct

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import (
    AnyEvent,
    Event,
    Gap,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Second,
    Ticker,
)
from tapewatch.model.times import DAY, MINUTE, SECOND, Interval
from tapewatch.ports import Measure, Plugin
from tapewatch.stream.window import Samples

_NEVER = Micros(0)
_STEPPED_BACK = 100  # old live prices in a row that mean that the venue's clock went back
_GRACE = SECOND  # a tick speaks for a second this long after its end


class RollingConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    short: str = "1h"  # the window of change_short


class Window(Struct, array_like=True):
    name: str
    label: str
    length: int
    samples: Samples
    before: float = 0.0  # the price at the beginning of the window
    turn: Micros = _NEVER  # when a sample is due, or `before` is another one

    def reach(self, now: Micros, price: float) -> None:
        """Let `price` hold until now, and look up again what the window begins with."""
        samples, width = self.samples, self.samples.width
        samples.reach(now, price)
        begin = now - self.length
        self.before = samples.at(Micros(begin)) or 0.0
        begun = begin - begin % width + width + self.length
        self.turn = Micros(min(now - now % width + width, begun))


class RollingState(Struct):
    """The price of one instrument, and how it stood."""

    inst: InstrumentId
    windows: list[Window]
    price: float = 0.0
    newest: Micros = _NEVER  # time of `price`; never before anything came
    told: Micros = _NEVER  # event time of the last words
    speak_at: Micros = _NEVER  # and when the next may come
    whole_since: Micros = _NEVER  # the first price, or the first after a Gap
    broken: bool = False  # a Gap, and no price since
    traded: Micros = _NEVER
    channel: str = ""
    behind: int = 0

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        kind = type(event)
        if kind is Second:
            return self._take_second(event)
        if kind is Ticker:
            if event.ts < self.traded + MINUTE:
                return ()
            return self._take(event.ts, event.last, event.recv)
        if event.channel == self.channel:
            self.broken = True
        return ()

    def next_timer(self) -> Micros | None:
        if not self.newest:
            return None
        if self.newest > self.told:
            return Micros(self.newest - self.newest % SECOND + SECOND + _GRACE)
        after = Micros(self.told - self.told % MINUTE + MINUTE + _GRACE)
        return after if after < self.newest + DAY else None

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        now = Micros(at - _GRACE)
        for window in self.windows:
            window.reach(now, self.price)
        self.speak_at = now
        return self._tell(max(now, self.newest), at)

    def _take_second(self, second: Second) -> list[AnyEvent] | tuple[()]:
        if second.repaired and second.last < self.newest:
            return ()
        if second.channel != self.channel:
            self.broken = bool(self.channel)
            self.channel = second.channel
        self.traded = second.last
        return self._take(second.last, second.close, second.recv)

    def _take(self, ts: Micros, price: float, recv: Micros) -> list[AnyEvent] | tuple[()]:
        """Take a price, which may be an old one, or the first after a Gap."""
        if ts < self.newest:
            self.behind += 1
            if self.behind < _STEPPED_BACK:
                return ()
            self._restart()
        self.behind = 0
        for window in self.windows:
            if ts >= window.turn:
                window.reach(ts, self.price if self.newest else price)
        if self.broken or not self.newest:
            self.whole_since, self.broken = ts, False
        self.price = price
        self.newest = ts
        if ts < self.speak_at:
            return ()
        self.speak_at = Micros(ts - ts % SECOND + SECOND)
        return self._tell(ts, recv)

    def _tell(self, now: Micros, recv: Micros) -> list[AnyEvent]:
        self.told = now
        said: list[AnyEvent] = []
        for window in self.windows:
            if window.before:
                change = self.price / window.before - 1.0
                quality = self._quality(now - window.length)
                said.append(
                    Metric(now, recv, self.inst, window.name, change, window.label, quality)
                )
        return said

    def _quality(self, begin: int) -> Quality:
        if self.broken or begin < self.whole_since:
            return Quality.PARTIAL
        return Quality.COMPLETE if self.newest < self.traded + MINUTE else Quality.SAMPLED

    def _restart(self) -> None:
        """Follow a clock that went back."""
        for window in self.windows:
            window.samples.slots = []
            window.turn = _NEVER
        self.newest = self.told = self.speak_at = self.traded = _NEVER


class Rolling:
    """The processor."""

    def __init__(self, name: str, short: Interval) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Second, Ticker, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = RollingState
        self.measures = (
            Measure("change_24h", ("24h",), "fraction", "price change in the last 24 hours"),
            Measure("change_short", (short.name,), "fraction", "price change in a short window"),
        )
        self._short = short

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> RollingState:
        return RollingState(
            key,
            [
                _window("change_24h", "24h", DAY, 288),
                _window("change_short", self._short.name, self._short.micros, 60),
            ],
        )

    def adopt(self, state: RollingState) -> RollingState:
        """Another short window begins anew; the long one stays."""
        wanted = self.fresh(state.inst).windows[1]
        if state.windows[1].label != wanted.label:
            state.windows[1] = wanted
        return state


def _window(name: str, label: str, length: int, samples: int) -> Window:
    width = length // samples
    return Window(name, label, length, Samples(width, length // width + 2))


def build(name: str, config: RollingConfig) -> Rolling:
    """Raises ConfigError if the short window is none."""
    try:
        short = Interval.parse(config.short)
    except ValueError as error:
        raise ConfigError(f"{name}.short: {error}") from None
    if not MINUTE <= short.micros <= DAY:
        raise ConfigError(f"{name}.short: {short.name} is not between 1m and 1d")
    return Rolling(name, short)


PLUGIN = Plugin(config=RollingConfig, build=build)
