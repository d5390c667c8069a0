"""How the past of Bybit is asked for: candles. Of trades there is none.

https://bybit-exchange.github.io/docs/v5/market/kline

Traps: bars come newest first and none says whether it is closed. Trades that can be asked for are
the newest 60 (spot) or 1000 (linear), without pages and without numbers.
"""

from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.json import Decoder

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Candle, Micros, Origin, Quality
from tapewatch.model.times import Interval
from tapewatch.ports import Fetch
from tapewatch.venues._bybit_messages import NotNegative, Positive, Time, micros
from tapewatch.venues._bybit_rest import _check as check
from tapewatch.venues._bybit_topics import INTERVALS, Category
from tapewatch.venues._past import CandleWalk, Part, Walk

_BARS = 1000
_CODES = {interval: code for code, interval in INTERVALS.items()}


class _Row(Struct, array_like=True, gc=False):
    """["1670608800000","17071","17073","17027","17055.5","268611","15.74462667"]."""

    start: Time
    open: Positive
    high: Positive
    low: Positive
    close: Positive
    volume: NotNegative
    turnover: NotNegative


class _Rows(Struct, gc=False):
    list: Annotated[list[_Row], Meta(max_length=10_000)]


class _Body(Struct, gc=False):
    result: _Rows


_decode = Decoder(_Body, strict=False).decode


class BybitPast:
    channels: tuple[str, ...] = ()
    no_trades = (
        "Bybit gives nobody its past trades, only the newest few without pages: collect them"
        " live with `tapewatch run`; its candles can be had with `tapewatch backfill candles`"
    )
    finer: tuple[str, ...] = ()
    intervals = tuple(_CODES)
    spans = False

    def __init__(self, rest_url: str, category: Category) -> None:
        self._rest_url = rest_url
        self._category = category

    def trades(self, part: Part, channel: str, *, echo: bool) -> Walk:  # noqa: ARG002 - as Past has it
        raise ConfigError(self.no_trades)

    def candles(self, part: Part, interval: Interval) -> Walk:
        head = f"category={self._category}&symbol={quote(part.instrument.native)}"
        code = _CODES[interval.name]

        def fetch(key: str, since: Micros, until: Micros) -> Fetch:
            times = f"start={since // 1000}&end={-(-until // 1000) - 1}"
            query = f"{head}&interval={code}&{times}&limit={_BARS}"
            return Fetch(key, f"{self._rest_url}/v5/market/kline?{query}")

        def rows(body: bytes, recv: Micros) -> list[Candle]:
            check(body)
            return [
                Candle(
                    micros(row.start), recv, part.inst, interval.name, row.open, row.high, row.low,
                    row.close, row.volume, 0.0, 0, True, row.turnover, quality=Quality.COMPLETE,
                    origin=Origin.VENUE,
                )
                for row in _decode(body).result.list
            ]  # fmt: skip

        return CandleWalk(part, interval, _BARS, fetch, rows)
