"""Payloads of Binance USD-M streams, key for key in the venue's order, times in milliseconds.

`st` says which universe an instrument is of (1 USD-M, 2 COIN-M), `ps` its pair; frames older than
the merge of both (2026-06-30) have neither, see `before_merge`.
"""

import re
from collections.abc import Iterable

from tapewatch.sim.bars import Bar, following
from tapewatch.sim.binance_futures_batches import Told, told_id
from tapewatch.sim.binance_futures_listing import Spelling
from tapewatch.sim.book import Level
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import cut, fixed
from tapewatch.sim.happenings import Aggregate, Liquidation, Top, Trade
from tapewatch.sim.perpetual import Mark

_MERGED = re.compile(r',"(?:st":\d|(?:ps|nq)":"[^"]*")')
_RPI_EVERY = 40  # one aggregate in so many has a part that only retail orders could meet
_MILLI = 1_000


def before_merge(text: str) -> str:
    """The same frame as it was in 2025."""
    return _MERGED.sub("", text)


def _flag(value: bool) -> str:  # noqa: FBT001 - it is the value itself
    return "true" if value else "false"


def trade(s: Spelling, t: Trade) -> str:
    """`<s>@trade`, which the venue does not document."""
    ts = t.ts // _MILLI
    return (
        f'{{"e":"trade","E":{ts + t.id % 2},"T":{ts},"s":"{s.symbol}","t":{t.id},'
        f'"p":"{s.price(t.price)}","q":"{s.qty(t.qty)}","X":"MARKET","m":{_flag(t.buyer_is_maker)}}}'
    )


def without_rpi(a: Aggregate, lot: int) -> int:
    """The part of the quantity that anybody could have met."""
    return a.qty - lot if a.id % _RPI_EVERY == 0 and a.qty > lot else a.qty


def aggregate(s: Spelling, a: Aggregate, lot: int, now: int) -> str:
    """`<s>@aggTrade`."""
    return (
        f'{{"e":"aggTrade","E":{now // _MILLI + 1 + a.id % 4},"a":{a.id},"s":"{s.symbol}",'
        f'"p":"{s.price(a.price)}","q":"{s.qty(a.qty)}","nq":"{s.qty(without_rpi(a, lot))}",'
        f'"f":{a.first},"l":{a.last},"T":{a.ts // _MILLI},"m":{_flag(a.buyer_is_maker)},'
        f'"st":{s.universe}}}'
    )


def book_ticker(s: Spelling, t: Top) -> str:
    """`<s>@bookTicker`."""
    ts = t.ts // _MILLI
    return (
        f'{{"e":"bookTicker","u":{told_id(t.update_id)},"s":"{s.symbol}","ps":"{s.pair}",'
        f'"b":"{s.price(t.bid)}","B":"{s.qty(t.bid_qty)}","a":"{s.price(t.ask)}",'
        f'"A":"{s.qty(t.ask_qty)}","T":{ts},"E":{ts + t.update_id % 3},"st":{s.universe}}}'
    )


def levels(s: Spelling, rows: Iterable[Level]) -> str:
    """`[["price","quantity"],...]`."""
    return "[" + ",".join(f'["{s.price(p)}","{s.qty(q)}"]' for p, q in rows) + "]"


def depth(s: Spelling, told: Told, now: int) -> str:
    """`<s>@depth`, its other speeds, and with whole sides `<s>@depth5` and the like."""
    bids = levels(s, sorted(told.bids.items(), reverse=True))
    asks = levels(s, sorted(told.asks.items()))
    ts = now // _MILLI
    return (
        f'{{"e":"depthUpdate","E":{ts + 1 + told.last % 9},"T":{ts},"s":"{s.symbol}",'
        f'"ps":"{s.pair}","U":{told.first},"u":{told.last},"pu":{told.previous},'
        f'"b":{bids},"a":{asks},"st":{s.universe}}}'
    )


def mark_price(s: Spelling, mark: Mark, now: int) -> str:
    """`<s>@markPrice`. The estimated settle price is the index."""
    price, index = fixed(mark.mark), fixed(mark.index)
    return (
        f'{{"e":"markPriceUpdate","E":{now // _MILLI},"s":"{s.symbol}","p":"{price}",'
        f'"ap":"{price}","P":"{index}","i":"{index}","r":"{mark.funding_rate:.8f}",'
        f'"T":{mark.next_funding // _MILLI},"st":{s.universe}}}'
    )


