"""How both Coinbase feeds write numbers, times and order ids.

The Exchange feed pads: sizes to eight decimals, book prices to those of the tick, times to
microseconds. The Advanced feed trims zeros, of numbers and of fractions of a second, as Go does:
a whole second has no fraction at all.
"""

from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from zlib import crc32

from tapewatch.sim.decimals import ONE

SECOND = 1_000_000
_LATEST = 9_000  # microseconds by which the time of a book batch lies before its sending


def plain(value: int) -> str:
    """1_230_000_000 -> `"12.3"`."""
    if value < 0:
        return "-" + plain(-value)
    whole, part = divmod(value, ONE)
    return f"{whole}.{part:08d}".rstrip("0") if part else str(whole)


def places(step: int) -> int:
    """How many decimals a tick has."""
    text = plain(step)
    return len(text) - text.index(".") - 1 if "." in text else 0


def padded(value: int, decimals: int) -> str:
    """1_230_000_000 with two decimals -> `"12.30"`."""
    if not decimals:
        return str(value // ONE)
    return f"{value // ONE}.{value % ONE // 10 ** (8 - decimals):0{decimals}d}"


@lru_cache(maxsize=256)
def _second(secs: int) -> str:
    return datetime.fromtimestamp(secs, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def micros(ts: int) -> str:
    """`2026-09-30T02:03:20.974500Z`: always six digits."""
    return f"{_second(ts // SECOND)}.{ts % SECOND:06d}Z"


def trimmed(ts: int, nanos: int = 0) -> str:
    """`2026-09-30T02:39:59.4104Z`: zeros at the end are cut, up to nine digits."""
    part = (ts % SECOND) * 1_000 + nanos
    if not part:
        return _second(ts // SECOND) + "Z"
    return f"{_second(ts // SECOND)}." + f"{part:09d}".rstrip("0") + "Z"


def sent(ts: int, salt: int) -> str:
    """When an Advanced frame left, to the nanosecond."""
    return trimmed(ts, (ts // 1_000 * 7_919 + salt * 104_729) % 1_000)


def batch_ts(symbol: str, now: int) -> int:
    """The time that a batch of book changes sent at `now` bears: not in order across products."""
    return now - crc32(symbol.encode() + now.to_bytes(8)) % _LATEST


def order_id(*parts: str | int) -> str:
    """A UUID (version 4 in looks) that is always the same for the same parts."""
    digest = blake2b("/".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


def parsed(text: str) -> int | None:
    """A time in a query, in microseconds: seconds since 1970 or ISO 8601; None if it is neither."""
    try:
        if text.replace(".", "", 1).isdecimal():
            whole, _, part = text.partition(".")
            return int(whole) * SECOND + int((part + "000000")[:6])
        moment = datetime.fromisoformat(text)
        at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(at.timestamp() * 1_000) * 1_000
    except (ValueError, OverflowError):
        return None


def go_text(ts: int, up_micros: int) -> str:
    """A Go time printed with its monotonic reading, as the heartbeats of Advanced have it."""
    moment = f"{_second(ts // SECOND).replace('T', ' ')}.{ts % SECOND:06d}000 +0000 UTC"
    return f"{moment} m=+{up_micros // SECOND}.{up_micros % SECOND * 1_000:09d}"
