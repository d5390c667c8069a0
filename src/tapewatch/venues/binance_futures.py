"""Binance USD-M futures: its words, its limits, where it is. What its sockets say: `_binance_talk`.

Streams:   https://developers.binance.com/docs/derivatives/usds-margined-futures
Changes:   https://developers.binance.com/docs/derivatives/change-log

Traps:
* Two sockets since April 2026: books and quotes on `/public`, all else on `/market`. A stream on
  the wrong one is acknowledged and never speaks.
* All-market streams mix in COIN-M rows since June 2026 (`st` 2): their sizes are contracts.
* A book change follows by `pu`, the last id of the change before it; `U` is not `pu` + 1.
* A forced order is a sample: at most one a second and symbol. `S` is the order's side.
* Fills of the insurance fund and of ADL have ids in the stream and are not part of the market's
  price: they are kept, never summed (`echo`).
"""

from collections.abc import Callable, Sequence
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta

from tapewatch.model.events import Batch, BookSnapshot, InstrumentId, Micros, Quote
from tapewatch.model.instrument import Instrument, guess
from tapewatch.model.times import SECOND
from tapewatch.ports import Asks, FeedConfig, Fetch, Limits, Plugin, Route, Streams, Subscription
from tapewatch.venues import _binance_handlers as handlers
from tapewatch.venues._binance_futures_messages import (
    COIN_M,
    decode_depth,
    decode_force,
    decode_mark,
    decode_quote,
    decode_ticker,
    decode_trade,
    to_delta,
    to_liquidation,
    to_mark,
    to_ticker,
    to_trade,
)
from tapewatch.venues._binance_messages import micros
from tapewatch.venues._binance_rest import to_contracts
from tapewatch.venues._binance_streams import (
    TOPS,
    Vocabulary,
    agg_trade_history,
    book_source,
    raw_rows,
)
from tapewatch.venues._binance_talk import CATALOGUE, BinanceTalk, recognised
from tapewatch.venues._book import BookSync
from tapewatch.venues._newest import Newest
from tapewatch.venues._pulse import Pulse
from tapewatch.venues._routes import share_out
from tapewatch.venues._talk import Handler
from tapewatch.venues._trades import RECENT_IDS, History, TradeChain

LIMITS = Limits(
    subscriptions=1024,
    frames_per_sec=8,  # the venue allows 10 and counts our pongs among them
    connects=300,  # not documented: as on spot
    connects_secs=300,
    weight=2400,
    weight_secs=60,
    idle_secs=60,
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
    skipped_streams=frozenset(("compositeIndex", "rpiDepth@500ms")),
    skipped_events=frozenset(
        ("compositeIndex", "contractInfo", "assetIndexUpdate", "continuous_kline",
         "tradingSession", "EquityUpdate")
    ),
    speak=("depth", "kline_", "ticker", "miniTicker", "markPrice"),
    never_rest=("markPrice", "ticker"),
)  # fmt: skip
_PUBLIC = frozenset(("trade", "bookTicker", "depth", *TOPS))
_DEPTH_WEIGHTS = ((50, 2), (100, 5), (500, 10), (1000, 20))
# Aggregates are made for 100 ms and sent after that: other streams are ahead of them.
_LAG = SECOND


