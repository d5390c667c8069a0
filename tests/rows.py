"""Events for tests of the stores: valid, told apart by a number."""

from tapewatch.model.events import (
    Alert,
    AlertState,
    AnyEvent,
    BookDelta,
    BookSnapshot,
    Candle,
    Coverage,
    DeadLetter,
    Gap,
    Holding,
    Liquidation,
    MarkPrice,
    Metric,
    Micros,
    NewsItem,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.times import HOUR, SECOND

INST = "binance:BTC/USDT"
T0 = Micros(1_756_080_000 * SECOND)  # 2025-08-25T00:00Z
HOUR0 = T0 // HOUR


def at(secs: float) -> Micros:
    return Micros(T0 + round(secs * SECOND))


def trade(number: int, secs: float = 0.0, inst: str = INST, **fields) -> Trade:
    known = {
        "ts": at(secs),
        "recv": at(secs + 0.1),
        "inst": inst,
        "id": str(number),
        "side": Side.BUY,
        "price": 100.0 + number,
        "size": 0.5,
        "channel": "aggTrade",
    }
    return Trade(**(known | fields))


def quote(number: int, secs: float = 0.0, inst: str = INST) -> Quote:
    return Quote(at(secs), at(secs + 0.1), inst, 99.0 + number, 1.0, 100.0 + number, 2.0, number)


def candle(minute: int, inst: str = INST, **fields) -> Candle:
    known = {
        "ts": at(60 * minute),
        "recv": at(60 * minute + 61),
        "inst": inst,
        "interval": "1m",
        "open": 10.0,
        "high": 12.0 + minute,
        "low": 9.0,
        "close": 11.0,
        "volume": 2.0,
        "buy_volume": 1.5,
        "trades": 3,
        "closed": True,
    }
    return Candle(**(known | fields))


def gap(number: int, secs: float = 0.0, channel: str = "aggTrade") -> Gap:
    return Gap(at(secs), at(secs), INST, channel, "lost", number, number + 1)


def snapshot(seq: int, secs: float = 0.0) -> BookSnapshot:
    return BookSnapshot(
        at(secs), at(secs), INST, seq, ((99.0, 1.0), (98.0, 2.0)), ((101.0, 1.5), (102.0, 3.0))
    )


def delta(seq: int, secs: float = 0.0, bids=((98.5, 4.0),), asks=()) -> BookDelta:
    return BookDelta(at(secs), at(secs), INST, seq, seq, bids, asks)


def coverage(first: int, last: int, holding: Holding = Holding.HAVE, reason: str = "") -> Coverage:
    return Coverage(at(0), at(0), INST, "aggTrade", first, last, holding, reason)


def letter(number: int, secs: float = 0.0, raw: str = "") -> DeadLetter:
    return DeadLetter(
        at(secs), at(secs), "binance", "decode", f"bad {number}", raw or f'{{"n":{number}}}'
    )


def one_of_each() -> dict[str, list[AnyEvent]]:
    """For each kind of the Parquet store two different rows."""
    return {
        "trades": [trade(1), trade(2, repaired=True, count=3)],
        "quotes": [quote(1), quote(2, 0.5)],
        "tickers": [
            Ticker(at(0), at(1), INST, 1.0, 2.0, 3.0, 0.5, 9.0, 9.5, -1.0, -0.5),
            Ticker(at(1), at(2), INST, 1.0, 2.0, 3.0, 0.5, 9.0, 9.5, -1.0, -0.5, 0.9, 1.1, 7),
        ],
        "orderbook": [snapshot(1), delta(2, 0.1)],
        "candles": [candle(0), candle(1, prev_close=11.0)],
        "liquidations": [
            Liquidation(at(0), at(1), INST, Side.SELL, 10.0, 1.0),
            Liquidation(at(1), at(2), INST, Side.BUY, 11.0, 1.0),
        ],
        "mark_prices": [
            MarkPrice(at(0), at(1), INST, 10.0),
            MarkPrice(at(1), at(2), INST, 10.0, 9.9, 0.0001, at(3600)),
        ],
        "metrics": [
            Metric(at(0), at(1), INST, "change", 0.5, "1h"),
            Metric(at(1), at(2), INST, "change", 0.6, "1h"),
        ],
        "alerts": [
            Alert(at(0), at(0), INST, "a1", "surge", AlertState.FIRING, "high", 5.0, "text"),
            Alert(at(1), at(1), INST, "a1", "surge", AlertState.RESOLVED, "high", 5.0, "text"),
        ],
        "news": [
            NewsItem(
                at(0),
                at(1),
                "n1",
                "rss",
                "title",
                "https://example.org",
                ("BTC", "ETH"),
                "summary",
                at(0),
            ),
            NewsItem(at(1), at(2), "n2", "rss", "title", "https://example.org"),
        ],
        "gaps": [gap(1), gap(5, 1.0)],
    }
