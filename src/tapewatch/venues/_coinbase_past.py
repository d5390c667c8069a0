"""How the past of Coinbase is asked for, of the Exchange for both feeds: fills by id, candles.

https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproducttrades
https://docs.cdp.coinbase.com/exchange/reference/exchangerestapi_getproductcandles

Traps: `after` asks for older trades; there is no asking by time, so the first id is searched for.
Candles are [time in seconds, LOW, HIGH, open, close, volume]; 300 an answer; a stretch without
trades has no candle.
"""

from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tapewatch.model.events import Candle, Micros, Origin, Quality
from tapewatch.model.times import SECOND, Interval, iso
from tapewatch.ports import Fetch
from tapewatch.venues._coinbase import NotNegative, Number, Positive
from tapewatch.venues._coinbase_rest import trade_history
from tapewatch.venues._past import ByHalving, CandleWalk, Part, TradeWalk, Walk

_BARS = 300
_SECS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "1d": 86_400}


class _Row(Struct, array_like=True, gc=False):
    start: Number  # seconds
    low: Positive
    high: Positive
    open: Positive
    close: Positive
    volume: NotNegative


_decode = Decoder(Annotated[list[_Row], Meta(max_length=10_000)], strict=False).decode


class CoinbasePast:
    no_trades = ""
    finer: tuple[str, ...] = ()
    intervals = tuple(_SECS)
    spans = False

    def __init__(self, rest_url: str, channel: str) -> None:
        self.channels = (channel,)
        self._rest_url = rest_url

    def trades(self, part: Part, channel: str, *, echo: bool) -> Walk:
        native = part.instrument.native
        history = trade_history(self._rest_url, native, part.inst, channel)
        url = f"{self._rest_url}/products/{quote(native)}/trades?limit={history.page}"
        seek = ByHalving(part.since, Fetch("past", url), history)
        return TradeWalk(part, channel, history, seek, echo=echo)

    def candles(self, part: Part, interval: Interval) -> Walk:
        path = f"{self._rest_url}/products/{quote(part.instrument.native)}/candles"

        def fetch(key: str, since: Micros, until: Micros) -> Fetch:
            last = interval.floor(Micros(until - 1))  # both ends are inclusive
            times = f"start={quote(_second(since))}&end={quote(_second(last))}"
            return Fetch(key, f"{path}?granularity={_SECS[interval.name]}&{times}")

        def rows(body: bytes, recv: Micros) -> list[Candle]:
            return [
                Candle(
                    Micros(row.start * SECOND), recv, part.inst, interval.name, row.open, row.high,
                    row.low, row.close, row.volume, 0.0, 0, True, quality=Quality.COMPLETE,
                    origin=Origin.VENUE,
                )
                for row in _decode(body)
            ]  # fmt: skip

        return CandleWalk(part, interval, _BARS, fetch, rows, dense=False)


def _second(ts: Micros) -> str:
    return f"{iso(ts)[:19]}Z"
