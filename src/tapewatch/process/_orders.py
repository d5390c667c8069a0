"""Taker orders in words."""

from tapewatch.model.events import TakerOrder


def words(order: TakerOrder) -> str:
    """Evidence: what the order was."""
    price = order.worth / order.size if order.size else 0.0
    return f"{order.side.value} {order.size:.8g} @ {price:.8g} from trade {order.first}"
