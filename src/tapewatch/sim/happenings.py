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
    ts: int = 0


class Liquidation(Struct, frozen=True, gc=False):
    """A taker order by which a venue closed somebody's position."""

    symbol: str
    id: int
    ts: int
    longs: bool  # a long position was closed, so the order sold
    price: int  # bankruptcy: at which the position was worth nothing
    average: int  # of the fills
    qty: int


Happening = Trade | Aggregate | Top | Liquidation
