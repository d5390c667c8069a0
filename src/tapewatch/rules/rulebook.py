"""All rules as one processor: metrics in, alerts out.

    Metric --(name, window)--> words --> the rules of this instrument that name one of them
                                            |
                                            v  lifecycle
                                          Alert, which tells by which comparison, against which
                                          baseline, over which window and on what evidence; its
                                          end tells the same again, and why it ended

A metric that no rule of its instrument names costs one dict look-up. Values older than a rule's
`forget_secs` are unknown to it. The id of an alert is its rule, its instrument and when it began,
so that a replay gives the same ids.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from tapewatch.model.events import (
    Alert,
    AlertState,
    AnyEvent,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Quality,
)
from tapewatch.model.instrument import split_id
from tapewatch.ports import Measure, Processor
from tapewatch.rules.lifecycle import Life, Move, Stage
from tapewatch.rules.rule import Compiled, Rule, compile_rule
from tapewatch.rules.story import duration

NAME = "rules"
_STATES = {
    Move.PENDED: AlertState.PENDING,
    Move.FIRED: AlertState.FIRING,
    Move.RESOLVED: AlertState.RESOLVED,
    Move.WITHDRAWN: AlertState.WITHDRAWN,
    Move.FORGOTTEN: AlertState.RESOLVED,
}
_BEGINNINGS = {Move.PENDED, Move.FIRED}
_ENDINGS = {
    Move.RESOLVED: "it is over",
    Move.WITHDRAWN: "it did not hold for long enough to fire, and ended",
    Move.FORGOTTEN: "nothing is known of it any more",
}
_WORST = (Quality.PARTIAL, Quality.SAMPLED, Quality.REPAIRED, Quality.COMPLETE)


class RulesState(Struct, dict=True):
    """What is known of one instrument. `rules` is no field: it is given anew after a restart."""

    inst: InstrumentId
    heard: dict[str, Metric] = field(
        default_factory=dict
    )  # the last word of each, as rules call it
    lives: dict[str, Life] = field(default_factory=dict)  # by rule
    recv: Micros = Micros(0)

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        rules: Applied = self.rules  # type: ignore[attr-defined]
        named = rules.named.get((event.name, event.window))
        if named is None:
            return ()
        self.recv = event.recv
        self.heard[named.word] = event
        said: list[AnyEvent] = []
        for compiled in named.rules:
            said += self._judge(compiled, event.ts)
        return said

    def next_timer(self) -> Micros | None:
        rules: Applied = self.rules  # type: ignore[attr-defined]
        if not self.lives:
            return None
        due = [
            at
            for compiled in rules.all
            if (life := self.lives.get(compiled.rule.name)) is not None
            and (at := life.next_timer(compiled.rule)) is not None
        ]
        return min(due, default=None)

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        rules: Applied = self.rules  # type: ignore[attr-defined]
        said: list[AnyEvent] = []
        for compiled in rules.all:
            life = self.lives.get(compiled.rule.name)
            due = None if life is None else life.next_timer(compiled.rule)
            if life is not None and due is not None and due <= at:
                moves = life.on_timer(compiled.rule, at)
                said += self._tell(compiled, life, moves, at)
        return said

    def _judge(self, compiled: Compiled, at: Micros) -> list[AnyEvent]:
        values = self._values(compiled, at)
        truth = compiled.when.truth(values)
        name = compiled.rule.name
        life = self.lives.get(name)
        if life is None:
            if not truth:
                return []
            life = self.lives[name] = Life()
        is_over = compiled.resolve.truth(values) if compiled.resolve else _opposite(truth)
        moves = life.step(compiled.rule, truth, is_over, at)
        return self._tell(compiled, life, moves, at)

    def _tell(
        self, compiled: Compiled, life: Life, moves: Sequence[Move], at: Micros
    ) -> list[AnyEvent]:
        if life.stage is Stage.INACTIVE:
            self.lives.pop(compiled.rule.name, None)
        return [
            self.begun(compiled, life, move, at)
            if move in _BEGINNINGS
            else self._ended(compiled, life, move, at)
            for move in moves
        ]

    def _values(self, compiled: Compiled, at: Micros) -> dict[str, float]:
        oldest = at - compiled.forget
        heard = self.heard
        values = {}
        for name in compiled.names:
            found = heard.get(name)
            if found is not None and found.ts >= oldest:
                values[name] = found.value
        return values

    def begun(self, compiled: Compiled, life: Life, move: Move, at: Micros) -> Alert:
        rule = compiled.rule
        told = compiled.when.told({name: self.heard[name].value for name in self.heard})
        about = self.heard.get(told.metric) if told else None
        life.metric = told.metric if told else ""
        life.said = _worded(
            Alert(
                at, max(self.recv, at), self.inst, f"{rule.name}/{self.inst}/{life.since}",
                rule.name, _STATES[move], rule.severity, told.value if told else 0.0, "",
                self._quality(compiled),
                threshold=told.threshold if told else None,
                baseline=about.baseline if about else None,
                window=about.window if about else "",
                since=life.since,
                labels=tuple(sorted(f"{key}={value}" for key, value in rule.labels.items())),
                notify=rule.notify,
                evidence=about.evidence if about else (),
            ),
            rule,
            life.metric,
        )  # fmt: skip
        return life.said

    def _ended(self, compiled: Compiled, life: Life, move: Move, at: Micros) -> Alert:
        """Say again what it was, and why it is that no more."""
        was = life.said or self.begun(compiled, life, move, at)  # of an older checkpoint
        is_known = move is not Move.FORGOTTEN
        now = compiled.when.now(life.metric, self._values(compiled, at)) if is_known else None
        ending = f"{_ENDINGS[move]} after {duration(at - life.since)}"
        number = "" if now is None else f", {life.metric} is {now:.6g} now"
        return replace(
            was,
            ts=at,
            recv=max(self.recv, at),
            state=_STATES[move],
            quality=min(was.quality, self._quality(compiled), key=_WORST.index),
            text=f"{was.text}: {ending}{number}",
            value_now=now,
        )

    def _quality(self, compiled: Compiled) -> Quality:
        known = (self.heard[name].quality for name in compiled.names if name in self.heard)
        return min(known, key=_WORST.index, default=Quality.PARTIAL)


class Named(Struct, frozen=True):
    """A metric that rules name."""

    word: str
    rules: tuple[Compiled, ...]


class Applied(Struct, frozen=True):
    """The rules of one instrument."""

    all: tuple[Compiled, ...]
    named: dict[tuple[str, str], Named]  # by name and window of a metric


class Standing(Struct, frozen=True):
    """A rule that is pending or fires somewhere, now."""

    rule: str
    inst: InstrumentId
    stage: Stage
    since: Micros


class Rulebook:
    """The processor. Raises `rule.Mistake` for a rule that cannot be read."""

    name = NAME
    wants: frozenset[type[Event]] = frozenset({Metric})
    gives: frozenset[type[Event]] = frozenset({Alert})
    state = RulesState
    measures: tuple[Measure, ...] = ()

    def __init__(self, rules: Iterable[Rule], measures: Iterable[Measure]) -> None:
        self.words = words_of(measures)
        self.rules = tuple(compile_rule(rule, self.words) for rule in rules if rule.enabled)
        self._states: dict[InstrumentId, RulesState] = {}  # for `standing`; owned by the pipeline

    def key(self, event: Any) -> str:
        inst: InstrumentId = event.inst
        return inst

    def fresh(self, key: str) -> RulesState:
        return self.adopt(RulesState(key))

    def adopt(self, state: RulesState) -> RulesState:
        state.rules = self._applied(state.inst)  # type: ignore[attr-defined]
        names = {compiled.rule.name for compiled in state.rules.all}  # type: ignore[attr-defined]
        state.lives = {name: life for name, life in state.lives.items() if name in names}
        self._states[state.inst] = state
        return state

    def standing(self) -> list[Standing]:
        """What is pending or fires now, by rule and instrument. To be read, not kept."""
        return [
            Standing(name, inst, life.stage, life.since)
            for inst, state in sorted(self._states.items())
            for name, life in sorted(state.lives.items())
        ]

    def firing(self) -> list[Alert]:
        """What fires now, as it was said when it fired."""
        return [
            life.said or state.begun(compiled, life, Move.FIRED, life.since)
            for _, state in sorted(self._states.items())
            for compiled in state.rules.all  # type: ignore[attr-defined]
            if (life := state.lives.get(compiled.rule.name)) is not None
            and life.stage is Stage.FIRING
        ]

    def _applied(self, inst: InstrumentId) -> Applied:
        mine = tuple(compiled for compiled in self.rules if compiled.fits(inst))
        words = dict.fromkeys(word for compiled in mine for word in compiled.names)
        named = {
            self.words[word]: Named(word, tuple(each for each in mine if word in each.names))
            for word in words
        }
        return Applied(mine, named)


def words_of(measures: Iterable[Measure]) -> dict[str, tuple[str, str]]:
    """What rules may name, and the metric's name and window that it means."""
    return {
        word: (measure.name, window)
        for measure in measures
        for word, window in measure.words().items()
    }


def measures_of(processors: Iterable[Processor[Any]]) -> list[Measure]:
    return [measure for processor in processors for measure in processor.measures]


def _opposite(truth: bool | None) -> bool | None:  # noqa: FBT001 - it is the value itself
    return None if truth is None else not truth


def _worded(alert: Alert, rule: Rule, metric: str) -> Alert:
    venue, symbol = split_id(alert.inst)
    if rule.message:
        text = rule.message.format(
            rule=rule.name, inst=alert.inst, symbol=symbol, venue=venue, value=alert.value,
            threshold=alert.threshold or 0.0, baseline=alert.baseline or 0.0, window=alert.window,
            metric=metric, severity=rule.severity, quality=alert.quality.value,
            evidence="; ".join(alert.evidence),
        )  # fmt: skip
    else:
        limit = "" if alert.threshold is None else f" (limit {alert.threshold:.6g})"
        text = f"{rule.name}: {symbol} on {venue}, {metric} {alert.value:.6g}{limit}"
    return replace(alert, text=text)
