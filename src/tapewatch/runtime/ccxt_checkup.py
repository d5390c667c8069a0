"""What `tapewatch doctor` looks at in a venue that CCXT serves: its listing, and the first data."""

import asyncio
from collections.abc import AsyncIterator

from tapewatch.feeds.ccxt import CcxtFeed, fetch_listing
from tapewatch.feeds.ccxt_library import INSTALL, library
from tapewatch.feeds.exchange import add_all
from tapewatch.model.errors import ConfigError, TapewatchError
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import Clock
from tapewatch.runtime import catalogues, ccxt_venues
from tapewatch.runtime.checkup import first_event
from tapewatch.runtime.finding import BAD, GOOD, Finding
from tapewatch.runtime.plan import CcxtVenue

_LISTING_SECS = 30.0


async def venue(place: CcxtVenue, clock: Clock) -> AsyncIterator[Finding]:
    """Walk the way that data takes, and stop at the first step that does not go."""
    name = place.name
    try:
        module = await library()
    except ConfigError as error:
        yield Finding(BAD, f"{name} CCXT", str(error), INSTALL)
        return
    try:
        async with asyncio.timeout(_LISTING_SECS):
            listing = await fetch_listing(name, place.config)
    except (TapewatchError, TimeoutError) as error:
        why = str(error) or f"no answer in {_LISTING_SECS:g} s"
        yield Finding(BAD, f"{name} REST", why, f"check the network, or set exchanges.{name}.urls")
        return
    count = f"{len(listing.instruments):,} instruments listed"
    yield Finding(GOOD, f"{name} REST", f"{count}, by CCXT {module.__version__}")
    catalogue = Catalogue()
    add_all(catalogue, listing.instruments)
    complaints: list[str] = []

    def complain(path: str, message: str, hint: str) -> None:
        complaints.append(f"{path}: {message}; {hint}")

    wanted = catalogues.wanted(place, catalogue, complain)
    ccxt_venues.check(place, listing, complain)
    for complaint in complaints:
        yield Finding(BAD, f"{name} settings", complaint, "mend the settings")
    if not wanted:
        return
    feed = CcxtFeed(
        name,
        place.config,
        clock=clock,
        catalogue=catalogue,
        wanted=frozenset(wanted[:4]),
        listing=listing,
    )
    yield await first_event(feed, f"{name} data", "check the network and the symbols", clock)
