"""How the past of OKX is asked for: single fills by id, three months back, and candles.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history
https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-candlesticks-history

Traps: pages come newest first, and `after` means older than. Asking for trades by time is said to
reach back one day only, so the first id is searched for. Bars of six hours and more begin in UTC
only where the name says `utc`. An answer may hold 300 bars by the manual, and held 100 before it.
"""

from urllib.parse import quote

from tapewatch.model.events import Candle, Micros
from tapewatch.model.times import Interval
from tapewatch.ports import Fetch
from tapewatch.venues._okx_messages import decode_candles, to_candle, units_of
from tapewatch.venues._okx_rest import check, trade_history
from tapewatch.venues._okx_streams import INTERVALS
from tapewatch.venues._past import ByHalving, CandleWalk, Part, TradeWalk, Walk

_BARS = 100
_CODES = {interval: channel.removeprefix("candle") for channel, interval in INTERVALS.items()}


class OkxPast:
    channels = ("trades-all", "trades")
    no_trades = ""
    finer: tuple[str, ...] = ()
    intervals = tuple(_CODES)
    spans = True

    def __init__(self, rest_url: str) -> None:
        self._market = f"{rest_url}/api/v5/market"
        self._rest_url = rest_url

    def trades(self, part: Part, channel: str, *, echo: bool) -> Walk:
        native = part.instrument.native
        history = trade_history(
            self._rest_url, native, part.inst, channel, units_of(part.instrument)
        )
        query = f"instId={quote(native)}&type=1&limit={history.page}"
        newest = Fetch("past", f"{self._market}/history-trades?{query}")
        seek = ByHalving(part.since, newest, history)
        return TradeWalk(part, channel, history, seek, echo=echo)

    def candles(self, part: Part, interval: Interval) -> Walk:
        name, code = quote(part.instrument.native), _CODES[interval.name]
        is_spot = not part.instrument.settle

        def fetch(key: str, since: Micros, until: Micros) -> Fetch:
            count = (until - since - 1) // interval.micros + 1
            query = f"instId={name}&bar={code}&after={-(-until // 1000)}&limit={count}"
            return Fetch(key, f"{self._market}/history-candles?{query}")

        def rows(body: bytes, recv: Micros) -> list[Candle]:
            check(body)
            found = decode_candles(body).data
            return [
                to_candle(row, recv, part.inst, interval.name, is_spot=is_spot)
                for row in found
                if row.confirm == 1
            ]

        return CandleWalk(part, interval, _BARS, fetch, rows)
