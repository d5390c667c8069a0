"""Named troubles for people who try the product by hand: `tapewatch simulate --scenario gap`.

A scenario is for a world of any number of venues. Some of it befalls all of them; what befalls one
only (prices go astray, streams are silent) befalls the last but one: in the whole world that is Bybit,
whose pairs others have too. With a single venue it is that one.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tapewatch.sim.faults import Fault, Faults, Kind
from tapewatch.sim.market import Market, Shock

Place = tuple[Market, Faults]


class Scenario(Struct, frozen=True):
    """What happens, counted in seconds from when it is put in force."""

    says: str
    faults: tuple[Fault, ...] = ()  # everywhere
    shocks: tuple[tuple[float, Shock], ...] = ()  # of the whole world
    astray: tuple[tuple[float, Shock], ...] = ()  # the prices of one venue
    silent: tuple[Fault, ...] = ()  # of one venue


def _repeated(kind: Kind, target: str, every_secs: float, secs: float = 2.0) -> Fault:
    return Fault(
        kind=kind, target=target, count=None, every_secs=every_secs, after_secs=10.0, secs=secs
    )


_SILENT_SECS = 20.0
_LONG_SECS = 80.0  # long enough for the alert that a feed is silent, which wants a minute


def _silence(after_secs: float, every_secs: float = 0.0, secs: float = _SILENT_SECS) -> Fault:
    count = None if every_secs else 1
    return Fault(kind="stall", count=count, every_secs=every_secs, after_secs=after_secs, secs=secs)


# as the venues call them, one after the other: Binance, OKX, Bybit, Coinbase
_TRADES = (
    "*@trade", "*@aggTrade", "trades|*", "trades-all|*", "*/publicTrade.*", "matches|*",
    "market_trades|*",
)  # fmt: skip
_BOOKS = ("*@depth*", "books*|*", "*/orderbook.*", "level2*|*")

_UP = Shock(at=0, change=0.012, fall_secs=5.0, recover_secs=25.0)
_DOWN = Shock(at=0, change=-0.01, fall_secs=5.0, recover_secs=25.0)
_FALL = Shock(at=0, change=-0.045, fall_secs=12.0, recover_secs=90.0)
_DEPEG = Shock(at=0, change=-0.03, fall_secs=20.0, recover_secs=70.0, asset="USDC")

SCENARIOS: dict[str, Scenario] = {
    "flash-crash": Scenario(
        "the whole market falls 8 % within six seconds, 20 s after the start, and recovers",
        shocks=((20.0, Shock(at=0, change=-0.08)),),
    ),
    "gap": Scenario(
        "a trade and a book difference are lost every 15 s",
        faults=tuple(_repeated("drop", target, 15.0) for target in (*_TRADES, *_BOOKS)),
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
        (_repeated("stall", "*", 60.0, secs=_SILENT_SECS),),
    ),
    "garbage": Scenario(
        "a frame that cannot be read comes every 3 s", (_repeated("garbage", "*", 3.0),)
    ),
    "arbitrage": Scenario(
        "one venue is 1.2 % above the others for half a minute, 20 s after the start, and 1 % "
        "below them at 80 s",
        astray=((20.0, _UP), (80.0, _DOWN)),
    ),
    "cascade": Scenario(
        "everything falls 4.5 % from 20 s after the start, and positions are liquidated wherever "
        "there are derivatives",
        shocks=((20.0, _FALL),),
    ),
    "depeg": Scenario(
        "USDC slips to 0.97 dollars from 20 s after the start, and recovers",
        shocks=((20.0, _DEPEG),),
    ),
    "one-stall": Scenario(
        "every four minutes one venue is silent for 80 s while its sockets stay open",
        silent=(_silence(20.0, 240.0, _LONG_SECS),),
    ),
    "cycle": Scenario(
        "a gentle mix: one venue goes 1.2 % astray at 1:00, one is silent for 20 s at 3:00, USDC "
        "slips to 0.97 at 5:00, everything falls 4.5 % at 7:30",
        shocks=((300.0, _DEPEG), (450.0, _FALL)),
        astray=((60.0, _UP),),
        silent=(_silence(180.0),),
    ),
}


def unleash(scenario: Scenario, places: Sequence[Place]) -> None:
    """Put a scenario in force, counted from the markets' present."""
    for market, faults in places:
        for fault in scenario.faults:
            faults.add(fault, market.now)
        for after_secs, shock in scenario.shocks:
            market.shock(_begun(shock, market, after_secs))
    market, faults = places[-2:][0]
    for after_secs, shock in scenario.astray:
        market.deviate(_begun(shock, market, after_secs))
    for fault in scenario.silent:
        faults.add(fault, market.now)


def _begun(shock: Shock, market: Market, after_secs: float) -> Shock:
    return msgspec.structs.replace(shock, at=market.now + int(after_secs * 1e6))
