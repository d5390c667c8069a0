"""Named troubles for people who try the product by hand: `tapewatch simulate --scenario gap`."""

import msgspec
from msgspec import Struct

from tapewatch.sim.faults import Fault, Faults, Kind
from tapewatch.sim.market import Market, Shock


class Scenario(Struct, frozen=True):
    """Faults that repeat for ever, and shocks of the market, each so many seconds after start."""

    says: str
    faults: tuple[Fault, ...] = ()
    shocks: tuple[tuple[float, Shock], ...] = ()


def _repeated(kind: Kind, target: str, every_secs: float, secs: float = 2.0) -> Fault:
    return Fault(
        kind=kind, target=target, count=None, every_secs=every_secs, after_secs=10.0, secs=secs
    )


_TRADES = ("*@trade", "*@aggTrade")

SCENARIOS: dict[str, Scenario] = {
    "flash-crash": Scenario(
        "the whole market falls 8 % within six seconds, 20 s after the start, and recovers",
        shocks=((20.0, Shock(at=0, change=-0.08)),),
    ),
    "gap": Scenario(
        "a trade and a book difference are lost every 15 s",
        faults=tuple(_repeated("drop", t, 15.0) for t in (*_TRADES, "*@depth*")),
    ),
    "dup": Scenario("a frame comes twice every 2 s", (_repeated("duplicate", "*", 2.0),)),
    "reorder": Scenario(
        "two frames of a stream change places every 2 s", (_repeated("reorder", "*", 2.0),)
    ),
    "disconnect": Scenario(
        "every 30 s the clients of one stream are cut, without a word",
        (_repeated("close", "*", 30.0),),
    ),
    "stall": Scenario(
        "every minute the streams are silent for 20 s while the sockets stay open",
        (_repeated("stall", "*", 60.0, secs=20.0),),
    ),
    "garbage": Scenario(
        "a frame that cannot be read comes every 3 s", (_repeated("garbage", "*", 3.0),)
    ),
}


def unleash(scenario: Scenario, market: Market, faults: Faults) -> None:
    """Put a scenario in force, counted from the market's present."""
    for fault in scenario.faults:
        faults.add(fault, market.now)
    for after_secs, shock in scenario.shocks:
        at = market.now + int(after_secs * 1e6)
        market.shock(msgspec.structs.replace(shock, at=at))
