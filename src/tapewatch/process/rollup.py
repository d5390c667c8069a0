"""Larger candles from smaller ones: for queries, for custom intervals, for a venue's base K-line.

Pure functions over candles of one instrument and one origin. A candle is as good as the worst of
its parts, and PARTIAL if a part is missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from msgspec.structs import replace

from tapewatch.model.events import Candle, Micros, Quality
from tapewatch.model.times import Interval

_EVER = Micros(0)
_BADNESS = {Quality.COMPLETE: 0, Quality.REPAIRED: 1, Quality.SAMPLED: 2, Quality.PARTIAL: 3}


def largest_divisor(interval: Interval, stored: Iterable[Interval]) -> Interval:
    """Find the largest stored interval that `interval` is made of; itself if it is stored.

    Raises ValueError with what is stored if there is none.
    """
    known = sorted(stored)
    fit = [other for other in known if other.divides(interval)]
    if not fit:
        names = ", ".join(other.name for other in known) or "none"
        raise ValueError(f"{interval.name} is not made of whole stored candles ({names})")
    return fit[-1]


def rungs(interval: Interval, stored: Sequence[Interval]) -> list[Interval]:
    """Give the steps from small stored candles up to `interval`: each is made of whole ones before it.

    Raises ValueError as `largest_divisor` does.
    """
    steps = [largest_divisor(interval, stored)]
    while smaller := [other for other in stored if other < steps[0] and other.divides(steps[0])]:
        steps.insert(0, max(smaller))
    return steps if steps[-1] == interval else [*steps, interval]


def climb(
    steps: Iterable[Interval], stored: Mapping[str, Iterable[Candle]], grows_from: Micros
) -> list[Candle]:
    """Make candles of the last of `steps` where none are stored, or only worse ones.

    What begins before `grows_from` is over: something later is stored.
    """
    made: list[Candle] = []
    for step in steps:
        known = {candle.ts: candle for candle in stored.get(step.name, ())}
        for whole in rollup(made, step, grows_from):
            if _is_better(whole, known.get(whole.ts)):
                known[whole.ts] = whole
        made = [known[ts] for ts in sorted(known)]
    return made


def _is_better(made: Candle, known: Candle | None) -> bool:
    if known is None:
        return True
    return made.closed >= known.closed and _BADNESS[made.quality] < _BADNESS[known.quality]


def rollup(
    candles: Iterable[Candle], interval: Interval, grows_from: Micros = _EVER
) -> list[Candle]:
    """Make candles of `interval`. The input ascends in time; of reissues the highest revision counts.

    The last candle is not `closed` if its last part has not come or is itself growing. It grows no
    more if something of it was received after its end: what is missing then will not come.
    """
    parts: dict[Micros, Candle] = {}
    for candle in candles:
        known = parts.get(candle.ts)
        if known is None or (candle.closed, candle.revision) >= (known.closed, known.revision):
            parts[candle.ts] = candle
    groups: dict[Micros, list[Candle]] = {}
    for ts in sorted(parts):
        groups.setdefault(interval.floor(ts), []).append(parts[ts])
    newest = max(groups, default=None)
    return [
        _make(start, group, interval, newest=start == newest and start >= grows_from)
        for start, group in groups.items()
    ]


def extend(whole: Candle, part: Candle) -> Candle:
    """Add the next part to a candle. Who calls knows that it is the next one."""
    return replace(
        whole,
        recv=max(whole.recv, part.recv),
        high=max(whole.high, part.high),
        low=min(whole.low, part.low),
        close=part.close,
        volume=whole.volume + part.volume,
        buy_volume=whole.buy_volume + part.buy_volume,
        trades=whole.trades + part.trades,
        closed=part.closed,
        quote_volume=whole.quote_volume + part.quote_volume,
        quality=worst(whole.quality, part.quality),
        # A sum rises whichever part is given out again; stores keep the highest.
        revision=whole.revision + part.revision,
    )


def worst(one: Quality, other: Quality) -> Quality:
    return one if _BADNESS[one] >= _BADNESS[other] else other


def _make(start: Micros, parts: Sequence[Candle], interval: Interval, *, newest: bool) -> Candle:
    width = Interval.parse(parts[0].interval).micros
    last = parts[-1]
    end = start + interval.micros
    candle = reduce(extend, parts)
    ended = last.closed and (last.ts + width == end or candle.recv >= end)
    growing = newest and not ended
    expected = ((last.ts + width if growing else end) - start) // width
    return replace(
        candle,
        ts=start,
        interval=interval.name,
        closed=not growing,
        prev_close=parts[0].prev_close if parts[0].ts == start else None,
        quality=candle.quality if len(parts) == expected else Quality.PARTIAL,
    )
