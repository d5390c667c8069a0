"""What the quote assets are worth in dollars, from our own prices: a `Rate` for each instrument.

    BTC/USDT and BTC/USD        --> USDT in dollars, unless USDT/USD itself is traded
    ETH/BTC is quoted in BTC    --> the price of BTC/USDT times the rate of USDT

Prices come from candles and tickers, so a trade costs nothing here. A price that is a minute old
makes a rate PARTIAL; a coin of a dollar that nobody measures counts as one, PARTIAL. A rate is
told with the prices of its own instrument: when it moved by a thousandth, or after half a minute.
"""

from typing import Any

from msgspec import Struct, field

from tapewatch.model.events import AnyEvent, Candle, Event, Micros, Quality, Rate, Ticker
from tapewatch.model.instrument import split_id
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin
from tapewatch.process._worth import DOLLARS, quote_of

_STALE = MINUTE
_EVERY = 30 * SECOND
_MOVED = 0.001
_BRIDGES = ("BTC", "ETH")  # traded against everything


class RatesConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Price(Struct, array_like=True):
    value: float
    ts: Micros


class Told(Struct, array_like=True):
    usd: float
    ts: Micros
    whole: bool


class RatesState(Struct):
    """One for all instruments. Prices by "BASE/QUOTE"; of several venues the newest counts."""

    prices: dict[str, Price] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)  # by instrument

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        pair = split_id(event.inst)[1]
        price = event.close if type(event) is Candle else event.last
        if ":" in pair:
            price = 0.0  # of a perpetual, which is not its asset's
        ts = min(event.ts, event.recv) if type(event) is Ticker else event.recv
        known = self.prices.get(pair)
        if price > 0 and (known is None or ts >= known.ts):
            self.prices[pair] = Price(price, ts)
        return self._tell(event, ts)

    def next_timer(self) -> Micros | None:
        return None

    def on_timer(self, at: Micros) -> tuple[()]:  # noqa: ARG002 - the port has it
        return ()

    def _tell(self, event: Any, now: Micros) -> list[AnyEvent] | tuple[()]:
        quote = quote_of(event.inst)
        told = self.told.get(event.inst)
        if told is not None and now < told.ts + SECOND:
            return ()
        usd, is_whole = self.rate(quote, now)
        if not usd:
            return ()
        if (
            told is not None
            and told.whole is is_whole
            and now < told.ts + _EVERY
            and abs(usd / told.usd - 1.0) < _MOVED
        ):
            return ()
        self.told[event.inst] = Told(usd, now, is_whole)
        quality = Quality.COMPLETE if is_whole else Quality.PARTIAL
        return [Rate(now, event.recv, event.inst, usd, quality)]

    def rate(self, asset: str, now: Micros) -> tuple[float, bool]:
        """Dollars for one unit, 0 if not known, and whether that is measured and fresh."""
        if asset == "USD":
            return 1.0, True
        direct = self._price(f"{asset}/USD", now)
        if direct[0]:
            return direct
        if asset in DOLLARS:
            return self._by_bridge(asset, now) or (1.0, False)
        for dollar in DOLLARS[1:]:
            price, fresh = self._price(f"{asset}/{dollar}", now)
            if price:
                worth, measured = self.rate(dollar, now)
                return price * worth, fresh and measured
        return self._by_bridge(asset, now) or (0.0, False)

    def _by_bridge(self, asset: str, now: Micros) -> tuple[float, bool] | None:
        """BTC/USD over BTC/USDT is what USDT is worth."""
        for bridge in _BRIDGES:
            there, fresh = self._price(f"{bridge}/{asset}", now)
            dollars, as_fresh = self._price(f"{bridge}/USD", now)
            if there and dollars:
                return dollars / there, fresh and as_fresh
        return None

    def _price(self, pair: str, now: Micros) -> tuple[float, bool]:
        price = self.prices.get(pair)
        return (0.0, False) if price is None else (price.value, now - price.ts < _STALE)


class Rates:
    """The processor."""

    def __init__(self, name: str, config: RatesConfig) -> None:  # noqa: ARG002 - the plug-in's form
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Candle, Ticker})
        self.gives: frozenset[type[Event]] = frozenset({Rate})
        self.state = RatesState
        self.measures: tuple[Measure, ...] = ()

    def key(self, event: Any) -> str:  # noqa: ARG002 - all instruments meet in one state
        return "rates"

    def fresh(self, key: str) -> RatesState:  # noqa: ARG002 - there is one
        return RatesState()

    def adopt(self, state: RatesState) -> RatesState:
        return state


PLUGIN = Plugin(config=RatesConfig, build=Rates)
