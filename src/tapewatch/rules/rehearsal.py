"""Rules over a past that is known whole: the same rulebook as live, without a pipeline around it.

Timers fire at their own moment, as they do live on ticks. What people would have been told comes
from the same `notices`, by event time.
"""

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from tapewatch.model.channel import Notice
from tapewatch.model.events import Alert, AnyEvent, InstrumentId, Metric, Micros
from tapewatch.model.times import SECOND
from tapewatch.ports import Measure
from tapewatch.rules.notices import Notices, Policy, Suppressed
from tapewatch.rules.rule import Rule
from tapewatch.rules.rulebook import Rulebook, RulesState

EVERYBODY = Policy({}, ("everybody",))  # where no channel is set


class Rehearsal:
    """Feed it instrument by instrument; the order of instruments changes nothing."""

    def __init__(self, rules: Sequence[Rule], measures: Collection[Measure]) -> None:
        self.alerts: list[AnyEvent] = []
        self._book = Rulebook(rules, measures)
        self._states: dict[InstrumentId, RulesState] = {}

    def feed(self, inst: InstrumentId, metrics: Iterable[Metric]) -> None:
        """Take what comes next of one instrument, in order of time."""
        state = self._states.get(inst)
        if state is None:
            state = self._states[inst] = self._book.fresh(inst)
        said, hear = self.alerts, state.on_event
        for metric in metrics:
            if state.lives:
                self._let_pass(state, metric.ts)
            alerts = hear(metric)
            if alerts:
                said += alerts

    def finish(self, until: Micros) -> list[Alert]:
        """Let time go on until there, and give all alerts in order of time."""
        for state in self._states.values():
            self._let_pass(state, until)
        alerts = [alert for alert in self.alerts if type(alert) is Alert]
        return sorted(alerts, key=lambda alert: alert.ts)  # stable: each one's order is kept

    def _let_pass(self, state: RulesState, until: Micros) -> None:
        due = state.next_timer()
        while due is not None and due < until:
            self.alerts += state.on_timer(due)
            later = state.next_timer()
            due = later if later is not None and later > due else None


class Notified(Struct, frozen=True):
    """What people would have been told, and why not the rest."""

    notices: tuple[Notice, ...]
    suppressed: tuple[Suppressed, ...]


def notify(alerts: Iterable[Alert], rule: Rule, policy: Policy, until: Micros) -> Notified:
    """Group, cool down and repeat as it is done live. The alerts are in order of time."""
    clock = _Clock(rule, policy)
    for alert in alerts:
        clock.reach(alert.ts)
        clock.say(clock.notices.hear(alert, alert.ts))
    clock.reach(until)
    said = clock.said
    return Notified(
        tuple(word for word in said if isinstance(word, Notice)),
        tuple(word for word in said if isinstance(word, Suppressed)),
    )


class _Clock:
    """Moves the notices from one moment at which something may be told to the next."""

    def __init__(self, rule: Rule, policy: Policy) -> None:
        channels = rule.notify or policy.channels or EVERYBODY.channels
        mine = replace(policy, rules={rule.name: rule}, channels=channels, inhibitions=())
        self.notices = Notices(mine)
        self.said: list[Notice | Suppressed] = []
        self._repeat = round(rule.repeat_secs * SECOND)
        self._now = Micros(0)

    def say(self, words: Iterable[Notice | Suppressed]) -> None:
        self.said += words

    def reach(self, until: Micros) -> None:
        while (due := self._due()) is not None and due <= until:
            self._now = due
            self.say(self.notices.pass_time(due))
        self._now = max(self._now, until)

    def _due(self) -> Micros | None:
        """The next moment: a group is due, a cool-down of something held ends, it is repeated."""
        state, opened = self.notices.state, self.notices.state.open.values()
        moments: list[int] = []
        if any(each.held for each in opened):
            moments += state.cooling.values()
        if self._repeat:
            moments += [at + self._repeat for each in opened for at in each.told.values()]
        # What is past waits for its group: live it is looked at again each second.
        moments = [max(at, self._now + SECOND) for at in moments]
        group = self.notices.next_group()
        return min((Micros(at) for at in (*moments, *((group,) if group else ()))), default=None)
