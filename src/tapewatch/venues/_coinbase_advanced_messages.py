"""What the Advanced Trade feed says: one Struct per message with the fields we use, and its event.

https://docs.cdp.coinbase.com/advanced-trade/docs/ws-channels

A frame has a number of its connection and events; an event may have rows of several products.
Captures of 2024 have an empty `client_id` after `channel`; today there is none.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    InstrumentId,
    Micros,
    Origin,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.venues._coinbase import TAKER, NotNegative, Number, Positive, Time, micros
from tapewatch.venues._talk import Data

_CANDLE = 5 * MINUTE
_EPOCH_YEAR = 1970  # of levels that have no time

E = TypeVar("E")


class Frame(Struct, Generic[E], gc=False):
    """The envelope.

    {"channel":"l2_data","timestamp":"2026-08-24T22:34:13.813365299Z","sequence_num":2,
     "events":[...]}
    """

    timestamp: Time
    sequence_num: Number  # +1 on each connection, from 0
    events: list[E]


class Level(Struct, gc=False):
    side: Literal["bid", "offer"]
    event_time: Time
    price_level: Positive
    new_quantity: NotNegative  # absolute; 0 removes


class BookEvent(Struct, gc=False):
    """Often without updates.

    {"type":"update","product_id":"BTC-USD","updates":[{"side":"bid",
     "event_time":"2026-08-24T22:34:13.592233Z","price_level":"78856.05",
     "new_quantity":"0.04868907"}]}
    """

    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[Level]


class TradeRow(Struct, gc=False):
    """One fill.

    {"product_id":"ETH-USD","trade_id":"846155166","price":"2667.2","size":"0.67103722",
     "time":"2026-09-30T02:39:59.387841Z","side":"SELL"}
    """

    product_id: str
    trade_id: Number  # +1 per product, the same as on the Exchange feed
    price: Positive
    size: Positive
    time: Time
    side: Literal["BUY", "SELL"]  # of the maker


class TradesEvent(Struct, gc=False):
    type: Literal["snapshot", "update"]
    trades: list[TradeRow]  # newest first


class TickerRow(Struct, gc=False):
    """Without a time of its own.

    {"type":"ticker","product_id":"BTC-USDT","price":"66799.88","volume_24_h":"338.5776341",
     "low_24_h":"64515.5","high_24_h":"67236.34","low_52_w":"24801","high_52_w":"73804",
     "price_percent_chg_24_h":"3.22072416267059","best_bid":"66799.88",
     "best_bid_quantity":"0.1","best_ask":"66818.68","best_ask_quantity":"0.00372549"}
    """

    product_id: str
    price: Positive
    volume_24_h: NotNegative
    low_24_h: NotNegative
    high_24_h: NotNegative
    price_percent_chg_24_h: Annotated[float, Meta(gt=-100, lt=1e300)]
    best_bid: NotNegative | None = None
    best_bid_quantity: NotNegative | None = None
    best_ask: NotNegative | None = None
    best_ask_quantity: NotNegative | None = None


class TickersEvent(Struct, gc=False):
    tickers: list[TickerRow]


class CandleRow(Struct, gc=False):
    """Five minutes, told once a second.

    {"start":"1775521800","high":"68950.00","low":"68850.00","open":"68900.00",
     "close":"68920.50","volume":"42.15","product_id":"BTC-USD"}
    """

    start: Annotated[int, Meta(ge=1_230_768_000, lt=4_102_444_800)]  # seconds
    high: Positive
    low: Positive
    open: Positive
    close: Positive
    volume: NotNegative
    product_id: str


class CandlesEvent(Struct, gc=False):
    candles: list[CandleRow]


class CarriedEvent(Struct):
    """All that the connection carries.

    {"subscriptions":{"level2":["BTC-USD"]}}
    """

    subscriptions: dict[str, list[str]]


class Head(Struct):
    """What tells a frame whose keys stand in another order, or an error.

    {"type":"error","message":"..."}
    """

    channel: str = ""
    sequence_num: Number | None = None
    type: str = ""
    message: str = ""


Part: TypeAlias = tuple[str, str, Data]  # channel, product, what its handler takes


class Reader(Struct, frozen=True):
    """How the frames of a channel are read, and parted by product."""

    read: Callable[[bytes], Frame[Any]]
    part: Callable[[Sequence[Any]], Iterable[Part]]


def _book_parts(events: Sequence[BookEvent]) -> Iterable[Part]:
    return [("level2", event.product_id, event) for event in events]


def _trade_parts(events: Sequence[TradesEvent]) -> Iterable[Part]:
    """Oldest first, with the word whether they are what was traded before we came."""
    for event in events:
        products: dict[str, list[TradeRow]] = {}
        for row in reversed(event.trades):
            products.setdefault(row.product_id, []).append(row)
        for product, rows in products.items():
            yield "market_trades", product, (rows, event.type == "snapshot")


def _ticker_parts(events: Sequence[TickersEvent]) -> Iterable[Part]:
    return [("ticker", row.product_id, row) for event in events for row in event.tickers]


def _candle_parts(events: Sequence[CandlesEvent]) -> Iterable[Part]:
    return [("candles", row.product_id, row) for event in events for row in event.candles]


READERS: dict[bytes, Reader] = {
    b"l2_data": Reader(Decoder(Frame[BookEvent], strict=False).decode, _book_parts),
    b"market_trades": Reader(Decoder(Frame[TradesEvent], strict=False).decode, _trade_parts),
    b"ticker": Reader(Decoder(Frame[TickersEvent], strict=False).decode, _ticker_parts),
    b"ticker_batch": Reader(Decoder(Frame[TickersEvent], strict=False).decode, _ticker_parts),
    b"candles": Reader(Decoder(Frame[CandlesEvent], strict=False).decode, _candle_parts),
}
decode_any = Decoder(Frame[Raw]).decode
decode_head = Decoder(Head).decode
decode_carried = Decoder(CarriedEvent).decode


def to_trade(row: TradeRow, recv: Micros, inst: InstrumentId) -> Trade:
    ts, number = micros(row.time), str(row.trade_id)
    return Trade(ts, recv, inst, number, TAKER[row.side], row.price, row.size, "market_trades")


def _levels(event: BookEvent, side: str) -> list[tuple[float, float]]:
    return [(each.price_level, each.new_quantity) for each in event.updates if each.side == side]


def time_of(event: BookEvent, told: Micros) -> Micros:
    if not event.updates or event.updates[-1].event_time.year == _EPOCH_YEAR:
        return told
    return micros(event.updates[-1].event_time)


def to_snapshot(
    event: BookEvent, ts: Micros, recv: Micros, inst: InstrumentId, seq: int
) -> BookSnapshot:
    bids = tuple(sorted((level for level in _levels(event, "bid") if level[1]), reverse=True))
    asks = tuple(sorted(level for level in _levels(event, "offer") if level[1]))
    return BookSnapshot(ts, recv, inst, seq, bids, asks)


def to_delta(event: BookEvent, ts: Micros, recv: Micros, inst: InstrumentId, seq: int) -> BookDelta:
    bids, asks = tuple(_levels(event, "bid")), tuple(_levels(event, "offer"))
    return BookDelta(ts, recv, inst, seq, seq, bids, asks)


def to_ticker(row: TickerRow, ts: Micros, recv: Micros, inst: InstrumentId) -> Ticker:
    share = row.price_percent_chg_24_h / 100
    opened = row.price / (1 + share)
    # The venue does not tell the volume in the quote currency.
    return Ticker(
        ts, recv, inst, row.price, opened, row.high_24_h, row.low_24_h, row.volume_24_h, 0.0,
        row.price - opened, share, row.best_bid, row.best_ask,
    )  # fmt: skip


def to_quote(row: TickerRow, ts: Micros, recv: Micros, inst: InstrumentId) -> Quote | None:
    if row.best_bid is None or row.best_ask is None:
        return None
    if row.best_bid_quantity is None or row.best_ask_quantity is None:
        return None
    sizes = row.best_bid_quantity, row.best_ask_quantity
    return Quote(ts, recv, inst, row.best_bid, sizes[0], row.best_ask, sizes[1])


def to_candle(row: CandleRow, told: Micros, recv: Micros, inst: InstrumentId) -> Candle:
    """Closed when it was told after its end. The venue tells neither trades nor the taker's part."""
    ts = Micros(row.start * SECOND)
    closed = told >= ts + _CANDLE
    return Candle(
        ts, recv, inst, "5m", row.open, row.high, row.low, row.close, row.volume, 0.0, 0, closed,
        origin=Origin.VENUE,
    )  # fmt: skip
