"""What Binance says when it was too much or went wrong; spot and futures say it alike."""

from collections.abc import Mapping

from tapewatch.sim.binance_query import error
from tapewatch.sim.limits import Spent

_RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms."
)
_CODES = {429: -1003, 418: -1003, 451: 0, 504: -1007}


def used(spent: Spent) -> Mapping[str, str]:
    """Headers of every answer."""
    headers = {"X-MBX-USED-WEIGHT": str(spent.used), "X-MBX-USED-WEIGHT-1M": str(spent.used)}
    if spent.status != 200:
        headers["Retry-After"] = str(spent.retry_secs)
    return headers


def limited(spent: Spent, most: int, now_millis: int) -> bytes:
    """The body with 429 and 418."""
    if spent.status == 200:
        return b""
    if spent.status == 429:
        text = (
            f"Too much request weight used; current limit is {most} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
    else:
        until = now_millis + spent.retry_secs * 1_000
        text = f"Way too much request weight used; IP banned until {until}."
    return error(-1003, text)


def trouble(status: int) -> bytes:
    """The body with any other HTTP error."""
    text = _RESTRICTED if status == 451 else "An unknown error occurred while processing."
    return error(_CODES.get(status, -1000), text)
