"""Binance USD-M futures: its words, its limits, where it is. What its sockets say: `_binance_talk`.

Streams:   https://developers.binance.com/docs/derivatives/usds-margined-futures
Changes:   https://developers.binance.com/docs/derivatives/change-log

Traps:
* Two sockets since April 2026: books and quotes on `/public`, all else on `/market`. A stream on
  the wrong one is acknowledged and never speaks.
* All-market streams mix in COIN-M rows since June 2026 (`st` 2): their sizes are contracts.
* A book change follows by `pu`, the last id of the change before it; `U` is not `pu` + 1.
* A forced order is a sample: at most one a second and symbol. `S` is the order's side.
* `trade` (undocumented) numbers what is no trade of the market: fills of the insurance fund and of
  ADL, and records that say nothing at all (`X` NA, price 0), thousands a day. Their ids are in
  hand, and no event is made of them.
* The two kinds of trades come on two sockets: which of them are echoes is known to neither alone.
"""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from tapewatch.model.events import Batch, InstrumentId, Micros
from tapewatch.model.instrument import Instrument, guess
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import (
    NOT_WANTED,
    Asks,
    FeedConfig,
    Fetch,
    Limits,
    Plugin,
    Route,
    Streams,
    Subscription,
)
from tapewatch.venues import _binance_futures_handlers as own
from tapewatch.venues import _binance_handlers as handlers
from tapewatch.venues._batches import Batches
from tapewatch.venues._binance_messages import Head
from tapewatch.venues._binance_past import FuturesPast
from tapewatch.venues._binance_rest import to_contracts
from tapewatch.venues._binance_streams import TOPS, Vocabulary, agg_trade_history, book_source
from tapewatch.venues._binance_talk import CATALOGUE, BinanceTalk, recognised
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import History, TradeChain

