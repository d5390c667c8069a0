"""How Bybit writes numbers: trimmed on spot, padded to the step on linear.

Seen in recorded frames: spot `"77140"` and `"0.00389"`, linear `"83024.60"` and `"3.390"`. A level
that is gone has the size `"0"` on both.
"""

from tapewatch.sim.decimals import fixed
from tapewatch.sim.listing import Listing

_PLACES = 8


def trimmed(value: int) -> str:
    """7_714_000_000_000 -> `"77140"`."""
    return fixed(value).rstrip("0").rstrip(".")


def padded(value: int, places: int) -> str:
    """The value, cut to so many decimals: (339_000_000, 3) -> `"3.390"`."""
    text = fixed(value)
    if places >= _PLACES:
        return text
    return text[: places - _PLACES] if places else text[: -_PLACES - 1]


def places(step: int) -> int:
    """How many decimals a step of a price or size has: 0.01 -> 2."""
    count = _PLACES
    while count and step % 10 == 0:
        step //= 10
        count -= 1
    return count


def fraction(value: float, most: int) -> str:
    """A small number with at most so many decimals: -0.01229."""
    text = f"{value:.{most}f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def price_places(listing: Listing) -> int:
    """Decimals of a price; linear BTCUSDT has two, though it moves by 0.1."""
    count = places(listing.tick)
    return count if listing.kind == "spot" else max(2, count)


class Numbers:
    """Prices and sizes of one instrument as texts."""

    def __init__(self, listing: Listing) -> None:
        self.is_padded = listing.kind != "spot"
        self.price_places = price_places(listing)
        self.size_places = places(listing.lot)

    def price(self, value: int) -> str:
        """A price."""
        return padded(value, self.price_places) if self.is_padded else trimmed(value)

    def size(self, value: int) -> str:
        """A size; `"0"` for nothing."""
        if not value:
            return "0"
        return padded(value, self.size_places) if self.is_padded else trimmed(value)

    def index(self, value: int) -> str:
        """An index price: finer than the tick."""
        return padded(value, self.price_places)

    def total(self, value: int) -> str:
        """A volume or turnover of a day: four decimals on linear."""
        return padded(value, 4) if self.is_padded else trimmed(value)
