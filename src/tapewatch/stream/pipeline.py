"""Processors in order: a batch of events in, what the processors say about them out.

    batch --> [ a --> b --> c ] --> derived events, in order
               what a gives and b wants goes to b at once, before the next event

The order follows from `wants` and `gives` (ties by name, so that it does not depend on the
settings' order). What comes out depends on the events alone and not on how they are cut into
batches, nor on a snapshot and restore between any two of them.

A processor that raises costs one dead letter and the state of one key; nothing else notices.
Trades marked `echo` tell again what another channel told: no processor sees them.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.errors import ConfigError, where
from tapewatch.model.events import AnyEvent, Batch, Event, Tick, Trade
from tapewatch.model.instrument import split_id
from tapewatch.ports import Counters, Processor, State
from tapewatch.stream.keyed import Handler, Keyed

MAX_KEYS = 10_000
_NOBODY: tuple[Handler, ...] = ()


@runtime_checkable
class Attentive(Protocol):
    """A processor that wants to know who hears it. Told once, before any state is made."""

    def attend(self, hearers: Sequence[Processor[Any]]) -> None: ...


class Pipeline:
    """Raises ConfigError if two processors have one name or some feed each other in a circle."""

    def __init__(self, processors: Sequence[Processor[Any]], max_keys: int = MAX_KEYS) -> None:
        self.processors = arrange(processors)
        _introduce(self.processors)
        self.counters = Counters()  # errors by processor; dropped: events of too many instruments
        self._keyed = Keyed(self.processors, max_keys)
        kinds = {kind for processor in self.processors for kind in processor.wants}
        self._wanting: dict[type[Event], tuple[int, ...]] = {
            kind: tuple(n for n, p in enumerate(self.processors) if kind in p.wants)
            for kind in kinds
        }

    @property
    def wants(self) -> frozenset[type[Event]]:
        """What must be fed in: what the processors want, and ticks."""
        return frozenset(self._wanting) | {Tick}

    def process(self, batch: Batch) -> Batch:
        """Give the derived events only, in order."""
        out: Batch = []
        cells = self._keyed.cells
        event: Any
        for event in batch:
            kind = type(event)
            try:
                handlers = cells[event.inst][kind]
            except (KeyError, AttributeError):  # cheaper than asking first: it is nearly never so
                handlers = self._find(event, out)
            if kind is Trade and event.echo:
                continue
            for handle in handlers:
                try:
                    said = handle(event)
                except Exception as error:  # noqa: BLE001 - a processor's bug costs one key
                    self._failed(handle, event, error, out)
                    continue
                if said:
                    self._pass_on(said, self._wanting[kind][handlers.index(handle)], out)
        return out

    def state(self, name: str, key: str) -> State | None:
        """What this processor remembers of this key, to be read only."""
        return self._keyed.state(name, key)

    def snapshot(self) -> bytes:
        return self._keyed.dump()

    def restore(self, data: bytes) -> list[str]:
        """Take a snapshot. The answer tells in words what had to start fresh, and why."""
        return self._keyed.load(data)

    def _find(self, event: AnyEvent, out: Batch) -> tuple[Handler, ...]:
        """Handle what is not in a cell: ticks, events nobody wants, the first of their kind."""
        if type(event) is Tick:
            self._fire(event, out)
            return _NOBODY
        if type(event) not in self._wanting and not hasattr(event, "inst"):
            return _NOBODY
        refused = self._keyed.refused
        handlers = self._keyed.handlers(event)
        if self._keyed.refused > refused:
            self.counters.drop("too_many_instruments")
        return handlers

    def _pass_on(self, said: Sequence[AnyEvent], order: int, out: Batch) -> None:
        """Emit what one processor said and let those behind it hear it, each word at once."""
        cells = self._keyed.cells
        event: Any
        for event in said:
            out.append(event)
            kind = type(event)
            wanting = self._wanting.get(kind)
            if wanting is None or wanting == (order,):
                continue
            try:
                handlers = cells[event.inst][kind]
            except (KeyError, AttributeError):
                handlers = self._find(event, out)
            for later, handle in zip(wanting, handlers, strict=False):
                if later != order:
                    self._tell(handle, later, event, out)

    def _tell(self, handle: Handler, order: int, event: AnyEvent, out: Batch) -> None:
        try:
            said = handle(event)
        except Exception as error:  # noqa: BLE001 - a processor's bug costs one key
            self._failed(handle, event, error, out)
        else:
            if said:
                self._pass_on(said, order, out)

    def _fire(self, tick: Tick, out: Batch) -> None:
        for at, timed in self._keyed.due(tick.source, tick.ts):
            try:
                said = timed.state.on_timer(at)
            except Exception as error:  # noqa: BLE001 - a processor's bug costs one key
                self._failed(timed.state.on_timer, tick, error, out)
            else:
                if said:
                    self._pass_on(said, timed.order, out)

    def _failed(self, handle: Any, event: AnyEvent, error: Exception, out: Batch) -> None:
        """Keep the event as a dead letter and begin that one key anew."""
        order, key = self._keyed.place(handle.__self__)
        self._keyed.restart(order, key)
        name = self.processors[order].name
        self.counters.error(f"process:{name}")
        text = f"{type(error).__name__}: {error} ({where(error)}); {name} of {key} starts fresh"
        source = event.source if type(event) is Tick else split_id(getattr(event, "inst", ""))[0]
        raw = encode_json(event)
        out.append(dead_letter(source, f"process:{name}", text, raw, event.recv))


def arrange(processors: Sequence[Processor[Any]]) -> tuple[Processor[Any], ...]:
    """Put each processor behind those whose words it hears. What it hears of itself is no matter.

    Raises ConfigError with the names of a circle.
    """
    waiting = sorted(processors, key=lambda processor: processor.name)
    names = [processor.name for processor in waiting]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError(f"two processors have one name: {', '.join(twice)}")
    ordered: list[Processor[Any]] = []
    while waiting:
        free = next((p for p in waiting if not _feeders(p, waiting)), None)
        if free is None:
            raise ConfigError(f"processors feed each other in a circle: {_circle(waiting)}")
        waiting.remove(free)
        ordered.append(free)
    return tuple(ordered)


def _introduce(processors: Sequence[Processor[Any]]) -> None:
    """Tell those who ask for it who hears them: they may do no more than these want."""
    for each in processors:
        if isinstance(each, Attentive):
            each.attend([p for p in processors if p is not each and p.wants & each.gives])


def _feeders(processor: Processor[Any], among: Sequence[Processor[Any]]) -> list[Processor[Any]]:
    """Find whom it must come behind.

    `notes` is what it takes note of and never answers: that may be told at any time, so it closes
    no circle.
    """
    heard = processor.wants - getattr(processor, "notes", frozenset())
    return [other for other in among if other is not processor and other.gives & heard]


def _circle(waiting: Sequence[Processor[Any]]) -> str:
    """Follow feeders until one comes again: each of the waiting ones has one."""
    path = [waiting[0]]
    while path[-1] not in path[:-1]:
        path.append(_feeders(path[-1], waiting)[0])
    circle = path[path.index(path[-1]) :]
    return " -> ".join(processor.name for processor in reversed(circle))
