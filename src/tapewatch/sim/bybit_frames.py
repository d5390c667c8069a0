"""Payloads of Bybit's public topics, key for key in the venue's order.

The order differs by category: spot and linear `orderbook.1` say `topic, ts, type, data`, other
linear topics `topic, type, ts, data`, linear tickers `topic, type, data, cs, ts`, candles
`topic, data, ts, type`. Times are milliseconds; the market's are microseconds.
https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from uuid import UUID

from msgspec import Struct

from tapewatch.sim.bars import Bar, following
from tapewatch.sim.book import Level
from tapewatch.sim.bybit_numbers import Numbers
from tapewatch.sim.happenings import Liquidation, Trade

MILLI = 1_000  # microseconds
INTERVALS = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h",
    "240": "4h", "360": "6h", "720": "12h", "D": "1d", "W": "1w", "M": "1M",
}  # fmt: skip
_FIRST_SPOT_ID = 2_100_000_000_000_000_000


class Fill(Struct, frozen=True, gc=False):
    """A trade with what Bybit adds: the cross sequence, and on linear the direction of the tick."""

    trade: Trade
    seq: int
    direction: str = ""

    @property
    def side(self) -> str:
        """The side of the taker."""
        return "Sell" if self.trade.buyer_is_maker else "Buy"


class BookState(Struct, frozen=True):
    """What a frame of a book says besides its levels. `ts` and `cts` in microseconds."""

    type: str
    u: int
    seq: int
    ts: int
    cts: int


def spot_trade_id(number: int) -> str:
    """Rising, with steps of 1 to 5, as recorded: nobody can count on the next one."""
    return str(_FIRST_SPOT_ID + number * 3 + (number * number + number // 7) % 3)


def linear_trade_id(symbol: str, number: int) -> str:
    """A UUID (version 5, as recorded) that is always the same for a trade."""
    digest = blake2b(f"{symbol}/{number}".encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=5))


def spot_trades(name: str, fills: Iterable[Fill], ts: int, numbers: Numbers) -> str:
    """`publicTrade` of spot."""
    rows = ",".join(
        f'{{"i":"{spot_trade_id(f.trade.id)}","T":{f.trade.ts // MILLI},'
        f'"p":"{numbers.price(f.trade.price)}","v":"{numbers.size(f.trade.qty)}","S":"{f.side}",'
        f'"seq":{f.seq},"s":"{name}","BT":false,"RPI":false}}'
        for f in fills
    )
    return (
        f'{{"topic":"publicTrade.{name}","ts":{ts // MILLI},"type":"snapshot",'
        f'"data":[{rows}]}}'
    )  # fmt: skip


def linear_trades(name: str, fills: Iterable[Fill], ts: int, numbers: Numbers) -> str:
    """`publicTrade` of linear."""
    rows = ",".join(
        f'{{"T":{f.trade.ts // MILLI},"s":"{name}","S":"{f.side}",'
        f'"v":"{numbers.size(f.trade.qty)}","p":"{numbers.price(f.trade.price)}",'
        f'"L":"{f.direction}","i":"{linear_trade_id(f.trade.symbol, f.trade.id)}",'
        f'"BT":false,"RPI":false,"seq":{f.seq}}}'
        for f in fills
    )
    return (
        f'{{"topic":"publicTrade.{name}","type":"snapshot","ts":{ts // MILLI},'
        f'"data":[{rows}]}}'
    )  # fmt: skip


def levels(rows: Iterable[Level], numbers: Numbers) -> str:
    """`[["price","size"],...]`."""
    return "[" + ",".join(f'["{numbers.price(p)}","{numbers.size(q)}"]' for p, q in rows) + "]"


def book(
    topic: str, state: BookState, bids: Iterable[Level], asks: Iterable[Level], numbers: Numbers,
    *, ts_first: bool,
) -> str:  # fmt: skip
    """`orderbook.<depth>`, snapshot or delta."""
    name = topic.rpartition(".")[2]
    ts, kind = f'"ts":{state.ts // MILLI}', f'"type":"{state.type}"'
    head = f"{ts},{kind}" if ts_first else f"{kind},{ts}"
    return (
        f'{{"topic":"{topic}",{head},"data":{{"s":"{name}","b":{levels(bids, numbers)},'
        f'"a":{levels(asks, numbers)},"u":{state.u},"seq":{state.seq}}},"cts":{state.cts // MILLI}}}'
    )


def spot_ticker(name: str, row: Mapping[str, str], seq: int, ts: int) -> str:
    """`tickers` of spot: always whole."""
    return (
        f'{{"topic":"tickers.{name}","ts":{ts // MILLI},"type":"snapshot","cs":{seq},'
        f'"data":{_strings(row)}}}'
    )


def linear_ticker(name: str, kind: str, row: Mapping[str, str], seq: int, ts: int) -> str:
    """`tickers` of linear: a snapshot, or a delta with the keys that changed."""
    return (
        f'{{"topic":"tickers.{name}","type":"{kind}","data":{_strings(row)},"cs":{seq},'
        f'"ts":{ts // MILLI}}}'
    )


def kline(
    topic: str, bar: Bar, numbers: Numbers, ts: int, matched: int, *, closed: bool
) -> str:  # fmt: skip
    """`kline.<interval>`. `matched` is when the last trade of the bar was."""
    interval = topic.split(".")[1]
    end = following(bar.open_ts, INTERVALS[interval]) // MILLI - 1
    return (
        f'{{"topic":"{topic}","data":[{{"start":{bar.open_ts // MILLI},"end":{end},'
        f'"interval":"{interval}","open":"{numbers.price(bar.open)}",'
        f'"close":"{numbers.price(bar.close)}","high":"{numbers.price(bar.high)}",'
        f'"low":"{numbers.price(bar.low)}","volume":"{numbers.size(bar.volume)}",'
        f'"turnover":"{numbers.total(bar.quote)}","confirm":{"true" if closed else "false"},'
        f'"timestamp":{matched // MILLI}}}],"ts":{ts // MILLI},"type":"snapshot"}}'
    )


def liquidations(name: str, rows: Iterable[Liquidation], ts: int, numbers: Numbers) -> str:
    """`allLiquidation`. `S` is the side of the POSITION: `Buy` when a long was closed."""
    texts = ",".join(
        f'{{"T":{row.ts // MILLI},"s":"{name}","S":"{"Buy" if row.longs else "Sell"}",'
        f'"v":"{numbers.size(row.qty)}","p":"{numbers.price(row.price)}"}}'
        for row in rows
    )
    return (
        f'{{"topic":"allLiquidation.{name}","type":"snapshot","ts":{ts // MILLI},'
        f'"data":[{texts}]}}'
    )  # fmt: skip


def _strings(row: Mapping[str, str]) -> str:
    return "{" + ",".join(f'"{key}":"{value}"' for key, value in row.items()) + "}"
