"""Who moves first: each venue's returns against those of the others, moved against each other.

    returns on a grid of 200 ms       its own   . . x . . . .
                                      others'   . . . . x . .     leads by two steps

For each venue the products of its return with the mean return of the others are summed for shifts of
up to two seconds both ways, and slowly forgotten. Where the sum is highest, relative to how much both
move, is the lead. Constant work a step, bounded size.
"""

from collections.abc import Sequence
from math import log, sqrt

from msgspec import Struct, field

from tapewatch.model.events import InstrumentId, Micros
from tapewatch.model.times import SECOND
from tapewatch.process._sights import STEP, Sight

SHIFTS = 10  # steps each way
_MIDDLE = SHIFTS  # of the products: not moved
_MOST_STEPS = 50  # made up at once; more is a hole
HALF_LIFE = 300  # seconds
_ENOUGH_SECS = 300
_ENOUGH_MOVES = 100
_LEAST = 0.1  # correlation that can mean anything
_SIGMAS = 4.0  # and how far above chance it must be


class Row(Struct, array_like=True):
    """One venue against the others."""

    price: float = 0.0
    own: list[float] = field(default_factory=lambda: [0.0] * SHIFTS)  # newest first
    others: list[float] = field(default_factory=lambda: [0.0] * SHIFTS)  # newest last
    products: list[float] = field(default_factory=lambda: [0.0] * (2 * SHIFTS + 1))
    squares: float = 0.0
    other_squares: float = 0.0
    steps: float = 0.0  # all of these are forgotten alike
    moves: float = 0.0

    def move(self, own: float, others: float) -> None:
        mine, theirs = self.own, self.others
        self.steps += 1.0
        if own or others:
            sums = self.products
            before = [sum_ + own * each for sum_, each in zip(sums, theirs, strict=False)]
            after = [
                sum_ + each * others for sum_, each in zip(sums[_MIDDLE + 1 :], mine, strict=True)
            ]
            self.products = [*before, sums[_MIDDLE] + own * others, *after]
            self.moves += 1.0 if own else 0.0
            self.squares += own * own
            self.other_squares += others * others
        mine.insert(0, own)
        mine.pop()
        theirs.append(others)
        del theirs[0]

    def rest(self) -> None:
        """Forget what came just now: it is not joined to what comes."""
        self.price = 0.0
        self.own = [0.0] * SHIFTS
        self.others = [0.0] * SHIFTS

    def fade(self, secs: float) -> None:
        left = 0.5 ** (secs / HALF_LIFE)
        self.products = [each * left for each in self.products]
        self.squares *= left
        self.other_squares *= left
        self.steps *= left
        self.moves *= left


class Verdict(Struct, frozen=True):
    ms: float
    strength: float
    is_known: bool
    words: tuple[str, ...]


class Lead(Struct, array_like=True):
    """All venues of one pair."""

    rows: dict[InstrumentId, Row] = field(default_factory=dict)
    at: int = 0  # number of the last step

    def advance(self, sights: Sequence[Sight]) -> None:
        """Take the steps that all of these have reached."""
        moving = [each for each in sights if each.prices.slots]
        names = {each.inst for each in moving}
        for inst, row in self.rows.items():
            if inst not in names and row.price:
                row.rest()
        if len(moving) < 2:
            return
        until = min(each.prices.newest for each in moving)
        if not 0 <= until - self.at <= _MOST_STEPS:
            self.at = until
            for row in self.rows.values():
                row.rest()
        for number in range(self.at + 1, until + 1):
            self._step(number, moving)
        self.at = max(self.at, until)

    def _step(self, number: int, sights: Sequence[Sight]) -> None:
        ts = Micros(number * STEP)
        found: list[tuple[Row, float]] = []
        total = 0.0
        for each in sights:
            row = self.rows.get(each.inst) or self.rows.setdefault(each.inst, Row())
            price = each.prices.at(ts) or row.price
            own = log(price / row.price) if price != row.price and row.price else 0.0
            row.price = price
            found.append((row, own))
            total += own
        others = len(found) - 1
        for row, own in found:
            row.move(own, (total - own) / others)

    def verdict(self, inst: InstrumentId, *, is_timed: bool) -> Verdict | None:
        row = self.rows.get(inst)
        if row is None:
            return None
        words = (
            ()
            if is_timed
            else ("its quotes have no time of the venue: it looks later by the way to us",)
        )
        scale = sqrt(row.squares * row.other_squares)
        missing = _missing(row)
        if missing or not scale:
            return Verdict(0.0, 0.0, False, (missing or "nothing moved", *words))
        at = max(range(len(row.products)), key=row.products.__getitem__)
        strength = row.products[at] / scale
        chance = _SIGMAS / sqrt(row.steps)
        if strength < max(_LEAST, chance):
            reason = f"too little in common with the others: correlation {strength:.2f} at best"
            return Verdict(0.0, strength, False, (reason, *words))
        if at in (0, 2 * SHIFTS):
            reason = f"the others are more than {SHIFTS * STEP // 1000} ms away"
            return Verdict(0.0, strength, False, (reason, *words))
        ms = (at - _MIDDLE + _peak(*row.products[at - 1 : at + 2])) * STEP / 1000
        here = row.products[_MIDDLE] / scale
        told = f"correlation {strength:.2f} when moved so, {here:.2f} as it is"
        return Verdict(ms, strength, True, (told, f"{row.moves:.0f} moves", *words))

    def fade(self, secs: float) -> None:
        for row in self.rows.values():
            row.fade(secs)


def _missing(row: Row) -> str:
    # What is forgotten meanwhile is less than a half, so this is reached after ten minutes at most.
    secs = row.steps * STEP / SECOND
    if secs < _ENOUGH_SECS * 0.7:
        return f"not enough history: {secs:.0f} of {_ENOUGH_SECS * 0.7:.0f} s"
    if row.moves < _ENOUGH_MOVES:
        return f"not enough moves: {row.moves:.0f} of {_ENOUGH_MOVES}"
    return ""


def _peak(left: float, top: float, right: float) -> float:
    """Where between the steps a parabola through three points is highest, -0.5 to 0.5."""
    bend = left - 2.0 * top + right
    return 0.0 if not bend else 0.5 * (left - right) / bend
