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
fires. Silences and inhibitions are looked at again when a group is told, so that it does not matter
whether a feed's own alert came before or after those it explains.

A state restored after a restart goes on where it was. Whoever runs this keeps state and words in
one step, and the notices until their channel has them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from tapewatch.model.channel import Notice
from tapewatch.model.events import Alert, AlertState, Micros
from tapewatch.model.times import HOUR, SECOND, iso
from tapewatch.rules.matchers import Matcher, fields_of, fits_all
from tapewatch.rules.rule import Rule

MAX_FIRING = 10_000
MAX_OVER = 2_000
_REMEMBERED = 6 * HOUR  # an older checkpoint is not gone on from, so nothing older is said again
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
    waiting: dict[str, Alert] = field(default_factory=dict)  # by id, in order; ends by `_end_key`
    repeated: bool = True  # nothing in it is new


class State(Struct):
    open: dict[str, _Open] = field(default_factory=dict)
    groups: dict[str, _Group] = field(default_factory=dict)
    cooling: dict[str, Micros] = field(default_factory=dict)  # until, by rule, instrument, channel
    silences: dict[str, Silence] = field(default_factory=dict)
    over: dict[str, Micros] = field(default_factory=dict)  # ended lately: by id, when
    serial: int = 0  # of notices
    silenced: int = 0  # how many silences there were


