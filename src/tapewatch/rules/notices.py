"""From alerts to what people are told. Pure: time is an argument, the state is one Struct.

    FIRING --> silenced? inhibited? cooling down? --yes--> HELD, `Suppressed` with the reason
                  | no                                       | the reason is over, still firing
                  v                                          |
               group of its rule and channel <---------------+
                  | group_wait_secs after the first, group_interval_secs after the last notice
                  v
               Notice: all that waits in the group, firing and resolved

Every firing alert ends in a notice or in a `Suppressed` that says why not, for each channel. An
alert that was told is told again when it resolves, and each `repeat_secs` of its rule while it
fires. A state restored after a restart goes on where it was: notices that were not taken away by
`delivered` are given again with the same id.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from tapewatch.model.events import Alert, AlertState, Micros
from tapewatch.model.times import SECOND
from tapewatch.rules.matchers import Matcher, fields_of, fits_all
from tapewatch.rules.rule import Rule

MAX_FIRING = 10_000
_NEVER = Micros(0)
NO_CHANNEL = "no channel is set for this rule"


class Silence(Struct, frozen=True):
    id: str
    matchers: tuple[Matcher, ...]
    starts: Micros
    ends: Micros
    comment: str


class Inhibition(Struct, frozen=True):
    """While an alert that fits `source` fires, those that fit `target` are held."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()  # fields that must be the same: "venue"


class Policy(Struct, frozen=True):
    rules: Mapping[str, Rule]
    channels: tuple[str, ...]  # for rules that name none
    inhibitions: tuple[Inhibition, ...] = ()
    group_wait_secs: float = 2.0
    group_interval_secs: float = 30.0


class Notice(Struct, frozen=True):
    """What one channel is to be told, all at once."""

    id: str
    channel: str
    at: Micros
    rule: str
    alerts: tuple[Alert, ...]  # firing first
    repeated: bool = False


class Suppressed(Struct, frozen=True):
    """Why an alert was not told, now."""

    alert: str
    channel: str
    at: Micros
    reason: str


Word: TypeAlias = Notice | Suppressed


class _Open(Struct):
    """One alert that fires, and what each channel knows of it."""

    alert: Alert
    told: dict[str, Micros] = field(default_factory=dict)  # by channel: when
    held: dict[str, str] = field(default_factory=dict)  # by channel: why not yet


class _Group(Struct):
    rule: str
    channel: str
    due: Micros = _NEVER
    told: Micros = _NEVER
    waiting: dict[str, Alert] = field(default_factory=dict)  # by id, in order
    repeated: bool = True  # nothing in it is new


class State(Struct):
    open: dict[str, _Open] = field(default_factory=dict)
    groups: dict[str, _Group] = field(default_factory=dict)
    cooling: dict[str, Micros] = field(default_factory=dict)  # until, by rule, instrument, channel
    outbox: dict[str, Notice] = field(default_factory=dict)  # not delivered yet
    silences: dict[str, Silence] = field(default_factory=dict)
    serial: int = 0


