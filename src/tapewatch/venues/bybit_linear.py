"""Bybit v5, linear: perpetuals in USDT and USDC. What it says and how it is read stands in `bybit`.

    bybit_linear:BTC/USDT:USDT  is BTCUSDT on /linear, another market than BTCUSDT on /spot
    bybit_linear:BTC/USDC:USDC  is BTCPERP

Futures with an end date have no symbol of ours and are left out.
"""

from tapewatch.ports import Plugin
from tapewatch.venues._bybit_topics import Category
from tapewatch.venues.bybit import Bybit, BybitConfig


class BybitLinear(Bybit):
    category: Category = "linear"


PLUGIN = Plugin(config=BybitConfig, build=BybitLinear)
