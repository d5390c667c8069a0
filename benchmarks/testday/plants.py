"""What is planted in the day, where and when; drawn by seed, the same each time.

The first two hours and ten minutes are left alone: the slowest detector needs 100 minutes to be
warm. Then each slot of twelve minutes gets one event or none.
"""

from math import log
from random import Random

from msgspec import Struct

from benchmarks.testday.floor import SECOND, START, Floor, groups
from tapewatch.sim.market import Shock

HOUR = 3_600
WARM_SECS = 130 * 60
SLOT_SECS = 12 * 60
NIGHT = (3 * HOUR, 6 * HOUR)  # quiet hours: a fifth of the activity,
TWILIGHT = HOUR // 2  # after and before as long a slope
NIGHT_PACE = 0.2
# how many of each are planted in 24 hours
BAG = {
    "whale": 28,
    "large liquidations": 8,
    "many liquidations": 8,
    "cascade": 4,
    "surge": 10,
    "depeg": 4,
    "astray": 8,
    "silence": 5,
}
_LARGE_USD, _LARGE = 45_000.0, 3
_MANY_USD, _MANY = 600.0, 12


# what a big trade is: dollars, and deviations above the simulator's law of orders
BIG_USD, BIG_DEVIATIONS = 250_000.0, 4.0
WHALE_USD = 500_000.0
_SPREAD = 1.4  # of the logarithm of an order's size


def deviations(usd: float, typical_usd: float) -> float:
    return log(usd / typical_usd) / _SPREAD if usd > 0 else 0.0


def is_big(usd: float, typical_usd: float) -> bool:
    return usd >= BIG_USD and deviations(usd, typical_usd) >= BIG_DEVIATIONS


class Expected(Struct, frozen=True):
    """A rule that must speak of an instrument within a time."""

    rule: str
    inst: str
    since: int
    until: int


class Plant(Struct, frozen=True):
    kind: str
    at: int  # microseconds
    inst: str  # or a venue, or an asset
    usd: float = 0.0
    buys: bool = True

    def begin(self, floor: Floor) -> None:
        _BEGIN[self.kind](self, floor)

    def expected(self, floor: Floor) -> list[Expected]:
        return [
            Expected(rule, inst, self.at, self.at + secs * SECOND)
            for rule, inst, secs in _EXPECTED[self.kind](self, floor)
        ]


def pace(secs: int) -> float:
    """Share of the usual activity at a time of the day."""
    begin, end = NIGHT
    if begin <= secs < end:
        return NIGHT_PACE
    away = begin - secs if secs < begin else secs - end
    return min(1.0, NIGHT_PACE + (1.0 - NIGHT_PACE) * away / TWILIGHT)


def draw(floor: Floor, seed: int, hours: float) -> list[Plant]:
    rng = Random(f"{seed}/plants")
    slots = list(range(WARM_SECS, int(hours * HOUR) - SLOT_SECS + 1, SLOT_SECS))
    share = len(slots) / ((24 * HOUR - WARM_SECS) / SLOT_SECS)
    kinds = [kind for kind, count in BAG.items() for _ in range(max(1, round(count * share)))]
    chosen = rng.sample(slots, min(len(slots), len(kinds)))
    rng.shuffle(kinds)
    plants = [_place(kind, floor, rng, slot) for kind, slot in zip(kinds, chosen, strict=False)]
    return sorted(plants, key=lambda plant: plant.at)


