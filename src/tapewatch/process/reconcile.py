"""Our own candles against those of the venue, once both are closed.

    ours closed ---+
                   +--> equal: told at once     differ: told when they have had time to settle
    theirs closed -+                            ours PARTIAL, or one is missing: said, not judged

What is compared, and how closely: open, high, low, close to a billionth; volume to a millionth (both are
sums of floating point) and a hundred-millionth of a unit; trades exactly, where the venue tells them. The
value is the largest relative difference that is beyond that, 0 if there is none. A candle of ours that is
given out again after a repair is compared again, and what changed by it is told.

Where a venue opens a candle at the close of the one before it (Bybit), that is its open, and its high and
low reach there: both ways are taken for equal.
"""

from typing import Any

from msgspec import Struct, field

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import (
    AnyEvent,
    Candle,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Origin,
    Quality,
    Tick,
)
from tapewatch.model.times import SECOND, Interval, iso
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage

NAME = "candle_mismatch"
_PRICE = 1e-9
_VOLUME = 1e-6
_LEAST_VOLUME = 1e-8
_KEPT = 6  # candles of one interval that can still be compared


class ReconcileConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    intervals: tuple[str, ...] = ("1m",)
    settle_secs: float = 10.0  # after its end a candle that differs is told


class Pair(Struct, array_like=True):
    """What both say of one stretch of time."""

    ts: Micros
    due: Micros  # when what differs is told
    ours: Candle | None = None
    theirs: Candle | None = None
    told: float | None = None
    judged: bool = False  # by two whole candles


class Row(Struct, array_like=True):
    """The newest candles of one interval."""

    interval: Interval
    pairs: list[Pair] = field(default_factory=list)  # ascending
    has_ours: bool = False  # there was one ever
    has_theirs: bool = False

    def find(self, ts: Micros, settle: int) -> Pair | None:
        """Give the pair of this time, made if it is new; None if it is too old."""
        pairs = self.pairs
        at = len(pairs)
        while at and pairs[at - 1].ts > ts:
            at -= 1
        if at and pairs[at - 1].ts == ts:
            return pairs[at - 1]
        if len(pairs) >= _KEPT and not at:
            return None
        pair = Pair(ts, Micros(ts + self.interval.micros + settle))
        pairs.insert(at, pair)
        del pairs[:-_KEPT]
        return pair


class ReconcileState(Struct):
    """One instrument."""

    inst: InstrumentId
    settle: int  # microseconds
    rows: dict[str, Row]
    timer: Micros | None = None

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        row = self.rows.get(event.interval)
        if row is None or not event.closed:
            return ()
        pair = row.find(event.ts, self.settle)
        if pair is None:
            return ()
        if event.origin is Origin.OWN:
            pair.ours, row.has_ours = event, True
        else:
            pair.theirs, row.has_theirs = event, True
        said = self._compare(row, pair, event.recv, is_due=pair.told is not None)
        self._set_timer()
        return said

    def next_timer(self) -> Micros | None:
        return self.timer

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        said: list[AnyEvent] = []
        for row in self.rows.values():
            for pair in row.pairs:
                if pair.told is None and pair.due <= at:
                    said += self._compare(row, pair, at, is_due=True)
                    pair.told = pair.told or 0.0
        self._set_timer()
        return said

    def _compare(
        self, row: Row, pair: Pair, recv: Micros, *, is_due: bool
    ) -> list[AnyEvent] | tuple[()]:
        ours, theirs = pair.ours, pair.theirs
        if ours is None or theirs is None or ours.quality is Quality.PARTIAL:
            is_told = pair.told is not None or not (row.has_ours and row.has_theirs)
            if is_told or not is_due:
                return ()
            pair.told = 0.0
            return [self._metric(row, pair, recv, 0.0, _why_not(ours, theirs))]
        value, words = difference(ours, theirs)
        if (value and not is_due) or (pair.judged and value == pair.told):
            return ()
        pair.told, pair.judged = value, True
        return [self._metric(row, pair, recv, value, words, ours.quality)]

    def _metric(
        self, row: Row, pair: Pair, recv: Micros, value: float, words: tuple[str, ...],
        quality: Quality = Quality.PARTIAL,
    ) -> Metric:  # fmt: skip
        name = row.interval.name
        ts = Micros(pair.ts + row.interval.micros)
        evidence = (f"candle of {iso(pair.ts)}", *words)
        return Metric(ts, recv, self.inst, NAME, value, name, quality, evidence=evidence)

    def _set_timer(self) -> None:
        due = [p.due for row in self.rows.values() for p in row.pairs if p.told is None]
        self.timer = min(due, default=None)


