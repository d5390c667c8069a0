"""The budget of the design, row by row: what one message costs in each stage, and the sum."""

import sys
from typing import Any

from benchmarks.children import NotMeasured, client, flood
from benchmarks.duel import ours
from benchmarks.table import Figure, Row

_TRADE = {
    "frames": ("socket to frame", 0.3),
    "decode": ("frame to event", 0.9),
    "validate": ("validation", None),
    "bus": ("bus, three readers", 0.1),
    "processors": ("all processors", 2.0),
    "hot": ("hot window", None),
    "hub": ("live hub, 10 clients", 0.4),
    "journal": ("journal of the open hour", 0.3),
}
_LATER = {"parquet": ("Parquet, once an hour in a child process", None)}
_BOOK = {
    "frames": ("received", None),
    "decode": ("decoded and proven in step", None),
    "book": ("applied", None),
}


def rows(*, quick: bool) -> list[Row]:
    scale = 10 if quick else 1
    return [
        *_rows("aggTrade", 200_000 // scale, _TRADE, _LATER, 4.0),
        *_rows("depth", 20_000 // scale, _BOOK, {}, 12.5),
    ]


Stages = dict[str, tuple[str, float | None]]  # title and budget


def _rows(case: str, count: int, stages: Stages, later: Stages, total: float) -> list[Row]:
    """A row a stage, their sum, and what another process does later, with that sum."""
    found, why = _measure(case, count)
    rows = [_row(case, stage, *stages[stage], found, why) for stage in stages]
    rows.append(_sum(case, "sum", stages, found, total))
    rows += [_row(case, stage, *later[stage], found, why) for stage in later]
    if later:
        rows.append(_sum(case, "sum with that", stages | later, found, None))
    return rows


def _row(
    case: str,
    stage: str,
    title: str,
    budget: float | None,
    found: dict[str, float],
    why: dict[str, str],
) -> Row:
    cost = found.get(stage)
    if cost is None:
        return Row(f"{case}: {title}", budget=budget, note=why.get(stage, "not measured"))
    return Row(f"{case}: {title}", budget=budget, ours=Figure.of([cost]))


def _sum(
    case: str, title: str, stages: Stages, found: dict[str, float], budget: float | None
) -> Row:
    missing = [stages[stage][0] for stage in stages if stage not in found]
    spent = sum(found[stage] for stage in stages if stage in found)
    note = f"without {', '.join(missing)}" if missing else ""
    ours = Figure.of([spent]) if spent else None
    return Row(f"{case}: **{title}**", budget=budget, ours=ours, note=note)


def _measure(case: str, count: int) -> tuple[dict[str, float], dict[str, str]]:
    """Costs by stage, and for those without one the reason."""
    found: dict[str, float] = {}
    why: dict[str, str] = {}
    print(f"stages of {case}", file=sys.stderr)
    try:
        with flood(case, 50, count) as port:
            readings = [ours("client_frames")(port, case, 50, count) for _ in range(3)]
        found["frames"] = min(reading["cpu_secs"] for reading in readings) / count * 1e6
    except NotMeasured as error:
        why["frames"] = str(error)
    try:
        reading: dict[str, Any] = client(
            [sys.executable, "-m", "benchmarks.client_stages", "0", case, "50", str(count)]
        )
        found.update(reading["us"])
        why.update(reading["not_measured_stages"])
    except NotMeasured as error:
        why["decode"] = str(error)
    return found, why
