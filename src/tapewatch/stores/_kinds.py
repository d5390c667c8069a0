"""What is stored where: one kind is one folder of files and one view in SQL.

Plain data, no library: the sink must stay light, the child that makes Parquet and the query store
read the same table. `key` says which rows are the same row told twice; of those the first by
`best` is kept. `order` is how rows lie in a file. Both are SQL.

`recv` is part of a key only where the venue gives nothing better to know a row by.
"""

from msgspec import Struct

from tapewatch.model.events import (
    Alert,
    BookDelta,
    BookSnapshot,
    Candle,
    Event,
    Gap,
    Liquidation,
    MarkPrice,
    Metric,
    NewsItem,
    Quote,
    Ticker,
    Trade,
)


class Kind(Struct, frozen=True):
    """`events[0]` gives the columns; the order book has its own (see `_arrow`)."""

    name: str
    events: tuple[type[Event], ...]
    key: str
    best: str = "recv"
    order: str = "inst, ts"


_ALL = (
    # A trade may come twice: live and repaired. The live one has the better receive time.
    Kind(
        "trades",
        (Trade,),
        "inst, channel, id",
        "repaired, recv",
        "inst, ts, try_cast(id AS BIGINT), id",
    ),
    # Some venues number no quotes, and all frames of one wake-up share `recv`: values decide.
    Kind(
        "quotes",
        (Quote,),
        "inst, recv, seq, ts, bid, bid_size, ask, ask_size",
        order="inst, ts, seq, recv",
    ),
    Kind("tickers", (Ticker,), "inst, ts, recv, last, volume, bid, ask"),
    # Snapshots of several depths may share everything but their length.
    Kind(
        "orderbook",
        (BookSnapshot, BookDelta),
        "inst, kind, ts, recv, first_seq, seq, len(bids), len(asks)",
        order="inst, ts, seq, recv",
    ),
    Kind(
        "candles",
        (Candle,),
        "inst, interval, origin, ts",
        "revision DESC, recv DESC",
        "inst, ts, interval, origin",
    ),
    # Without ids: one venue, one moment, one price and size is one liquidation.
    Kind("liquidations", (Liquidation,), "inst, ts, side, price, size"),
    Kind("mark_prices", (MarkPrice,), "inst, ts, mark, funding_rate"),
    # Computed again after a restart: what was computed last knows most. An order that grows is told
    # several times in one moment: its last word is its largest.
    Kind("metrics", (Metric,), '"name", inst, "window", ts', 'recv DESC, "value" DESC'),
    Kind("alerts", (Alert,), "id, state, ts", "recv DESC", "ts, id"),
    Kind("news", (NewsItem,), "source, id", "recv", "ts, id"),
    Kind("gaps", (Gap,), 'inst, channel, ts, "first", "last", reason'),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
KIND_OF: dict[type[Event], str] = {event: kind.name for kind in _ALL for event in kind.events}
STORED: frozenset[type[Event]] = frozenset(KIND_OF)
