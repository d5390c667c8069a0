"""How the past of Binance is asked for: aggregates and fills by id, found by time, and K-lines.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api#market-data-endpoints
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api

Traps: USD-M takes `fromId` or times of less than an hour, never both; its aggregates go back two
days, and older fills want a key. An answer of klines begins with the first bar that there is.
"""

from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tapewatch.model.events import Candle, InstrumentId, Micros, Origin, Quality
from tapewatch.model.times import HOUR, Interval, iso
from tapewatch.ports import Fetch
from tapewatch.venues._binance_messages import NotNegative, Number, Positive, Time, micros
from tapewatch.venues._binance_rest import decode_agg_rows
from tapewatch.venues._binance_streams import agg_trade_history, trade_history
from tapewatch.venues._past import ByTime, CandleWalk, Part, TradeWalk, Walk

_BARS = 1000


class KlineRow(Struct, array_like=True, gc=False):
    """A bar: [open time, o, h, l, c, volume, close time, quote volume, trades, of takers ...].

    [1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",
     1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]
    """

    start: Time
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: NotNegative
    end: Time
    quote: NotNegative
    trades: Number
    bought: NotNegative  # base volume of taker buys


_decode_klines = Decoder(Annotated[list[KlineRow], Meta(max_length=10_000)], strict=False).decode


class BinancePast:
    """Spot; USD-M differs by its numbers."""

    channels: tuple[str, ...] = ("trade", "aggTrade")
    no_trades = ""
    finer: tuple[str, ...] = ()
    spans = False

    agg_weight = 4
    kline_weight = 2
    stretch: Micros | None = None  # of time that may be asked for at once; None: any
    keeps: Micros | None = None  # how far back its aggregates go; None: to the first

    def __init__(self, api: str, intervals: tuple[str, ...]) -> None:
        self.intervals = intervals
        self._api = api

    def trades(self, part: Part, channel: str, *, echo: bool) -> Walk:
        native, inst = part.instrument.native, part.inst
        history = trade_history(self._api, native, inst)
        if channel == "aggTrade":
            history = agg_trade_history(self._api, native, inst, self.agg_weight)
        return TradeWalk(part, channel, history, self._seek(part, channel), echo=echo)

    def candles(self, part: Part, interval: Interval) -> Walk:
        """Weeks and days begin in UTC, as ours do."""
        name = quote(part.instrument.native)

        def fetch(key: str, since: Micros, until: Micros) -> Fetch:
            times = f"startTime={_milli(since)}&endTime={_milli(until) - 1}"
            query = f"symbol={name}&interval={interval.name}&{times}&limit={_BARS}"
            return Fetch(key, f"{self._api}/klines?{query}", self.kline_weight)

        def rows(body: bytes, recv: Micros) -> list[Candle]:
            return [to_bar(row, recv, part.inst, interval.name) for row in _decode_klines(body)]

        return CandleWalk(part, interval, _BARS, fetch, rows, leaps=True)

    def _seek(self, part: Part, channel: str) -> ByTime:
        """Fills are found by the aggregate that they are in: they cannot be asked for by time."""
        name = quote(part.instrument.native)

        def fetch(key: str, since: Micros, until: Micros) -> Fetch:
            times = f"startTime={_milli(since)}&endTime={_milli(until) - 1}"
            url = f"{self._api}/aggTrades?symbol={name}&{times}&limit=1"
            return Fetch(key, url, self.agg_weight)

        def first(body: bytes) -> int | None:
            found = decode_agg_rows(body)
            if not found:
                return None
            return found[0].a if channel == "aggTrade" else found[0].f

        since, absent = part.since, ""
        if self.keeps is not None and since < (oldest := Micros(part.now - self.keeps)):
            since = min(oldest, Micros(part.until - 1))
            absent = f"trades from before {iso(oldest)} are given no more"
        step = self.stretch or Micros(part.until - since)
        return ByTime(since, part.until, step, fetch, first, absent)


class FuturesPast(BinancePast):
    """USD-M. Whoever stores its fills has them from the stream: here they want a key."""

    channels = ("aggTrade",)
    finer = ("trade",)
    agg_weight = 20
    kline_weight = 5
    stretch = Micros(HOUR)
    keeps = Micros(48 * HOUR)


def to_bar(row: KlineRow, recv: Micros, inst: InstrumentId, interval: str) -> Candle:
    return Candle(
        ts=micros(row.start), recv=recv, inst=inst, interval=interval,
        open=row.open, high=row.high, low=row.low, close=row.close, volume=row.volume,
        buy_volume=row.bought, trades=row.trades, closed=True, quote_volume=row.quote,
        quality=Quality.COMPLETE, origin=Origin.VENUE,
    )  # fmt: skip


def _milli(ts: Micros) -> int:
    return ts // 1000
