"""Rows, figures, and the table of one run, as markdown and as JSON."""

import statistics
from collections.abc import Sequence

from msgspec import Struct

BEGIN = "<!-- benchmark:begin -->"
END = "<!-- benchmark:end -->"


class Figure(Struct, frozen=True):
    """The median of several rounds and how far they lay apart."""

    median: float
    low: float
    high: float
    rounds: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        middle = number(self.median)
        if self.rounds == 1:
            return middle
        return f"{middle} ({number(self.low)}-{number(self.high)})"


class Row(Struct, frozen=True):
    """One line. `ratio` is the peer's cost by ours: above 1 we are quicker."""

    name: str
    unit: str = "us"
    budget: float | None = None
    ours: Figure | None = None
    peer: Figure | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""  # why it was not measured, or how it is to be read


class Section(Struct, frozen=True):
    title: str
    rows: list[Row]
    peer: str = "cryptofeed"  # head of its column


class Report(Struct, frozen=True):
    date: str
    machine: dict[str, str]
    sections: list[Section]


def number(value: float) -> str:
    """Three digits that mean something; thousands in groups."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


_HEAD = ("", "unit", "budget", "tapewatch", "", "ratio", "target")


def markdown(report: Report) -> str:
    lines = [f"Measured {report.date} on " + ", ".join(_facts(report.machine)) + "."]
    for section in report.sections:
        lines += ["", f"**{section.title}**", "", *_table(section)]
        lines += [f"\n{row.name}: {row.note}" for row in section.rows if row.note]
    return "\n".join(lines) + "\n"


def _facts(machine: dict[str, str]) -> list[str]:
    return [f"{name} {value}" if name else value for name, value in machine.items()]


def _table(section: Section) -> list[str]:
    head = (*_HEAD[:4], section.peer, *_HEAD[5:])
    cells = [head, *(_cells(row) for row in section.rows)]
    used = [i for i in range(len(_HEAD)) if i == 0 or any(line[i] for line in cells[1:])]
    widths = {i: max(len(line[i]) for line in cells) for i in used}
    padded = ["| " + " | ".join(line[i].ljust(widths[i]) for i in used) + " |" for line in cells]
    rule = "|" + "|".join("-" * (widths[i] + 2) for i in used) + "|"
    return [padded[0], rule, *padded[1:]]


def _cells(row: Row) -> tuple[str, ...]:
    verdict = {None: "", True: ": met", False: ": **not met**"}[row.met]
    return (
        row.name,
        row.unit,
        "" if row.budget is None else number(row.budget),
        "not measured" if row.ours is None and row.peer is None else _text(row.ours),
        _text(row.peer),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        row.target + verdict if row.target else "",
    )


def _text(figure: Figure | None) -> str:
    return "" if figure is None else str(figure)


def insert(readme: str, table: str) -> str:
    """Put the table between the markers. Raises ValueError if they are not there."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README has no {BEGIN} and {END} to put the table between")
    return f"{before}{BEGIN}\n{table}{END}{after}"
