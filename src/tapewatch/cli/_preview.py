"""A `Report` of a rule on the past, laid out for a person."""

from collections import Counter
from collections.abc import Sequence

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND, iso
from tapewatch.rules.past import Covered
from tapewatch.rules.preview import Firing, Report, Told

_WELL_COVERED = 0.99
_WORST = 5


def lines(report: Report, limit: int) -> list[str]:
    rule = report.rule
    until = f", until {rule.resolve_when}" if rule.resolve_when else ""
    told = [
        f"{rule.name}: {rule.when}{until}",
        f"{_minute(report.since)} to {_minute(report.until)}, from stored {report.source}",
        "",
        *_coverage(report),
    ]
    if report.firings is not None:
        told += [*_firings(report, report.firings, limit), *_notices(report, limit)]
        told += _sweep(report)
    return [*told, "", "not simulated", *(f"  {each}" for each in report.not_simulated)]


def _coverage(report: Report) -> list[str]:
    if not report.coverage:
        return ["coverage   none: nothing is stored of these metrics in that time"]
    count = len({each.inst for each in report.coverage})
    qualities: Counter[str] = Counter()
    for each in report.coverage:
        for quality, share in each.by_quality.items():
            qualities[quality] += share / len(report.coverage)  # type: ignore[assignment]
    parts = ", ".join(f"{quality} {_share(share)}" for quality, share in qualities.most_common())
    head = f"coverage   {_share(report.share)} of the time, over {_instruments(count)}"
    worst = sorted(report.coverage, key=lambda each: each.share)
    bad = [each for each in worst if each.share < _WELL_COVERED]
    listed = [f"  {_covered(each)}" for each in bad[:_WORST]]
    more = [f"  and {len(bad) - _WORST} more below 99 %"] if len(bad) > _WORST else []
    return [f"{head} ({parts})" if parts else head, *listed, *more]


def _covered(each: Covered) -> str:
    return f"{_share(each.share):>7}  {each.inst}  {each.metric}"


def _firings(report: Report, firings: Sequence[Firing], limit: int) -> list[str]:
    where = len({firing.inst for firing in firings})
    also = f", {report.withdrawn} did not hold for long enough" if report.withdrawn else ""
    also += f", {report.already} fired already at the beginning" if report.already else ""
    head = f"fired      {len(firings)} times on {_instruments(where)}{also}"
    listed = [f"  {_firing(firing)}" for firing in firings[:limit]]
    return [head, *listed, *_more(len(firings), limit)]


def _firing(firing: Firing) -> str:
    length = "still fires" if firing.ended is None else _length(firing.ended - firing.fired)
    return f"{_second(firing.fired)}  {length:>11}  {firing.quality.value:<8}  {firing.text}"


def _notices(report: Report, limit: int) -> list[str]:
    notices: list[Told] = report.notices or []
    resolved = sum(each.title.startswith("resolved") for each in notices)
    head = f"notices    {len(notices)}, {resolved} of them that it is over"
    listed = [f"  {_second(each.at)}  {each.channel:<10}  {each.title}" for each in notices[:limit]]
    held = [f"held back  {n} times: {reason}" for reason, n in (report.suppressed or {}).items()]
    return [head, *listed, *_more(len(notices), limit), *held]


def _sweep(report: Report) -> list[str]:
    if not report.sweep:
        return []
    rows = [
        f"  {each.threshold:>8}  {each.firings:>7} firings on {_instruments(each.instruments)},"
        f" {each.notices} notices"
        for each in report.sweep
    ]
    return ["with another threshold", *rows]


def _instruments(count: int) -> str:
    return f"{count} instrument" if count == 1 else f"{count} instruments"


def _more(count: int, limit: int) -> list[str]:
    return [f"  and {count - limit} more: --limit, or --json for all"] if count > limit else []


def _share(share: float) -> str:
    """All that is not whole is below 100 %."""
    return "100 %" if share >= 1 - 1e-5 else f"{min(share, 0.9999):.2%}".replace("%", " %")


def _minute(ts: Micros) -> str:
    return f"{iso(ts)[:16]}Z"


def _second(ts: Micros) -> str:
    return iso(ts)[:19].replace("T", " ")


def _length(micros: int) -> str:
    minutes, seconds = divmod(round(micros / SECOND), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"