class Notices:
    def __init__(self, policy: Policy, state: State | None = None) -> None:
        self.state = state or State()
        self._policy = policy
        self._assumed: set[str] = set()  # ended, as far as we know
        # By inhibition: which of the open alerts are its sources, and their fields.
        self._sources: tuple[dict[str, dict[str, str]], ...] = tuple({} for _ in policy.inhibitions)
        for opened in self.state.open.values():
            self._note_source(opened.alert)

    def hear(self, alert: Alert, now: Micros) -> list[Word]:
        """Take one alert as it is told on the bus. Hearing it twice changes nothing.

        After a kill the rules say again what they said since their checkpoint, also of alerts
        that have ended since.
        """
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
            said += self._repeat(opened, now)
        return said + self.give(now)

    def give(self, now: Micros) -> list[Word]:
        """Tell the groups that are due. A part of `pass_time` that costs little."""
        said: list[Word] = []
        for key, group in list(self.state.groups.items()):
            if group.waiting and (group.due <= now or self._is_far(group, now)):
                said += self._tell(group, now)
            elif not group.waiting and now - group.told > self._interval():
                del self.state.groups[key]
        return said

    def next_group(self) -> Micros | None:
        """When the first of the waiting groups is due."""
        return min((g.due for g in self.state.groups.values() if g.waiting), default=None)

    def missed(
        self, firing: Iterable[Alert], restored: Collection[str], now: Micros
    ) -> list[Alert]:
        """After a restart: what was not heard, to be heard now.

        `firing` is what fires by the rules' own memory. What is open in our `restored` state and
        does not fire there has ended.
        """
        theirs = {alert.id: alert for alert in firing}
        unheard = [alert for alert in theirs.values() if alert.id not in self.state.open]
        for alert_id in restored:
            opened = self.state.open.get(alert_id)
            if opened is None or alert_id in theirs:
                continue
            alert = opened.alert
            text = f"{alert.text}: it ended while nobody watched, or its rule is gone"
            over = AlertState.RESOLVED
            self._assumed.add(alert_id)  # a repaired trade may show that it goes on
            unheard.append(replace(alert, state=over, text=text, ts=now, recv=now))
        return unheard

    def silence(
        self, matchers: tuple[Matcher, ...], starts: Micros, ends: Micros, comment: str
    ) -> Silence:
        state = self.state
        state.silenced += 1
        silence = Silence(f"s{state.silenced}", matchers, starts, ends, comment)
        state.silences[silence.id] = silence
        return silence

    def unsilence(self, silence_id: str) -> bool:
        return self.state.silences.pop(silence_id, None) is not None

    # --- firing and resolving ---

    def _fire(self, alert: Alert, now: Micros) -> list[Word]:
        state = self.state
        if alert.id in state.open or alert.id in state.over:
            return []
        channels = self._channels(alert)
        if len(state.open) >= MAX_FIRING:
            reason = f"more than {MAX_FIRING} alerts fire at once"
            return [Suppressed(alert.id, channel, now, reason) for channel in channels or ("",)]
        opened = state.open[alert.id] = _Open(alert)
        self._note_source(alert)
        if not channels:
            return [Suppressed(alert.id, "", now, NO_CHANNEL)]
        return [word for channel in channels for word in self._route(opened, channel, now)]

    def _route(self, opened: _Open, channel: str, now: Micros) -> list[Word]:
        reason = self._muted(opened.alert, now) or self._cooling(opened.alert, channel, now)
        if reason:
            return self._hold(opened, channel, reason, now)
        opened.held.pop(channel, None)
        self._enqueue(opened.alert, channel, now, repeated=False)
        return []

    def _hold(self, opened: _Open, channel: str, reason: str, now: Micros) -> list[Word]:
        """Say why, once for each reason: the same one is not said again each second."""
        known, opened.held[channel] = opened.held.get(channel), reason
        return [] if reason == known else [Suppressed(opened.alert.id, channel, now, reason)]

    def _ask_again(self, opened: _Open, now: Micros) -> list[Word]:
        """For channels where it was held, or that were not there when it fired."""
        alert, said = opened.alert, []
        for channel in self._channels(alert):
            if channel not in opened.told and not self._waits(alert, channel):
                said += self._route(opened, channel, now)
        return said

    def _channels(self, alert: Alert) -> tuple[str, ...]:
        return alert.notify or self._policy.channels

    def _waits(self, alert: Alert, channel: str) -> bool:
        group = self.state.groups.get(_group_key(alert.rule, channel))
        return group is not None and alert.id in group.waiting

    def _resolve(self, alert: Alert, now: Micros) -> list[Word]:
        """Tell those who were told; who is about to be told hears both at once."""
        opened = self.state.open.pop(alert.id, None)
        if opened is None:
            return []
        if alert.id in self._assumed:
            self._assumed.discard(alert.id)
        else:
            self._remember(alert.id, now)
        for sources in self._sources:
            sources.pop(alert.id, None)
        said: list[Word] = []
        for channel in self._channels(opened.alert):
            waits = self._waits(alert, channel)
            if channel in opened.told or waits:
                if channel in opened.told and waits:  # that it still fires is not worth telling now
                    del self._group(alert.rule, channel).waiting[alert.id]
                self._enqueue(alert, channel, now, repeated=False)
            else:
                reason = f"it resolved while it was held: {opened.held.get(channel, '')}"
                said.append(Suppressed(alert.id, channel, now, reason))
        return said

    def _remember(self, alert_id: str, now: Micros) -> None:
        over = self.state.over
        over[alert_id] = now
        while len(over) > MAX_OVER or now - next(iter(over.values()), now) > _REMEMBERED:
            del over[next(iter(over))]

    def _repeat(self, opened: _Open, now: Micros) -> list[Word]:
        rule, said = self._policy.rules.get(opened.alert.rule), list[Word]()
        if rule is None or not rule.repeat_secs:
            return said
        for channel, told in opened.told.items():
            is_due = now - told >= rule.repeat_secs * SECOND
            if not is_due or self._waits(opened.alert, channel):
                continue
            if reason := self._muted(opened.alert, now):
                said += self._hold(opened, channel, f"not repeated: {reason}", now)
            else:
                opened.held.pop(channel, None)
                self._enqueue(opened.alert, channel, now, repeated=True)
        return said

    # --- why not ---

    def _muted(self, alert: Alert, now: Micros) -> str:
        """Why it is not to be told to anybody now; empty: it is."""
        fields = fields_of(alert)
        for silence in self.state.silences.values():
            if silence.starts <= now < silence.ends and fits_all(silence.matchers, fields):
                return f"silenced by {silence.id}: {silence.comment}"
        for inhibition, sources in zip(self._policy.inhibitions, self._sources, strict=True):
            if not sources or not fits_all(inhibition.target, fields):
                continue
            for source, theirs in sources.items():
                is_same = all(fields.get(name) == theirs.get(name) for name in inhibition.equal)
                if is_same and source != alert.id:
                    return f"inhibited by {source}"
        return ""

    def _cooling(self, alert: Alert, channel: str, now: Micros) -> str:
        until = self.state.cooling.get(_cooling_key(alert, channel), _NEVER)
        return f"cooling down until {iso(until)} after the last notice" if until > now else ""

    def _note_source(self, alert: Alert) -> None:
        fields = fields_of(alert)
        for inhibition, sources in zip(self._policy.inhibitions, self._sources, strict=True):
            if fits_all(inhibition.source, fields):
                sources[alert.id] = fields

    # --- groups ---

    def _group(self, rule: str, channel: str) -> _Group:
        return self.state.groups.setdefault(_group_key(rule, channel), _Group(rule, channel))

    def _enqueue(self, alert: Alert, channel: str, now: Micros, *, repeated: bool) -> None:
        group = self._group(alert.rule, channel)
        if not group.waiting:
            soon = now + int(self._policy.group_wait_secs * SECOND)
            group.due = Micros(max(soon, group.told + self._interval()) if group.told else soon)
            group.repeated = True
        over = alert.state is AlertState.RESOLVED
        group.waiting[_end_key(alert) if over else alert.id] = alert
        group.repeated = group.repeated and repeated

    def _is_far(self, group: _Group, now: Micros) -> bool:
        """Somebody set the clock back: nobody is to wait for that."""
        return group.due - now > self._interval() + int(self._policy.group_wait_secs * SECOND)

    def _interval(self) -> int:
        return int(self._policy.group_interval_secs * SECOND)

    def _tell(self, group: _Group, now: Micros) -> list[Word]:
        said = self._hold_back(group, now)
        if not group.waiting:
            return said
        self.state.serial += 1
        alerts = tuple(sorted(group.waiting.values(), key=lambda alert: alert.state.value))
        notice_id = f"{group.channel}-{self.state.serial}"
        notice = Notice(notice_id, group.channel, now, group.rule, alerts, group.repeated)
        for alert in alerts:
            self._note_told(alert, group.channel, now)
        group.waiting = {}
        group.told = now
        return [*said, notice]

    def _hold_back(self, group: _Group, now: Micros) -> list[Word]:
        """Take out what was silenced or inhibited while it waited."""
        said: list[Word] = []
        for alert in tuple(group.waiting.values()):
            reason = "" if alert.state is AlertState.RESOLVED else self._muted(alert, now)
            if not reason:
                continue
            del group.waiting[alert.id]
            opened = self.state.open.get(alert.id)
            if opened is None:  # it is over already
                group.waiting.pop(_end_key(alert), None)
                said.append(Suppressed(alert.id, group.channel, now, reason))
            elif group.channel not in opened.told:
                said += self._hold(opened, group.channel, reason, now)
        return said

    def _note_told(self, alert: Alert, channel: str, now: Micros) -> None:
        opened = self.state.open.get(alert.id)
        if opened is not None:
            opened.told[channel] = now
        rule = self._policy.rules.get(alert.rule)
        key = _cooling_key(alert, channel)
        if rule is not None and rule.cooldown_secs and self.state.cooling.get(key, 0) <= now:
            self.state.cooling[key] = Micros(now + int(rule.cooldown_secs * SECOND))


def title(notice: Notice) -> str:
    """One line: "7 symbols: volume surge", "resolved: BTC/USDT, volume surge"."""
    firing = [alert for alert in notice.alerts if alert.state is AlertState.FIRING]
    about: Sequence[Alert] = firing or notice.alerts
    count = len({alert.inst for alert in about})
    what = about[0].inst.partition(":")[2] if count == 1 else f"{count} symbols"
    head = "" if firing else "resolved: "
    over = {alert.id for alert in notice.alerts if alert.state is AlertState.RESOLVED}
    again = " (still)" if notice.repeated and firing else ""
    if firing and all(alert.id in over for alert in firing):
        again = " (over already)"
    return f"{head}{what}: {notice.rule}{again}"


def _end_key(alert: Alert) -> str:
    """An alert that ends before it was told waits twice: its beginning has the numbers."""
    return f"{alert.id} is over"


def _group_key(rule: str, channel: str) -> str:
    return f"{channel}\n{rule}"


def _cooling_key(alert: Alert, channel: str) -> str:
    return f"{channel}\n{alert.rule}\n{alert.inst}"
