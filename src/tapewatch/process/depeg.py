"""How far a coin of a dollar is from the dollar, by our own prices.

    USDT/USD                     directly, the median of the venues that trade it; else
    BTC/USD over BTC/USDT        what BTC costs in both, and ETH; the median of what there is; else
    USDC/USDT                    against another coin, taken for a dollar if nobody measures that: PARTIAL

One for each coin, as `all:USDT/USD`. A value is the median of the last 15 seconds in which something
was traded, so that two prices of which one is a second late do not make a depeg in a fast market.
PARTIAL, with the reason: when no price came for a minute, or before there are enough seconds.

Prices come from seconds and tickers, so a trade costs nothing here. Derivatives are left out: their
price is not that of the coin.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import (
    AnyEvent,
    Event,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Second,
    Ticker,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.process._median import median
from tapewatch.stream.keyed import EVERYWHERE
from tapewatch.stream.window import Recent

COINS = ("USDT", "USDC", "FDUSD")
_BRIDGES = ("BTC", "ETH")
_PAIRS = frozenset(
    {f"{base}/{quote}" for base in (*_BRIDGES, *COINS) for quote in ("USD", *COINS)}
    | {f"{coin}/USD" for coin in COINS}
)
_STALE = MINUTE
_APART = 5 * SECOND  # two prices of one cross at most: fewer seconds than half of the median
_SECONDS = 15
_ENOUGH = 5
_TOLD = 5 * SECOND
_MOVED_BPS = 5.0
_BPS = 10_000.0


class DepegConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Price(Struct, array_like=True):
    value: float
    ts: Micros


class Worth(Struct, frozen=True):
    """What one coin is worth in dollars, when that was, and by which prices."""

    usd: float
    ts: Micros
    words: tuple[str, ...]
    is_measured: bool = True


class Course(Struct, array_like=True):
    """Of one coin."""

    recent: Recent = field(default_factory=lambda: Recent(_SECONDS))
    last: Micros = Micros(0)  # time of the newest price in it
    told: Micros = Micros(0)
    value: float = 0.0
    stale: bool = False


class DepegState(Struct):
    """All coins. Prices by "BASE/QUOTE" and venue."""

    prices: dict[str, dict[str, Price]] = field(default_factory=dict)
    courses: dict[str, Course] = field(default_factory=dict)
    edge: Micros = Micros(0)  # the second after the newest that was looked at
    timer: Micros | None = None

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        venue, pair = split_id(event.inst)
        is_second = type(event) is Second
        if pair not in _PAIRS or (is_second and event.late):  # a price that was, not one that is
            return ()
        price = event.close if is_second else event.last
        ts = min(event.ts, event.recv)
        venues = self.prices.setdefault(pair, {})
        known = venues.get(venue)
        if price > 0 and (known is None or not known.ts - _STALE < ts < known.ts):
            venues[venue] = Price(price, ts)
        if self.edge - _STALE < ts < self.edge:
            return ()  # a clock that went back is followed
        self.edge = Micros(ts - ts % SECOND + SECOND)
        return self._look(ts, event.recv)

    def next_timer(self) -> Micros | None:
        return self.timer

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        """Say of which coin nothing was heard for long."""
        said: list[AnyEvent] = []
        for coin, course in self.courses.items():
            if not course.stale and at >= course.last + _STALE:
                course.stale = True
                words = (f"no price for {(at - course.last) // SECOND} s",)
                said.append(_metric(coin, course, max(at, course.told), at, words))
        self._set_timer()
        return said

    def _look(self, ts: Micros, recv: Micros) -> list[AnyEvent]:
        said: list[AnyEvent] = []
        for coin in COINS:
            worth = self.worth(coin, ts)
            if worth is not None:
                said += self._note(coin, worth, ts, recv)
        self._set_timer()
        return said

    def _note(self, coin: str, worth: Worth, ts: Micros, recv: Micros) -> list[AnyEvent]:
        course = self.courses.get(coin) or self.courses.setdefault(coin, Course())
        if course.last - _STALE < worth.ts <= course.last:
            return []
        course.last = worth.ts
        course.recent.push((worth.usd - 1.0) * _BPS)
        value = course.recent.median
        was_stale, course.stale = course.stale, False
        is_moved = abs(value - course.value) >= _MOVED_BPS
        if not is_moved and not was_stale and course.told <= ts < course.told + _TOLD:
            return []
        course.value, course.told = value, ts
        words = worth.words
        if len(course.recent) < _ENOUGH:
            words = (f"not enough history: {len(course.recent)} of {_ENOUGH} seconds", *words)
        is_whole = worth.is_measured and len(course.recent) >= _ENOUGH
        quality = Quality.COMPLETE if is_whole else Quality.PARTIAL
        return [_metric(coin, course, ts, recv, words, quality)]

    def worth(self, coin: str, now: Micros) -> Worth | None:
        """By the first way there is. None: nothing fresh is known."""
        direct = self._price(f"{coin}/USD", now)
        if direct is not None:
            return direct
        crosses = [each for base in _BRIDGES if (each := self._cross(base, coin, now))]
        if crosses:
            words = tuple(word for each in crosses for word in each.words)
            return Worth(median(c.usd for c in crosses), max(c.ts for c in crosses), words)
        return next(self._by_coins(coin, now), None)

    def _cross(self, base: str, coin: str, now: Micros) -> Worth | None:
        """BTC/USD over BTC/USDT is what USDT is worth."""
        dollars, coins = self._price(f"{base}/USD", now), self._price(f"{base}/{coin}", now)
        if dollars is None or coins is None or abs(dollars.ts - coins.ts) > _APART:
            return None
        ts = max(dollars.ts, coins.ts)
        return Worth(dollars.usd / coins.usd, ts, (*dollars.words, *coins.words))

    def _by_coins(self, coin: str, now: Micros) -> Iterator[Worth]:
        for other in COINS:
            price = self._price(f"{coin}/{other}", now) if other != coin else None
            if price is not None:
                words = (*price.words, f"{other} is taken for a dollar")
                yield Worth(price.usd, price.ts, words, is_measured=False)

    def _price(self, pair: str, now: Micros) -> Worth | None:
        """Give the median of the venues whose price is about as new as the newest one."""
        venues = self.prices.get(pair, {})
        newest = max((price.ts for price in venues.values()), default=Micros(0))
        if now - newest >= _STALE:
            return None
        fresh = {venue: p.value for venue, p in venues.items() if newest - p.ts <= _APART}
        value, names = median(fresh.values()), ", ".join(sorted(fresh)[:3])
        return Worth(value, newest, (f"{pair} {value:.8g} on {names}",))

    def _set_timer(self) -> None:
        due = [course.last + _STALE for course in self.courses.values() if not course.stale]
        self.timer = Micros(min(due)) if due else None


class Depeg:
    """The processor."""

    def __init__(self, name: str, config: DepegConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Second, Ticker})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = DepegState
        text = "how far USDT, USDC, FDUSD are from the dollar, as all:USDT/USD"
        self.measures = (Measure("depeg_bps", ("15s",), "bps", text),)

    def key(self, event: Any) -> str:  # noqa: ARG002 - all instruments meet in one state
        return f"{EVERYWHERE}:USD"

    def fresh(self, key: str) -> DepegState:  # noqa: ARG002 - there is one
        return DepegState()

    def adopt(self, state: DepegState) -> DepegState:
        return state


def _metric(
    coin: str, course: Course, ts: Micros, recv: Micros, words: tuple[str, ...],
    quality: Quality = Quality.PARTIAL,
) -> Metric:  # fmt: skip
    inst: InstrumentId = f"{EVERYWHERE}:{coin}/USD"
    return Metric(ts, recv, inst, "depeg_bps", course.value, "15s", quality, evidence=words[:4])


def _seconds(of_usdc: float) -> list[AnyEvent]:
    """Two minutes of BTC in dollars and in USDC, which slips after one."""
    return [
        second
        for n in range(120)
        for quote, price in (
            ("USD", 60_000.0 + n % 7),
            ("USDC", (60_000.0 + n % 7) / (of_usdc if n > 60 else 1.0)),
        )
        for second in _stage.seconds([_stage.trade(n, n, price, 1.0, inst=f"proof:BTC/{quote}")])
        if type(second) is Second
    ]


PLUGIN = Plugin(config=DepegConfig, build=Depeg)
PROOF = Proof("depeg_bps", 50.0, lambda: _seconds(1.01), lambda: _seconds(1.0005))
