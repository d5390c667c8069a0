"""OKX's channels: which there are, how people call them, what the wire wants to know of each."""

import difflib
import re

from tapewatch.model.errors import NotFound
from tapewatch.model.instrument import Instrument

_BARS = {
    "1s": "1s", "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h",
    "2H": "2h", "4H": "4h", "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1d", "2Dutc": "2d",
    "3Dutc": "3d", "5Dutc": "5d", "1Wutc": "1w",
}  # fmt: skip
INTERVALS = {f"candle{bar}": interval for bar, interval in _BARS.items()}
CHANNELS = (
    "trades", "trades-all", "tickers", "books", "books5", "bbo-tbt", "mark-price",
    "index-tickers", "funding-rate", "open-interest", "liquidation-orders", *INTERVALS,
)  # fmt: skip
BOOKS = ("books", "books-l2-tbt", "books50-l2-tbt")  # the last two for customers: recordings only
_COMMON = {
    "trade": "trades", "ticker": "tickers", "book": "books", "depth": "books", "quote": "bbo-tbt",
    "bbo": "bbo-tbt", "liquidations": "liquidation-orders", "mark_price": "mark-price",
    "funding": "funding-rate", "index": "index-tickers", "open_interest": "open-interest",
    "kline": "candle1m", "klines": "candle1m", "candle": "candle1m", "candles": "candle1m",
}  # fmt: skip
_BY_TEXT = {
    **_COMMON,
    **{channel.lower(): channel for channel in CHANNELS},
    **{channel.lower().removesuffix("utc"): channel for channel in INTERVALS},
    **{f"{word}_{i}": channel for channel, i in INTERVALS.items() for word in ("kline", "candle")},
}
_MONTHS = re.compile(
    r"(candle|kline_|candle_)\d+M(utc)?"
)  # of no fixed length: no interval of ours

# Known, but no event of ours says what they say: neither events nor dead letters. Bars of six hours
# and more without `utc` begin in UTC+8, at other times than all other bars.
_SKIPPED = re.compile(
    r"(mark-price-|index-)?candle\d+(M|Mutc|[HDW])|(mark-price-|index-)candle.*|instruments|status|"
    r"price-limit|estimated-price|opt-summary|adl-warning|books-elp.*|trades-elp|sprd-.*|"
    r"block-.*|public-.*|economic-calendar"
)
_BUSINESS = ("candle", "trades-all")
# These speak within a minute if the symbol trades at all.
_ALWAYS_SPEAK = ("tickers", "books", "bbo-tbt", "mark-price", "candle")


def channel_of_text(text: str) -> str:
    """Read what a person wrote. Raises NotFound with the nearest channels."""
    if text in CHANNELS:
        return text
    found = "" if _MONTHS.fullmatch(text) else _BY_TEXT.get(text.lower(), "")
    if found:
        return found
    near = difflib.get_close_matches(text, (*CHANNELS, *_COMMON), n=3, cutoff=0.5)
    names = dict.fromkeys(_COMMON.get(name, name) for name in near)
    raise NotFound("stream", text, tuple(names) or CHANNELS[:6])


def is_channel(channel: str) -> bool:
    """Say whether frames of this channel become events."""
    return channel in CHANNELS or channel in BOOKS


def is_skipped(channel: str) -> bool:
    return _SKIPPED.fullmatch(channel) is not None


def is_business(channel: str) -> bool:
    """Say whether it is to be had at the other socket."""
    return channel.startswith(_BUSINESS)


def speaks_always(channel: str) -> bool:
    return channel.startswith(_ALWAYS_SPEAK)


def target(channel: str, instrument: Instrument) -> tuple[str, str]:
    """What a subscription names beside its channel: its key on the wire and its value."""
    if channel == "liquidation-orders":
        return "instType", kind(instrument)
    if channel == "index-tickers":
        return "instId", f"{instrument.base}-{instrument.quote}"
    return "instId", instrument.native


def kind(instrument: Instrument) -> str:
    if not instrument.settle:
        return "MARGIN"
    return "FUTURES" if instrument.expiry else "SWAP"


def frame_key(channel: str, name: str, value: str) -> bytes:
    """What stands in a frame between `{"arg":{"channel":"` and the next `}`."""
    return f'{channel}","{name}":"{value}"'.encode()
