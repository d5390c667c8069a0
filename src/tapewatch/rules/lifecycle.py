"""The life of one alert, over event time. Pure: what is true and when are arguments.

    INACTIVE --holds--> PENDING --held for hold_secs--> FIRING --resolved--> INACTIVE
                           |                               |
                           +--holds no more--> INACTIVE    +--nothing known for forget_secs--+

While the condition is unknown nothing moves, but for that last step: who does not hear of a
metric for long must not be told for ever that it fires.
"""

from enum import Enum

from msgspec import Struct

from tapewatch.model.events import Alert, Micros
from tapewatch.model.times import SECOND
from tapewatch.rules.rule import Rule

_NEVER = Micros(0)


class Stage(Enum):
    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Move(Enum):
    PENDED = "pended"
    FIRED = "fired"
    RESOLVED = "resolved"  # after it fired
    WITHDRAWN = "withdrawn"  # it was pending only
    FORGOTTEN = "forgotten"  # resolved, because nothing is known any more


class Life(Struct, array_like=True):
    """Of one rule and one instrument."""

    stage: Stage = Stage.INACTIVE
    since: Micros = _NEVER  # when the condition began to hold
    known: Micros = _NEVER  # when it was last known to hold or not
    said: Alert | None = None  # when it pended or fired: its end repeats it
    metric: str = ""  # that was spoken of then

    def step(self, rule: Rule, truth: bool | None, is_over: bool | None, at: Micros) -> list[Move]:  # noqa: FBT001 - truth is what it is about
        """Hear what is true now. `is_over`: the condition to resolve."""
        if truth is not None or is_over is not None:
            self.known = at
        if self.stage is Stage.INACTIVE:
            return self._begin(rule, at) if truth else []
        if self.stage is Stage.PENDING:
            if truth is False:
                return self._end(Move.WITHDRAWN)
            return self._mature(rule, at) if truth else []
        return self._end(Move.RESOLVED) if is_over else []

    def next_timer(self, rule: Rule) -> Micros | None:
        if self.stage is Stage.INACTIVE:
            return None
        forgotten = self.known + int(rule.forget_secs * SECOND)
        if self.stage is Stage.PENDING:
            return Micros(min(self._due(rule), forgotten))
        return Micros(forgotten)

    def on_timer(self, rule: Rule, at: Micros) -> list[Move]:
        """Time has passed and nothing was heard that changes anything."""
        if self.stage is Stage.INACTIVE:
            return []
        if at >= self.known + int(rule.forget_secs * SECOND):
            was_firing = self.stage is Stage.FIRING
            return self._end(Move.FORGOTTEN if was_firing else Move.WITHDRAWN)
        return self._mature(rule, at) if self.stage is Stage.PENDING else []

    def _begin(self, rule: Rule, at: Micros) -> list[Move]:
        self.since = at
        if rule.hold_secs:
            self.stage = Stage.PENDING
            return [Move.PENDED]
        self.stage = Stage.FIRING
        return [Move.FIRED]

    def _mature(self, rule: Rule, at: Micros) -> list[Move]:
        if at < self._due(rule):
            return []
        self.stage = Stage.FIRING
        return [Move.FIRED]

    def _end(self, move: Move) -> list[Move]:
        self.stage = Stage.INACTIVE
        return [move]

    def _due(self, rule: Rule) -> int:
        return self.since + int(rule.hold_secs * SECOND)