LIMITS = Limits(
    subscriptions=1024,
    frames_per_sec=8,  # the venue allows 10 and counts our pongs among them
    connects=300,  # not documented: as on spot
    connects_secs=300,
    weight=2400,
    weight_secs=60,
    # Live streams are watched by their rhythm; a market without forced orders or trades has no
    # data for long. The venue's pings are 180 s apart.
    idle_secs=300,
    max_age_secs=23.5 * 3600,  # cut at 24 h
)
STREAMS_PER_LINK = 200
_INTERVALS = (
    "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w",
)  # fmt: skip
NAMES = Vocabulary(
    channels=(
        "ticker", "miniTicker", "trade", "aggTrade", "bookTicker", "depth", *TOPS, "markPrice",
        "forceOrder", *(f"kline_{interval}" for interval in _INTERVALS),
    ),
    events={
        "trade": "trade", "aggTrade": "aggTrade", "depthUpdate": "depth",
        "bookTicker": "bookTicker", "24hrTicker": "ticker", "24hrMiniTicker": "miniTicker",
        "markPriceUpdate": "markPrice", "forceOrder": "forceOrder",
    },
    speeds={**dict.fromkeys(("depth", *TOPS), "@100ms"), "markPrice": "@1s"},
    all_speeds=frozenset(("0ms", "100ms", "250ms", "500ms", "1s", "3s")),
    skipped_streams=frozenset(
        ("compositeIndex", "assetIndex", "rpiDepth", "continuousKline", "tradingSession")
    ),
    skipped_events=frozenset(
        ("compositeIndex", "contractInfo", "assetIndexUpdate", "continuous_kline",
         "tradingSession", "EquityUpdate", "CommodityUpdate")
    ),
    # Everything that trades here has makers, so its best prices move within a minute.
    speak=("depth", "bookTicker", "kline_", "ticker", "miniTicker", "markPrice"),
    never_rest=("markPrice", "ticker"),
)  # fmt: skip
_PUBLIC = frozenset(("trade", "bookTicker", "depth", *TOPS))
_DEPTH_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))
# How far a stream may be behind the others: aggregates are made for 100 ms and sent after that,
# forced orders are told a second later.
_LAGS = {"trade": SECOND // 2, "aggTrade": SECOND, "forceOrder": 2 * SECOND}
_COIN_M = 2  # of `st`
_FOR_EVER = Micros(1 << 62)
_RETURNS = 2 * MINUTE  # a connection that is lost will be back by then


def _trade_history(api: str, native: str, inst: InstrumentId) -> History:
    """The newest thousand: older ones want an API key. What is no trade of the market is left out.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Recent-Trades-List
    """

    def fetch(key: str, _first: int, _count: int) -> Fetch:
        return Fetch(key, f"{api}/trades?symbol={quote(native)}&limit=1000", weight=5)

    blanks = "some ids are no trades of the market"
    return History(1000, fetch, own.trade_rows(inst), blanks=blanks)


class FuturesConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://fstream.binance.com"
    rest_url: str = "https://fapi.binance.com"
    depth_limit: Literal[5, 10, 20, 50, 100, 500, 1000] = 1000  # levels a side in a snapshot


class FuturesConversation(BinanceTalk):
    names = NAMES

    def __init__(
        self, venue: str, route: Route, streams: Streams, api: str, depth_limit: int
    ) -> None:
        super().__init__(venue, route, streams)
        self._api = api
        self._depth_limit = depth_limit
        # Of all connections: until when single fills count as carried.
        singles = Subscription(f"{venue}:*", "trade")
        self._singles: dict[InstrumentId, Micros] = streams.state.setdefault(singles, {})

    def is_foreign(self, symbol: str, head: Head) -> bool:
        """COIN-M's: by its mark, or by its name in frames from before there was one."""
        if head.universe is not None:
            return head.universe == _COIN_M
        pair, _, kind = symbol.upper().partition("_")
        coin = guess(self.venue, pair) if kind else None
        return coin is not None and coin.quote == "USD"

    def guessed(self, native: str) -> Instrument | None:
        """`BTCUSDT` is a perpetual here, `BTCUSDT_261225` a dated contract."""
        pair, _, expiry = native.partition("_")
        spot = guess(self.venue, pair)
        if spot is None:
            return None
        return Instrument(self.venue, spot.base, spot.quote, native, spot.quote, expiry=expiry)

    def handler(self, sub: Subscription, instrument: Instrument) -> Handler:
        inst, native = sub.inst, instrument.native
        if sub.channel == "trade":
            chain = self.chain(sub, _trade_history(self._api, native, inst))
            return own.trades(inst, chain, self.pulse)
        if sub.channel == "aggTrade":
            chain = self.chain(sub, agg_trade_history(self._api, native, inst, weight=20))
            return handlers.agg_trades(inst, chain, self.pulse)
        if sub.channel == "depth":
            weight = next(w for limit, w in _DEPTH_WEIGHTS if self._depth_limit <= limit)
            source = book_source(self._api, native, self._depth_limit, inst, weight)
            return self.booked(sub, source, lambda book: own.book_changes(inst, book, self.pulse))
        if sub.channel == "forceOrder":
            return own.liquidations(inst, self._batches(sub), self.pulse)
        return self._plain(sub)

    def _plain(self, sub: Subscription) -> Handler:
        """A stream of its own, with neither a chain nor a book."""
        inst, channel, newest, pulse = sub.inst, sub.channel, self.newest(sub), self.pulse
        match channel:
            case "bookTicker":
                return own.quotes(inst, newest, pulse)
            case "ticker":
                return own.tickers(inst, newest, pulse)
            case "miniTicker":
                return handlers.mini_tickers(inst, newest, pulse)
            case "markPrice":
                return own.marks(inst, newest, pulse)
        if channel in TOPS:
            whole = Subscription(inst, "depth")
            return own.book_tops(inst, newest, pulse, lambda: self.is_carried(whole))
        return handlers.klines(inst, channel.removeprefix("kline_"), newest, pulse)

    def _batches(self, sub: Subscription) -> Batches:
        flow = self.streams.state.get(sub)
        if not isinstance(flow, Batches):
            flow = Batches(sub.inst, sub.channel, lenient=self.streams.lenient)
            self.streams.state[sub] = flow
        self.flows[sub] = flow
        return flow

    # --- what other connections carry ---

    def changed(self, sub: Subscription) -> None:
        self.pulse.lag = max((_LAGS.get(each.channel, 0) for each in self.wanted), default=0)
        if self.streams.lenient:
            super().changed(sub)
        elif sub.channel == "trade" and sub in self.wanted:
            self._singles[sub.inst] = _FOR_EVER
        elif sub.channel == "trade":
            self._singles.pop(sub.inst, None)

    def tick(self, now: Micros, out: Batch) -> Asks:
        if not self.streams.lenient:
            self._mark_echoes(now)
        return super().tick(now, out)

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        super().lost(reason, now, out)
        for sub in self.wanted:
            if sub.channel == "trade" and not self.is_carried(sub):
                until = now if reason == NOT_WANTED else now + _RETURNS
                self._singles[sub.inst] = Micros(until)

    def _mark_echoes(self, now: Micros) -> None:
        """Aggregates tell again what single fills told, once these have spoken."""
        for sub, flow in self.flows.items():
            if sub.channel == "aggTrade" and isinstance(flow, TradeChain):
                single = self.streams.state.get(Subscription(sub.inst, "trade"))
                has_spoken = isinstance(single, TradeChain) and single.ts > 0
                flow.echo = has_spoken and self._singles.get(sub.inst, 0) > now


class BinanceFutures:
    def __init__(self, name: str, config: FuturesConfig) -> None:
        self.name = name
        self.limits = LIMITS
        self.numbered = True
        self._config = config
        self._api = f"{config.rest_url.rstrip('/')}/fapi/v1"
        self.past = FuturesPast(self._api, _INTERVALS)

    def channel(self, text: str) -> str:
        return NAMES.channel_of_text(text)

    def catalogue(self) -> list[Fetch]:
        return [Fetch(CATALOGUE, f"{self._api}/exchangeInfo")]

    def instruments(self, body: bytes) -> list[Instrument]:
        return to_contracts(body, self.name)

    def routes(self, wanted: Sequence[Subscription]) -> list[Route]:
        routes: list[Route] = []
        for path, is_public in (("public", True), ("market", False)):
            some = [sub for sub in wanted if (sub.channel in _PUBLIC) is is_public]
            name = f"{self.name}-{path}"
            url = f"{self._config.ws_url.rstrip('/')}/{path}/stream"
            routes += share_out(
                name, url, some, per_link=STREAMS_PER_LINK, most=LIMITS.subscriptions
            )
        return routes

    def converse(self, route: Route, streams: Streams) -> FuturesConversation:
        return FuturesConversation(self.name, route, streams, self._api, self._config.depth_limit)

    def recognise(self, frame: bytes, pending: Sequence[Fetch], streams: Streams) -> Fetch | None:
        return recognised(frame, pending, streams)


PLUGIN = Plugin(config=FuturesConfig, build=BinanceFutures)
