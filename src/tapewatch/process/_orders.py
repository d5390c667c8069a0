"""Trades put together to the order that made them: same moment, same side, one after the other.

The detectors add up in place, with an order's `ts`, `side`, `worth` and `size` among their fields:
a call for each trade would cost as much as all the rest.
"""

from tapewatch.model.events import Side


def words(side: Side, worth: float, size: float, first: str) -> str:
    """Evidence: what the order was."""
    price = worth / size if size else 0.0
    return f"{side.value} {size:.8g} @ {price:.8g} from trade {first}"