def _place(kind: str, floor: Floor, rng: Random, slot: int) -> Plant:
    at = START + (slot + rng.randrange(60)) * SECOND
    insts = list(floor.truths)
    derivatives = [inst for inst in insts if inst.count(":") == 2]
    if kind == "whale":
        deep = [inst for inst in insts if ":BTC" in inst and not inst.startswith("coinbase")]
        return Plant(kind, at, rng.choice(deep), rng.uniform(4e5, 9e5), rng.random() < 0.5)
    if kind in ("large liquidations", "many liquidations"):
        return Plant(kind, at, rng.choice(derivatives), buys=rng.random() < 0.5)
    if kind == "surge":
        return Plant(kind, at, rng.choice(insts))
    if kind == "astray":
        return Plant(kind, at, rng.choice(("binance", "okx", "bybit")), buys=rng.random() < 0.5)
    if kind == "silence":
        return Plant(kind, at, rng.choice(floor.sources))
    return Plant(kind, at, "USDC" if kind == "depeg" else "")


def _whale(plant: Plant, floor: Floor) -> None:
    floor.order(plant.inst, plant.usd, buys=plant.buys)


def _rules_of_order(plant: Plant, floor: Floor) -> list[str]:
    """What must be said of it follows from what the book had for it."""
    truth = floor.truths[plant.inst]
    worth = sum(order.usd for order in truth.orders if order.ts == plant.at)
    found = ["big_trade"] if is_big(worth, truth.typical_usd) else []
    return [*found, "whale"] if worth >= WHALE_USD else found


def _large(plant: Plant, floor: Floor) -> None:
    for _ in range(_LARGE):
        floor.liquidate(plant.inst, _LARGE_USD, longs=plant.buys)


def _many(plant: Plant, floor: Floor) -> None:
    for _ in range(_MANY):
        floor.liquidate(plant.inst, _MANY_USD, longs=plant.buys)


def _cascade(plant: Plant, floor: Floor) -> None:
    floor.shock(Shock(at=plant.at, change=-0.045, fall_secs=12.0, recover_secs=90.0))


def _surge(plant: Plant, floor: Floor) -> None:
    market, symbol = floor.place(plant.inst)
    market.rush(symbol, plant.at + 6 * 60 * SECOND)


def _depeg(plant: Plant, floor: Floor) -> None:
    floor.shock(
        Shock(at=plant.at, change=-0.015, fall_secs=60.0, recover_secs=480.0, asset=plant.inst)
    )


def _astray(plant: Plant, floor: Floor) -> None:
    change = 0.009 if plant.buys else -0.009
    market = floor.markets[plant.inst]
    market.deviate(Shock(at=plant.at, change=change, fall_secs=5.0, recover_secs=60.0))


def _silence(plant: Plant, floor: Floor) -> None:
    floor.muted[plant.inst] = plant.at + 150 * SECOND


def _of_venue(plant: Plant, floor: Floor) -> list[str]:
    """What of a venue's market can be compared with two others."""
    market = floor.markets[plant.inst]
    return [
        inst
        for same in groups(floor.truths).values()
        if len(same) >= 3
        for inst in same
        if floor.place(inst)[0] is market
    ]


_BEGIN = {
    "whale": _whale,
    "large liquidations": _large,
    "many liquidations": _many,
    "cascade": _cascade,
    "surge": _surge,
    "depeg": _depeg,
    "astray": _astray,
    "silence": _silence,
}
# rule, instrument, seconds from the beginning until it must have spoken
_EXPECTED = {
    "whale": lambda plant, floor: [(rule, plant.inst, 5) for rule in _rules_of_order(plant, floor)],
    "large liquidations": lambda plant, _: [("liq_spike", plant.inst, 60)],
    "many liquidations": lambda plant, _: [("liq_spike", plant.inst, 60)],
    "cascade": lambda _, floor: [
        ("liq_spike", inst, 120) for inst in floor.truths if inst.count(":") == 2
    ],
    "surge": lambda plant, _: [("volume_surge", plant.inst, 6 * 60)],
    "depeg": lambda plant, _: [("depeg", f"all:{plant.inst}/USD", 240)],
    "astray": lambda plant, floor: [("divergence", inst, 45) for inst in _of_venue(plant, floor)],
    "silence": lambda plant, _: [("stale_feed", f"{plant.inst}:*", 90)],
}
