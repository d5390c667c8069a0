"""Payloads of OKX's public channels, key for key in the venue's order.

Everything is text but `seqId`, `prevSeqId` and `checksum`. `data` of a channel and the row of a
REST answer are often the same object, so rows are made apart from the frame around them.
https://www.okx.com/docs-v5/en/#order-book-trading-market-data
"""

from zlib import crc32

from msgspec import Struct

from tapewatch.sim.bars import Bar
from tapewatch.sim.book import View
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import product
from tapewatch.sim.happenings import Aggregate, Liquidation, Trade
from tapewatch.sim.listing import Listing
from tapewatch.sim.okx_listing import family, inst_type
from tapewatch.sim.okx_texts import levels, plain, size, to_tick, volumes

_CHECKED = 25  # levels of a side that a checksum covers


class Sods(Struct, frozen=True):
    """Prices at the start of the day, in UTC and in UTC+8."""

    utc0: int
    utc8: int


class Funding(Struct, frozen=True):
    """The running estimate. Times in microseconds; `premium` and rates as fractions."""

    rate: float
    settled_rate: float
    premium: float
    at: int
    next_at: int
    previous_at: int


def pushed(channel: str, inst_id: str, row: str) -> str:
    """A frame with one row."""
    return f'{{"arg":{{"channel":"{channel}","instId":"{inst_id}"}},"data":[{row}]}}'


def side(buyer_is_maker: bool) -> str:  # noqa: FBT001 - it is the value itself
    """What the taker did."""
    return "sell" if buyer_is_maker else "buy"


def trade(listing: Listing, a: Aggregate, seq: int) -> str:
    """A row of `trades`: fills of one order at one price; `tradeId` is the last of them."""
    return (
        f'{{"instId":"{a.symbol}","tradeId":"{a.last}","px":"{plain(a.price)}",'
        f'"sz":"{size(listing, a.price, a.qty)}","side":"{side(a.buyer_is_maker)}",'
        f'"ts":"{a.ts // 1_000}","count":"{a.last - a.first + 1}","source":"0","seqId":{seq}}}'
    )


def fill(listing: Listing, t: Trade) -> str:
    """A row of `trades-all`."""
    return (
        f'{{"instId":"{t.symbol}","tradeId":"{t.id}","px":"{plain(t.price)}",'
        f'"sz":"{size(listing, t.price, t.qty)}","side":"{side(t.buyer_is_maker)}",'
        f'"ts":"{t.ts // 1_000}"}}'
    )


def past_fill(listing: Listing, t: Trade) -> str:
    """A row of the REST paths `trades` and `history-trades`."""
    return (
        f'{{"instId":"{t.symbol}","side":"{side(t.buyer_is_maker)}",'
        f'"sz":"{size(listing, t.price, t.qty)}","source":"0","px":"{plain(t.price)}",'
        f'"tradeId":"{t.id}","ts":"{t.ts // 1_000}"}}'
    )


def best(listing: Listing, view: View, ts: int, seq: int) -> str:
    """A row of `bbo-tbt`; `ts` is the time of the push."""
    return (
        f'{{"asks":{levels(listing, view.asks)},"bids":{levels(listing, view.bids)},'
        f'"ts":"{ts // 1_000}","seqId":{seq}}}'
    )


def top_five(listing: Listing, view: View, ts: int, seq: int) -> str:
    """A row of `books5`: like `bbo-tbt`, with the name of the instrument."""
    return (
        f'{{"asks":{levels(listing, view.asks)},"bids":{levels(listing, view.bids)},'
        f'"instId":"{listing.symbol}","ts":"{ts // 1_000}","seqId":{seq}}}'
    )


def book(
    listing: Listing, action: str, view: View, ts: int, ids: tuple[int, int], checksum: int
) -> str:
    """A frame of `books`. `ids`: of this message and of the one before (-1 for a snapshot)."""
    seq, previous = ids
    return (
        f'{{"arg":{{"channel":"books","instId":"{listing.symbol}"}},"action":"{action}",'
        f'"data":[{{"asks":{levels(listing, view.asks)},"bids":{levels(listing, view.bids)},'
        f'"ts":"{ts // 1_000}","checksum":{checksum},"seqId":{seq},"prevSeqId":{previous}}}]}}'
    )


def checksum(listing: Listing, view: View) -> int:
    """CRC32, signed, over 25 levels by turns: `bid:size:ask:size:...`, as texts were sent."""
    bids, asks = view.bids[:_CHECKED], view.asks[:_CHECKED]
    parts: list[str] = []
    for rank in range(max(len(bids), len(asks))):
        for rows in (bids, asks):
            if rank < len(rows):
                price, qty = rows[rank]
                parts += (plain(price), size(listing, price, qty))
    found = crc32(":".join(parts).encode())
    return found - (1 << 32) if found >= 1 << 31 else found


