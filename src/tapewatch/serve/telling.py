"""`/alerts`, its history, its channels and its silences: who was told, and who not."""

from msgspec import Struct, field

from tapewatch.model.errors import NotFound, Unavailable
from tapewatch.model.events import Alert, Micros
from tapewatch.model.times import DAY, Interval, iso
from tapewatch.rules.matchers import Matcher, fields_of, fits_all, read
from tapewatch.rules.notices import Silence
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context, Desk

MAX_LINES = 1_000
_MAX_COMMENT = 500
_LONGEST = 366 * DAY


class Firing(Struct, kw_only=True):
    """An alert that fires now; `held` says by channel why it was not told yet."""

    id: str
    rule: str
    inst: str
    severity: str
    since: str
    value: float
    threshold: float | None
    baseline: float | None
    window: str
    quality: str
    text: str
    labels: list[str]
    held: dict[str, str]


class FiringNow(Struct, kw_only=True):
    count: int
    alerts: list[Firing]


class HistoryLine(Struct, kw_only=True):
    """A notice and what became of it, or (`suppressed`) why there was none."""

    timestamp: str
    channel: str
    status: str
    what: str
    alerts: int
    attempts: int
    said: str
    id: str


class History(Struct, kw_only=True):
    start: str
    end: str
    count: int
    lines: list[HistoryLine]


class ChannelView(Struct, kw_only=True):
    name: str
    type: str
    waiting: int
    sent: int
    failed: int
    dropped: int
    last_sent: str | None
    error: str
    retry_at: str | None


class Channels(Struct, kw_only=True):
    channels: list[ChannelView]


class SilenceView(Struct, kw_only=True):
    id: str
    matchers: list[str]
    starts: str
    ends: str
    comment: str
    holds: list[str] = field(default_factory=list)  # alerts that fire now and fit


class Silences(Struct, kw_only=True):
    silences: list[SilenceView]


async def get_firing(context: Context, ask: Ask) -> FiringNow:
    ask.done()
    desk = desk_of(context)
    held = desk.held()
    alerts = [_firing(alert, held.get(alert.id, {})) for alert in desk.firing()]
    return FiringNow(count=len(alerts), alerts=alerts)


async def get_history(context: Context, ask: Ask) -> History:
    limit = ask.whole("limit", 100, 1, MAX_LINES)
    start, end = ask.span(DAY, Micros(ask.now + 1))
    ask.done()
    found = await desk_of(context).history(start, end, limit, ask.text("channel"))
    lines = [
        HistoryLine(
            timestamp=iso(line.at),
            channel=line.channel,
            status=line.status,
            what=line.what,
            alerts=line.alerts,
            attempts=line.attempts,
            said=line.said,
            id=line.id,
        )
        for line in found
    ]
    return History(start=iso(start), end=iso(end), count=len(lines), lines=lines)


async def get_channels(context: Context, ask: Ask) -> Channels:
    ask.done()
    return Channels(
        channels=[
            ChannelView(
                name=each.name,
                type=each.type,
                waiting=each.waiting,
                sent=each.sent,
                failed=each.failed,
                dropped=each.dropped,
                last_sent=iso(each.last_sent) if each.last_sent else None,
                error=each.error,
                retry_at=iso(each.retry_at) if each.retry_at else None,
            )
            for each in desk_of(context).channels()
        ]
    )


async def get_silences(context: Context, ask: Ask) -> Silences:
    ask.done()
    desk = desk_of(context)
    firing = desk.firing()
    return Silences(silences=[_silence(each, firing) for each in desk.silences()])


async def add_silence(context: Context, ask: Ask) -> SilenceView:
    """Without a comment nobody knows later why; without matchers all would be silent."""
    matchers = _matchers(ask)
    starts = ask.moment("start", ask.now)
    ends = _end(ask, starts)
    comment = " ".join(ask.text("comment").split())
    if not 0 < len(comment) <= _MAX_COMMENT:
        ask.fault("comment", f"must say why, in at most {_MAX_COMMENT} characters")
    if ends <= max(starts, ask.now) and not ask.faults:
        ask.fault("for", "it would be over before it began")
    ask.done()
    desk = desk_of(context)
    made = await desk.silence(matchers, starts, ends, comment)
    return _silence(made, desk.firing())


async def drop_silence(context: Context, ask: Ask) -> Silences:
    ask.done()
    desk, wanted = desk_of(context), ask.path["id"]
    if not await desk.unsilence(wanted):
        raise NotFound("silence", wanted, tuple(each.id for each in desk.silences())[:3])
    return await get_silences(context, ask)


def desk_of(context: Context) -> Desk:
    if context.alerting is None:
        raise Unavailable("no alerts are told in this process")
    return context.alerting


def _matchers(ask: Ask) -> tuple[Matcher, ...]:
    found = []
    for text in ask.words("match"):
        try:
            found.append(read(text))
        except ValueError as error:
            ask.fault("match", str(error))
    if not found and not ask.faults:
        ask.fault("match", "must say which alerts", "write rule=big_trade,inst=binance:*")
    return tuple(found)


def _end(ask: Ask, starts: Micros) -> Micros:
    text = ask.text("for", "1h")
    try:
        micros = Interval.parse(text).micros
    except ValueError as error:
        ask.fault("for", str(error))
        return starts
    if micros > _LONGEST:
        ask.fault("for", "is longer than a year", "switch the rule off instead")
    return Micros(starts + micros)


def _firing(alert: Alert, held: dict[str, str]) -> Firing:
    return Firing(
        id=alert.id,
        rule=alert.rule,
        inst=alert.inst,
        severity=alert.severity,
        since=iso(alert.since or alert.ts),
        value=alert.value,
        threshold=alert.threshold,
        baseline=alert.baseline,
        window=alert.window,
        quality=alert.quality.value,
        text=alert.text,
        labels=list(alert.labels),
        held=held,
    )


def _silence(silence: Silence, firing: list[Alert]) -> SilenceView:
    holds = [alert.id for alert in firing if fits_all(silence.matchers, fields_of(alert))]
    return SilenceView(
        id=silence.id,
        matchers=[str(matcher) for matcher in silence.matchers],
        starts=iso(silence.starts),
        ends=iso(silence.ends),
        comment=silence.comment,
        holds=holds,
    )
