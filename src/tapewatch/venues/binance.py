"""Binance spot: its words, its limits, where it is. What its sockets say: `_binance_talk`.

Streams:   https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
REST:      https://developers.binance.com/docs/binance-spot-api-docs/rest-api
Changes:   https://developers.binance.com/docs/binance-spot-api-docs/changelog

Traps: an unknown or upper-case stream name is acknowledged and never speaks; bookTicker has no
time; ids of one symbol follow each other, so a hole is proof of a loss.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from tapewatch.model.instrument import Instrument
from tapewatch.ports import FeedConfig, Fetch, Limits, Plugin, Route, Streams, Subscription
from tapewatch.venues import _binance_handlers as handlers
from tapewatch.venues._binance_past import BinancePast
from tapewatch.venues._binance_rest import to_instruments
from tapewatch.venues._binance_streams import (
    TOPS,
    Vocabulary,
    agg_trade_history,
    book_source,
    trade_history,
)
from tapewatch.venues._binance_talk import CATALOGUE, BinanceTalk, recognised
from tapewatch.venues._newest import Newest
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler

LIMITS = Limits(
    subscriptions=1024,
    frames_per_sec=4,  # the venue allows 5 and counts our pongs among them
    connects=300,
    connects_secs=300,
    weight=6000,
    weight_secs=60,
    idle_secs=60,
    max_age_secs=23.5 * 3600,  # cut at 24 h
)
STREAMS_PER_LINK = 200  # far below the limit: one slow link then delays few
_INTERVALS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w",
)  # fmt: skip
# Block trades have their own id space and are not part of the market's price; bars with a time
# zone begin at other times than all other bars.
NAMES = Vocabulary(
    channels=(
        "ticker", "miniTicker", "trade", "aggTrade", "bookTicker", "depth", *TOPS,
        *(f"kline_{interval}" for interval in _INTERVALS),
    ),
    events={
        "trade": "trade", "aggTrade": "aggTrade", "depthUpdate": "depth",
        "bookTicker": "bookTicker", "24hrTicker": "ticker", "24hrMiniTicker": "miniTicker",
    },
    speeds=dict.fromkeys(("depth", *TOPS), "@100ms"),
    all_speeds=frozenset(("100ms", "1000ms")),
    skipped_streams=frozenset(
        ("blockTrade", "avgPrice", "referencePrice", "ticker_1h", "ticker_4h", "ticker_1d")
    ),
    skipped_events=frozenset(
        ("blockTrade", "avgPrice", "referencePrice", "1hTicker", "4hTicker", "1dTicker")
    ),
    speak=("depth", "kline_", "ticker", "miniTicker"),
    never_rest=("kline_", "ticker"),
)  # fmt: skip
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))


class BinanceConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://data-stream.binance.vision"
    rest_url: str = "https://data-api.binance.vision"
    # Levels a side in a snapshot: 5000 costs five times the weight.
    depth_limit: Annotated[int, Meta(ge=5, le=5000)] = 1000


class BinanceConversation(BinanceTalk):
    names = NAMES

    def __init__(
        self, venue: str, route: Route, streams: Streams, api: str, depth_limit: int
    ) -> None:
        super().__init__(venue, route, streams)
        self._api = api
        self._depth_limit = depth_limit

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        inst, native = sub.inst, instrument.native
        if sub.channel == "trade":
            chain = self.chain(sub, trade_history(self._api, native, inst))
            return handlers.trades(inst, chain, self.pulse)
        if sub.channel == "aggTrade":
            chain = self.chain(sub, agg_trade_history(self._api, native, inst, weight=4))
            return handlers.agg_trades(inst, chain, self.pulse)
        if sub.channel == "depth":
            weight = next(w for limit, w in _DEPTH_WEIGHTS if self._depth_limit <= limit)
            source = book_source(self._api, native, self._depth_limit, inst, weight)
            return self.booked(
                sub, source, lambda book: handlers.book_changes(inst, book, self.pulse)
            )
        return self._plain(sub, self.newest(sub))

    def _plain(self, sub: Subscription, newest: Newest) -> Handler:
        """A stream without a chain."""
        inst, channel = sub.inst, sub.channel
        if channel == "bookTicker":
            return handlers.quotes(inst, newest)
        if channel == "ticker":
            return handlers.tickers(inst, newest, self.pulse)
        if channel == "miniTicker":
            return handlers.mini_tickers(inst, newest, self.pulse)
        if channel in TOPS:
            whole = Subscription(inst, "depth")
            return handlers.book_tops(inst, newest, lambda: self.is_carried(whole))
        return handlers.klines(inst, channel.removeprefix("kline_"), newest, self.pulse)


class Binance:
    def __init__(self, name: str, config: BinanceConfig) -> None:
        self.name = name
        self.limits = LIMITS
        self.numbered = True
        self._config = config
        self._api = f"{config.rest_url.rstrip('/')}/api/v3"
        self.past = BinancePast(self._api, _INTERVALS)

    def channel(self, text: str) -> str:
        return NAMES.channel_of_text(text)

    def catalogue(self) -> list[Fetch]:
        return [Fetch(CATALOGUE, f"{self._api}/exchangeInfo", weight=20)]

    def instruments(self, body: bytes) -> list[Instrument]:
        return to_instruments(body, self.name)

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        url = f"{self._config.ws_url.rstrip('/')}/stream"
        return share_out(
            self.name, url, wanted, per_link=STREAMS_PER_LINK, most=LIMITS.subscriptions
        )

    def converse(self, route: Route, streams: Streams) -> BinanceConversation:
        return BinanceConversation(self.name, route, streams, self._api, self._config.depth_limit)

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:
        return recognised(frame, pending, streams)


PLUGIN = Plugin(config=BinanceConfig, build=Binance)
