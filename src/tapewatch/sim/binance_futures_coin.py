"""COIN-M's part of the merged all-market streams: two perpetuals that pay in coin.

Since both universes were merged, who listens to "all" on the USD-M host hears these too, with
quantities in contracts. Here they are shadows of the USD-M instruments of the same base: there is
no book, no trade and no REST for them.
"""

from msgspec.structs import replace

from tapewatch.sim.bars import Bar
from tapewatch.sim.binance_futures_listing import COIN_M, Spelling
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import ONE
from tapewatch.sim.happenings import Liquidation, Top

_CONTRACT_USD = {"BTCUSDT": 100, "ETHUSDT": 10}


class Shadow:
    """A COIN-M perpetual beside a USD-M one."""

    def __init__(self, base: str, usd: int) -> None:
        self.spelling = Spelling(f"{base}USD_PERP", f"{base}USD", 1, 0, COIN_M)
        self._usd = usd

    def contracts(self, qty: int, price: int) -> int:
        """How many contracts a quantity of the base is, at least one, in units of 10^-8."""
        return max(1, qty * price // (ONE * ONE * self._usd)) * ONE

    def top(self, top: Top) -> Top:
        """The best prices, sized in contracts."""
        bid_qty = self.contracts(top.bid_qty, top.bid)
        return replace(top, bid_qty=bid_qty, ask_qty=self.contracts(top.ask_qty, top.ask))

    def day(self, day: Day) -> Day:
        """Volume in contracts; what is the quote volume on USD-M is told in coin."""
        bar: Bar = replace(
            day.bar,
            volume=self.contracts(day.bar.volume, day.average),
            quote_e16=day.bar.volume * ONE,
        )
        return replace(day, bar=bar)

    def liquidation(self, told: Liquidation) -> Liquidation:
        """One order like that of the USD-M instrument."""
        return replace(told, qty=self.contracts(told.qty, told.average))


def shadow(symbol: str) -> Shadow | None:
    """The shadow of a USD-M instrument, if it has one."""
    usd = _CONTRACT_USD.get(symbol)
    return None if usd is None else Shadow(symbol.removesuffix("USDT"), usd)
