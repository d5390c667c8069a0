"""Rows of Binance spot's REST answers, key for key."""

from typing import Any

from tapewatch.sim.bars import Bar, following
from tapewatch.sim.decimals import fixed, product
from tapewatch.sim.happenings import Aggregate, Trade
from tapewatch.sim.market import Market


def trade(t: Trade, unit: int) -> dict[str, Any]:
    """`/api/v3/trades`."""
    return {
        "id": t.id,
        "price": fixed(t.price),
        "qty": fixed(t.qty),
        "quoteQty": fixed(product(t.price, t.qty)),
        "time": t.ts // unit,
        "isBuyerMaker": t.buyer_is_maker,
        "isBestMatch": True,
    }


def aggregate(a: Aggregate, unit: int) -> dict[str, Any]:
    """`/api/v3/aggTrades`."""
    return {
        "a": a.id,
        "p": fixed(a.price),
        "q": fixed(a.qty),
        "f": a.first,
        "l": a.last,
        "T": a.ts // unit,
        "m": a.buyer_is_maker,
        "M": True,
    }


def kline(bar: Bar, interval: str, unit: int) -> list[Any]:
    """`/api/v3/klines`."""
    return [
        bar.open_ts // unit,
        fixed(bar.open),
        fixed(bar.high),
        fixed(bar.low),
        fixed(bar.close),
        fixed(bar.volume),
        following(bar.open_ts, interval) // unit - 1,
        fixed(bar.quote),
        bar.trades,
        fixed(bar.buy_volume),
        fixed(bar.buy_quote),
        "0",
    ]


def price(market: Market, symbol: str) -> dict[str, Any]:
    """`/api/v3/ticker/price`."""
    return {"symbol": symbol, "price": fixed(market.day(symbol).bar.close)}


def book_ticker(market: Market, symbol: str) -> dict[str, Any]:
    """`/api/v3/ticker/bookTicker`."""
    bid, bid_qty, ask, ask_qty = (fixed(value) for value in market.live_book(symbol).top())
    return {
        "symbol": symbol,
        "bidPrice": bid,
        "bidQty": bid_qty,
        "askPrice": ask,
        "askQty": ask_qty,
    }


def day(market: Market, symbol: str, unit: int, *, mini: bool) -> dict[str, Any]:
    """`/api/v3/ticker/24hr`, whole or `type=MINI`."""
    found = market.day(symbol)
    bar = found.bar
    core = {
        "openPrice": fixed(bar.open),
        "highPrice": fixed(bar.high),
        "lowPrice": fixed(bar.low),
        "lastPrice": fixed(bar.close),
        "volume": fixed(bar.volume),
        "quoteVolume": fixed(bar.quote),
        "openTime": found.open_ts // unit,
        "closeTime": found.close_ts // unit,
        "firstId": bar.first,
        "lastId": bar.last,
        "count": bar.trades,
    }
    if mini:
        return {"symbol": symbol, **core}
    best = book_ticker(market, symbol)
    trades = market.trades(symbol)
    return {
        "symbol": symbol,
        "priceChange": fixed(found.change),
        "priceChangePercent": f"{found.percent:.3f}",
        "weightedAvgPrice": fixed(found.average),
        "prevClosePrice": fixed(found.previous_close),
        "lastQty": fixed(trades[-1].qty if trades else market.listing(symbol).lot),
        **best,
        **core,
    }
