"""How the dollar prices of the assets move.

Each log price is pulled back to its home, drifts with a trend that changes every few minutes, and
diffuses with its own noise and with one factor common to the market. A pair's fair price is the
ratio of two assets, so that ETHBTC agrees with ETHUSDT and BTCUSDT.
It knows nothing of books and trades.
"""

import math
from random import Random

from msgspec import Struct

from tapewatch.sim.listing import Asset

_PULL_PER_SEC = 1 / 3_600
_TREND = 0.1  # of the volatility, as drift a second
_TREND_SECS = (60.0, 600.0)


class Shock(Struct, frozen=True):
    """A fall (or jump) and the way back, on top of everything else. Times in microseconds."""

    at: int
    change: float  # -0.08 is eight percent down
    fall_secs: float = 6.0
    recover_secs: float = 90.0
    asset: str | None = None  # None: the whole market, the dollar coins excepted

    def offset(self, ts: int) -> float:
        """The log price added at `ts`."""
        secs = (ts - self.at) / 1e6
        if secs <= 0 or secs >= self.fall_secs + self.recover_secs:
            return 0.0
        full = math.log1p(self.change)
        if secs <= self.fall_secs:
            return full * secs / self.fall_secs
        return full * (1 - (secs - self.fall_secs) / self.recover_secs)

    def over(self, ts: int) -> bool:
        """Whether it has come and gone."""
        return ts >= self.at + (self.fall_secs + self.recover_secs) * 1e6


class _Walk:
    def __init__(self, asset: Asset, rng: Random) -> None:
        self.asset = asset
        self.rng = rng
        self.home = math.log(asset.usd)
        self.level = self.home
        self.trend = 0.0
        self.trend_secs = 0.0

    def step(self, factor: float, secs: float) -> None:
        asset, rng = self.asset, self.rng
        if not asset.volatility:
            return
        self.trend_secs -= secs
        if self.trend_secs <= 0:
            self.trend_secs = rng.uniform(*_TREND_SECS)
            self.trend = rng.gauss(0.0, _TREND * asset.volatility)
        noise = asset.beta * factor + math.sqrt(1 - asset.beta**2) * rng.gauss(0.0, 1.0)
        self.level += self.trend * secs + asset.volatility * math.sqrt(secs) * noise
        self.level += (self.home - self.level) * _PULL_PER_SEC * secs


class Assets:
    """All walks, moved together."""

    def __init__(self, assets: tuple[Asset, ...], seed: int) -> None:
        self._walks = {a.name: _Walk(a, Random(f"{seed}/{a.name}")) for a in assets}
        self._factor = Random(f"{seed}/factor")
        self._shocks: list[Shock] = []
        self._offsets: dict[str, float] = {}

    def step(self, ts: int, secs: float) -> None:
        """Move every price by `secs`, to the time `ts`."""
        factor = self._factor.gauss(0.0, 1.0)
        for walk in self._walks.values():
            walk.step(factor, secs)
        if self._shocks:
            self._shocks = [s for s in self._shocks if not s.over(ts)]
            self._offsets = {name: self._offset(name, ts) for name in self._walks}

    def jump(self, name: str, sigmas: float) -> None:
        """Move one asset at once, by so many of its one-second volatilities."""
        walk = self._walks[name]
        walk.level += sigmas * walk.asset.volatility

    def volatility(self, name: str) -> float:
        """Of the log price, for one square root of a second."""
        return self._walks[name].asset.volatility

    def shock(self, shock: Shock) -> None:
        """Let `shock` happen."""
        self._shocks.append(shock)

    def shaken(self, name: str) -> bool:
        """Whether a shock is moving this asset now."""
        return self._offsets.get(name, 0.0) != 0.0

    def ratio(self, base: str, quote: str) -> float:
        """The fair price of `base` in `quote`."""
        return math.exp(self._log(base) - self._log(quote))

    def _log(self, name: str) -> float:
        return self._walks[name].level + self._offsets.get(name, 0.0)

    def _offset(self, name: str, ts: int) -> float:
        volatile = self._walks[name].asset.beta > 0
        hit = (s for s in self._shocks if s.asset == name or (s.asset is None and volatile))
        return sum(s.offset(ts) for s in hit)
