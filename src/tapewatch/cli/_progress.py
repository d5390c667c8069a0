"""How far a backfill is, on stderr: a bar that is drawn over for people, a line now and then else."""

import sys
import time
from collections.abc import Callable

from tapewatch.model.times import iso
from tapewatch.runtime.backfill import Outcome

_DRAWN_EVERY_SECS = 0.1
_SAID_EVERY_SECS = 5.0
_WIDTH = 24


class Progress:
    """Call it with each step; `end` leaves the last state on a line of its own."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._is_seen = sys.stderr.isatty()
        self._began = timer()
        self._first: float | None = None  # fraction that was done before
        self._said_at = self._began if self._is_seen else self._began + _SAID_EVERY_SECS
        self._text = ""

    def __call__(self, outcome: Outcome) -> None:
        if self._first is None:
            self._first = outcome.fraction
        now = self._timer()
        if now < self._said_at:
            return
        self._said_at = now + (_DRAWN_EVERY_SECS if self._is_seen else _SAID_EVERY_SECS)
        self._text = describe(outcome, now - self._began, self._first)
        if self._is_seen:
            print(f"\r{_bar(outcome.fraction)} {self._text:<80}", end="", file=sys.stderr)
        else:
            print(self._text, file=sys.stderr)

    def end(self) -> None:
        if self._is_seen and self._text:
            print(file=sys.stderr)


def describe(outcome: Outcome, secs: float, first: float) -> str:
    """`42 %, up to 2026-11-20 14:03, 1,234,000 rows, 5,300/s, 3 min left`."""
    done = outcome.fraction
    reached = iso(max(outcome.job.reached, outcome.job.since))[:16].replace("T", " ")
    rate = f", {outcome.seen / secs:,.0f}/s" if secs > 0 else ""
    left = f", {_span(secs * (1 - done) / (done - first))} left" if done > first else ""
    return f"{done:.0%}, up to {reached}, {outcome.job.rows:,} rows{rate}{left}"


def _span(secs: float) -> str:
    if secs < 100:
        return f"{secs:.0f} s"
    return f"{secs / 60:.0f} min" if secs < 6000 else f"{secs / 3600:.1f} h"


def _bar(fraction: float) -> str:
    full = round(fraction * _WIDTH)
    return f"[{'#' * full}{'.' * (_WIDTH - full)}]"
