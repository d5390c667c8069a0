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


def product(price: int, qty: int) -> int:
    """Price times quantity, rounded down to 10^-8."""
    return price * qty // ONE
