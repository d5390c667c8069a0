"""The time that a person asks for: `--from` and `--to`."""

import time

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Micros
from tapewatch.model.times import iso, parse_time


def span(since: str, until: str, *, past: bool = False) -> tuple[Micros, Micros]:
    """Read both. Raises ConfigError; also for an end in the future if it must be `past`."""
    now = Micros(time.time_ns() // 1000)
    try:
        begin, end = parse_time(since, now), parse_time(until, now)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if begin >= end:
        raise ConfigError(f"--from {since} is not before --to {until}")
    if past and end > now:
        raise ConfigError(f"--to {until} is in the future: it is {iso(now)[:19]}Z")
    return begin, end
