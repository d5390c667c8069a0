"""Bybit's names for streams. A topic is the channel, a dot, and the symbol: `orderbook.50.BTCUSDT`.

https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook and its neighbours.
"""

import difflib
from collections.abc import Container, Sequence
from typing import Literal, TypeAlias

from tapewatch.model.errors import BadFrame, NotFound
from tapewatch.model.instrument import Instrument, guess
from tapewatch.ports import Ask, Refused, Subscription

Category: TypeAlias = Literal["spot", "linear"]

TRADES, TICKERS, LIQUIDATIONS = "publicTrade", "tickers", "allLiquidation"
QUOTES = "orderbook.1"
# Deepest first: of several only one makes the instrument's book.
BOOKS = ("orderbook.1000", "orderbook.200", "orderbook.50")
_OLD_BOOKS = ("orderbook.500", "orderbook.25")  # in recordings only
INTERVALS = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h",
    "240": "4h", "360": "6h", "720": "12h", "D": "1d", "W": "1w",
}  # fmt: skip
_KLINES = tuple(f"kline.{code}" for code in INTERVALS)
_SPOT = (TRADES, "orderbook.50", QUOTES, TICKERS, "kline.1", *BOOKS[:2], *_KLINES[1:])
CHANNELS: dict[Category, tuple[str, ...]] = {"spot": _SPOT, "linear": (*_SPOT, LIQUIDATIONS)}
_KNOWN = frozenset((*CHANNELS["linear"], *_OLD_BOOKS))

# What people type for every venue. `book` depends on the settings.
_WORDS = {
    "trade": TRADES, "trades": TRADES, "ticker": TICKERS, "quote": QUOTES, "bbo": QUOTES,
    "klines": "kline.1", "kline": "kline.1",
}  # fmt: skip
_LINEAR_WORDS = {
    "liquidations": LIQUIDATIONS, "liquidation": LIQUIDATIONS, "mark_price": TICKERS,
    "funding": TICKERS,
}  # fmt: skip

# Known, but no event of ours says what they say; months have no fixed length.
_SKIPPED = frozenset(
    ("kline.M", "orderbook.rpi", "orderbook.full", "insurance", "adlAlert", "priceLimit")
)


def channel_of_text(text: str, category: Category, depth: int) -> str:
    """Read what a person wrote. Raises NotFound with the nearest channels."""
    channels = CHANNELS[category]
    words = {channel.lower(): channel for channel in channels} | _WORDS
    words |= dict.fromkeys(("book", "depth", "orderbook"), f"orderbook.{depth}")
    for code, interval in INTERVALS.items():
        words |= dict.fromkeys((f"kline_{interval}", f"candle_{interval}"), f"kline.{code}")
    if category == "linear":
        words |= _LINEAR_WORDS
    found = words.get(text.strip().lower())
    if found is not None:
        return found
    near = difflib.get_close_matches(text, (*channels, *words), n=3, cutoff=0.5) or channels[:5]
    raise NotFound("stream", text, tuple(near))


def channel_of_topic(topic: str) -> tuple[str, str]:
    """Part a topic into channel and symbol. The channel is empty if it is of no use to us."""
    channel, _, symbol = topic.rpartition(".")
    if channel in _SKIPPED:
        return "", symbol
    if channel not in _KNOWN:
        raise BadFrame(f"unknown topic {topic!r}")
    return channel, symbol


def instrument_of(symbol: str, venue: str, category: Category) -> Instrument:
    """What a symbol means where no listing tells: in recordings. Raises BadFrame."""
    if category == "linear" and symbol.endswith("PERP"):
        return Instrument(venue, symbol.removesuffix("PERP"), "USDC", symbol, settle="USDC")
    found = None if "-" in symbol else guess(venue, symbol)
    if found is None:
        raise BadFrame(f"no known quote currency ends {symbol!r}: a catalogue would tell")
    if found.quote == "USD":
        raise BadFrame(f"{symbol!r} is an inverse contract, neither spot nor linear")
    if category == "spot":
        return found
    if found.quote != "USDT":
        raise BadFrame(f"{symbol!r} is no linear contract")
    return Instrument(venue, found.base, found.quote, symbol, settle="USDT")


def one_book(
    subscriptions: Sequence[Subscription], carried: Container[Subscription]
) -> tuple[tuple[Subscription, ...], list[Ask]]:
    """Leave one book for each instrument: what is carried already, else the deepest."""
    books = [s for channel in reversed(BOOKS) for s in subscriptions if s.channel == channel]
    first = {sub.inst: sub for sub in books}
    first |= {sub.inst: sub for sub in books if sub in carried}
    wanted = tuple(s for s in subscriptions if s.channel not in BOOKS or first[s.inst] == s)
    second: list[Ask] = [
        Refused((sub,), f"{first[sub.inst].channel} is the book of {sub.inst}: one is enough")
        for sub in subscriptions
        if sub not in wanted
    ]
    return wanted, second
