"""What a trade is worth in dollars: the rate of its quote asset, and whether it is known."""

from msgspec import Struct

from tapewatch.model.events import InstrumentId, Quality, Rate
from tapewatch.model.instrument import split_id

DOLLARS = ("USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "DAI", "USDS", "USD1")
_UNKNOWN = 0.0


class Worth(Struct, array_like=True):
    """Part of a detector's state. Until the first Rate, coins of a dollar count as one."""

    rate: float  # dollars for one unit of quote; 0: not known
    measured: bool = False

    @classmethod
    def of(cls, inst: InstrumentId) -> "Worth":
        return cls(1.0 if quote_of(inst) in DOLLARS else _UNKNOWN)

    def take(self, rate: Rate) -> None:
        self.rate = rate.usd
        self.measured = rate.quality is Quality.COMPLETE


def quote_of(inst: InstrumentId) -> str:
    """`okx:BTC/USDT:USDT` gives `USDT`."""
    pair = split_id(inst)[1].partition(":")[0]
    return pair.partition("/")[2]


def base_of(inst: InstrumentId) -> str:
    return split_id(inst)[1].partition("/")[0]
