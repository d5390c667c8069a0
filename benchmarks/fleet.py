"""What the venues of a load carry: their names, their streams, and how busy each market is."""

from msgspec import Struct


class Load(Struct, frozen=True):
    streams: tuple[str, ...]
    rate: float  # times the usual activity of the simulated market


# Trades, quotes and books of each; the rates make about 10,000 messages a second of them all.
LOADS = {
    "binance": Load(("aggTrade", "bookTicker", "depth"), 4.5),
    "binance_futures": Load(("aggTrade", "bookTicker", "depth"), 3.8),
    "okx": Load(("trades", "bbo-tbt", "books"), 10.0),
    "bybit": Load(("publicTrade", "orderbook.50"), 30.0),
    "coinbase": Load(("matches", "ticker", "level2_batch"), 32.0),
}


def natives_of(venue: str, listed: tuple[str, ...], count: int) -> list[str]:
    """The first of them; one port of Bybit serves spot and linear."""
    if venue == "bybit":
        listed = tuple(name.removeprefix("spot/") for name in listed if name.startswith("spot/"))
    return list(listed[:count])
