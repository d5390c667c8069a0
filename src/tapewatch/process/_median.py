"""The median of a few values. That of the standard library brings `random` with it."""

from collections.abc import Iterable


def median(values: Iterable[float]) -> float:
    """Give the middle one; of an even number the mean of the two in the middle. Not of none."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2.0
