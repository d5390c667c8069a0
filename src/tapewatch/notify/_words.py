"""A notice in words: the subject, a few lines for each alert, a link. Shared by all channels."""

from urllib.parse import quote

from tapewatch.model.channel import Notice
from tapewatch.model.events import Alert, AlertState, Quality
from tapewatch.model.instrument import split_id
from tapewatch.model.times import iso
from tapewatch.rules.notices import title
from tapewatch.rules.story import duration, measured

MAX_ALERTS = 20  # told whole; of the rest only how many
_BARS = "▁▂▃▄▅▆▇█"
_NOT_COMPLETE = {
    Quality.REPAIRED: "some of its data came late",
    Quality.PARTIAL: "its data are known to be incomplete, or not proven complete",
    Quality.SAMPLED: "the venue publishes only a part of these data: a lower bound",
}


def subject(notice: Notice) -> str:
    """One line without control characters."""
    return " ".join(title(notice).split())


def shown(notice: Notice) -> tuple[Alert, ...]:
    return notice.alerts[:MAX_ALERTS]


def more(notice: Notice) -> str:
    """Say how many are left out; empty if none is."""
    count = len(notice.alerts) - MAX_ALERTS
    return f"and {count} more" if count > 0 else ""


def headline(alert: Alert) -> str:
    """`FIRING BTC/USDT on binance: what the rule says`."""
    venue, symbol = split_id(alert.inst)
    said = alert.text or f"{alert.rule} {measured(alert)}"
    return f"{alert.state.value.upper()} {symbol} on {venue}: {said}"


def details(alert: Alert) -> list[str]:
    """What makes it believable: numbers, since when, on what it rests, how good the data are."""
    since = alert.since or alert.ts
    is_over = alert.state is AlertState.RESOLVED
    lines = [f"now {_now(alert)}: over after {duration(alert.ts - since)}"] if is_over else []
    was = "it fired with " if is_over else ""
    lines.append(f"{was}{measured(alert)}; since {iso(since)[:19]}Z; {alert.severity}")
    lines += [f"rests on {each}" for each in alert.evidence]
    doubt = _NOT_COMPLETE.get(alert.quality)
    return [*lines, doubt] if doubt else lines


def _now(alert: Alert) -> str:
    return "unknown" if alert.value_now is None else f"{alert.value_now:.6g}"


def link(notice: Notice, alert: Alert) -> str:
    """Where the whole story stands; empty without an address of ours."""
    site = notice.site.rstrip("/")
    return f"{site}/alerts/why/{quote(alert.id, safe='')}" if site else ""


def sparkline(values: tuple[float, ...]) -> str:
    """`▁▂▅█`; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / (len(_BARS) - 1) or 1.0
    return "".join(_BARS[round((value - low) / step)] for value in values)


def courses(notice: Notice) -> list[str]:
    """`BTC/USDT ▁▂▅█ 61837.6, +1.2 % in 59 minutes`."""
    lines = []
    for course in notice.courses:
        bars = sparkline(course.closes)
        if not bars:
            continue
        first, last = course.closes[0], course.closes[-1]
        change = f"{last / first - 1:+.2%}" if first else ""
        secs = course.step_secs * (len(course.closes) - 1)
        symbol = split_id(course.inst)[1]
        lines.append(f"{symbol} {bars} {last:.8g}, {change} in {secs / 60:.0f} minutes")
    return lines


def plain(notice: Notice) -> str:
    """The whole notice as text."""
    blocks = []
    for alert in shown(notice):
        lines = [headline(alert), *(f"  {line}" for line in details(alert))]
        address = link(notice, alert)
        blocks.append("\n".join([*lines, f"  {address}"] if address else lines))
    tail = [*courses(notice), more(notice)]
    return "\n\n".join([*blocks, *(line for line in tail if line)]) + "\n"
