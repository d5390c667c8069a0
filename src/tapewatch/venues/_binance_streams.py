"""Binance's names for streams, and where their past and their snapshots are fetched.

`channel` is our canonical name of a stream's kind; `stream_name` is what goes over the wire. Spot
and USD-M speak the same language with other words: each brings its `Vocabulary`.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote

from msgspec import Struct

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

TOPS = ("depth5", "depth10", "depth20")
# Months have no fixed length, so no interval of ours: read in recordings, not subscribed to.
_MONTH = "kline_1M"
_PAGE = 1000
# What people type who do not know the venue's words.
_COMMON = {
    "trades": "aggTrade", "book": "depth", "quote": "bookTicker", "bbo": "bookTicker",
    "klines": "kline_1m", "mark_price": "markPrice", "funding": "markPrice",
    "liquidations": "forceOrder",
}  # fmt: skip


class Vocabulary(Struct, frozen=True):
    channels: tuple[str, ...]
    events: Mapping[str, str]  # `e` of a frame to channel; bars aside
    speeds: Mapping[str, str]  # channel to the speed we ask for
    all_speeds: frozenset[str]  # that frames of channels with speeds may come at
    # Known, but no event of ours says what they say: neither events nor dead letters. Of streams
    # what stands before a speed or an interval is enough.
    skipped_streams: frozenset[str]
    skipped_events: frozenset[str]
    speak: tuple[str, ...]  # begin of channels that speak within a minute if the symbol trades
    never_rest: tuple[str, ...]  # of those that speak every second or two, trades or not

    def stream_name(self, native: str, channel: str) -> str:
        """`btcusdt@depth@100ms`. Upper-case names are accepted by the venue and never speak."""
        return f"{native.lower()}@{channel}{self.speeds.get(channel, '')}"

    def channel_of_stream(self, kind: str) -> str:
        """The canonical channel of `depth@100ms`, what follows the symbol; empty if unknown."""
        name, _, speed = kind.partition("@")
        if speed in self.all_speeds and name in self.speeds:
            return name
        return kind if kind in self.channels or kind == _MONTH else ""

    def channel_of_event(self, event: str, interval: str) -> str:
        """The channel of a frame without a stream's name, by its `e`; empty if unknown."""
        if event == "kline":
            return self.channel_of_stream(f"kline_{interval}")
        return self.events.get(event, "")

    def is_skipped(self, kind: str) -> bool:
        name, _, zone = kind.partition("@")
        is_known = name in self.skipped_streams or name.partition("_")[0] in self.skipped_streams
        return is_known or bool(zone and name.startswith("kline_"))

    def channel_of_text(self, text: str) -> str:
        """Read what a person wrote. Raises NotFound with the nearest channels."""
        found = self.channel_of_stream(text)
        if found and found != _MONTH:
            return found
        by_lower = {channel.lower(): channel for channel in self.channels}
        low = text.lower()
        common = _COMMON.get(low, low.replace("candle_", "kline_"))
        for name in (low, common, common.lower()):
            if text != _MONTH and name in by_lower:
                return by_lower[name]
        near = difflib.get_close_matches(text, self.channels, n=3, cutoff=0.5)
        raise NotFound("stream", text, tuple(near or self.channels[:6]))


def frame_key(stream: str) -> bytes:
    """What follows `{"stream":"` in a frame up to its data: one look-up checks the form too."""
    return f'{stream}","data":'.encode()


HistoryOf: TypeAlias = Callable[[str, str, InstrumentId], History]


def trade_history(url: str, native: str, inst: InstrumentId) -> History:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api#old-trade-lookup."""

    def fetch(key: str, first: int, count: int) -> Fetch:
        query = f"symbol={quote(native)}&fromId={first}&limit={count}"
        return Fetch(key, f"{url}/historicalTrades?{query}", weight=25)

    return History(_PAGE, fetch, raw_rows(inst))


def raw_rows(inst: InstrumentId) -> Callable[[bytes, Micros, bool], Sequence[tuple[int, Trade]]]:
    def rows(body: bytes, recv: Micros, _echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        return to_raw_rows(decode_raw_rows(body), recv, inst)

    return rows


def agg_trade_history(url: str, native: str, inst: InstrumentId, weight: int) -> History:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api#compressedaggregate-trades-list."""

    def fetch(key: str, first: int, count: int) -> Fetch:
        query = f"symbol={quote(native)}&fromId={first}&limit={count}"
        return Fetch(key, f"{url}/aggTrades?{query}", weight)

    def rows(body: bytes, recv: Micros, echo: bool) -> Sequence[tuple[int, Trade]]:  # noqa: FBT001 - the shape of History.rows
        return to_agg_rows(decode_agg_rows(body), recv, inst, echo=echo)

    return History(_PAGE, fetch, rows)


def book_source(url: str, native: str, limit: int, inst: InstrumentId, weight: int) -> Source:
    """https://developers.binance.com/docs/binance-spot-api-docs/rest-api#order-book."""
    address = f"{url}/depth?symbol={quote(native)}&limit={limit}"

    def read(body: bytes, recv: Micros) -> BookSnapshot:
        return to_snapshot(decode_book(body), recv, inst)

    return Source(sequence, lambda key: Fetch(key, address, weight), read)
