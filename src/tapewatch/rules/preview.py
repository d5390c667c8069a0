"""Would it have fired? A rule over stored metrics: coverage first, then firings, then notices.

Where nothing is stored there is no count: silence of data is not silence of the market.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from tapewatch.model.channel import Notice
from tapewatch.model.events import Alert, AlertState, InstrumentId, Micros, Quality
from tapewatch.model.times import HOUR, SECOND
from tapewatch.ports import Measure, Query
from tapewatch.rules.notices import Policy, title
from tapewatch.rules.past import Covered, Past, Span
from tapewatch.rules.rehearsal import EVERYBODY, Rehearsal, notify
from tapewatch.rules.rule import Rule, compile_rule
from tapewatch.rules.rulebook import words_of
from tapewatch.rules.sweep import variants

MAX_ROWS = 50_000_000
_LEAD = HOUR  # played before the beginning, so that what fires already is known to do so
_NOT_SIMULATED = (
    "silences, and inhibition by other rules",
    "delivery: whether a channel would have been reached, and how fast",
    "restarts and outages of tapewatch itself: only what they left out of the data",
    "what was told several times in one microsecond: the last is stored",
    "the beat of live time: what ends within a second of having held long enough may count or not",
)
_HELD = "it resolved while it was held"
_MOMENT = re.compile(r" until \d\S+")
_SPARSE = "{} is stored only when there is something to tell: its silence counts as calm"
_TRADES = "metrics were computed anew from stored trades, with today's detectors and settings"


class Question(Struct, frozen=True, kw_only=True):
    rule: Rule
    since: Micros
    until: Micros
    sweep: str = ""  # "2%,3%,4%"
    policy: Policy = EVERYBODY  # how it would have been grouped, and for whom
    max_rows: int = MAX_ROWS


class Firing(Struct, kw_only=True):
    """One alert, from its beginning to its end."""

    inst: InstrumentId
    since: Micros  # the condition began to hold
    fired: Micros
    ended: Micros | None  # None: it still fires at the end
    value: float
    threshold: float | None
    quality: Quality
    text: str
    evidence: tuple[str, ...] = ()


class Told(Struct, kw_only=True):
    """One notice to one channel."""

    at: Micros
    channel: str
    title: str
    alerts: int


class Swept(Struct, kw_only=True):
    """What another threshold would have given."""

    threshold: str
    firings: int
    instruments: int
    notices: int


class Report(Struct, kw_only=True):
    """`firings` and what follows of them is None where there is no data."""

    rule: Rule
    since: Micros
    until: Micros
    source: str  # "metrics" or "trades"
    coverage: list[Covered]
    share: float  # of the time, over all instruments and metrics
    firings: list[Firing] | None = None
    already: int = 0  # fired before the beginning, and still did
    withdrawn: int = 0  # pending that did not hold long enough
    notices: list[Told] | None = None
    suppressed: dict[str, int] | None = None  # by reason
    sweep: list[Swept] | None = None
    not_simulated: list[str]


async def preview(query: Query, question: Question, measures: Collection[Measure]) -> Report:
    """Ask the store and play the rule. Raises Mistake for the rule, ValueError for the question."""
    words = words_of(measures)
    compiled = compile_rule(question.rule, words)
    others = variants(compiled, question.sweep) if question.sweep else []
    rehearsal = Rehearsal([question.rule, *others], measures)
    past = Past(query, compiled, words, measures)
    span = Span(question.since, question.until)
    coverage = await past.coverage(span)
    rows = sum(each.rows for each in coverage)
    if rows > question.max_rows:
        raise ValueError(f"{rows:,} stored values: ask for a shorter time or fewer instruments")
    sparse = {measure.name for measure in measures if measure.sparse}
    report = begin(question, coverage, [w for w in compiled.names if words[w][0] in sparse])
    if report.share == 0:
        return report
    lead = round(max(_LEAD, question.rule.hold_secs * SECOND))
    async for page in past.pages(Span(Micros(span.since - lead), span.until), rows):
        for inst, metrics in page.items():
            rehearsal.feed(inst, metrics)
    return judge(report, rehearsal.finish(span.until), others, question.policy)


def begin(question: Question, coverage: list[Covered], sparse: Sequence[str]) -> Report:
    """A report that tells what there is, and counts nothing yet."""
    share = sum(each.share for each in coverage) / len(coverage) if coverage else 0.0
    return Report(
        rule=question.rule,
        since=question.since,
        until=question.until,
        source="metrics",
        coverage=coverage,
        share=share,
        not_simulated=[*(_SPARSE.format(word) for word in sparse), *_NOT_SIMULATED],
    )


def from_trades(report: Report) -> None:
    """Note that the metrics are not those that were told then."""
    report.source = "trades"
    report.not_simulated.insert(0, _TRADES)


def judge(report: Report, alerts: Sequence[Alert], swept: Sequence[Rule], policy: Policy) -> Report:
    """Fill in what came of it. The rules of a sweep are called by their threshold."""
    mine = [alert for alert in alerts if alert.rule == report.rule.name]
    report.firings, report.already = _within(report, mine)
    report.withdrawn = _withdrawn(report, mine)
    notified = notify(mine, report.rule, policy, report.until)
    told = [notice for notice in notified.notices if notice.at >= report.since]
    report.notices = [_told(notice) for notice in told]
    reasons = (_kind(each.reason) for each in notified.suppressed if each.at >= report.since)
    report.suppressed = dict(Counter(reason for reason in reasons if reason))
    report.sweep = [_swept(report, rule, alerts, policy) for rule in swept]
    return report


def _within(report: Report, alerts: Iterable[Alert]) -> tuple[list[Firing], int]:
    found: dict[str, Firing] = {}
    for alert in alerts:
        if alert.state is AlertState.FIRING:
            found[alert.id] = Firing(
                inst=alert.inst, since=alert.since, fired=alert.ts, ended=None, value=alert.value,
                threshold=alert.threshold, quality=alert.quality, text=alert.text,
                evidence=alert.evidence,
            )  # fmt: skip
        elif alert.state is AlertState.RESOLVED and alert.id in found:
            found[alert.id].ended = alert.ts
    fired = [each for each in found.values() if each.fired >= report.since]
    before = [each for each in found.values() if each.fired < report.since]
    already = sum(each.ended is None or each.ended >= report.since for each in before)
    return fired, already


def _withdrawn(report: Report, alerts: Iterable[Alert]) -> int:
    states: dict[str, list[AlertState]] = {}
    for alert in alerts:
        if alert.ts >= report.since:
            states.setdefault(alert.id, []).append(alert.state)
    return list(states.values()).count([AlertState.PENDING, AlertState.WITHDRAWN])


def _swept(report: Report, rule: Rule, alerts: Sequence[Alert], policy: Policy) -> Swept:
    mine = [alert for alert in alerts if alert.rule == rule.name]
    firings, _ = _within(report, mine)
    notices = notify(mine, rule, policy, report.until).notices
    return Swept(
        threshold=rule.name,
        firings=len(firings),
        instruments=len({each.inst for each in firings}),
        notices=sum(notice.at >= report.since for notice in notices),
    )


def _told(notice: Notice) -> Told:
    return Told(
        at=notice.at, channel=notice.channel, title=title(notice), alerts=len(notice.alerts)
    )


def _kind(reason: str) -> str:
    """One kind, whenever it was; what resolved while it was held was counted when it was held."""
    return "" if reason.startswith(_HELD) else _MOMENT.sub("", reason)
