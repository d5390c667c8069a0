"""What the market did by itself that a rule may rightly tell: known from all of it, in hindsight.

Each is a window of time on an instrument, `sure` or not. An alert within a sure one is right; one
within a window that is not sure counts neither way: it lies at the border of the definition.

    big_trade     an order of 250,000 dollars or more, 4 deviations above the law by which the
                  simulator draws orders (a lognormal one); border: from nine tenths, 3.7 deviations
    whale         an order of 500,000 dollars or more; border: from 490,000
    volume_surge  five minutes with four times what is usual at that time of the day, by the median
                  of the day without plants; border: three times
    liq_spike     a minute with 75,000 dollars or six orders liquidated, where usually there are none;
                  border: two thirds of that
    divergence    middle prices 50 bps off the median of three venues or more, for ten seconds; border:
                  40 bps
"""

from itertools import pairwise
from statistics import median

from msgspec import Struct

from benchmarks.testday.floor import SECOND, START, Truth, groups
from benchmarks.testday.plants import BIG_USD, WHALE_USD, deviations, is_big, pace

FIVE = 300


class Window(Struct, frozen=True):
    rule: str
    inst: str
    since: int
    until: int
    sure: bool


def windows(truths: dict[str, Truth], usual: dict[str, float]) -> list[Window]:
    found = []
    for inst, truth in truths.items():
        found += _orders(inst, truth)
        found += _surges(inst, truth, usual[inst])
        found += _liquidations(inst, truth)
    for same in groups(truths).values():
        if len(same) >= 3:
            found += _divergences(truths, same)
    return found


def usual_volume(truths: dict[str, Truth]) -> dict[str, float]:
    """The median volume of five minutes by day, of each instrument."""
    return {inst: _usual(truth) for inst, truth in truths.items()}


def _usual(truth: Truth) -> float:
    begins = range(0, len(truth.volume) - FIVE + 1, FIVE)
    by_day = [begin for begin in begins if pace(begin) == 1.0 == pace(begin + FIVE)]
    return median(sum(truth.volume[begin : begin + FIVE]) for begin in by_day)


def _orders(inst: str, truth: Truth) -> list[Window]:
    found = []
    for order in truth.orders:
        at, usd = order.ts, order.usd
        if usd >= 0.9 * BIG_USD and deviations(usd, truth.typical_usd) >= 3.7:
            is_sure = is_big(usd, truth.typical_usd)
            found.append(Window("big_trade", inst, at, at + SECOND, is_sure))
        if usd >= 0.98 * WHALE_USD:
            found.append(Window("whale", inst, at, at + SECOND, usd >= WHALE_USD))
    return found


def _surges(inst: str, truth: Truth, usual: float) -> list[Window]:
    rolling, loud, border = 0.0, [], []
    for secs, volume in enumerate(truth.volume):
        rolling += volume - (truth.volume[secs - FIVE] if secs >= FIVE else 0.0)
        times = rolling / (usual * pace(secs))
        if times >= 4.0:
            loud.append(secs)
        if times >= 3.0:
            border.append(secs)
    return [
        *_spans("volume_surge", inst, loud, sure=True),
        *_spans("volume_surge", inst, border, sure=False),
    ]


def _liquidations(inst: str, truth: Truth) -> list[Window]:
    found = []
    for ts, _ in truth.liquidations:
        minute = [usd for at, usd in truth.liquidations if ts - 60 * SECOND < at <= ts]
        worth, count = sum(minute), len(minute)
        if worth >= 50_000 or count >= 4:
            is_sure = worth >= 75_000 or count >= 6
            found.append(Window("liq_spike", inst, ts, ts + 2 * SECOND, is_sure))
    return found


def _divergences(truths: dict[str, Truth], same: list[str]) -> list[Window]:
    loud: dict[str, list[int]] = {inst: [] for inst in same}
    border: dict[str, list[int]] = {inst: [] for inst in same}
    series = [truths[inst].middle for inst in same]
    for secs, prices in enumerate(zip(*series, strict=True)):
        if not all(prices):
            continue
        middle = median(prices)
        for inst, price in zip(same, prices, strict=True):
            bps = abs(price / middle - 1.0) * 1e4
            if bps >= 50.0:
                loud[inst].append(secs)
            if bps >= 40.0:
                border[inst].append(secs)
    found = []
    for inst in same:
        found += _spans("divergence", inst, loud[inst], sure=True, least=10)
        found += _spans("divergence", inst, border[inst], sure=False)
    return found


def _spans(rule: str, inst: str, secs: list[int], *, sure: bool, least: int = 1) -> list[Window]:
    """Join seconds that follow each other into windows, and give each two seconds more."""
    if not secs:
        return []
    breaks = [0, *(n for n, (a, b) in enumerate(pairwise(secs), 1) if b > a + 2), len(secs)]
    spans = [(secs[begin], secs[end - 1]) for begin, end in pairwise(breaks)]
    return [
        Window(rule, inst, START + first * SECOND, START + (last + 3) * SECOND, sure)
        for first, last in spans
        if last - first + 1 >= least
    ]
