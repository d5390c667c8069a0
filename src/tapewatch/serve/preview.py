"""`POST /alerts/preview`: would this rule have fired? Coverage first, then what came of it."""

from msgspec import Struct

from tapewatch.model.errors import Unavailable
from tapewatch.model.times import WEEK, iso
from tapewatch.rules.change import Change
from tapewatch.rules.past import Covered
from tapewatch.rules.preview import Firing, Question, Report, Swept, Told
from tapewatch.rules.rule import Mistake, Rule, compile_rule
from tapewatch.rules.rulebook import words_of
from tapewatch.rules.sweep import variants
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context

MAX_ROWS = 3_000_000  # what can be played within the time limit of an answer
_LONGEST_HOLD = 31 * 86_400


class FiringView(Struct, kw_only=True):
    """One alert; `ended` is null if it still fires at the end."""

    inst: str
    symbol: str
    since: str
    fired: str
    ended: str | None
    value: float
    threshold: float | None
    quality: str
    text: str
    evidence: list[str]


class NoticeView(Struct, kw_only=True):
    timestamp: str
    channel: str
    title: str
    alerts: int


class Preview(Struct, kw_only=True):
    """Without data `has_data` is false and what would be counted is null."""

    rule: str
    when: str
    resolve_when: str
    start: str
    end: str
    has_data: bool
    covered_percent: float
    coverage: list[Covered]
    firings: list[FiringView] | None
    already_firing: int
    withdrawn: int
    notices: list[NoticeView] | None
    suppressed: dict[str, int] | None
    sweep: list[Swept] | None
    not_simulated: list[str]


async def post_preview(context: Context, ask: Ask) -> Preview:
    start, end = ask.span(WEEK)
    if not ask.text("rule"):
        ask.fault("rule", "must be given", "the name of a rule in force, or with `when` a new one")
    change = Change(
        rule=ask.text("rule"),
        when=ask.text("when") or None,
        resolve_when=ask.query.get("resolve_when"),
        instruments=tuple(ask.words("instruments")),
        hold_secs=_hold(ask),
    )
    ask.done()
    rule = change.of(context.rules.rules)
    sweep = ask.text("sweep")
    _check(context, ask, rule, sweep)
    ask.done()
    if context.preview is None:
        raise Unavailable("nothing that is stored can be asked here")
    question = Question(rule=rule, since=start, until=end, sweep=sweep, max_rows=MAX_ROWS)
    try:
        report = await context.preview(question)
    except ValueError as error:
        ask.fault("start", str(error))
        ask.done()
        raise
    return _view(context, report)


def _hold(ask: Ask) -> float | None:
    return float(ask.whole("hold_secs", 0, 0, _LONGEST_HOLD)) if "hold_secs" in ask.query else None


def _check(context: Context, ask: Ask, rule: Rule, sweep: str) -> None:
    """Here, where a mistake has a parameter; in the process beside ours it would be an error."""
    words = words_of(context.rules.measures)
    try:
        compiled = compile_rule(rule, words)
        for each in variants(compiled, sweep) if sweep else ():
            compile_rule(each, words)
    except Mistake as mistake:
        message, _, hint = str(mistake).partition("; ")
        at = "" if mistake.column is None else f" at character {mistake.column + 1}"
        ask.fault(mistake.field, f"{message}{at}", hint)


def _view(context: Context, report: Report) -> Preview:
    firings, notices = report.firings, report.notices
    return Preview(
        rule=report.rule.name,
        when=report.rule.when,
        resolve_when=report.rule.resolve_when,
        start=iso(report.since),
        end=iso(report.until),
        has_data=firings is not None,
        covered_percent=round(100 * report.share, 4),
        coverage=report.coverage,
        firings=None if firings is None else [_firing(context, each) for each in firings],
        already_firing=report.already,
        withdrawn=report.withdrawn,
        notices=None if notices is None else [_notice(each) for each in notices],
        suppressed=report.suppressed,
        sweep=report.sweep,
        not_simulated=report.not_simulated,
    )


def _firing(context: Context, firing: Firing) -> FiringView:
    return FiringView(
        inst=firing.inst,
        symbol=context.native(firing.inst),
        since=iso(firing.since),
        fired=iso(firing.fired),
        ended=None if firing.ended is None else iso(firing.ended),
        value=firing.value,
        threshold=firing.threshold,
        quality=firing.quality.value,
        text=firing.text,
        evidence=list(firing.evidence),
    )


def _notice(told: Told) -> NoticeView:
    return NoticeView(
        timestamp=iso(told.at), channel=told.channel, title=told.title, alerts=told.alerts
    )
