"""The gate before the bus: is an event sane at all? What is not becomes a dead letter, whole.

It asks what can be asked of one event alone. That events are in order, that books are in step,
that nothing is missing, is proven elsewhere.

On time: `ts` must lie between 2009 and 2100. Against `recv` it may be a day ahead, because the
clock of this machine may be wrong (recordings show 1.3 s; a machine without NTP hours) and a day
is what no market and no clock explains; and it may be any time behind, because repaired trades are
hours old and backfilled ones years. Where `recv` is not known (a recording without receive times
has 0 or the machine's uptime) only the first rule stands.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from tapewatch.model.codec import dead_letter, encode_json
from tapewatch.model.events import (
    AnyEvent,
    Batch,
    BookDelta,
    BookSnapshot,
    Candle,
    DeadLetter,
    Event,
    Level,
    Liquidation,
    MarkPrice,
    Quote,
    Ticker,
    Trade,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import DAY, SECOND

_EARLIEST = 1_230_768_000 * SECOND  # 2009: there was no market before
_LATEST = 4_102_444_800 * SECOND  # 2100
_MAX_AHEAD = DAY
_MAX_TEXT = 128  # trade ids of all venues are far shorter
_MAX_LEVELS = 200_000  # a side; the deepest snapshot of any venue has some 40,000


def validate(batch: Batch) -> tuple[Batch, list[DeadLetter]]:
    """Part a batch. If all is good it is the same list, and no letters.

    Most events are trades: what makes a trade good is written out here, and only one that is not
    found good goes the way of the others.
    """
    problems = _PROBLEMS
    for event in batch:
        if type(event) is Trade and (
            0.0 < event.price < inf
            and 0.0 < event.size < inf
            and event.ts > _EARLIEST
            and event.ts - event.recv < _MAX_AHEAD
            and event.count > 0
            and len(event.id) <= _MAX_TEXT
        ):
            continue
        problem = problems.get(type(event))
        if problem is not None and problem(event):
            return _part(batch)
    return batch, []


def _part(batch: Batch) -> tuple[Batch, list[DeadLetter]]:
    good: Batch = []
    letters = []
    for event in batch:
        problem = _PROBLEMS.get(type(event))
        error = problem(event) if problem is not None else ""
        if error:
            source = split_id(getattr(event, "inst", ""))[0]
            letters.append(dead_letter(source, "validate", error, encode_json(event), event.recv))
        else:
            good.append(event)
    return good, letters


# Comparisons are chained so that NaN, which is not less than anything, fails them.


def _trade(event: Trade) -> str:
    if not (0.0 < event.price < inf and 0.0 < event.size < inf and event.count > 0):
        return (
            f"price {event.price}, size {event.size} and count {event.count}"
            " must be positive and finite"
        )
    if len(event.id) > _MAX_TEXT:
        return f"id is longer than {_MAX_TEXT} characters"
    return _time(event)


def _quote(event: Quote) -> str:
    if not (
        0.0 <= event.bid < inf
        and 0.0 <= event.ask < inf
        and 0.0 <= event.bid_size < inf
        and 0.0 <= event.ask_size < inf
    ):
        return "bid, ask and their sizes must be finite and not negative"
    if event.bid > event.ask > 0.0:  # zero: that side is empty
        return f"crossed: bid {event.bid} is above ask {event.ask}"
    return _time(event)


def _ticker(event: Ticker) -> str:
    # A market that did not trade for a day has zeros.
    numbers = (event.last, event.open, event.high, event.low, event.volume, event.quote_volume)
    if not all(0.0 <= number < inf for number in numbers):
        return "prices and volumes must be finite and not negative"
    if not (-inf < event.change < inf and -inf < event.change_pct < inf):
        return "changes must be finite"
    return _time(event)


def _candle(event: Candle) -> str:
    low, high = event.low, event.high
    if not (0.0 < low <= high < inf and low <= event.open <= high and low <= event.close <= high):
        return f"open, close must lie between low {low} and high {high}, all positive and finite"
    sums = (event.volume, event.buy_volume, event.quote_volume)
    if not (all(0.0 <= number < inf for number in sums) and event.trades >= 0):
        return "volumes and trades must be finite and not negative"
    return _time(event)


def _snapshot(event: BookSnapshot) -> str:
    return _book(event, event.bids, event.asks)


def _delta(event: BookDelta) -> str:
    """Look at both ends of a side.

    A market has more changed levels than everything else together, and `ports.Conversation.decode`
    promises each of them: msgspec holds them to their bounds where it reads them, in C, and the
    fuzz test of the decoder watches over that. All of them again here, in Python, cost a quarter
    of what decoding costs. The ends still find a venue that forgot its bounds.
    """
    bids, asks = event.bids, event.asks
    return _book(
        event,
        (bids[0], bids[-1]) if bids else (),
        (asks[0], asks[-1]) if asks else (),
    )


def _book(event: BookSnapshot | BookDelta, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> str:
    if len(event.bids) > _MAX_LEVELS or len(event.asks) > _MAX_LEVELS:
        return f"more than {_MAX_LEVELS} levels a side"
    if _bad_level(bids) or _bad_level(asks):
        return "each level must have a positive price and a size that is not negative, both finite"
    return _time(event)


def _bad_level(levels: tuple[Level, ...]) -> bool:
    for price, size in levels:  # noqa: SIM110 - any() with a generator costs twice as much
        if not (0.0 < price < inf and 0.0 <= size < inf):
            return True
    return False


def _liquidation(event: Liquidation) -> str:
    if not (0.0 < event.price < inf and 0.0 < event.size < inf):
        return f"price {event.price} and size {event.size} must be positive and finite"
    return _time(event)


def _mark_price(event: MarkPrice) -> str:
    if not 0.0 < event.mark < inf:
        return f"mark price {event.mark} must be positive and finite"
    return _time(event)


def _time(event: Event) -> str:
    if not _EARLIEST < event.ts < _LATEST:
        return f"ts {event.ts} is not a time between 2009 and 2100 in microseconds"
    if event.ts - event.recv >= _MAX_AHEAD and event.recv >= _EARLIEST:
        return f"ts is {(event.ts - event.recv) // SECOND} s after it was received"
    return ""


_PROBLEMS: dict[type[AnyEvent], Callable[[Any], str]] = {
    Trade: _trade,
    Quote: _quote,
    Ticker: _ticker,
    Candle: _candle,
    BookSnapshot: _snapshot,
    BookDelta: _delta,
    Liquidation: _liquidation,
    MarkPrice: _mark_price,
}
