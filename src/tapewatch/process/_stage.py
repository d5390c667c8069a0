"""Made-up streams by which detectors prove at start that they can fire, and keep quiet."""

from collections.abc import Iterable, Iterator

from tapewatch.model.events import (
    AnyEvent,
    InstrumentId,
    Liquidation,
    Micros,
    Quality,
    Side,
    Trade,
)
from tapewatch.model.times import SECOND
from tapewatch.process._worth import Worth
from tapewatch.process.seconds import SecondsState

INST = "proof:BTC/USDT"
BEGIN = Micros(1_700_000_040 * SECOND)  # a whole minute


def at(secs: float) -> Micros:
    return Micros(BEGIN + round(secs * SECOND))


def trade(
    secs: float, number: int, price: float, size: float, *, buys: bool = True, inst: str = INST
) -> Trade:
    side = Side.BUY if buys else Side.SELL
    return Trade(at(secs), at(secs), inst, str(number), side, price, size)


def quiet(until: float, every: float = 1.0, begin: float = 0.0) -> Iterator[Trade]:
    """An even market: sizes and sides that vary a little, always the same."""
    for n in range(int((until - begin) / every)):
        size = 0.010 + 0.001 * (n * 7 % 11)
        price = 60_000.0 * (1.0 + 1e-5 * ((n * 5) % 7 - 3))
        yield trade(begin + n * every, n, price, size, buys=n % 2 == 0)


def liquidation(secs: float, usd: float, *, longs: bool = True) -> Liquidation:
    side = Side.SELL if longs else Side.BUY
    price = 60_000.0
    return Liquidation(at(secs), at(secs), INST, side, price, usd / price, Quality.SAMPLED)


def seconds(trades: Iterable[AnyEvent]) -> Iterator[AnyEvent]:
    """What `seconds` makes of trades, with each order told."""
    states: dict[InstrumentId, SecondsState] = {}
    for each in trades:
        inst = getattr(each, "inst", INST)
        state = states.setdefault(inst, SecondsState(inst, Worth.of(inst)))
        yield from state.on_event(each)
    for state in states.values():
        yield from state.on_timer(state.edge)