def ticker(
    listing: Listing, day: Day, top: tuple[int, int, int, int], last_qty: int, sods: Sods
) -> str:
    """A row of `tickers`."""
    bar = day.bar
    bid, bid_qty, ask, ask_qty = top
    counted, other, _ = volumes(listing, bar)
    return (
        f'{{"instType":"{inst_type(listing)}","instId":"{listing.symbol}",'
        f'"last":"{plain(bar.close)}","lastSz":"{size(listing, bar.close, last_qty)}",'
        f'"askPx":"{plain(ask)}","askSz":"{size(listing, ask, ask_qty)}",'
        f'"bidPx":"{plain(bid)}","bidSz":"{size(listing, bid, bid_qty)}",'
        f'"open24h":"{plain(bar.open)}","high24h":"{plain(bar.high)}","low24h":"{plain(bar.low)}",'
        f'"sodUtc0":"{plain(sods.utc0)}","sodUtc8":"{plain(sods.utc8)}","volCcy24h":"{other}",'
        f'"vol24h":"{counted}","ts":"{day.close_ts // 1_000}"}}'
    )


def candle(listing: Listing, bar: Bar, *, closed: bool) -> str:
    """A row of `candle*`, also of the REST paths."""
    prices = ",".join(f'"{plain(p)}"' for p in (bar.open, bar.high, bar.low, bar.close))
    counted, other, quote = volumes(listing, bar)
    return (
        f'["{bar.open_ts // 1_000}",{prices},"{counted}","{other}","{quote}",'
        f'"{"1" if closed else "0"}"]'
    )


def mark_price(listing: Listing, mark: int, ts: int) -> str:
    """A row of `mark-price`."""
    return (
        f'{{"instId":"{listing.symbol}","instType":"{inst_type(listing)}",'
        f'"markPx":"{to_tick(mark, listing)}","ts":"{ts // 1_000}"}}'
    )


def index_ticker(listing: Listing, index: int, day: Day, sods: Sods) -> str:
    """A row of `index-tickers`; the day is that of the pair."""
    bar = day.bar
    return (
        f'{{"instId":"{family(listing)}","idxPx":"{to_tick(index, listing)}",'
        f'"open24h":"{plain(bar.open)}","high24h":"{plain(max(bar.high, index))}",'
        f'"low24h":"{plain(min(bar.low, index))}","sodUtc0":"{plain(sods.utc0)}",'
        f'"sodUtc8":"{plain(sods.utc8)}","ts":"{day.close_ts // 1_000}"}}'
    )


def funding_rate(listing: Listing, funding: Funding) -> str:
    """A row of `funding-rate`: what will be paid at `fundingTime`, as it looks now."""
    return (
        f'{{"formulaType":"withRate","fundingRate":"{funding.rate:.16f}",'
        f'"fundingTime":"{funding.next_at // 1_000}","impactValue":"20000.0000000000000000",'
        f'"instId":"{listing.symbol}","instType":"{inst_type(listing)}",'
        f'"interestRate":"0.0001000000000000","maxFundingRate":"0.00375",'
        f'"method":"current_period","minFundingRate":"-0.00375","nextFundingRate":"",'
        f'"nextFundingTime":"{(2 * funding.next_at - funding.previous_at) // 1_000}",'
        f'"premium":"{funding.premium:.16f}","prevFundingTime":"{funding.previous_at // 1_000}",'
        f'"settFundingRate":"{funding.settled_rate:.16f}","settState":"settled",'
        f'"ts":"{funding.at // 1_000}"}}'
    )


def open_interest(listing: Listing, interest: int, price: int, ts: int) -> str:
    """A row of `open-interest`. `interest` in base; a unit of quote counts as a dollar."""
    return (
        f'{{"instId":"{listing.symbol}","instType":"{inst_type(listing)}",'
        f'"oi":"{size(listing, price, interest)}","oiCcy":"{plain(interest)}",'
        f'"oiUsd":"{plain(product(price, interest))}","ts":"{ts // 1_000}"}}'
    )


def liquidation(listing: Listing, told: Liquidation) -> str:
    """A frame of `liquidation-orders`. The price is that of bankruptcy, not of the fills."""
    return (
        '{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":['
        f'{liquidation_detail(listing, told)}],"instFamily":"{family(listing)}",'
        f'"instId":"{listing.symbol}","instType":"SWAP","uly":"{family(listing)}"}}]}}'
    )


def liquidation_detail(listing: Listing, told: Liquidation) -> str:
    """One order among the `details`."""
    what = '"posSide":"long","side":"sell"' if told.longs else '"posSide":"short","side":"buy"'
    return (
        f'{{"bkLoss":"0","bkPx":"{plain(told.price)}","ccy":"",{what},'
        f'"sz":"{size(listing, told.price, told.qty)}","ts":"{told.ts // 1_000}"}}'
    )
