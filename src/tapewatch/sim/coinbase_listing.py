"""What the simulated Coinbase trades.

The first twenty pairs are real ones; any further ones are made up (`SIM021-USD`). Dollar books of
the largest coins have a USDC name too: whoever asks for `BTC-USDC` is given `BTC-USD`.
"""

import math

from tapewatch.sim.listing import MOST, Listing, assets, listing
from tapewatch.sim.market import Market, Size

DEEP = Size(levels=22_000)
"""For a market whose snapshots have several megabytes in Advanced, as those of `BTC-USD` do."""

_ALIASED = ("BTC", "ETH", "SOL", "XRP", "DOGE")

# base, quote, tick, lot, fills a second
_PAIRS = (
    ("BTC", "USD", "0.01", "0.00000001", 8.0),
    ("ETH", "USD", "0.01", "0.00000001", 6.0),
    ("ETH", "BTC", "0.00001", "0.00000001", 0.8),
    ("USDT", "USD", "0.00001", "0.01", 1.5),
    ("SOL", "USD", "0.01", "0.00000001", 4.0),
    ("XRP", "USD", "0.0001", "0.000001", 3.0),
    ("USDT", "USDC", "0.0001", "0.01", 0.5),
    ("DOGE", "USD", "0.00001", "0.1", 2.5),
    ("LINK", "USD", "0.001", "0.01", 1.5),
    ("ADA", "USD", "0.0001", "0.01", 1.5),
    ("AVAX", "USD", "0.01", "0.00000001", 1.2),
    ("LTC", "USD", "0.01", "0.00000001", 1.2),
    ("SUI", "USD", "0.0001", "0.1", 1.5),
    ("DOT", "USD", "0.001", "0.00000001", 0.8),
    ("SHIB", "USD", "0.00000001", "1", 0.8),
    ("PEPE", "USD", "0.00000001", "1", 1.0),
    ("BNB", "USD", "0.01", "0.00001", 1.0),
    ("LTC", "BTC", "0.000001", "0.00000001", 0.3),
    ("SOL", "BTC", "0.0000001", "0.001", 0.4),
    ("SOL", "ETH", "0.00001", "0.001", 0.3),
)


def listings(count: int) -> tuple[Listing, ...]:
    """The first `count` pairs."""
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} symbols asked for; give a number from 1 to {MOST}")
    known = tuple(_pair(*row) for row in _PAIRS[:count])
    return known + tuple(_made_up(n) for n in range(len(_PAIRS) + 1, count + 1))


def aliases(market: Market) -> dict[str, str]:
    """The USDC names, each with the product whose book it is."""
    books = {f"{base}-USDC": f"{base}-USD" for base in _ALIASED}
    return {name: book for name, book in books.items() if book in market.symbols}


def delisted() -> Listing:
    """A pair that traded once: it is told in lists, and a client must pass over it."""
    return _pair("REP", "USD", "0.01", "0.000001", 1.0)


def _pair(base: str, quote: str, tick: str, lot: str, fills_per_sec: float) -> Listing:
    return listing(f"{base}-{quote}", base, quote, tick, lot, fills_per_sec)


def _made_up(number: int) -> Listing:
    base = f"SIM{number:03d}"
    fills_per_sec = 0.2 + 1.8 / (1 + number % 17)
    usd = assets((_pair(base, "USD", "1", "1", fills_per_sec),))[0].usd
    digits = math.floor(math.log10(usd))
    tick, lot = 10.0 ** (digits - 4), 10.0 ** min(0, -digits - 1)
    return _pair(base, "USD", f"{tick:.8f}", f"{lot:.8f}", fills_per_sec)
