"""When a source of news is asked again. Time is an argument.

what came of it          asked again after
ok, not_modified         the usual seconds of day or night
blocked                  half an hour: a page for people, 401, 403, 451
limited                  what `Retry-After` says, else five minutes: 429, or 503 that says when
broken, failed,          the usual seconds, doubled with each failure, up to half an hour
unreachable
"""

from datetime import UTC, datetime, tzinfo
from enum import Enum

from msgspec import Struct

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND

BLOCKED_SECS = 1_800.0
_LIMITED_SECS = 300.0
_MOST_DOUBLINGS = 16


class Outcome(Enum):
    """What came of asking; the label `status` of `rss_fetch_total`."""

    OK = "ok"
    SAME = "not_modified"
    BLOCKED = "blocked"
    LIMITED = "limited"
    BROKEN = "broken"  # an answer, but no feed, or one that broke off
    FAILED = "failed"  # a status that is neither
    UNREACHABLE = "unreachable"

    @property
    def good(self) -> bool:
        return self in {Outcome.OK, Outcome.SAME}


def outcome_of(status: int, retry_after: float | None) -> Outcome:
    """Judge an answer by its status alone; a body may still turn OK into BROKEN or BLOCKED."""
    if status == 200:
        return Outcome.OK
    if status == 304:
        return Outcome.SAME
    if status in {401, 403, 451}:
        return Outcome.BLOCKED
    if status == 429 or (status == 503 and retry_after is not None):
        return Outcome.LIMITED
    return Outcome.FAILED if status else Outcome.UNREACHABLE


class Hours(Struct, frozen=True, kw_only=True):
    """How often to ask by day and by night. Day is `[day_from, day_until)`, hours of `zone`."""

    day_secs: float = 30.0
    night_secs: float = 90.0
    day_from: int = 7
    day_until: int = 23
    zone: tzinfo = UTC

    def delay(self, now: Micros) -> float:
        """Seconds to wait now. A wait of the night ends when the day begins."""
        local = datetime.fromtimestamp(now // SECOND, self.zone)
        if self._is_day(local.hour):
            return self.day_secs
        hours = (self.day_from - local.hour) % 24
        to_morning = hours * 3_600.0 - local.minute * 60 - local.second
        return min(self.night_secs, max(to_morning, self.day_secs))

    def _is_day(self, hour: int) -> bool:
        if self.day_from < self.day_until:
            return self.day_from <= hour < self.day_until
        return hour >= self.day_from or hour < self.day_until  # a day over midnight


def delay(
    outcome: Outcome, usual_secs: float, failures: int, retry_after: float | None = None
) -> float:
    """Seconds until a source is asked again; `failures` in a row, this one included."""
    if outcome.good:
        return usual_secs
    if outcome is Outcome.BLOCKED:
        return max(BLOCKED_SECS, usual_secs)
    if outcome is Outcome.LIMITED:
        return max(_LIMITED_SECS if retry_after is None else retry_after, usual_secs)
    doubled = usual_secs * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    return max(usual_secs, min(doubled, BLOCKED_SECS))
