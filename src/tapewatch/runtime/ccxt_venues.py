"""Venues that CCXT serves: their names in the settings, and what they list.

As with native venues: one that answers at start has its settings checked against its listing and
against what CCXT can do there; one that does not answer stops nobody. Loading CCXT itself takes
some seconds; nobody who names no such venue waits for it.
"""

import asyncio
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from tapewatch.feeds.ccxt import Listing, fetch_listing
from tapewatch.feeds.ccxt_config import PREFIX, CcxtConfig, exchange_id, exchange_ids
from tapewatch.feeds.ccxt_library import INSTALL, library
from tapewatch.feeds.exchange import add_all
from tapewatch.model.errors import ConfigError, NotFound, TapewatchError
from tapewatch.model.instrument import Catalogue
from tapewatch.runtime import plugins
from tapewatch.runtime.catalogues import Complain, fall_back, keep, listing_file
from tapewatch.runtime.plan import CcxtVenue

PATIENCE_SECS = 10.0  # CCXT asks for several lists one after the other, some of them long


def config_of(name: str) -> type:
    """The settings type of a section that is no native venue.

    Raises NotFound with the nearest of both sorts, ConfigError if CCXT would have to be installed.
    """
    ids = exchange_ids()
    if exchange_id(name) in ids:
        return CcxtConfig
    native = plugins.names("venues")
    near = get_close_matches(name, [*native, *ids], n=3)
    if ids or (near and not name.startswith(PREFIX)):
        raise NotFound("venue", name, tuple(near or native))
    raise ConfigError(
        f"`{name}` is none of {', '.join(native)}; other venues come with CCXT: {INSTALL}"
    )


async def load(
    venues: Iterable[CcxtVenue], folder: Path, catalogue: Catalogue
) -> dict[str, Listing]:
    """Ask all of them at once and add what they list. What came is the answer, by name."""
    venues = tuple(venues)
    if not venues:
        return {}
    await library()  # its seconds are not the venue's
    found = await asyncio.gather(*(_listing(venue, folder, catalogue) for venue in venues))
    return {
        venue.name: listing
        for venue, listing in zip(venues, found, strict=True)
        if listing is not None
    }


async def _listing(venue: CcxtVenue, folder: Path, catalogue: Catalogue) -> Listing | None:
    path = listing_file(folder, venue.name)
    try:
        async with asyncio.timeout(PATIENCE_SECS):
            listing = await fetch_listing(venue.name, venue.config)
    except ConfigError:
        raise
    except (TapewatchError, TimeoutError) as error:
        why = str(error) or f"no answer in {PATIENCE_SECS:g} s"
        add_all(catalogue, fall_back(path, venue.name, why))
        return None
    keep(path, listing.instruments)
    add_all(catalogue, listing.instruments)
    return listing


def check(venue: CcxtVenue, listing: Listing, complain: Complain) -> None:
    """Complain about each stream that CCXT does not have there."""
    for index, stream in enumerate(venue.config.streams):
        try:
            channel = venue.dialect.channel(stream)
        except NotFound:
            continue  # it was complained about by name
        if channel != "ticker" and not listing.can[channel]:
            message = f"CCXT does not stream {channel} of {exchange_id(venue.name)}"
            can = [each for each, is_there in listing.can.items() if is_there] or ["ticker"]
            complain(f"exchanges.{venue.name}.streams.{index}", message, f"there is {_list(can)}")


def _list(channels: list[str]) -> str:
    return ", ".join(sorted({*channels, "ticker"}))