def _trades(inst: InstrumentId, chain: TradeChain, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        message = decode_trade(data)
        trade = to_trade(message, recv, inst)
        pulse.ts, pulse.recv = trade.ts, recv
        return chain.take(message.t, trade, recv, out)

    return handle


def _quotes(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_quote(data)
        if m.st == COIN_M or 0 <= newest.seq - m.u < RECENT_IDS:
            return ()
        newest.seq = m.u
        ts = micros(m.T) if m.T else recv
        pulse.ts, pulse.recv = ts, recv
        out.append(Quote(ts, recv, inst, m.b, m.B, m.a, m.A, m.u))
        return ()

    return handle


def _book_changes(inst: InstrumentId, book: BookSync, pulse: Pulse) -> Handler:
    """As in "How to manage a local order book correctly" of USD-M.

    1-3. Subscribe, hold, get a snapshot: as on spot.
    4.   The first change has `pu` <= the snapshot's id <= `u`.   `sequence`, with `pu` + 1 as `U`
    5.   Each further one has `pu` = `u` of the one before.
    """

    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        delta = to_delta(decode_depth(data), recv, inst)
        pulse.ts, pulse.recv = delta.ts, recv
        return book.take(delta, recv, out)

    return handle


def _book_tops(inst: InstrumentId, newest: Newest, has_book: Callable[[], bool]) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_depth(data)
        if has_book() or 0 <= newest.seq - m.u < RECENT_IDS:
            return ()
        newest.seq = m.u
        out.append(BookSnapshot(m.ts, recv, inst, m.u, m.b, m.a))
        return ()

    return handle


def _tickers(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_ticker(data)
        ticker = to_ticker(m, recv, inst)
        if m.st != COIN_M and not newest.repeats(ticker.ts):
            pulse.ts, pulse.recv = ticker.ts, recv
            out.append(ticker)
        return ()

    return handle


def _marks(inst: InstrumentId, newest: Newest, pulse: Pulse) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_mark(data)
        mark = to_mark(m, recv, inst)
        if m.st != COIN_M and not newest.repeats(mark.ts):
            pulse.ts, pulse.recv = mark.ts, recv
            out.append(mark)
        return ()

    return handle


def _liquidations(inst: InstrumentId, newest: Newest) -> Handler:
    def handle(data: bytes, recv: Micros, out: Batch) -> Asks:
        m = decode_force(data)
        liquidation = to_liquidation(m, recv, inst)
        if m.o.st != COIN_M and m.o.z and not newest.repeats(liquidation.ts):
            out.append(liquidation)
        return ()

    return handle


def _trade_history(api: str, native: str, inst: InstrumentId) -> History:
    """The newest thousand: older ones want an API key. Fills that are no market's are left out.

    https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Recent-Trades-List
    """

    def fetch(key: str, _first: int, _count: int) -> Fetch:
        return Fetch(key, f"{api}/trades?symbol={quote(native)}&limit=1000", weight=5)

    return History(1000, fetch, raw_rows(inst))


class FuturesConfig(FeedConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ws_url: str = "wss://fstream.binance.com"
    rest_url: str = "https://fapi.binance.com"
    depth_limit: Annotated[int, Meta(ge=5, le=1000)] = 1000  # levels a side in a snapshot


class FuturesConversation(BinanceTalk):
    names = NAMES

    def __init__(
        self, venue: str, route: Route, streams: Streams, api: str, depth_limit: int
    ) -> None:
        super().__init__(venue, route, streams)
        self.pulse.lag = _LAG
        self._api = api
        self._depth_limit = depth_limit

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
            return _trades(
                inst, self.chain(sub, _trade_history(self._api, native, inst)), self.pulse
            )
        if sub.channel == "aggTrade":
            chain = self.chain(sub, agg_trade_history(self._api, native, inst, weight=20))
            return handlers.agg_trades(inst, chain, self.pulse)
        if sub.channel == "depth":
            weight = next(w for limit, w in _DEPTH_WEIGHTS if self._depth_limit <= limit)
            source = book_source(self._api, native, self._depth_limit, inst, weight)
            return self.booked(sub, source, lambda book: _book_changes(inst, book, self.pulse))
        newest = self.newest(sub)
        if sub.channel in TOPS:
            whole = Subscription(inst, "depth")
            return _book_tops(inst, newest, lambda: self.is_carried(whole))
        return self._plain(sub, newest)

    def _plain(self, sub: Subscription, newest: Newest) -> Handler:
        """A stream without a chain or a book."""
        inst, channel, pulse = sub.inst, sub.channel, self.pulse
        match channel:
            case "bookTicker":
                return _quotes(inst, newest, pulse)
            case "ticker":
                return _tickers(inst, newest, pulse)
            case "miniTicker":
                return handlers.mini_tickers(inst, newest, pulse)
            case "markPrice":
                return _marks(inst, newest, pulse)
            case "forceOrder":
                return _liquidations(inst, newest)
        return handlers.klines(inst, channel.removeprefix("kline_"), newest, pulse)


class BinanceFutures:
    def __init__(self, name: str, config: FuturesConfig) -> None:
        self.name = name
        self.limits = LIMITS
        self._config = config
        self._api = f"{config.rest_url.rstrip('/')}/fapi/v1"

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
