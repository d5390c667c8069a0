"""What a run would remember if it had begun five hours ago, so that its memory is full when it starts.

An hour of candles, and baselines of up to five, fill while a run of half an hour is watched; that
growth ends, and hides one that does not. So the product's own processors, as its settings build them,
hear five hours of thin trades. What they then know can be left in the data folder as their last
checkpoint: a start takes it up like any other. The hot window is not in it (see README.md).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from tapewatch.model.events import AnyEvent, InstrumentId, Micros, Side, Tick, Trade
from tapewatch.model.instrument import split_id
from tapewatch.model.times import HOUR, SECOND
from tapewatch.runtime import launch
from tapewatch.runtime.checkpoint import Checkpoint
from tapewatch.stream.pipeline import Pipeline

LENGTH = 5 * HOUR  # the longest baseline: 60 windows of five minutes
_EVERY = 30 * SECOND  # no minute without a trade


def leave(
    settings: Path, prices: Mapping[InstrumentId, float], channels: Mapping[str, str], until: int
) -> None:
    """Write the checkpoint of a run with these settings that ended at `until`."""
    loaded = launch.load(settings, environ={})
    pipeline = Pipeline(launch.deriving_of(loaded))
    play(pipeline, prices, channels, until)
    path = Path(loaded.settings.storage.data_dir) / "checkpoint"
    path.parent.mkdir(parents=True, exist_ok=True)
    Checkpoint(path, pipeline, lambda: Micros(until)).save()


def play(
    pipeline: Pipeline,
    prices: Mapping[InstrumentId, float],
    channels: Mapping[str, str],
    until: int,
) -> None:
    """Let them hear it. `channels`: by venue, the one that its trades come on."""
    for moment in range(until - LENGTH, until, _EVERY):
        pipeline.process([*_trades(prices, channels, moment), *_ticks(channels, moment)])


def _trades(
    prices: Mapping[InstrumentId, float], channels: Mapping[str, str], moment: int
) -> Iterator[AnyEvent]:
    rng, ts = Random(moment), Micros(moment)
    number = str(moment // _EVERY)
    for inst, price in prices.items():
        channel = channels[split_id(inst)[0]]
        now = price * (1 + rng.gauss(0.0, 2e-4))
        side = rng.choice((Side.BUY, Side.SELL))
        yield Trade(ts, ts, inst, number, side, now, rng.expovariate(1.0) * 1_000 / price, channel)


def _ticks(channels: Mapping[str, str], moment: int) -> Iterator[AnyEvent]:
    """Time passes up to the next trades."""
    end = Micros(moment + _EVERY - SECOND)
    for venue in channels:
        yield Tick(end, end, venue)