class Reconcile:
    """The processor."""

    def __init__(self, name: str, intervals: list[Interval], settle_secs: float) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Candle})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = ReconcileState
        text = "how far our candle is from the venue's, the worst field; 0: equal"
        self.measures = (Measure(NAME, tuple(each.name for each in intervals), "fraction", text),)
        self._intervals = intervals
        self._settle = int(settle_secs * SECOND)

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> ReconcileState:
        return ReconcileState(key, self._settle, {each.name: Row(each) for each in self._intervals})

    def adopt(self, state: ReconcileState) -> ReconcileState:
        """Other intervals begin anew."""
        state.settle = self._settle
        return (
            state
            if list(state.rows) == [i.name for i in self._intervals]
            else self.fresh(state.inst)
        )


def difference(ours: Candle, theirs: Candle) -> tuple[float, tuple[str, ...]]:
    """Give the largest relative difference beyond what is tolerated, and the fields in words."""
    found: list[tuple[float, str]] = []
    for name in ("open", "high", "low", "close"):
        own, other = _price(ours, theirs, name), getattr(theirs, name)
        apart = abs(own - other) / other
        if apart > _PRICE:
            found.append((apart, f"{name} {own:.10g}, theirs {other:.10g}"))
    apart = abs(ours.volume - theirs.volume)
    if apart > _VOLUME * theirs.volume + _LEAST_VOLUME:
        share = apart / theirs.volume if theirs.volume else 1.0
        found.append((share, f"volume {ours.volume:.10g}, theirs {theirs.volume:.10g}"))
    if theirs.trades and ours.trades != theirs.trades:  # most venues do not tell them
        share = abs(ours.trades - theirs.trades) / theirs.trades
        found.append((share, f"trades {ours.trades}, theirs {theirs.trades}"))
    return max((share for share, _ in found), default=0.0), tuple(words for _, words in found)


def _price(ours: Candle, theirs: Candle, name: str) -> float:
    """Our value, or what it is if a candle begins at the close before it, if that is theirs."""
    own: float = getattr(ours, name)
    before = ours.prev_close
    if before is None or name == "close" or theirs.open != before:
        return own
    return {"open": before, "high": max(own, before), "low": min(own, before)}[name]


def _why_not(ours: Candle | None, theirs: Candle | None) -> tuple[str, ...]:
    if theirs is None:
        return ("not judged: the venue told none",)
    if ours is None:
        return ("not judged: we have none",)
    _, words = difference(ours, theirs)
    if words:
        return "not judged: ours is partial", *words
    return ("ours is partial, and equal all the same",)


def build(name: str, config: ReconcileConfig) -> Reconcile:
    """Raises ConfigError if an interval cannot be read."""
    try:
        intervals = sorted({Interval.parse(text) for text in config.intervals})
    except ValueError as error:
        raise ConfigError(f"{name}.intervals: {error}") from None
    return Reconcile(name, intervals, config.settle_secs)


def _candles(volume: float) -> list[AnyEvent]:
    """Three minutes of ours, and of the venue, the last of them with this volume."""
    said: list[AnyEvent] = []
    for n in range(3):
        ts, recv = _stage.at(60 * n), _stage.at(60 * n + 61)
        for origin in (Origin.OWN, Origin.VENUE):
            sum_ = volume if n == 2 and origin is Origin.VENUE else 10.0
            said.append(
                Candle(ts, recv, _stage.INST, "1m", 1.0, 2.0, 0.5, 1.5, sum_, 5.0, 7, True,
                       quality=Quality.COMPLETE, origin=origin)
            )  # fmt: skip
    return [*said, Tick(_stage.at(200), _stage.at(200), "proof")]


PLUGIN = Plugin(config=ReconcileConfig, build=build)
PROOF = Proof(NAME, 0.01, lambda: _candles(10.2), lambda: _candles(10.0))
