"""What is traded: assets with a price in dollars, and the pairs made of them.

The first twenty pairs look like the largest ones of a spot exchange in 2024; any further ones
(up to a thousand) are made up, with names that nobody can mistake for real (`SIM021USDT`).
"""

import math
from typing import Literal
from zlib import crc32

from msgspec import Struct

from tapewatch.sim.decimals import units

MOST = 1_000


class Asset(Struct, frozen=True):
    """A coin: its dollar price at the start, and how it moves."""

    name: str
    usd: float
    volatility: float  # of the log price, for one square root of a second
    beta: float  # correlation with the common factor of the market


class Listing(Struct, frozen=True):
    """A pair and its trading rules. `tick`, `lot` and `contract` in units of 10^-8.

    Quantities are of the base everywhere; a venue that trades contracts converts them.
    """

    symbol: str
    base: str
    quote: str
    tick: int
    lot: int
    fills_per_sec: float
    quotes_per_sec: float
    typical_usd: float  # median size of a taker order
    kind: Literal["spot", "linear", "inverse"] = "spot"
    settle: str = ""  # the asset in which a derivative pays
    contract: int = 0  # base (linear) or quote (inverse) in a contract; 0: sized in base
    multiple: int = 1  # 1000PEPEUSDT is priced for so many of the base


_STABLE = 2e-7
_ASSETS = (
    Asset("BTC", 61837.63, 1.0e-4, 0.95),
    Asset("ETH", 2683.10, 1.2e-4, 0.90),
    Asset("SOL", 158.42, 1.7e-4, 0.85),
    Asset("BNB", 515.30, 1.1e-4, 0.80),
    Asset("XRP", 0.6123, 1.5e-4, 0.70),
    Asset("DOGE", 0.10450, 1.8e-4, 0.80),
    Asset("ADA", 0.3521, 1.6e-4, 0.80),
    Asset("AVAX", 23.11, 1.8e-4, 0.80),
    Asset("LINK", 10.62, 1.7e-4, 0.80),
    Asset("TRX", 0.1274, 0.8e-4, 0.50),
    Asset("LTC", 62.40, 1.3e-4, 0.80),
    Asset("DOT", 4.812, 1.6e-4, 0.80),
    Asset("SUI", 0.8211, 2.4e-4, 0.70),
    Asset("PEPE", 0.00001012, 2.6e-4, 0.70),
    Asset("SHIB", 0.00001401, 1.9e-4, 0.75),
    Asset("USDT", 1.0, 0.0, 0.0),  # the unit of account
    Asset("USD", 0.9997, _STABLE, 0.0),
    Asset("EUR", 1.0912, 2e-6, 0.0),
    Asset("GBP", 1.2704, 2e-6, 0.0),
    Asset("USDC", 1.0002, _STABLE, 0.0),
    Asset("FDUSD", 0.9991, _STABLE, 0.0),
)

# base, quote, tick, lot, fills a second (BTC and ETH as recorded on 2024-08-08)
_PAIRS = (
    ("BTC", "USDT", "0.01", "0.00001", 31.0),
    ("ETH", "USDT", "0.01", "0.0001", 22.0),
    ("SOL", "USDT", "0.01", "0.001", 12.0),
    ("PEPE", "USDT", "0.00000001", "1", 6.0),
    ("BTC", "USDC", "0.01", "0.00001", 6.0),
    ("BTC", "FDUSD", "0.01", "0.00001", 14.0),
    ("ETH", "BTC", "0.00001", "0.0001", 2.0),
    ("BNB", "USDT", "0.1", "0.001", 5.0),
    ("XRP", "USDT", "0.0001", "0.1", 7.0),
    ("DOGE", "USDT", "0.00001", "1", 6.0),
    ("ADA", "USDT", "0.0001", "0.1", 3.0),
    ("AVAX", "USDT", "0.01", "0.01", 3.0),
    ("LINK", "USDT", "0.01", "0.01", 2.5),
    ("TRX", "USDT", "0.0001", "0.1", 1.5),
    ("LTC", "USDT", "0.01", "0.001", 1.5),
    ("DOT", "USDT", "0.001", "0.01", 1.5),
    ("SUI", "USDT", "0.0001", "0.1", 4.0),
    ("ETH", "USDC", "0.01", "0.0001", 3.0),
    ("SOL", "BTC", "0.0000001", "0.001", 0.7),
    ("SHIB", "USDT", "0.00000001", "1", 1.0),
)


def listings(count: int) -> tuple[Listing, ...]:
    """The first `count` pairs."""
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} symbols asked for; give a number from 1 to {MOST}")
    known = tuple(_listing(*row) for row in _PAIRS[:count])
    return known + tuple(_made_up(n) for n in range(len(_PAIRS) + 1, count + 1))


def listing(
    symbol: str, base: str, quote: str, tick: str, lot: str, fills_per_sec: float
) -> Listing:
    """A pair as active as said; how often it is quoted and how large its orders are follows.

    What is not spot is added by `msgspec.structs.replace`.
    """
    return Listing(
        symbol=symbol,
        base=base,
        quote=quote,
        tick=units(tick),
        lot=units(lot),
        fills_per_sec=fills_per_sec,
        quotes_per_sec=4.8 * fills_per_sec**0.9,
        typical_usd=150.0 * max(1.0, fills_per_sec) ** 0.5,
    )


def assets(pairs: tuple[Listing, ...]) -> tuple[Asset, ...]:
    """Every asset that occurs in `pairs`, in the order of its first appearance, and the dollar."""
    known = {asset.name: asset for asset in _ASSETS}
    names = dict.fromkeys(name for pair in pairs for name in (pair.base, pair.quote))
    names["USDT"] = None
    return tuple(known.get(name) or _made_up_asset(name) for name in names)


def _listing(base: str, quote: str, tick: str, lot: str, fills_per_sec: float) -> Listing:
    return listing(base + quote, base, quote, tick, lot, fills_per_sec)


def _made_up(number: int) -> Listing:
    base = f"SIM{number:03d}"
    usd = _made_up_asset(base).usd
    tick = 10.0 ** (math.floor(math.log10(usd)) - 4)
    lot = 10.0 ** min(0, -math.floor(math.log10(usd)) - 1)
    return _listing(base, "USDT", f"{tick:.8f}", f"{lot:.8f}", 0.2 + 1.8 / (1 + number % 17))


def _made_up_asset(name: str) -> Asset:
    given = name.removeprefix("SIM")
    number = int(given) if given.isdecimal() else crc32(name.encode())
    usd = 0.011 * 10.0 ** ((number * 7919 % 4000) / 1000)
    return Asset(name, round(usd, 5), 1.5e-4, 0.7)
