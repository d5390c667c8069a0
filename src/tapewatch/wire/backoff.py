"""How long to wait before trying again: exponential, capped, with full jitter.

Full jitter (a delay anywhere between nothing and the ceiling) spreads a thousand clients that lost
their venue at the same moment. See "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from random import Random

_MOST_DOUBLINGS = 32  # keeps the power finite; every cap is reached long before
_LONGEST_SECS = 3 * 86_400.0  # Binance bans for three days at most


class Backoff:
    """The ceiling doubles from `first_secs` to `max_secs` with each failure."""

    def __init__(self, first_secs: float, max_secs: float, rng: Random) -> None:
        self._first_secs = first_secs
        self._max_secs = max_secs
        self._rng = rng
        self._failures = 0

    def next(self, at_least: float | None = None) -> float:
        """Count a failure and give the delay. `at_least` is what the other side asked for."""
        ceiling = min(self._max_secs, self._first_secs * 2.0**self._failures)
        self._failures = min(self._failures + 1, _MOST_DOUBLINGS)
        return max(self._rng.uniform(0.0, ceiling), at_least or 0.0)

    def reset(self) -> None:
        self._failures = 0


def retry_after(text: str, date: str = "") -> float | None:
    """Read `Retry-After`: seconds, or a time, which the answer's own `Date` makes a duration."""
    try:
        secs = float(text)
    except ValueError:
        until, sent = _time(text), _time(date)
        if until is None or sent is None:
            return None
        secs = (until - sent).total_seconds()
    if not isfinite(secs):
        return None
    return min(max(secs, 0.0), _LONGEST_SECS)


def _time(text: str) -> datetime | None:
    """Read an HTTP date: always UTC, whether it says so or not."""
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except (ValueError, TypeError):
        return None
