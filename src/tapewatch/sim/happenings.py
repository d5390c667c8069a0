"""What a market tells: fills, aggregates, changes of the best prices.

Prices and quantities in units of 10^-8, times in microseconds.
"""

from msgspec import Struct


class Trade(Struct, frozen=True, gc=False):
    """One fill: a taker met one maker."""

    symbol: str
    id: int
    price: int
    qty: int
    ts: int
    buyer_is_maker: bool


class Aggregate(Struct, frozen=True, gc=False):
    """All fills of one taker order at one price."""

    symbol: str
    id: int
    price: int
    qty: int
    first: int  # trade ids, both inclusive
    last: int
    ts: int
    buyer_is_maker: bool


class Top(Struct, frozen=True, gc=False):
    """The best bid and ask after the change `update_id`."""

    symbol: str
    update_id: int
    bid: int
    bid_qty: int
    ask: int
    ask_qty: int


Happening = Trade | Aggregate | Top
