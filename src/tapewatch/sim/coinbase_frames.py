"""Payloads of the Exchange feed, key for key in the venue's order.

Written by hand with f-strings: the simulator encodes thousands a second. The side of a match is
the maker's, that of a ticker the taker's: of one trade they are opposite.
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
"""

from collections.abc import Iterable

from msgspec import Struct

from tapewatch.sim.book import Changes, Level
from tapewatch.sim.chart import Day
from tapewatch.sim.coinbase_texts import SECOND, micros, order_id, padded, plain
from tapewatch.sim.decimals import fixed
from tapewatch.sim.happenings import Top, Trade


class Last(Struct, frozen=True):
    """What a ticker shows: the last trade, the best prices after it, the day."""

    trade: Trade
    top: Top
    day: Day


def match(t: Trade, sequence: int, decimals: int, *, kind: str = "match") -> str:
    """`matches`; the first frame after subscribing is a `last_match`."""
    return (
        f'{{"type":"{kind}","trade_id":{t.id},"maker_order_id":"{order_id("maker", t.symbol, t.id)}",'
        f'"taker_order_id":"{order_id("taker", t.symbol, t.ts)}","side":"{maker_side(t)}",'
        f'"size":"{fixed(t.qty)}","price":"{padded(t.price, decimals)}","product_id":"{t.symbol}",'
        f'"sequence":{sequence},"time":"{micros(t.ts)}"}}'
    )


def ticker(last: Last, sequence: int, decimals: int) -> str:
    """`ticker`, `ticker_batch`. Prices of the day are trimmed, the best ones padded."""
    t, top, bar = last.trade, last.top, last.day.bar
    return (
        f'{{"type":"ticker","sequence":{sequence},"product_id":"{t.symbol}",'
        f'"price":"{plain(t.price)}","open_24h":"{plain(bar.open)}",'
        f'"volume_24h":"{plain(bar.volume)}","low_24h":"{plain(bar.low)}",'
        f'"high_24h":"{plain(bar.high)}","volume_30d":"{plain(bar.volume * 30)}",'
        f'"best_bid":"{padded(top.bid, decimals)}","best_bid_size":"{fixed(top.bid_qty)}",'
        f'"best_ask":"{padded(top.ask, decimals)}","best_ask_size":"{fixed(top.ask_qty)}",'
        f'"side":"{taker_side(t)}","time":"{micros(t.ts)}","trade_id":{t.id},'
        f'"last_size":"{plain(t.qty)}"}}'
    )


def levels(rows: Iterable[Level], decimals: int) -> str:
    """`[["price","size"],...]`."""
    return "[" + ",".join(f'["{padded(p, decimals)}","{fixed(q)}"]' for p, q in rows) + "]"


def snapshot(
    symbol: str, bids: Iterable[Level], asks: Iterable[Level], ts: int, decimals: int
) -> str:
    """The first frame of `level2_batch`: the whole book."""
    return (
        f'{{"type":"snapshot","product_id":"{symbol}","asks":{levels(asks, decimals)},'
        f'"bids":{levels(bids, decimals)},"time":"{micros(ts)}"}}'
    )


def update(symbol: str, changes: Changes, ts: int, decimals: int) -> str:
    """`l2update`: what the levels hold now, in the order in which they changed; no sequence."""
    rows = [f'["buy","{padded(p, decimals)}","{fixed(q)}"]' for p, q in changes.bids.items()]
    rows += [f'["sell","{padded(p, decimals)}","{fixed(q)}"]' for p, q in changes.asks.items()]
    return (
        f'{{"type":"l2update","product_id":"{symbol}","changes":[{",".join(rows)}],'
        f'"time":"{micros(ts)}"}}'
    )


def heartbeat(symbol: str, trade_id: int, sequence: int, ts: int) -> str:
    """`heartbeat`, at the whole second."""
    return (
        f'{{"type":"heartbeat","last_trade_id":{trade_id},"product_id":"{symbol}",'
        f'"sequence":{sequence},"time":"{micros(ts - ts % SECOND)}"}}'
    )


def maker_side(t: Trade) -> str:
    """Whose order waited: `buy` when somebody sold into the bid."""
    return "buy" if t.buyer_is_maker else "sell"


def taker_side(t: Trade) -> str:
    """Whose order came."""
    return "sell" if t.buyer_is_maker else "buy"
