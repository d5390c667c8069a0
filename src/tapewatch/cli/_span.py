"""`--from` and `--to`, as two moments."""

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Micros
from tapewatch.model.times import parse_time


def span(since: str, until: str) -> tuple[Micros, Micros]:
    """Raises ConfigError for what is no time, and for an end that is not behind the beginning."""
    from tapewatch.runtime.clock import wall_clock

    now = wall_clock()
    try:
        begin, end = parse_time(since, now), parse_time(until, now)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if begin >= end:
        raise ConfigError(f"--from {since} is not before --to {until}")
    return begin, end