class Notices:
    def __init__(self, policy: Policy, state: State | None = None) -> None:
        self.state = state or State()
        self._policy = policy

    def hear(self, alert: Alert, now: Micros) -> list[Word]:
        """Take one alert as it is told on the bus. Hearing it twice changes nothing."""
        if alert.state is AlertState.FIRING:
            return self._fire(alert, now)
        if alert.state is AlertState.RESOLVED:
            return self._resolve(alert, now)
        return []

    def pass_time(self, now: Micros) -> list[Word]:
        """Let what waits be told, and what was held for a reason that is over."""
        state = self.state
        state.silences = {key: s for key, s in state.silences.items() if s.ends > now}
        state.cooling = {key: until for key, until in state.cooling.items() if until > now}
        said: list[Word] = []
        for opened in state.open.values():
            said += self._ask_again(opened, now)
            self._repeat(opened, now)
        for key, group in list(state.groups.items()):
            if group.waiting and group.due <= now:
                said.append(self._notice(group, now))
            elif not group.waiting and now - group.told > self._interval():
                del state.groups[key]
        return said

    def delivered(self, notice_id: str) -> None:
        """The channel has it, or it was given up."""
        self.state.outbox.pop(notice_id, None)

    def silence(self, silence: Silence) -> None:
        self.state.silences[silence.id] = silence

    def unsilence(self, silence_id: str) -> bool:
        return self.state.silences.pop(silence_id, None) is not None

    # --- firing and resolving ---

    def _fire(self, alert: Alert, now: Micros) -> list[Word]:
        state = self.state
        if alert.id in state.open:
            return []
        channels = alert.notify or self._policy.channels
        if not channels:
            return [Suppressed(alert.id, "", now, NO_CHANNEL)]
        if len(state.open) >= MAX_FIRING:
            reason = f"more than {MAX_FIRING} alerts fire at once"
            return [Suppressed(alert.id, channel, now, reason) for channel in channels]
        opened = state.open[alert.id] = _Open(alert)
        return [word for channel in channels for word in self._route(opened, channel, now)]

    def _route(self, opened: _Open, channel: str, now: Micros) -> list[Word]:
        reason = self._hindrance(opened.alert, channel, now)
        if reason:
            known = opened.held.get(channel)
            opened.held[channel] = reason
            return [] if reason == known else [Suppressed(opened.alert.id, channel, now, reason)]
        opened.held.pop(channel, None)
        self._enqueue(opened.alert, channel, now, repeated=False)
        return []

    def _ask_again(self, opened: _Open, now: Micros) -> list[Word]:
        return [
            word for channel in tuple(opened.held) for word in self._route(opened, channel, now)
        ]

    def _resolve(self, alert: Alert, now: Micros) -> list[Word]:
        """Tell those who were told; who is about to be told hears both at once."""
        opened = self.state.open.pop(alert.id, None)
        if opened is None:
            return []
        said: list[Word] = []
        for channel in opened.alert.notify or self._policy.channels:
            waits = alert.id in self._group(alert.rule, channel).waiting
            if channel in opened.told or waits:
                self._enqueue(alert, channel, now, repeated=False)
            else:
                reason = f"it resolved while it was held: {opened.held.get(channel, '')}"
                said.append(Suppressed(alert.id, channel, now, reason))
        return said

    def _repeat(self, opened: _Open, now: Micros) -> None:
        rule = self._policy.rules.get(opened.alert.rule)
        if rule is None or not rule.repeat_secs:
            return
        for channel, told in opened.told.items():
            waits = opened.alert.id in self._group(rule.name, channel).waiting
            is_due = now - told >= rule.repeat_secs * SECOND
            if is_due and not waits and not self._silenced(opened.alert, now):
                self._enqueue(opened.alert, channel, now, repeated=True)

    # --- why not ---

    def _hindrance(self, alert: Alert, channel: str, now: Micros) -> str:
        silence = self._silenced(alert, now)
        if silence is not None:
            return f"silenced by {silence.id}: {silence.comment}"
        inhibitor = self._inhibited(alert)
        if inhibitor is not None:
            return f"inhibited by {inhibitor.id}"
        until = self.state.cooling.get(_cooling_key(alert, channel), _NEVER)
        if until > now:
            return f"cooling down for {(until - now) / SECOND:.0f} s after the last notice"
        return ""

    def _silenced(self, alert: Alert, now: Micros) -> Silence | None:
        fields = fields_of(alert)
        for silence in self.state.silences.values():
            if silence.starts <= now < silence.ends and fits_all(silence.matchers, fields):
                return silence
        return None

    def _inhibited(self, alert: Alert) -> Alert | None:
        fields = fields_of(alert)
        for inhibition in self._policy.inhibitions:
            if not fits_all(inhibition.target, fields):
                continue
            for other in self.state.open.values():
                theirs = fields_of(other.alert)
                is_same = all(fields.get(n) == theirs.get(n) for n in inhibition.equal)
                if other.alert.id != alert.id and is_same and fits_all(inhibition.source, theirs):
                    return other.alert
        return None

    # --- groups ---

    def _group(self, rule: str, channel: str) -> _Group:
        return self.state.groups.setdefault(f"{channel}\n{rule}", _Group(rule, channel))

    def _enqueue(self, alert: Alert, channel: str, now: Micros, *, repeated: bool) -> None:
        group = self._group(alert.rule, channel)
        if not group.waiting:
            soon = now + int(self._policy.group_wait_secs * SECOND)
            group.due = Micros(max(soon, group.told + self._interval()) if group.told else soon)
            group.repeated = True
        group.waiting[alert.id] = alert
        group.repeated = group.repeated and repeated

    def _interval(self) -> int:
        return int(self._policy.group_interval_secs * SECOND)

    def _notice(self, group: _Group, now: Micros) -> Notice:
        state = self.state
        state.serial += 1
        alerts = sorted(group.waiting.values(), key=lambda alert: alert.state.value)
        notice = Notice(
            f"{group.channel}-{state.serial}", group.channel, now, group.rule, tuple(alerts),
            group.repeated,
        )  # fmt: skip
        rule = self._policy.rules.get(group.rule)
        for alert in alerts:
            opened = state.open.get(alert.id)
            if opened is not None:
                opened.told[group.channel] = now
            if rule is not None and rule.cooldown_secs:
                key = _cooling_key(alert, group.channel)
                if state.cooling.get(key, _NEVER) <= now:
                    state.cooling[key] = Micros(now + int(rule.cooldown_secs * SECOND))
        state.outbox[notice.id] = notice
        group.waiting = {}
        group.told = now
        return notice


def title(notice: Notice) -> str:
    """One line: "7 symbols: volume surge", "resolved: BTC/USDT, volume surge"."""
    firing = [alert for alert in notice.alerts if alert.state is AlertState.FIRING]
    about: Sequence[Alert] = firing or notice.alerts
    count = len({alert.inst for alert in about})
    what = about[0].inst.partition(":")[2] if count == 1 else f"{count} symbols"
    head = "" if firing else "resolved: "
    again = " (still)" if notice.repeated and firing else ""
    return f"{head}{what}: {notice.rule}{again}"


def with_rules(policy: Policy, rules: Sequence[Rule]) -> Policy:
    return replace(policy, rules={rule.name: rule for rule in rules})


def _cooling_key(alert: Alert, channel: str) -> str:
    return f"{channel}\n{alert.rule}\n{alert.inst}"
