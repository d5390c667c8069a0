"""Payloads of Binance spot streams, key for key in the venue's order.

Written by hand with f-strings: the simulator encodes thousands a second. `unit` is how many
microseconds one unit of time has (1000 for milliseconds, 1 with `timeUnit=MICROSECOND`).
https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md
"""

from collections.abc import Iterable

from tapewatch.sim.bars import Bar, following
from tapewatch.sim.book import Changes, Level, View
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import fixed
from tapewatch.sim.happenings import Aggregate, Top, Trade


def _sent(ts: int, number: int) -> int:
    """Send time: 0.2 to 1.7 ms after the trade, the same whenever it is made."""
    return ts + 200 + number * 7_919 % 1_500


def _flag(value: bool) -> str:  # noqa: FBT001 - it is the value itself
    return "true" if value else "false"


def trade(t: Trade, unit: int) -> str:
    """`<s>@trade`."""
    return (
        f'{{"e":"trade","E":{_sent(t.ts, t.id) // unit},"s":"{t.symbol}","t":{t.id},'
        f'"p":"{fixed(t.price)}","q":"{fixed(t.qty)}","T":{t.ts // unit},'
        f'"m":{_flag(t.buyer_is_maker)},"M":true}}'
    )


def aggregate(a: Aggregate, unit: int) -> str:
    """`<s>@aggTrade`."""
    return (
        f'{{"e":"aggTrade","E":{_sent(a.ts, a.id) // unit},"s":"{a.symbol}","a":{a.id},'
        f'"p":"{fixed(a.price)}","q":"{fixed(a.qty)}","f":{a.first},"l":{a.last},'
        f'"T":{a.ts // unit},"m":{_flag(a.buyer_is_maker)},"M":true}}'
    )


def book_ticker(t: Top) -> str:
    """`<s>@bookTicker`; it has no time."""
    return (
        f'{{"u":{t.update_id},"s":"{t.symbol}","b":"{fixed(t.bid)}","B":"{fixed(t.bid_qty)}",'
        f'"a":"{fixed(t.ask)}","A":"{fixed(t.ask_qty)}"}}'
    )


def levels(rows: Iterable[Level]) -> str:
    """`[["price","quantity"],...]`."""
    return "[" + ",".join(f'["{fixed(p)}","{fixed(q)}"]' for p, q in rows) + "]"


def depth_update(symbol: str, changes: Changes, ts: int, unit: int) -> str:
    """`<s>@depth`, `<s>@depth@100ms`."""
    bids = levels(sorted(changes.bids.items(), reverse=True))
    asks = levels(sorted(changes.asks.items()))
    return (
        f'{{"e":"depthUpdate","E":{ts // unit},"s":"{symbol}","U":{changes.first},'
        f'"u":{changes.last},"b":{bids},"a":{asks}}}'
    )


def partial_depth(view: View) -> str:
    """`<s>@depth5`; also the REST snapshot."""
    return (
        f'{{"lastUpdateId":{view.update_id},"bids":{levels(view.bids)},"asks":{levels(view.asks)}}}'
    )


def kline(symbol: str, interval: str, bar: Bar, ts: int, unit: int, *, closed: bool) -> str:
    """`<s>@kline_<i>`. The close time is one unit before the next open."""
    close_ts = following(bar.open_ts, interval) // unit - 1
    return (
        f'{{"e":"kline","E":{ts // unit},"s":"{symbol}","k":{{"t":{bar.open_ts // unit},'
        f'"T":{close_ts},"s":"{symbol}","i":"{interval}","f":{bar.first},"L":{bar.last},'
        f'"o":"{fixed(bar.open)}","c":"{fixed(bar.close)}","h":"{fixed(bar.high)}",'
        f'"l":"{fixed(bar.low)}","v":"{fixed(bar.volume)}","n":{bar.trades},"x":{_flag(closed)},'
        f'"q":"{fixed(bar.quote)}","V":"{fixed(bar.buy_volume)}","Q":"{fixed(bar.buy_quote)}",'
        f'"B":"0"}}}}'
    )


def ticker(symbol: str, day: Day, top: tuple[int, int, int, int], last_qty: int, unit: int) -> str:
    """`<s>@ticker`."""
    bar = day.bar
    bid, bid_qty, ask, ask_qty = (fixed(value) for value in top)
    return (
        f'{{"e":"24hrTicker","E":{day.close_ts // unit},"s":"{symbol}","p":"{fixed(day.change)}",'
        f'"P":"{day.percent:.3f}","w":"{fixed(day.average)}","x":"{fixed(day.previous_close)}",'
        f'"c":"{fixed(bar.close)}","Q":"{fixed(last_qty)}","b":"{bid}","B":"{bid_qty}",'
        f'"a":"{ask}","A":"{ask_qty}","o":"{fixed(bar.open)}","h":"{fixed(bar.high)}",'
        f'"l":"{fixed(bar.low)}","v":"{fixed(bar.volume)}","q":"{fixed(bar.quote)}",'
        f'"O":{day.open_ts // unit},"C":{day.close_ts // unit},"F":{bar.first},"L":{bar.last},'
        f'"n":{bar.trades}}}'
    )


def mini_ticker(symbol: str, day: Day, unit: int) -> str:
    """`<s>@miniTicker`."""
    bar = day.bar
    return (
        f'{{"e":"24hrMiniTicker","E":{day.close_ts // unit},"s":"{symbol}",'
        f'"c":"{fixed(bar.close)}","o":"{fixed(bar.open)}","h":"{fixed(bar.high)}",'
        f'"l":"{fixed(bar.low)}","v":"{fixed(bar.volume)}","q":"{fixed(bar.quote)}"}}'
    )


def shutdown_notice(ts: int, unit: int) -> str:
    """The event before a planned end of the connection (2026)."""
    return f'{{"e":"serverShutdown","E":{ts // unit}}}'
