"""A data folder with a past: metrics, candles and trades as the product stores them."""

from pathlib import Path

from tapewatch.model.events import AnyEvent, Candle, Metric, Micros, Quality, Side, Trade
from tapewatch.model.times import HOUR, MINUTE, SECOND
from tapewatch.stores.parquet import Parquet

BEGIN = Micros(1_795_200_000 * SECOND // HOUR * HOUR)
BTC, ETH = "binance:BTC/USDT", "okx:ETH/USDT"


def at(minutes: float) -> Micros:
    return Micros(BEGIN + round(minutes * MINUTE))


def metric(
    minutes: float, value: float, inst: str = BTC, name: str = "volume_surge", window: str = "5m",
    quality: Quality = Quality.COMPLETE, **more,
) -> Metric:  # fmt: skip
    ts = at(minutes)
    return Metric(ts, Micros(ts + SECOND // 10), inst, name, value, window, quality, **more)


def surges(values: list[float | None], inst: str = BTC, **more) -> list[Metric]:
    """One a minute; None: nothing is told."""
    return [metric(n, v, inst, **more) for n, v in enumerate(values) if v is not None]


def candle(minutes: float, inst: str = BTC, quality: Quality = Quality.COMPLETE) -> Candle:
    ts = at(minutes)
    return Candle(
        ts, Micros(ts + MINUTE), inst, "1m", 100.0, 101.0, 99.0, 100.0, 5.0, 2.0, 3, closed=True,
        quality=quality,
    )  # fmt: skip


def trade(
    minutes: float, number: int, size: float = 1.0, inst: str = BTC, price: float = 100.0
) -> Trade:
    ts = at(minutes)
    return Trade(ts, Micros(ts + SECOND // 10), inst, str(number), Side.BUY, price, size)


async def store(folder: Path, events: list[AnyEvent]) -> None:
    parquet = Parquet(folder, clock=lambda: BEGIN)
    await parquet.open()
    await parquet.write(events)
    await parquet.close()
