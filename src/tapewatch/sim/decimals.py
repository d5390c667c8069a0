"""Exact decimals as whole numbers.

Every price and quantity in the simulator is an `int` in units of 10^-8, which is the precision of
the wire: sums are exact, comparisons are exact, and the text is always eight decimals.
"""

from decimal import Decimal

ONE = 100_000_000


def units(text: str) -> int:
    """`"0.01"` -> 1_000_000."""
    return int(Decimal(text) * ONE)


def fixed(value: int) -> str:
    """1_000_000 -> `"0.01000000"`."""
    if value < 0:
        return "-" + fixed(-value)
    return f"{value // ONE}.{value % ONE:08d}"


def cut(value: int, places: int) -> str:
    """1_000_000 with two places -> `"0.01"`; what does not fit is cut off."""
    text = fixed(value)
    return text[: len(text) - 8 + places] if places else text[:-9]


def places(value: int) -> int:
    """How many decimals a tick or lot has: 1_000_000 -> 2."""
    return len(fixed(value).rstrip("0").partition(".")[2])


def product(price: int, qty: int) -> int:
    """Price times quantity, rounded down to 10^-8."""
    return price * qty // ONE
