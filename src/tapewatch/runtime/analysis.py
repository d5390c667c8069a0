"""What `tapewatch analyze` says of one instrument, from its stored candles of one minute."""

import itertools
import math
import statistics
from pathlib import Path

from msgspec import Struct

from tapewatch.model.events import Candle, Micros, Quality
from tapewatch.model.instrument import Catalogue, Instrument, split_id
from tapewatch.model.times import DAY, MINUTE, iso
from tapewatch.stores.duckdb import DuckDb

_INTERVAL = "1m"
_LIMIT = 60 * 24 * 366  # a year of minutes


class Report(Struct):
    """Numbers are of the stored minutes; None where there are too few."""

    inst: str
    since: Micros
    until: Micros
    minutes: int  # candles there are
    expected: int  # minutes from the first to the last candle
    complete: int  # of them complete or repaired
    open: float
    high: float
    low: float
    close: float
    change: float  # a fraction
    volume: float
    quote_volume: float
    trades: int
    buy_share: float | None  # of the volume
    vwap: float | None
    volatility_day: float | None  # standard deviation of log returns, scaled to a day
    busiest: Micros  # the minute with the largest volume

    def lines(self) -> list[str]:
        """Lay it out for a person."""
        buy = "-" if self.buy_share is None else f"{self.buy_share:.1%}"
        vwap = "-" if self.vwap is None else f"{self.vwap:,.10g}"
        calm = "-" if self.volatility_day is None else f"{self.volatility_day:.2%} a day"
        return [
            f"{self.inst}  {iso(self.since)[:16]}Z to {iso(self.until)[:16]}Z",
            f"  price       {self.close:,.10g}  ({self.change:+.2%} from {self.open:,.10g})",
            f"  range       {self.low:,.10g} to {self.high:,.10g}",
            f"  VWAP        {vwap}",
            f"  volatility  {calm}",
            f"  volume      {self.volume:,.8g}  ({self.quote_volume:,.8g} in quote currency)",
            f"  trades      {self.trades:,}  (taker bought {buy} of the volume)",
            f"  busiest     {iso(self.busiest)[:16]}Z",
            (
                f"  quality     {self.minutes} of {self.expected} minutes stored,"
                f" {self.complete} complete or repaired"
            ),
        ]


async def analyse(
    data_dir: Path, symbol: str | None, since: Micros, until: Micros
) -> Report | None:
    """Read and sum up. None: nothing is stored in that time."""
    query = DuckDb(data_dir)
    try:
        insts = await query.instruments()
        if not insts:
            return None
        inst = choose(insts, symbol)
        candles = await query.candles(inst, _INTERVAL, since, until, _LIMIT)
    finally:
        query.close()
    return summarise(inst, candles) if candles else None


def choose(insts: list[str], symbol: str | None) -> str:
    if symbol is None:
        return min(insts)
    known = Catalogue()
    for inst in insts:
        venue, pair = split_id(inst)
        pair, _, settle = pair.partition(":")
        base, _, quote = pair.partition("/")
        known.add(Instrument(venue, base, quote, f"{base}{quote}{settle and ':'}{settle}", settle))
    return known.resolve(symbol).id


def summarise(inst: str, candles: list[Candle]) -> Report:
    """Sum candles of one minute up; there is one at least."""
    first, last = candles[0], candles[-1]
    volume = sum(candle.volume for candle in candles)
    worth = sum(candle.quote_volume for candle in candles)
    returns = [
        math.log(after.close / before.close)
        for before, after in itertools.pairwise(candles)
        if after.ts - before.ts == MINUTE and before.close > 0 and after.close > 0
    ]
    return Report(
        inst=inst,
        since=first.ts,
        until=Micros(last.ts + MINUTE),
        minutes=len(candles),
        expected=(last.ts - first.ts) // MINUTE + 1,
        complete=sum(c.quality in (Quality.COMPLETE, Quality.REPAIRED) for c in candles),
        open=first.open,
        high=max(candle.high for candle in candles),
        low=min(candle.low for candle in candles),
        close=last.close,
        change=last.close / first.open - 1 if first.open else 0.0,
        volume=volume,
        quote_volume=worth,
        trades=sum(candle.trades for candle in candles),
        buy_share=sum(candle.buy_volume for candle in candles) / volume if volume else None,
        vwap=worth / volume if volume and worth else None,
        volatility_day=(
            statistics.stdev(returns) * math.sqrt(DAY / MINUTE) if len(returns) > 1 else None
        ),
        busiest=max(candles, key=lambda candle: candle.volume).ts,
    )
