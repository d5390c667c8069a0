"""States by processor and key: made when first wanted, timed by ticks, saved and restored whole.

    event --inst--> cell --type--> (on_event, on_event, ...)       two dict look-ups, direct calls
    Tick --source--> states whose timer is due, in order of (time, key, processor)

The key of an event must follow from its type and its instrument, because it is asked for once a
cell and not once an event. A key that begins with a venue (`binance:BTC/USDT`) hears the ticks of
that venue; any other key, and `all:BTC/USDT`, hears all ticks.

Nothing here reads the times of events or knows what a processor does. It is bounded: beyond
`max_keys` instruments the events of new ones are left out and counted (instruments come from
settings, so too many are a mistake to be told, not a cache to be trimmed).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from tapewatch.model.events import AnyEvent, Event, InstrumentId, Micros
from tapewatch.ports import Processor, State

Handler: TypeAlias = Callable[[Any], Sequence[AnyEvent]]
Cell: TypeAlias = dict[type[Event], tuple[Handler, ...]]

EVERYWHERE = "all"  # in the venue's place of an instrument: a number over several venues
_FORMAT = 1


class Part(Struct):
    """What is saved of one processor. `shape` is a digest of its state's fields and their types."""

    name: str
    shape: str
    states: dict[str, msgspec.Raw]


class Saved(Struct):
    format: int
    parts: list[Part]


class Timed(Struct, frozen=True):
    """One state and where it stands."""

    key: str
    order: int
    state: State


class Keyed:
    """All states of an ordered row of processors."""

    def __init__(self, processors: Sequence[Processor[Any]], max_keys: int) -> None:
        self.cells: dict[InstrumentId, Cell] = {}
        self.refused = 0  # events that were left out because of max_keys
        self._processors = tuple(processors)
        self._max_keys = max_keys
        self._states: list[dict[str, State]] = [{} for _ in processors]
        self._timed: dict[str, list[Timed]] = {}  # by venue; "" hears all

    def handlers(self, event: AnyEvent) -> tuple[Handler, ...]:
        """Find who wants this event; make the states that are not there yet."""
        inst = getattr(event, "inst", "")
        kind = type(event)
        cell = self.cells.get(inst)
        if cell is None:
            if len(self.cells) >= self._max_keys:
                self.refused += 1
                return ()
            cell = self.cells[inst] = {}
        if kind not in cell:
            cell[kind] = tuple(
                self._state(order, processor.key(event)).on_event
                for order, processor in enumerate(self._processors)
                if kind in processor.wants
            )
        return cell[kind]

    def state(self, name: str, key: str) -> State | None:
        for processor, states in zip(self._processors, self._states, strict=True):
            if processor.name == name:
                return states.get(key)
        return None

    def place(self, state: State) -> tuple[int, str]:
        """Tell which processor a state belongs to, and its key. For errors: it searches."""
        for order, states in enumerate(self._states):
            for key, other in states.items():
                if other is state:
                    return order, key
        raise LookupError("this state belongs to nobody here")

    def restart(self, order: int, key: str) -> None:
        """Begin anew in place, so that all who hold the state's methods hold the new one's."""
        state = self._states[order][key]
        fresh = self._processors[order].fresh(key)
        for name in fresh.__struct_fields__:
            setattr(state, name, getattr(fresh, name))

    def due(self, source: str, until: Micros) -> Iterator[tuple[Micros, Timed]]:
        """Give the timers of one source that have passed, earliest first, each to be called.

        Those that a call sets anew come in their turn. One that does not move by being called
        is not given again, nor is one that another state's words have only now made due: both
        wait for the next tick.
        """
        heard = (*self._timed.get(source, ()), *self._timed.get("", ()))
        heap = [
            (at, timed.key, timed.order, timed)
            for timed in heard
            if (at := timed.state.next_timer()) is not None and at <= until
        ]
        heapify(heap)
        while heap:
            at, key, order, timed = heappop(heap)
            actual = timed.state.next_timer()
            if actual == at:
                yield at, timed
                actual = timed.state.next_timer()
            if actual is not None and at < actual <= until:
                heappush(heap, (actual, key, order, timed))

    def dump(self) -> bytes:
        parts = [
            Part(
                processor.name,
                shape(processor.state),
                {key: _raw(states[key]) for key in sorted(states)},
            )
            for processor, states in zip(self._processors, self._states, strict=True)
        ]
        return msgspec.msgpack.encode(Saved(_FORMAT, parts))

    def load(self, data: bytes) -> list[str]:
        """Take a dump. What cannot be used starts fresh; the answer says, in words, what and why."""
        self.cells.clear()
        self._timed.clear()
        self._states = [{} for _ in self._processors]
        try:
            saved = msgspec.msgpack.decode(data, type=Saved)
        except msgspec.DecodeError as error:
            return [f"the checkpoint cannot be read ({error}); all processors start fresh"]
        if saved.format != _FORMAT:
            return [f"the checkpoint has format {saved.format}, not {_FORMAT}; all start fresh"]
        orders = {processor.name: order for order, processor in enumerate(self._processors)}
        told: list[str] = []
        for part in saved.parts:
            order = orders.pop(part.name, None)
            told += [] if order is None else self._load_part(order, part)
            if order is None:
                told.append(f"{part.name} is not in use now; its state was left out")
        return told + [f"{name} is not in the checkpoint; it starts fresh" for name in orders]

    def _load_part(self, order: int, part: Part) -> list[str]:
        processor = self._processors[order]
        if part.shape != shape(processor.state):
            return [f"the state of {part.name} has another shape now; it starts fresh"]
        told = []
        for key, raw in part.states.items():
            try:
                state = msgspec.msgpack.decode(raw, type=processor.state)
            except msgspec.DecodeError as error:
                told.append(f"{part.name} of {key} cannot be read ({error}); it starts fresh")
            else:
                self._keep(order, key, processor.adopt(state))
        return told

    def _state(self, order: int, key: str) -> State:
        states = self._states[order]
        if key not in states:
            self._keep(order, key, self._processors[order].fresh(key))
        return states[key]

    def _keep(self, order: int, key: str, state: State) -> None:
        self._states[order][key] = state
        venue, colon, _ = key.partition(":")
        if not colon or venue == EVERYWHERE:
            venue = ""
        self._timed.setdefault(venue, []).append(Timed(key, order, state))


def shape(state: type[Any]) -> str:
    """Digest of a state's fields, nested ones too: another shape means an unreadable checkpoint."""
    schema = msgspec.json.encode(msgspec.json.schema(state), order="sorted")
    return hashlib.sha256(schema).hexdigest()[:16]


def _raw(state: State) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(state))
