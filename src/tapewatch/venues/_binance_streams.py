"""Binance spot's names for streams, and where their past and their snapshots are fetched.

`channel` is our canonical name of a stream's kind; `stream_name` is what goes over the wire.
"""

import difflib
from collections.abc import Sequence
from urllib.parse import quote

from tapewatch.model.errors import NotFound
from tapewatch.model.events import BookSnapshot, InstrumentId, Micros, Trade
from tapewatch.ports import Fetch
from tapewatch.venues._binance_handlers import sequence
from tapewatch.venues._binance_messages import decode_book, to_snapshot
from tapewatch.venues._binance_rest import (
    decode_agg_rows,
    decode_raw_rows,
    to_agg_rows,
    to_raw_rows,
)
from tapewatch.venues._book import Source
from tapewatch.venues._trades import History

_INTERVALS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w",
)  # fmt: skip
_TOPS = ("depth5", "depth10", "depth20")
CHANNELS = (
    "ticker", "miniTicker", "trade", "aggTrade", "bookTicker", "depth", *_TOPS,
    *(f"kline_{interval}" for interval in _INTERVALS),
)  # fmt: skip
# Months have no fixed length, so no interval of ours: read in recordings, not subscribed to.
_MONTH = "kline_1M"
_BY_LOWER = {channel.lower(): channel for channel in CHANNELS}

# Known, but no event of ours says what they say: neither events nor dead letters. Block trades
# have their own id space and are not part of the market's price; bars with a time zone begin at
# other times than all other bars.
SKIPPED_STREAMS = frozenset(
    ("blockTrade", "avgPrice", "referencePrice", "ticker_1h", "ticker_4h", "ticker_1d")
)
SKIPPED_EVENTS = frozenset(
    ("blockTrade", "avgPrice", "referencePrice", "1hTicker", "4hTicker", "1dTicker")
)
_EVENTS = {
    "trade": "trade", "aggTrade": "aggTrade", "depthUpdate": "depth", "bookTicker": "bookTicker",
    "24hrTicker": "ticker", "24hrMiniTicker": "miniTicker",
}  # fmt: skip

# These speak within a minute if the symbol trades at all.
_ALWAYS_SPEAK = ("depth", "kline_", "ticker", "miniTicker")

_PAGE = 1000
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


def stream_name(native: str, channel: str) -> str:
    """`btcusdt@depth@100ms`. Upper-case names are accepted by the venue and never speak."""
    speed = "@100ms" if channel == "depth" or channel in _TOPS else ""
    return f"{native.lower()}@{channel}{speed}"


def frame_key(stream: str) -> bytes:
    """What follows `{"stream":"` in a frame up to its data: one look-up checks the form too."""
    return f'{stream}","data":'.encode()


def channel_of_stream(kind: str) -> str:
    """The canonical channel of `depth@100ms`, what follows the symbol; empty if unknown."""
    name, _, speed = kind.partition("@")
    if speed in ("100ms", "1000ms") and (name == "depth" or name in _TOPS):
        return name
    return kind if kind in CHANNELS or kind == _MONTH else ""


def is_skipped(kind: str) -> bool:
    name, _, zone = kind.partition("@")
    return kind in SKIPPED_STREAMS or bool(zone and name.startswith("kline_"))


def channel_of_event(event: str, interval: str) -> str:
    """The channel of a frame without a stream's name, by its `e`; empty if unknown."""
    return channel_of_stream(f"kline_{interval}") if event == "kline" else _EVENTS.get(event, "")


def channel_of_text(text: str) -> str:
    """Read what a person wrote. Raises NotFound with the nearest channels."""
    found = channel_of_stream(text)
    if found and found != _MONTH:
        return found
    if text != _MONTH and text.lower() in _BY_LOWER:
        return _BY_LOWER[text.lower()]
    near = difflib.get_close_matches(text, CHANNELS, n=3, cutoff=0.5) or CHANNELS[:6]
    raise NotFound("stream", text, tuple(near))


def speaks_always(channel: str) -> bool:
    return channel.startswith(_ALWAYS_SPEAK)


def never_rests(channel: str) -> bool:
    """Say whether it speaks every second or two, with or without trades."""
    return channel.startswith(("kline_", "ticker"))


def trade_history(rest_url: str, native: str, inst: InstrumentId) -> History:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api#old-trade-lookup."""

    def fetch(key: str, first: int, count: int) -> Fetch:
        query = f"symbol={quote(native)}&fromId={first}&limit={count}"
        return Fetch(key, f"{rest_url}/api/v3/historicalTrades?{query}", weight=25)

    def rows(body: bytes, recv: Micros, _echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        return to_raw_rows(decode_raw_rows(body), recv, inst)

    return History(_PAGE, fetch, rows)


def agg_trade_history(rest_url: str, native: str, inst: InstrumentId) -> History:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api#compressedaggregate-trades-list."""

    def fetch(key: str, first: int, count: int) -> Fetch:
        query = f"symbol={quote(native)}&fromId={first}&limit={count}"
        return Fetch(key, f"{rest_url}/api/v3/aggTrades?{query}", weight=4)

    def rows(body: bytes, recv: Micros, echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        return to_agg_rows(decode_agg_rows(body), recv, inst, echo=echo)

    return History(_PAGE, fetch, rows)


def book_source(rest_url: str, native: str, depth_limit: int, inst: InstrumentId) -> Source:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api#order-book."""
    weight = next((w for limit, w in _DEPTH_WEIGHTS if depth_limit <= limit), 250)
    url = f"{rest_url}/api/v3/depth?symbol={quote(native)}&limit={depth_limit}"

    def read(body: bytes, recv: Micros) -> BookSnapshot:
        return to_snapshot(decode_book(body), recv, inst)

    return Source(sequence, lambda key: Fetch(key, url, weight), read)
