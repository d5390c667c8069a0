"""Rows of Bybit's REST answers, key for key.

https://bybit-exchange.github.io/docs/v5/market/tickers
"""

from collections.abc import Mapping
from typing import Any

from tapewatch.sim.bars import Bar
from tapewatch.sim.book import View
from tapewatch.sim.bybit_desk import Desk
from tapewatch.sim.bybit_frames import MILLI, linear_trade_id, spot_trade_id
from tapewatch.sim.bybit_numbers import fraction, padded
from tapewatch.sim.bybit_tickers import open_interest
from tapewatch.sim.happenings import Liquidation, Trade

# in the venue's order; nothing is delivered here, so what tells of delivery is empty
_LINEAR_TICKER = (
    "symbol", "lastPrice", "indexPrice", "markPrice", "prevPrice24h", "price24hPcnt",
    "highPrice24h", "lowPrice24h", "prevPrice1h", "openInterest", "openInterestValue",
    "turnover24h", "volume24h", "fundingRate", "nextFundingTime", "predictedDeliveryPrice",
    "basisRate", "deliveryFeeRate", "deliveryTime", "ask1Size", "bid1Price", "ask1Price",
    "bid1Size", "basis", "preOpenPrice", "preQty", "curPreListingPhase", "fundingIntervalHour",
    "basisRateYear", "fundingCap", "singleOpenInterest", "singleOpenInterestValue",
)  # fmt: skip


def trade(desk: Desk, t: Trade) -> dict[str, Any]:
    """`/v5/market/recent-trade`."""
    is_spot = desk.is_spot
    return {
        "execId": spot_trade_id(t.id) if is_spot else linear_trade_id(desk.symbol, t.id),
        "symbol": desk.name,
        "price": desk.numbers.price(t.price),
        "size": desk.numbers.size(t.qty),
        "side": "Sell" if t.buyer_is_maker else "Buy",
        "time": str(t.ts // MILLI),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(desk.seq_of(t.id)),
    }


def book(desk: Desk, view: View, ts: int, cts: int, u: int) -> dict[str, Any]:
    """`/v5/market/orderbook`; the view's update id is the cross sequence."""
    numbers = desk.numbers
    return {
        "s": desk.name,
        "b": [[numbers.price(p), numbers.size(q)] for p, q in view.bids],
        "a": [[numbers.price(p), numbers.size(q)] for p, q in view.asks],
        "ts": ts // MILLI,
        "u": u,
        "seq": view.update_id,
        "cts": cts // MILLI,
    }


def kline(desk: Desk, bar: Bar) -> list[str]:
    """`/v5/market/kline`."""
    numbers = desk.numbers
    prices = (numbers.price(price) for price in (bar.open, bar.high, bar.low, bar.close))
    return [
        str(bar.open_ts // MILLI), *prices, numbers.size(bar.volume), numbers.total(bar.quote),
    ]  # fmt: skip


def spot_ticker(
    desk: Desk, row: Mapping[str, str], top: tuple[int, int, int, int]
) -> dict[str, str]:
    """`/v5/market/tickers` of spot: here with the best prices."""
    bid, bid_qty, ask, ask_qty = top
    numbers = desk.numbers
    return {
        "symbol": row["symbol"],
        "bid1Price": numbers.price(bid),
        "bid1Size": numbers.size(bid_qty),
        "ask1Price": numbers.price(ask),
        "ask1Size": numbers.size(ask_qty),
        "lastPrice": row["lastPrice"],
        "prevPrice24h": row["prevPrice24h"],
        "price24hPcnt": row["price24hPcnt"],
        "highPrice24h": row["highPrice24h"],
        "lowPrice24h": row["lowPrice24h"],
        "turnover24h": row["turnover24h"],
        "volume24h": row["volume24h"],
        "usdIndexPrice": row["usdIndexPrice"],
    }


def linear_ticker(row: Mapping[str, str]) -> dict[str, str]:
    """`/v5/market/tickers` of linear."""
    return {key: row.get(key, "0" if key == "deliveryTime" else "") for key in _LINEAR_TICKER}


def funding(name: str, ts: int, rate: float) -> dict[str, str]:
    """`/v5/market/funding/history`."""
    return {
        "symbol": name,
        "fundingRate": fraction(rate, 8),
        "fundingRateTimestamp": str(ts // MILLI),
    }


def interest(symbol: str, lot: int, ts: int) -> dict[str, str]:
    """`/v5/market/open-interest`: one side only."""
    lots = open_interest(symbol, ts)
    return {"openInterest": padded(lots * lot, 8), "timestamp": str(ts // MILLI)}


def liquidation(desk: Desk, one: Liquidation) -> dict[str, str]:
    """Not a path of the venue: the truth behind `allLiquidation`."""
    return {
        "T": str(one.ts // MILLI),
        "s": desk.name,
        "S": "Buy" if one.longs else "Sell",
        "v": desk.numbers.size(one.qty),
        "p": desk.numbers.price(one.price),
    }
