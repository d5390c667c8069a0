"""Rows of Binance USD-M's REST answers, key for key, times in milliseconds."""

from random import Random
from typing import Any

from tapewatch.sim.bars import Bar, following
from tapewatch.sim.binance_futures_batches import told_id
from tapewatch.sim.binance_futures_frames import without_rpi
from tapewatch.sim.binance_futures_listing import Spelling, spelling
from tapewatch.sim.book import View
from tapewatch.sim.decimals import cut, fixed, product
from tapewatch.sim.happenings import Aggregate, Liquidation, Trade
from tapewatch.sim.market import Market

_MILLI = 1_000


def depth(s: Spelling, view: View, now: int) -> dict[str, Any]:
    """`/fapi/v1/depth`."""
    return {
        "lastUpdateId": told_id(view.update_id),
        "E": now // _MILLI,
        "T": now // _MILLI - 3,
        "bids": [[s.price(price), s.qty(qty)] for price, qty in view.bids],
        "asks": [[s.price(price), s.qty(qty)] for price, qty in view.asks],
    }


def trade(s: Spelling, t: Trade) -> dict[str, Any]:
    """`/fapi/v1/trades`."""
    return {
        "id": t.id,
        "price": s.price(t.price),
        "qty": s.qty(t.qty),
        "quoteQty": cut(product(t.price, t.qty), 2),
        "time": t.ts // _MILLI,
        "isBuyerMaker": t.buyer_is_maker,
    }


def aggregate(s: Spelling, a: Aggregate, lot: int) -> dict[str, Any]:
    """`/fapi/v1/aggTrades`."""
    return {
        "a": a.id,
        "p": s.price(a.price),
        "q": s.qty(a.qty),
        "nq": s.qty(without_rpi(a, lot)),
        "f": a.first,
        "l": a.last,
        "T": a.ts // _MILLI,
        "m": a.buyer_is_maker,
    }


def kline(s: Spelling, bar: Bar, interval: str) -> list[Any]:
    """`/fapi/v1/klines`."""
    return [
        bar.open_ts // _MILLI,
        s.price(bar.open),
        s.price(bar.high),
        s.price(bar.low),
        s.price(bar.close),
        s.qty(bar.volume),
        following(bar.open_ts, interval) // _MILLI - 1,
        s.worth(bar.quote),
        bar.trades,
        s.qty(bar.buy_volume),
        s.worth(bar.buy_quote),
        "0",
    ]


def liquidation(s: Spelling, told: Liquidation) -> dict[str, Any]:
    """The whole truth about one, of which the streams tell a sample."""
    return {
        "id": told.id,
        "symbol": told.symbol,
        "side": "SELL" if told.longs else "BUY",
        "price": s.price(told.price),
        "averagePrice": s.price(told.average),
        "qty": s.qty(told.qty),
        "time": told.ts // _MILLI,
    }


def premium_index(market: Market, symbol: str) -> dict[str, Any]:
    """`/fapi/v1/premiumIndex`."""
    mark = market.mark(symbol)
    return {
        "symbol": symbol,
        "markPrice": fixed(mark.mark),
        "indexPrice": fixed(mark.index),
        "estimatedSettlePrice": fixed(mark.index),
        "lastFundingRate": f"{mark.funding_rate:.8f}",
        "interestRate": "0.00010000",
        "nextFundingTime": mark.next_funding // _MILLI,
        "time": market.now // _MILLI,
    }


def funding(market: Market, symbol: str, ts: int) -> dict[str, Any]:
    """`/fapi/v1/fundingRate`: what was paid at `ts`, made up the same way each time."""
    rate = 1e-4 + Random(f"{symbol}/{ts}").gauss(0.0, 5e-5)
    bars = market.klines(symbol, "1m", ts, ts, 1)
    return {
        "symbol": symbol,
        "fundingTime": ts // _MILLI,
        "fundingRate": f"{rate:.8f}",
        "markPrice": fixed(bars[0].open) if bars else "",
    }


def price(market: Market, symbol: str) -> dict[str, Any]:
    """`/fapi/v1/ticker/price`."""
    written = spelling(market.listing(symbol))
    close = written.price(market.day(symbol).bar.close)
    return {"symbol": symbol, "price": close, "time": market.now // _MILLI}


def book_ticker(market: Market, symbol: str) -> dict[str, Any]:
    """`/fapi/v1/ticker/bookTicker`."""
    written, book = spelling(market.listing(symbol)), market.live_book(symbol)
    bid, bid_qty, ask, ask_qty = book.top()
    return {
        "symbol": symbol,
        "bidPrice": written.price(bid),
        "bidQty": written.qty(bid_qty),
        "askPrice": written.price(ask),
        "askQty": written.qty(ask_qty),
        "time": market.now // _MILLI,
        "lastUpdateId": told_id(book.update_id),
    }


def day(market: Market, symbol: str) -> dict[str, Any]:
    """`/fapi/v1/ticker/24hr`."""
    found, written = market.day(symbol), spelling(market.listing(symbol))
    bar, trades = found.bar, market.trades(symbol)
    last_qty = trades[-1].qty if trades else market.listing(symbol).lot
    return {
        "symbol": symbol,
        "priceChange": written.price(found.change),
        "priceChangePercent": f"{found.percent:.3f}",
        "weightedAvgPrice": written.price(found.average),
        "lastPrice": written.price(bar.close),
        "lastQty": written.qty(last_qty),
        "openPrice": written.price(bar.open),
        "highPrice": written.price(bar.high),
        "lowPrice": written.price(bar.low),
        "volume": written.qty(bar.volume),
        "quoteVolume": cut(bar.quote, 2),
        "openTime": found.open_ts // _MILLI,
        "closeTime": found.close_ts // _MILLI,
        "firstId": bar.first,
        "lastId": bar.last,
        "count": bar.trades,
    }
