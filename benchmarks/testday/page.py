"""The table, as it is printed and as the docs show it."""

from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.testday.judge import Tally

BEGIN, END = "<!-- testday:begin -->", "<!-- testday:end -->"

# Why a rule misses what is planted or cries without: looked at one by one, see `particulars`.
REASONS = {
    "volume_surge": "the wrong ones come in the half hour in which activity goes from a fifth to all "
    "of it: against the half hour before, a rise so steep and a large order on top are four times "
    "the usual. That it is a morning nobody can know who has not seen yesterday's.",
    "divergence": "an alert wants ten seconds beyond 50 bps without a break; in the quiet hours an "
    "exchange is quoted about twice a second here, and its price follows where it was sent in "
    "jumps, near that limit.",
}


def markdown(found: dict[str, Tally], calm: dict[str, Tally], facts: str) -> str:
    head = (
        "rule",
        "planted",
        "found",
        "recall",
        "right",
        "at the border",
        "wrong",
        "precision",
        "wrong on the day without",
    )
    rows = [
        (
            tally.rule,
            str(tally.planted),
            str(tally.planted - len(tally.missed)),
            _share(tally.recall),
            str(tally.right),
            str(tally.border),
            str(len(tally.wrong)),
            _share(tally.precision),
            str(len(calm[tally.rule].wrong)),
        )
        for tally in found.values()
        if tally.planted or tally.right or tally.wrong  # nothing of some kinds is in such a day
    ]
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
    reasons = [
        f"* `{rule}`: {why}"
        for rule, why in REASONS.items()
        if rule in found and (found[rule].missed or found[rule].wrong or calm[rule].wrong)
    ]
    return (
        "\n".join([f"Measured {facts}.", "", *lines, *(["", *reasons] if reasons else [])]) + "\n"
    )


def particulars(tallies: dict[str, Tally]) -> Iterator[str]:
    for tally in tallies.values():
        for kind, each in tally.missed:
            yield f"missed  {_clock(each.since)} {tally.rule} {each.inst} ({kind})"
        for spell in tally.wrong:
            yield f"wrong   {_clock(spell.since)} {tally.rule} {spell.inst} {spell.value:.4g}"


def insert(page: str, text: str) -> str:
    """Put the table between its markers. Raises ValueError if there are none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END} in the page")
    return f"{before}{BEGIN}\n{text}{END}{after}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _clock(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1e6, UTC).strftime("%H:%M:%S")
