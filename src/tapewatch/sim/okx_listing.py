"""What the simulated OKX lists: spot pairs, linear swaps, and inverse ones; and its `instruments`.

A row of the table is an asset and quote with the rules of the spot pair, or of the swap with the
worth of a contract. Further ones are made up (`SIM021-USDT`, `SIM022-USDT-SWAP`).
The keys of an instrument are in alphabetical order, as recorded.
"""

import math
from typing import Any

from msgspec import structs

from tapewatch.sim.decimals import units
from tapewatch.sim.listing import MOST, Listing, assets, listing
from tapewatch.sim.okx_texts import lot_size, plain

SWAP, SPOT = "SWAP", "SPOT"
KINDS = (SPOT, SWAP, "FUTURES", "OPTION", "MARGIN")
_LISTED_SINCE = "1611916828000"

# base, quote, tick, lot in base, fills a second, worth of a contract ("": a spot pair)
_TABLE = (
    ("BTC", "USDT", "0.1", "0.00001", 12.0, ""),
    ("BTC", "USDT", "0.1", "0.0001", 25.0, "0.01"),
    ("ETH", "USDT", "0.01", "0.0001", 9.0, ""),
    ("ETH", "USDT", "0.01", "0.001", 20.0, "0.1"),
    ("BTC", "USD", "0.1", "0.001", 3.0, "100"),
    ("BTC", "USDC", "0.1", "0.00001", 3.0, ""),
    ("SOL", "USDT", "0.01", "0.001", 5.0, ""),
    ("SOL", "USDT", "0.01", "0.01", 8.0, "1"),
    ("BTC", "USDC", "0.1", "0.0001", 2.0, "0.0001"),
    ("ETH", "USD", "0.01", "0.01", 1.5, "10"),
    ("XRP", "USDT", "0.0001", "0.1", 3.0, ""),
    ("XRP", "USDT", "0.0001", "1", 4.0, "100"),
    ("DOGE", "USDT", "0.00001", "1", 3.0, ""),
    ("DOGE", "USDT", "0.00001", "10", 4.0, "1000"),
    ("ETH", "USDC", "0.01", "0.0001", 1.5, ""),
    ("ADA", "USDT", "0.0001", "0.1", 1.5, ""),
    ("ADA", "USDT", "0.0001", "10", 2.0, "100"),
    ("ETH", "BTC", "0.00001", "0.0001", 1.0, ""),
    ("PEPE", "USDT", "0.00000001", "1", 2.0, ""),
    ("SUI", "USDT", "0.0001", "0.1", 2.0, "1"),
)


def listings(count: int) -> tuple[Listing, ...]:
    """The first `count` instruments."""
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} symbols asked for; give a number from 1 to {MOST}")
    known = tuple(_listing(*row) for row in _TABLE[:count])
    return known + tuple(_made_up(n) for n in range(len(_TABLE) + 1, count + 1))


def inst_type(pair: Listing) -> str:
    """`SPOT` or `SWAP`."""
    return SPOT if pair.kind == "spot" else SWAP


def family(pair: Listing) -> str:
    """`uly` and `instFamily`; also the name of the index."""
    return f"{pair.base}-{pair.quote}"


def instrument(pair: Listing) -> dict[str, Any]:
    """A row of `/api/v5/public/instruments`."""
    spot = pair.kind == "spot"
    lot = lot_size(pair)
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": pair.base if spot else "",
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "" if spot else "1",
        "ctType": "" if spot else pair.kind,
        "ctVal": "" if spot else plain(pair.contract),
        "ctValCcy": "" if spot else _worth_in(pair),
        "expTime": "",
        "instFamily": "" if spot else family(pair),
        "instId": pair.symbol,
        "instType": inst_type(pair),
        "lever": "10" if spot else "100",
        "listTime": _LISTED_SINCE,
        "lotSz": lot,
        "maxIcebergSz": "9999999999",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "9999999999",
        "maxMktAmt": "1000000" if spot else "",
        "maxMktSz": "1000000",
        "maxStopSz": "1000000",
        "maxTriggerSz": "9999999999",
        "maxTwapSz": "9999999999",
        "minSz": lot,
        "openType": "",
        "optType": "",
        "quoteCcy": pair.quote if spot else "",
        "ruleType": "normal",
        "settleCcy": "" if spot else pair.settle,
        "state": "live",
        "stk": "",
        "tickSz": plain(pair.tick),
        "uly": "" if spot else family(pair),
        "upcChg": [],
    }


def _worth_in(pair: Listing) -> str:
    return pair.quote if pair.kind == "inverse" else pair.base


def _listing(
    base: str, quote: str, tick: str, lot: str, fills_per_sec: float, contract: str
) -> Listing:
    pair = listing(f"{base}-{quote}", base, quote, tick, lot, fills_per_sec)
    if not contract:
        return pair
    inverse = quote == "USD"
    return structs.replace(
        pair,
        symbol=f"{base}-{quote}-SWAP",
        kind="inverse" if inverse else "linear",
        settle=base if inverse else quote,
        contract=units(contract),
    )


def _made_up(number: int) -> Listing:
    """Spot and swap by turns. A contract is worth a hundred lots."""
    base = f"SIM{number:03d}"
    usd = _dollars(base)
    tick = 10.0 ** (math.floor(math.log10(usd)) - 4)
    lot = 10.0 ** min(0, -math.floor(math.log10(usd)) - 1)
    contract = "" if number % 2 else f"{lot * 100:.8f}"
    rate = 0.2 + 1.8 / (1 + number % 17)
    return _listing(base, "USDT", f"{tick:.8f}", f"{lot:.8f}", rate, contract)


def _dollars(base: str) -> float:
    """What a made-up asset is worth at the start, said by the generic listing."""
    probe = listing(base, base, "USDT", "1", "1", 1.0)
    return next(asset.usd for asset in assets((probe,)) if asset.name == base)
