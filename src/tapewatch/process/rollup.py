"""Larger candles from smaller ones: for queries, for custom intervals, for a venue's base K-line.

Pure functions over candles of one instrument and one origin. A candle is as good as the worst of
its parts, and PARTIAL if a part is missing.
"""

from collections.abc import Iterable, Sequence
from functools import reduce

from msgspec.structs import replace

from tapewatch.model.events import Candle, Micros, Quality
from tapewatch.model.times import Interval

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


def rollup(candles: Iterable[Candle], interval: Interval) -> list[Candle]:
    """Make candles of `interval`. The input ascends in time; of reissues the highest revision counts.

    The last candle is not `closed` if its last part has not come or is itself growing.
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
        _make(start, group, interval, newest=start == newest) for start, group in groups.items()
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
    growing = newest and not (last.closed and last.ts + width == end)
    expected = ((last.ts + width if growing else end) - start) // width
    candle = reduce(extend, parts)
    return replace(
        candle,
        ts=start,
        interval=interval.name,
        closed=not growing,
        prev_close=parts[0].prev_close if parts[0].ts == start else None,
        quality=candle.quality if len(parts) == expected else Quality.PARTIAL,
    )
