"""The row of a ticker, and what of it changed.

A linear ticker is the only source of mark and index price, funding and open interest. Positions
are not simulated: open interest is a slow wave of its own, the same at a time whoever asks.
"""

import math
from collections.abc import Mapping
from zlib import crc32

from tapewatch.sim.bars import DAY, HOUR, SECOND, opened
from tapewatch.sim.bybit_desk import Desk
from tapewatch.sim.bybit_frames import MILLI
from tapewatch.sim.bybit_listing import FUNDING_CAP, FUNDING_HOURS
from tapewatch.sim.bybit_numbers import fraction, padded
from tapewatch.sim.decimals import ONE, product
from tapewatch.sim.market import Market

Row = dict[str, str]

# recorded: a delta has these two last, though the snapshot has them in the middle
_LAST = ("singleOpenInterest", "singleOpenInterestValue")
# the venue repeats the other half of a pair
_PAIRS = {"bid1Price": "bid1Size", "ask1Price": "ask1Size"}


def spot_row(market: Market, desk: Desk) -> Row:
    """`tickers` of spot: no best prices."""
    day, numbers = market.day(desk.symbol), desk.numbers
    bid, _, ask, _ = market.live_book(desk.symbol).top()
    is_usd = market.listing(desk.symbol).quote in {"USDT", "USDC"}
    return {
        "symbol": desk.name,
        "lastPrice": numbers.price(day.bar.close),
        "highPrice24h": numbers.price(day.bar.high),
        "lowPrice24h": numbers.price(day.bar.low),
        "prevPrice24h": numbers.price(day.bar.open),
        "volume24h": numbers.total(day.bar.volume),
        "turnover24h": numbers.total(day.bar.quote),
        "price24hPcnt": fraction(day.change / day.bar.open, 4),
        "usdIndexPrice": fraction((bid + ask) / 2 / ONE, 6) if is_usd else "",
    }


def linear_row(market: Market, desk: Desk) -> Row:
    """`tickers` of linear, whole."""
    day, numbers = market.day(desk.symbol), desk.numbers
    listing, mark = market.listing(desk.symbol), market.mark(desk.symbol)
    mark_price = mark.mark - mark.mark % listing.tick  # recorded: a mark is on the tick
    hour_ago = market.bar(desk.symbol, "1m", opened(market.now - HOUR, "1m"))
    lots = open_interest(desk.symbol, market.now)
    single = lots * listing.lot
    bid, bid_qty, ask, ask_qty = market.live_book(desk.symbol).top()
    return {
        "symbol": desk.name,
        "tickDirection": desk.direction,
        "price24hPcnt": fraction(day.change / day.bar.open, 6),
        "lastPrice": numbers.price(day.bar.close),
        "prevPrice24h": numbers.price(day.bar.open),
        "highPrice24h": numbers.price(day.bar.high),
        "lowPrice24h": numbers.price(day.bar.low),
        "prevPrice1h": numbers.price(hour_ago.open),
        "markPrice": numbers.price(mark_price),
        "indexPrice": numbers.index(mark.index),
        "openInterest": numbers.size(2 * single),
        "openInterestValue": padded(product(2 * single, mark_price), 2),
        "turnover24h": numbers.total(day.bar.quote),
        "volume24h": numbers.total(day.bar.volume),
        "fundingIntervalHour": str(FUNDING_HOURS),
        "fundingCap": FUNDING_CAP,
        "singleOpenInterest": numbers.size(single),
        "singleOpenInterestValue": padded(product(single, mark_price), 2),
        "nextFundingTime": str(mark.next_funding // MILLI),
        "fundingRate": fraction(mark.funding_rate, 8),
        "bid1Price": numbers.price(bid),
        "bid1Size": numbers.size(bid_qty),
        "ask1Price": numbers.price(ask),
        "ask1Size": numbers.size(ask_qty),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> Row | None:
    """The keys of a delta in the venue's order, or None if nothing changed."""
    keys = {key for key, value in after.items() if before[key] != value}
    if not keys:
        return None
    for price, size in _PAIRS.items():
        if price in keys or size in keys:
            keys |= {price, size}
    delta = {key: after[key] for key in after if key in keys and key not in _LAST}
    return {"symbol": after["symbol"], **delta, **{key: after[key] for key in _LAST if key in keys}}


def open_interest(symbol: str, ts: int) -> int:
    """Lots that are held on one side; a new number every ten seconds."""
    ts -= ts % (10 * SECOND)
    noise = crc32(symbol.encode())
    wave = math.sin(ts / DAY * math.tau + noise) + 0.2 * math.sin(ts / HOUR * math.tau + noise)
    return round((20_000_000 + noise % 10_000_000) * (1 + 0.03 * wave))
