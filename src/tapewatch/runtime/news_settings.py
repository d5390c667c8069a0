"""From the section `news:` to what the feed needs; each complaint at the line where it belongs."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from tapewatch.model.errors import NotFound
from tapewatch.news.schedule import Hours
from tapewatch.news.sources import Source, distinct, source
from tapewatch.runtime.plan import News
from tapewatch.settings.loader import Loaded


def news_of(loaded: Loaded) -> News | None:
    """Give None if news are off. Complaints are raised by `loaded.refuse`."""
    settings = loaded.settings.news
    if not settings.enabled:
        return None
    hours = Hours(
        day_secs=settings.poll_day_secs,
        night_secs=settings.poll_night_secs,
        day_from=settings.day_from_hour,
        day_until=settings.day_until_hour,
        zone=_zone(loaded, settings.zone),
    )
    return News(sources=_sources(loaded), hours=hours, user_agent=settings.user_agent)


def _sources(loaded: Loaded) -> tuple[Source, ...]:
    found = []
    for index, text in enumerate(loaded.settings.news.sources):
        path = f"news.sources.{index}"
        try:
            found.append(source(text))
        except NotFound as error:
            near = " or ".join(f"`{name}`" for name in error.suggestions)
            loaded.complain(path, f"unknown {error.what} '{error.name}'", f"did you mean {near}?")
        except ValueError as error:
            loaded.complain(path, str(error))
    return distinct(found)


def _zone(loaded: Loaded, name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC  # works where there are no files of zones, too
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        loaded.complain(
            "news.zone",
            f"unknown time zone '{name}'",
            "write UTC or a name such as Europe/Berlin (Windows: `pip install tzdata`)",
        )
    return UTC
