"""Venues of CCXT in the settings: which names there are, and what a section may say.

    exchanges:
      kraken: {symbols: [BTC/USD], streams: [ticker, trades, book]}      # no native venue: CCXT's
      ccxt_binance: {symbols: [BTC/USDT]}                                # CCXT's, beside the native

A native venue wins its name; `ccxt_` before an id of CCXT asks for CCXT's. The name of the section
is the name of the venue everywhere. CCXT is not imported here: that takes seconds and 110 MB.
"""

import importlib.util
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, field

from tapewatch.model.errors import NotFound
from tapewatch.ports import FeedConfig

PREFIX = "ccxt_"
TICKER, TRADES, BOOK = "ticker", "trades", "orderbook"
POLL_SECS = 5.0  # where a venue does not stream its tickers
# What people write, and what CCXT's own methods are called: channel.
_WORDS = {
    TICKER: TICKER, "tickers": TICKER, "watch_ticker": TICKER, "fetch_ticker": TICKER,
    TRADES: TRADES, "trade": TRADES, "watch_trades": TRADES,
    BOOK: BOOK, "book": BOOK, "depth": BOOK, "order_book": BOOK, "watch_order_book": BOOK,
}  # fmt: skip
_SHOWN = (TICKER, TRADES, "book")


class CcxtConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section under `exchanges:` whose venue is CCXT's."""

    # Given: tickers are asked for so often. Not given: streamed, or every 5 s if the venue cannot.
    poll_secs: Annotated[float, Meta(ge=0.2, le=86_400)] | None = None
    book_levels: Annotated[int, Meta(ge=1, le=1_000)] = 50  # of a side that are passed on
    books_per_sec: Annotated[float, Meta(gt=0, le=100)] = 10.0  # of one instrument, at most
    timeout_secs: Annotated[float, Meta(gt=0, le=120)] = 10.0  # of one request
    urls: dict[str, str] = field(default_factory=dict)  # beginning of an address: what replaces it
    options: dict[str, Any] = field(default_factory=dict)  # CCXT's `options` of this exchange

    def __post_init__(self) -> None:
        if self.max_age_secs is not None:
            raise ValueError("max_age_secs: CCXT renews its connections itself; leave it out")
        for name in ("hold_secs", "repair_max_ids"):
            if getattr(self, name) != getattr(_USUAL, name):
                raise ValueError(f"{name}: nothing is repaired through CCXT; leave it out")


_USUAL = FeedConfig()


class CcxtWords:
    """The part of a `ports.Dialect` that a venue of CCXT has: its name and its streams' names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def channel(self, text: str) -> str:
        found = _WORDS.get(text.strip().lower())
        if found is None:
            near = get_close_matches(text.lower(), _SHOWN, n=1)
            raise NotFound("stream", text, tuple(near) or _SHOWN)
        return found


@cache
def exchange_ids() -> tuple[str, ...]:
    """Every id that the installed CCXT knows; none if it is not installed. A folder is read."""
    found = importlib.util.find_spec("ccxt")
    if found is None or not found.submodule_search_locations:
        return ()
    folder = Path(next(iter(found.submodule_search_locations))) / "async_support"
    return tuple(sorted(f.stem for f in folder.glob("*.py") if not f.stem.startswith("_")))


def exchange_id(name: str) -> str:
    """The id in CCXT of a section: `ccxt_binance` and `binance` are both `binance`."""
    return name.removeprefix(PREFIX)
