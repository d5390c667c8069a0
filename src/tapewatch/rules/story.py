"""The whole story of one alert, in words: when it began, why it spoke, who was told, who was not.

What happened is read from the delivery log; here it is put in order and said. Pure.
"""

from collections.abc import Sequence

from msgspec import Struct

from tapewatch.model.events import Alert, AlertState, Micros
from tapewatch.model.times import SECOND, iso

_STATES = {
    AlertState.PENDING: "began to hold, and must hold for a while before it fires",
    AlertState.FIRING: "fired",
    AlertState.RESOLVED: "resolved",
    AlertState.WITHDRAWN: "withdrawn, never fired",
}
_ENDS = {AlertState.RESOLVED, AlertState.WITHDRAWN}


class Attempt(Struct, frozen=True):
    """One try to bring a notice to its channel."""

    at: Micros
    ok: bool
    said: str  # by the channel, or why it failed
    took_ms: float = 0.0


class Told(Struct, frozen=True):
    """A notice that this alert was in, and what became of it."""

    notice: str
    channel: str
    at: Micros
    status: str  # waiting, sent, failed, dropped
    title: str
    alerts: int  # how many were in it
    attempts: tuple[Attempt, ...] = ()


class NotTold(Struct, frozen=True):
    channel: str
    at: Micros
    reason: str


class Story(Struct, frozen=True):
    id: str
    states: tuple[Alert, ...]  # pending, firing and its end, as far as it came
    told: tuple[Told, ...] = ()
    not_told: tuple[NotTold, ...] = ()


class Line(Struct, frozen=True):
    """One line of the history: a notice, or that there was none."""

    at: Micros
    channel: str
    what: str  # the notice's title, or the alert's id
    status: str  # waiting, sent, failed, dropped, suppressed
    alerts: int
    attempts: int
    said: str  # by the last attempt, or why not
    id: str  # of the notice, or of the alert


def tell(story: Story) -> list[str]:
    """Give lines, in the order in which it happened."""
    lines: list[tuple[Micros, int, list[str]]] = [
        (alert.recv, 0, _state(alert)) for alert in story.states
    ]
    lines += [(told.at, 1, _told(told)) for told in story.told]
    lines += [(word.at, 1, [_not_told(word)]) for word in story.not_told]
    lines.sort(key=lambda line: line[:2])
    return [*_head(story), *(text for _, _, texts in lines for text in texts), _end(story)]


def _head(story: Story) -> list[str]:
    if not story.states:
        return [f"{story.id}: nothing is kept of the alert itself"]
    alert = story.states[-1]
    labels = f", {', '.join(alert.labels)}" if alert.labels else ""
    return [f"{alert.rule} on {alert.inst} ({alert.severity}{labels})"]


def _state(alert: Alert) -> list[str]:
    lines = [f"  {_time(alert.ts)}  {_STATES[alert.state]}: {alert.text or measured(alert)}"]
    if alert.state not in _ENDS:
        lines.append(f"                 {measured(alert)}; its data are {alert.quality.value}")
        lines += [f"                 rests on: {each}" for each in alert.evidence]
    return lines


def measured(alert: Alert) -> str:
    """Say the numbers: "5.2 over 5m, limit 4, usual 1.1"."""
    parts = [f"{alert.value:.6g}{f' over {alert.window}' if alert.window else ''}"]
    if alert.threshold is not None:
        parts.append(f"limit {alert.threshold:.6g}")
    if alert.baseline is not None:
        parts.append(f"usual {alert.baseline:.6g}")
    return ", ".join(parts)


def _told(told: Told) -> list[str]:
    others = f" with {told.alerts - 1} others" if told.alerts > 1 else ""
    head = f"  {_time(told.at)}  for {told.channel}: notice {told.notice}{others}: {told.status}"
    return [head, *(_attempt(number, each) for number, each in enumerate(told.attempts, 1))]


def _attempt(number: int, attempt: Attempt) -> str:
    verdict = "delivered" if attempt.ok else "failed"
    took = f" after {attempt.took_ms:.0f} ms" if attempt.took_ms else ""
    return f"                 {_time(attempt.at)} attempt {number} {verdict}{took}: {attempt.said}"


def _not_told(word: NotTold) -> str:
    who = f"{word.channel} was not told" if word.channel else "nobody was told"
    return f"  {_time(word.at)}  {who}: {word.reason}"


def _end(story: Story) -> str:
    last = story.states[-1] if story.states else None
    ways = {told.channel for told in story.told if told.status == "sent"}
    heard = f"it reached {', '.join(sorted(ways))}" if ways else "it reached nobody"
    if last is None:
        return f"  {heard}"
    if last.state in _ENDS:
        word = "over" if last.state is AlertState.RESOLVED else "it held no more"
        return f"  {word} after {duration(last.ts - (last.since or last.ts))}; {heard}"
    return f"  it is {last.state.value} since {iso(last.since or last.ts)}; {heard} so far"


def _time(ts: Micros) -> str:
    return iso(ts)[:23].replace("T", " ")


def duration(micros: int) -> str:
    """`4m 59s`, `2h 3m`: two units are enough."""
    secs = max(0, micros) // SECOND
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, secs = divmod(secs, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count}{name}")
    return " ".join(parts[:2])


def nearest(wanted: str, known: Sequence[str]) -> str | None:
    """Give the first of `known` (the newest) that is meant by a part of an id."""
    return next((each for each in known if wanted in each), None)
