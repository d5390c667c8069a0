"""The venues that can be simulated, by name; a venue's modules are loaded when it is asked for.

A module is named as its venue and has `listings(count)`, `RULES` and a class that is a `Venue`.
"""

import importlib
from collections.abc import Callable
from types import ModuleType

from tapewatch.sim.limits import Rules
from tapewatch.sim.link import Hub
from tapewatch.sim.listing import Listing
from tapewatch.sim.market import Market, Size, open_market
from tapewatch.sim.venue import Venue

MakeVenue = Callable[[Market, Hub, Rules], Venue]

_CLASSES = {
    "binance": "Binance",
    "binance_futures": "BinanceFutures",
    "okx": "Okx",
    "bybit": "Bybit",
    "coinbase": "Coinbase",
    "coinbase_advanced": "CoinbaseAdvanced",
}
VENUES: tuple[str, ...] = tuple(_CLASSES)


def open_venue(
    name: str, *, start: int, seed: int = 1, symbols: int = 20, rate: float = 1.0,
    size: Size | None = None, alone: bool = False,
) -> tuple[Market, MakeVenue, Rules]:  # fmt: skip
    """A market with the listings of a venue, what serves it, and what the venue allows.

    Markets with one seed and start are one world, unless they are `alone`.
    """
    module = _module(name)
    market = open_market(
        start=start, seed=seed, rate=rate, size=size, pairs=listings_of(name, symbols),
        venue="" if alone else name,
    )  # fmt: skip
    make: MakeVenue = getattr(module, _CLASSES[name])
    rules: Rules = module.RULES
    return market, make, rules


def listings_of(name: str, count: int) -> tuple[Listing, ...]:
    """The first `count` instruments of a venue."""
    listings: Callable[[int], tuple[Listing, ...]] = _module(name).listings
    return listings(count)


def _module(name: str) -> ModuleType:
    if name not in _CLASSES:
        raise ValueError(f"no venue {name!r} is simulated; there is {', '.join(VENUES)}")
    return importlib.import_module(f"tapewatch.sim.{name}")