def _candle(s: Spelling, interval: str, bar: Bar, *, named: bool, closed: bool) -> str:
    close_ts = following(bar.open_ts, interval) // _MILLI - 1
    name = f'"s":"{s.symbol}",' if named else ""
    return (
        f'{{"t":{bar.open_ts // _MILLI},"T":{close_ts},{name}"i":"{interval}","f":{bar.first},'
        f'"L":{bar.last},"o":"{s.price(bar.open)}","c":"{s.price(bar.close)}",'
        f'"h":"{s.price(bar.high)}","l":"{s.price(bar.low)}","v":"{s.qty(bar.volume)}",'
        f'"n":{bar.trades},"x":{_flag(closed)},"q":"{s.worth(bar.quote)}",'
        f'"V":"{s.qty(bar.buy_volume)}","Q":"{s.worth(bar.buy_quote)}","B":"0"}}'
    )


def kline(s: Spelling, interval: str, bar: Bar, now: int, *, closed: bool) -> str:
    """`<s>@kline_<i>`."""
    candle = _candle(s, interval, bar, named=True, closed=closed)
    return f'{{"e":"kline","E":{now // _MILLI},"s":"{s.symbol}","k":{candle}}}'


def continuous_kline(s: Spelling, interval: str, bar: Bar, now: int, *, closed: bool) -> str:
    """`<pair>_perpetual@continuousKline_<i>`."""
    candle = _candle(s, interval, bar, named=False, closed=closed)
    return (
        f'{{"e":"continuous_kline","E":{now // _MILLI},"ps":"{s.pair}","ct":"PERPETUAL",'
        f'"k":{candle}}}'
    )


def ticker(s: Spelling, day: Day, average: int, last_qty: int) -> str:
    """`<s>@ticker`: no best prices, as the futures venue has it."""
    bar, end = day.bar, day.close_ts // _MILLI
    return (
        f'{{"e":"24hrTicker","E":{end + 10},"s":"{s.symbol}","ps":"{s.pair}",'
        f'"p":"{s.price(day.change)}","P":"{day.percent:.3f}","w":"{s.price(average)}",'
        f'"c":"{s.price(bar.close)}","Q":"{s.qty(last_qty)}","o":"{s.price(bar.open)}",'
        f'"h":"{s.price(bar.high)}","l":"{s.price(bar.low)}","v":"{s.qty(bar.volume)}",'
        f'"q":"{cut(bar.quote, 2)}","O":{day.open_ts // _MILLI},"C":{end},"F":{bar.first},'
        f'"L":{bar.last},"n":{bar.trades},"st":{s.universe}}}'
    )


def mini_ticker(s: Spelling, day: Day) -> str:
    """`<s>@miniTicker`."""
    bar = day.bar
    return (
        f'{{"e":"24hrMiniTicker","E":{day.close_ts // _MILLI + 10},"s":"{s.symbol}",'
        f'"ps":"{s.pair}","c":"{s.price(bar.close)}","o":"{s.price(bar.open)}",'
        f'"h":"{s.price(bar.high)}","l":"{s.price(bar.low)}","v":"{s.qty(bar.volume)}",'
        f'"q":"{cut(bar.quote, 2)}","st":{s.universe}}}'
    )


def force_order(s: Spelling, told: Liquidation, last_fill: int, now: int) -> str:
    """`<s>@forceOrder`, `!forceOrder@arr`: one object, also in the latter."""
    side = "SELL" if told.longs else "BUY"
    return (
        f'{{"e":"forceOrder","E":{now // _MILLI},"o":{{"s":"{s.symbol}","S":"{side}",'
        f'"o":"LIMIT","f":"IOC","q":"{s.qty(told.qty)}","p":"{s.price(told.price)}",'
        f'"ap":"{s.price(told.average)}","X":"FILLED","l":"{s.qty(last_fill)}",'
        f'"z":"{s.qty(told.qty)}","T":{told.ts // _MILLI},"ps":"{s.pair}","st":{s.universe}}}}}'
    )
