"""Microseconds and intervals. Time is always an argument here, never asked for."""

import re
from datetime import UTC, datetime

from msgspec import Struct

from tapewatch.model.events import Micros

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_MONDAY = 4 * DAY  # the epoch was a Thursday; weeks begin on Monday, as every venue has them


class Interval(Struct, frozen=True, order=True):
    """A candle length. `name` is canonical: the largest unit that divides it, so 60s is 1m."""

    micros: int
    name: str

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read `1m`, `7m`, `3d`, `1w`. Raises ValueError with what would be valid."""
        match = _INTERVAL.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"{text!r} is no interval: a whole number and one of s, m, h, d, w, such as 7m"
            )
        micros = int(match[1]) * _UNITS[match[2]]
        return cls(micros, interval_name(micros))

    def floor(self, ts: Micros) -> Micros:
        """Open time of the candle that `ts` falls into. Weeks are anchored on Monday."""
        anchor = _MONDAY if self.micros % WEEK == 0 else 0
        return Micros(ts - (ts - anchor) % self.micros)

    def divides(self, other: "Interval") -> bool:
        """Say whether candles of `other` can be made of whole candles of this one."""
        if other.micros % self.micros:
            return False
        return self.micros < WEEK or other.micros == self.micros or other.micros % WEEK == 0


def interval_name(micros: int) -> str:
    for unit in ("w", "d", "h", "m", "s"):
        if micros % _UNITS[unit] == 0:
            return f"{micros // _UNITS[unit]}{unit}"
    raise ValueError(f"{micros} us is no whole number of seconds")


def parse_time(text: str, now: Micros) -> Micros:
    """Read `-24h`, `now`, ISO 8601 (UTC unless it says otherwise), or epoch s, ms, us, ns."""
    text = text.strip()
    if text == "now":
        return now
    if text.startswith("-"):
        return Micros(now - Interval.parse(text[1:]).micros)
    if text.isdigit():
        return from_epoch(int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write 2026-11-20T14:00Z, -24h, now, or an epoch number"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Micros((delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds)


def from_epoch(number: int) -> Micros:
    """Seconds, ms, us or ns, told apart by magnitude (good from 1973 to 5138)."""
    if number < 100_000_000_000:
        return Micros(number * SECOND)
    if number < 100_000_000_000_000:
        return Micros(number * 1000)
    if number < 100_000_000_000_000_000:
        return Micros(number)
    return Micros(number // 1000)


def iso(ts: Micros) -> str:
    """RFC 3339 with Z and microseconds: `2026-11-20T14:00:00.000000Z`."""
    seconds, micros = divmod(ts, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def hour_stamp(ts: Micros) -> str:
    """`20250825_00`: the hour as file names have it."""
    return f"{datetime.fromtimestamp(ts // SECOND, UTC):%Y%m%d_%H}"
