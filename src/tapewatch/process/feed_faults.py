"""What was lost or could not be read of each venue in the last five minutes: gaps and dead letters.

Told of a whole venue, as `binance:*`, so that rules can watch a feed like a price. Streams that begin or
end by our own wish are no faults. How silent or how late a feed is no event can tell: see
`runtime/vitals.py`.
"""

from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import (
    AnyEvent,
    DeadLetter,
    Event,
    Gap,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Tick,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import NOT_WANTED, Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.stream.keyed import EVERYWHERE
from tapewatch.stream.window import Sums

_WINDOW = 5 * MINUTE
_STEPS = 30
_AGAIN = 30 * SECOND  # in silence, until the window is empty
_MAX_SOURCES = 64
_OTHERS = "others"
_WISHED = ("unsubscribed", NOT_WANTED)


class FeedFaultsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Tally(Struct, array_like=True):
    """Of one source."""

    gaps: Sums = field(default_factory=lambda: Sums(_WINDOW // _STEPS, _STEPS))
    letters: Sums = field(default_factory=lambda: Sums(_WINDOW // _STEPS, _STEPS))
    last_gap: str = ""
    last_letter: str = ""
    reached: Micros = Micros(0)
    told: Micros = Micros(0)

    @property
    def is_empty(self) -> bool:
        return self.gaps.total + self.letters.total < 0.5

    def words(self, inst: InstrumentId, recv: Micros) -> list[AnyEvent]:
        self.told = ts = self.reached
        said: list[AnyEvent] = []
        for name, sums, last in (
            ("gaps", self.gaps, self.last_gap),
            ("dead_letters", self.letters, self.last_letter),
        ):
            sums.reach(ts)
            value = float(round(max(0.0, sums.total)))
            evidence = (last,) if value and last else ()
            said.append(
                Metric(ts, recv, inst, name, value, "5m", Quality.COMPLETE, evidence=evidence)
            )
        return said


class FeedFaultsState(Struct):
    """All sources: a dead letter has no instrument that could part them."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    timer: Micros | None = None

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Gap:
            if event.reason in _WISHED:
                return ()
            source, symbol = split_id(event.inst)
            tally = self._of(source)
            tally.gaps.add(event.ts, 1.0)
            tally.last_gap = f"{symbol} {event.channel}: {event.reason}"[:200]
        else:
            source = event.source
            tally = self._of(source)
            tally.letters.add(event.ts, 1.0)
            tally.last_letter = f"{event.stage}: {event.error}"[:200]
        tally.reached = max(tally.reached, min(event.ts, event.recv))
        soon = Micros(tally.reached + SECOND)
        self.timer = soon if self.timer is None else min(self.timer, soon)
        return ()

    def next_timer(self) -> Micros | None:
        return self.timer

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        """Tell what is not empty; a second after something new, then each half minute."""
        said: list[AnyEvent] = []
        for source, tally in self.tallies.items():
            if not tally.is_empty:
                tally.reached = max(tally.reached, at)
                said += tally.words(f"{source}:*", at)
        is_over = all(tally.is_empty for tally in self.tallies.values())
        self.timer = None if is_over else Micros(at + _AGAIN)
        return said

    def _of(self, source: str) -> Tally:
        if source not in self.tallies and len(self.tallies) >= _MAX_SOURCES:
            source = _OTHERS
        return self.tallies.get(source) or self.tallies.setdefault(source, Tally())


class FeedFaults:
    """The processor."""

    def __init__(self, name: str, config: FeedFaultsConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Gap, DeadLetter})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = FeedFaultsState
        self.measures = (
            Measure("gaps", ("5m",), "count", "gaps of a venue, as binance:*", sparse=True),
            Measure(
                "dead_letters", ("5m",), "count", "what could not be read of a venue", sparse=True
            ),
        )

    def key(self, event: Any) -> str:  # noqa: ARG002 - all sources meet in one state
        return f"{EVERYWHERE}:feeds"

    def fresh(self, key: str) -> FeedFaultsState:  # noqa: ARG002 - there is one
        return FeedFaultsState()

    def adopt(self, state: FeedFaultsState) -> FeedFaultsState:
        return state


def _minute(every: int) -> list[AnyEvent]:
    """Ticks, and a gap with each so many of them."""
    events: list[AnyEvent] = []
    for n in range(1, 61):
        ts = _stage.at(n)
        if n % every == 0:
            events.append(Gap(ts, ts, _stage.INST, "trade", "ids jumped"))
        events.append(Tick(ts, ts, "proof"))
    return events


PLUGIN = Plugin(config=FeedFaultsConfig, build=FeedFaults)
PROOF = Proof("gaps", 5.0, lambda: _minute(5), lambda: _minute(20))
