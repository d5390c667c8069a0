"""When an article was published, as feeds write it: RFC 822, ISO 8601, and what comes near."""

import re
from datetime import UTC, datetime, timedelta, timezone

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND

_EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)  # nothing of ours is older
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_LONGEST = 64
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# email.utils reads these too, but not what lies beyond RFC 822, and it drags in sockets.
_RFC822 = re.compile(
    r"(?:[a-z]{3,9},?\s+)?(\d{1,2})[\s-]([a-z]{3})[a-z]{0,6}[\s-](\d{4}|\d\d)"
    r"\s+(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s*([a-z]{1,4}|[+-]\d\d:?\d\d))?",
    re.ASCII,
)
_ZONES = {  # hours from UTC; letters that are not here are taken for UTC
    "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
    "bst": 1, "cet": 1, "cest": 2, "jst": 9, "kst": 9,
}  # fmt: skip


def moment(text: str) -> Micros | None:
    """Read `Sat, 21 Nov 2026 10:00:00 GMT` or `2026-11-21T10:00:00Z`; None for anything else.

    A time without a zone is UTC.
    """
    text = text.strip()[:_LONGEST]
    try:
        found = _iso(text) or _rfc822(text.lower())
        if found is None or not _EARLIEST <= found < _LATEST:
            return None
    except (ValueError, OverflowError):  # the 31st of February; a zone beyond the years there are
        return None
    return Micros(int(found.timestamp()) * SECOND)


def _iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _rfc822(text: str) -> datetime | None:
    match = _RFC822.match(text)
    if match is None or match[2] not in _MONTHS:
        return None
    year = int(match[3])
    return datetime(
        year if year > 99 else 2000 + year,
        _MONTHS.index(match[2]) + 1,
        int(match[1]),
        int(match[4]),
        int(match[5]),
        min(int(match[6] or 0), 59),  # a leap second
        tzinfo=timezone(timedelta(minutes=_offset(match[7] or ""))),
    )


def _offset(zone: str) -> int:
    """Minutes from UTC: `+0530`, `-05:00`, `est`."""
    if zone[:1] in {"+", "-"}:
        digits = zone[1:].replace(":", "")
        minutes = int(digits[:2]) * 60 + int(digits[2:])
        return minutes if zone[0] == "+" else -minutes
    return 60 * _ZONES.get(zone, 0)
