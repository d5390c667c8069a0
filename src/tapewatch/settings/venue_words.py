"""Check streams against the venue's own words, at the lines where they stand.

The dialect knows its streams at once. Symbols need the venue's listing, which costs a request:
the runtime checks them at start. Nothing is raised here: `Loaded.refuse` does, when all is asked.
"""

from collections.abc import Mapping
from typing import Protocol

from tapewatch.model.errors import NotFound
from tapewatch.ports import FeedConfig
from tapewatch.settings.loader import Loaded


class Words(Protocol):
    """The part of a `ports.Dialect` that is asked here."""

    def channel(self, text: str) -> str: ...


def check_streams(loaded: Loaded, dialects: Mapping[str, Words]) -> None:
    """Complain about each stream that its venue does not have."""
    for name, dialect in dialects.items():
        for index, stream in enumerate(_section(loaded, name).streams):
            try:
                dialect.channel(stream)
            except NotFound as error:
                loaded.complain(*_words(f"exchanges.{name}.streams.{index}", error))


def _section(loaded: Loaded, name: str) -> FeedConfig:
    section = loaded.settings.exchanges.get(name)
    return section if isinstance(section, FeedConfig) else FeedConfig(streams=())


def _words(path: str, error: NotFound) -> tuple[str, str, str]:
    near = " or ".join(f"`{name}`" for name in error.suggestions)
    return path, f"unknown {error.what} '{error.name}'", f"did you mean {near}?" if near else ""
