"""Trades added up by the second, once for all detectors that need no more than that.

A second is told when a later trade comes or time shows that it is over. What comes late counts with
the running one: candles correct themselves, detectors go on.
"""

from typing import Any

from msgspec import Struct

from tapewatch.model.events import AnyEvent, Event, InstrumentId, Micros, Second, Side, Trade
from tapewatch.model.times import SECOND
from tapewatch.ports import Measure, Plugin

_BUY = Side.BUY
_NEVER = Micros(0)


class SecondsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class SecondsState(Struct):
    inst: InstrumentId
    begin: Micros = _NEVER  # of the running second
    edge: Micros = _NEVER  # and its end
    recv: Micros = _NEVER
    price: float = 0.0
    bought: float = 0.0
    sold: float = 0.0
    size: float = 0.0
    trades: int = 0

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        said: list[AnyEvent] | tuple[()] = ()
        if event.ts >= self.edge:
            said = self._close()
            self.begin = Micros(event.ts - event.ts % SECOND)
            self.edge = Micros(self.begin + SECOND)
        size = event.size
        if event.side is _BUY:
            self.bought += event.price * size
        else:
            self.sold += event.price * size
        self.price = event.price
        self.size += size
        self.trades += 1
        self.recv = event.recv
        return said

    def next_timer(self) -> Micros | None:
        return self.edge if self.trades else None

    def on_timer(self, at: Micros) -> list[AnyEvent] | tuple[()]:  # noqa: ARG002 - the port has it
        return self._close()

    def _close(self) -> list[AnyEvent] | tuple[()]:
        if not self.trades:
            return ()
        second = Second(
            self.begin, self.recv, self.inst, self.price, self.bought, self.sold, self.size,
            self.trades,
        )  # fmt: skip
        self.bought = self.sold = self.size = 0.0
        self.trades = 0
        return [second]


class Seconds:
    """The processor."""

    def __init__(self, name: str, config: SecondsConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Trade})
        self.gives: frozenset[type[Event]] = frozenset({Second})
        self.state = SecondsState
        self.measures: tuple[Measure, ...] = ()

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> SecondsState:
        return SecondsState(key)

    def adopt(self, state: SecondsState) -> SecondsState:
        return state


PLUGIN = Plugin(config=SecondsConfig, build=Seconds)
