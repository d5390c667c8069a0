"""Prices and sizes as OKX writes them: no trailing zeros, and contracts where a swap is traded.

The market counts everything in base units of 10^-8. A linear contract is worth so much of the
base, an inverse one so much of the quote; both conversions are exact here, because the listing
chooses lots that are whole. The real venue trades inverse swaps in whole contracts; ours are
fractions, so that sums of trades equal the candles to the last digit.
"""

from collections.abc import Iterable

from tapewatch.sim.bars import Bar
from tapewatch.sim.book import Level
from tapewatch.sim.decimals import ONE, fixed
from tapewatch.sim.listing import Listing


def plain(value: int) -> str:
    """1_050_000_000 -> `"10.5"`."""
    whole, rest = divmod(value, ONE)
    return f"{whole}.{rest:08d}".rstrip("0") if rest else str(whole)


def to_tick(price: int, listing: Listing) -> str:
    """A derived price, rounded to the tick and with all its decimals: `"83004.0"`."""
    decimals = len(plain(listing.tick).partition(".")[2])
    text = fixed(round(price / listing.tick) * listing.tick)
    return text[: len(text) - 8 + decimals] if decimals else text.partition(".")[0]


def contracts(listing: Listing, price: int, qty: int) -> int:
    """A quantity in what the venue counts, in units of 10^-8."""
    match listing.kind:
        case "linear":
            return qty * ONE // listing.contract
        case "inverse":
            return price * qty // listing.contract
        case _:
            return qty


def size(listing: Listing, price: int, qty: int) -> str:
    """`sz`."""
    return plain(contracts(listing, price, qty))


def lot_size(listing: Listing) -> str:
    """`lotSz`: what every `sz` is a multiple of."""
    return plain(contracts(listing, listing.tick, listing.lot))


def orders(listing: Listing, price: int, qty: int) -> int:
    """How many orders make up a level: made up, and the same wherever the level is told."""
    return 1 + (price // listing.tick * 7 + qty // listing.lot) % 23 if qty else 0


def level(listing: Listing, row: Level) -> str:
    """`["price","size","0","orders"]`; the third field is dead."""
    price, qty = row
    return f'["{plain(price)}","{size(listing, price, qty)}","0","{orders(listing, price, qty)}"]'


def levels(listing: Listing, rows: Iterable[Level]) -> str:
    """A side of a book."""
    return "[" + ",".join(level(listing, row) for row in rows) + "]"


def volumes(listing: Listing, bar: Bar) -> tuple[str, str, str]:
    """`vol`, `volCcy`, `volCcyQuote`: what is counted; the other currency; the quote."""
    base, quote = plain(bar.volume), plain(bar.quote)
    match listing.kind:
        case "linear":
            return plain(bar.volume * ONE // listing.contract), base, quote
        case "inverse":
            return plain(bar.quote_e16 // listing.contract), base, quote
        case _:
            return base, quote, quote
