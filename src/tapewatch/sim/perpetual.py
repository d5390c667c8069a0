"""What a derivative has beside its pit: an index, a basis, funding, and positions that are closed.

The index is what the pair is worth; the basis wanders slowly around zero. Who holds a position
against a move is liquidated: rarely while it is calm, in cascades while a shock runs.
Funding is simplified: by the venues' formulas it would be 0.01 % nearly always, here it follows
the basis a little.
"""

import math
from collections import deque
from random import Random

from msgspec import Struct

from tapewatch.sim.bars import HOUR
from tapewatch.sim.happenings import Liquidation, Trade
from tapewatch.sim.listing import Listing

_BASIS = 4e-4  # standard deviation
_BASIS_SECS = 600.0
_ANCHOR_SECS = 30.0  # a move is what happened in about this time
_CALM = 4e-4  # chance that a taker order is a liquidation
_STRAINED = 0.003  # a move beyond which positions fall one after the other
_MOST = 0.35
_FUNDING, _FUNDING_PERIOD = 1e-4, 8 * HOUR


class Mark(Struct, frozen=True):
    """Prices in units of 10^-8; the rate for one funding period; when it is paid next."""

    mark: int
    index: int
    funding_rate: float
    next_funding: int


class Perpetual:
    """Moved by the market in each slice, asked by the pit after each taker order."""

    def __init__(self, listing: Listing, rng: Random, index: float, keep: int) -> None:
        self.index = index  # in units of 10^-8
        self.liquidations: deque[Liquidation] = deque(maxlen=keep)
        self._listing = listing
        self._rng = rng
        self._basis = rng.gauss(0.0, _BASIS)
        self._anchor = index
        self._next_id = 1

    @property
    def fair(self) -> float:
        """The index with the basis on top."""
        return self.index * (1 + self._basis)

    def step(self, index: float, secs: float) -> None:
        """Let `secs` pass, at the end of which the pair is worth `index`."""
        share = secs / _BASIS_SECS
        self._basis += self._rng.gauss(0.0, _BASIS) * math.sqrt(2 * share) - self._basis * share
        self.index = index
        self._anchor += (index - self._anchor) * secs / _ANCHOR_SECS

    def mark(self, now: int) -> Mark:
        """What the venue tells about it."""
        rate = round(_FUNDING + self._basis / 4, 8)
        following = now - now % _FUNDING_PERIOD + _FUNDING_PERIOD
        return Mark(round(self.fair), round(self.index), rate, following)

    def liquidated(self, ts: int, fills: list[Trade], *, buys: bool) -> list[Liquidation]:
        """Whether the taker order with these fills closed somebody's position."""
        move = self.index / self._anchor - 1
        against = move if buys else -move
        chance = _CALM + 8 * max(0.0, against - _STRAINED)
        if not fills or self._rng.random() >= min(_MOST, chance):
            return []
        qty = sum(fill.qty for fill in fills)
        average = sum(fill.price * fill.qty for fill in fills) // qty
        tick, away = self._listing.tick, self._rng.uniform(0.001, 0.006)
        bankrupt = max(1, int(average * (1 + away if buys else 1 - away) / tick)) * tick
        told = Liquidation(
            self._listing.symbol, self._next_id, ts, not buys, bankrupt, average, qty
        )
        self._next_id += 1
        self.liquidations.append(told)
        return [told]
