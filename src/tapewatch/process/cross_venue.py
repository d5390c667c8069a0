"""One pair at several venues: the best bid and offer, who is off the median, who moves first.

    quote --> its venue: kept, a step each 200 ms
                 |  once a second of event time, or when a quote grows too old
                 v
    who counts? --> best_bid, best_ask, cross_spread_bps                 all:BTC/USDT
                --> divergence_bps from the median, lead_ms             binance:BTC/USDT

Only the same symbol is compared: USD, USDT and USDC are different quotes, spot and derivatives, and
derivatives of different settlement, different things. A venue counts while its quote is fresh
(`_sights.py`); best quotes come from quotes, from tickers where there are none. A median wants three
venues: of two nobody knows which is off, so nothing is told but the spread, which shows it.

Time is the venues' own, that of whoever is furthest; never ahead of our clock.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from tapewatch.model.events import (
    AnyEvent,
    Event,
    Gap,
    InstrumentId,
    Metric,
    Micros,
    Quality,
    Quote,
    Ticker,
)
from tapewatch.model.instrument import split_id
from tapewatch.model.times import MINUTE, SECOND
from tapewatch.ports import Measure, Plugin, Proof
from tapewatch.process import _stage
from tapewatch.process._lead import Lead
from tapewatch.process._median import median
from tapewatch.process._sights import STEP, Count, Sight, count, middle, sight
from tapewatch.stream.keyed import EVERYWHERE

_BPS = 10_000.0
_MEDIAN_OF = 3  # venues at least
_TOLD_SECS = 5  # a divergence is told so often,
_MOVED_BPS = 5.0  # and when it moved by so much
_LEAD_SECS = 10
_NAMED = 5  # venues in the evidence


class CrossVenueConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    expire_secs: Annotated[float, Meta(ge=1, le=120)] = 10.0  # an older quote does not count


class CrossVenueState(Struct):
    """All venues of one symbol."""

    key: InstrumentId
    expire: int  # microseconds
    sights: dict[InstrumentId, Sight] = field(default_factory=dict)
    lead: Lead = field(default_factory=Lead)
    edge: Micros = Micros(0)  # the next turn
    reached: Micros = Micros(0)
    lead_at: Micros = Micros(0)
    timer: Micros | None = None  # when the next quote grows too old

    def on_event(self, event: Any) -> list[AnyEvent] | tuple[()]:
        if type(event) is Quote:
            seen = self.sights.get(event.inst)
            if seen is not None:
                # The common case: this is the cost of a quote. A clock that went back is followed.
                if seen.edge - MINUTE < event.ts < seen.edge:
                    seen.quote = event
                    return ()
                return self._step(seen, event)
        return self._rare(event)

    def next_timer(self) -> Micros | None:
        return self.timer

    def on_timer(self, at: Micros) -> list[AnyEvent]:
        return self._turn(at, at)

    def _rare(self, event: Any) -> list[AnyEvent] | tuple[()]:
        """Take the first quote of a venue, a Ticker, a Gap."""
        seen = self.sights.get(event.inst)
        if type(event) is Gap:
            if seen is None:
                return ()
            seen.void(event.reason)
            self.edge = Micros(0)  # said with the next quote of anybody
            return ()
        if type(event) is Ticker:
            if not event.bid or not event.ask:
                return ()
            if seen is not None and min(event.ts, event.recv) < seen.heard + SECOND:
                return ()  # quotes come
            event = Quote(event.ts, event.recv, event.inst, event.bid, 0.0, event.ask, 0.0)
        if seen is None:
            seen = self.sights[event.inst] = sight(event.inst, self.expire)
            for each in self.sights.values():
                each.edge = Micros(0)
        return self._step(seen, event)

    def _step(self, seen: Sight, quote: Quote) -> list[AnyEvent] | tuple[()]:
        ts = min(quote.ts, quote.recv)
        step = SECOND if len(self.sights) == 1 else STEP
        seen.edge = Micros(ts - ts % step + step)
        if len(self.sights) == 1:  # nobody to compare it with
            seen.quote = quote
            return ()
        seen.move(quote, ts)
        past = self.reached - MINUTE
        if ts < past and all(each.heard < past for each in self.sights.values()):
            self._rewind()
        return self._turn(ts, quote.recv) if ts >= self.edge else ()

    def _rewind(self) -> None:
        """Our clock was ahead and went back: what was noted ahead of it is given up."""
        self.reached = self.edge = self.lead_at = Micros(0)
        self.lead = Lead()
        for each in self.sights.values():
            each.forget()

    def _turn(self, ts: Micros, recv: Micros) -> list[AnyEvent]:
        ts = self.reached = max(ts, self.reached)
        self.edge = Micros(ts - ts % SECOND + SECOND)
        found = count(self.sights, ts, self.expire)
        heard = [each.heard for each in found.sights]
        self.timer = Micros(min(heard) + self.expire) if heard else None
        said = self._best(found, ts, recv) if found.sights else []
        said += self._diverge(found, ts, recv)
        self.lead.advance(found.sights)
        if ts >= self.lead_at + _LEAD_SECS * SECOND:
            self.lead_at = ts
            said += self._leads(found, ts, recv)
            self.lead.fade(_LEAD_SECS)
        return said

    def _best(self, found: Count, ts: Micros, recv: Micros) -> list[AnyEvent]:
        bid, bidder = max((_quote(each).bid, each.venue) for each in found.sights)
        ask, asker = min((_quote(each).ask, each.venue) for each in found.sights)
        quality = Quality.PARTIAL if found.others else Quality.COMPLETE
        spread = (ask - bid) / (ask + bid) * 2.0 * _BPS
        words = (f"bid {bid:.10g} on {bidder}", f"ask {ask:.10g} on {asker}", *found.words())
        return [
            Metric(ts, recv, self.key, name, value, "1s", quality, evidence=evidence)
            for name, value, evidence in (
                ("best_bid", bid, (bidder,)),
                ("best_ask", ask, (asker,)),
                ("cross_spread_bps", spread, words),
            )
        ]

    def _diverge(self, found: Count, ts: Micros, recv: Micros) -> list[AnyEvent]:
        prices = {each.inst: middle(_quote(each)) for each in found.sights}
        usual = median(prices.values()) if len(prices) >= _MEDIAN_OF else 0.0
        said: list[AnyEvent] = []
        for seen in self.sights.values():
            price = prices.get(seen.inst)
            if price is None or not usual:
                said += self._withdraw(seen, found, ts, recv)
                continue
            value = (price / usual - 1.0) * _BPS
            is_news = not seen.judged or abs(value - seen.value) >= _MOVED_BPS
            if is_news or ts >= seen.told + _TOLD_SECS * SECOND:
                seen.told, seen.value, seen.judged = ts, value, True
                words = (*_prices(found, seen), *found.words())
                said.append(_divergence(seen, ts, recv, value, usual, words))
        return said

    def _withdraw(self, seen: Sight, found: Count, ts: Micros, recv: Micros) -> list[AnyEvent]:
        """Take back what was told of a venue: once, so that no rule goes on by an old value."""
        if not seen.judged:
            return []
        seen.judged, seen.told, seen.value = False, ts, 0.0
        counting = len(found.sights)
        words = () if counting >= _MEDIAN_OF else (f"a median wants 3 venues, {counting} count",)
        return [_divergence(seen, ts, recv, 0.0, None, (*words, *found.words()))]

    def _leads(self, found: Count, ts: Micros, recv: Micros) -> list[AnyEvent]:
        said: list[AnyEvent] = []
        for seen in found.sights if len(found.sights) > 1 else ():
            verdict = self.lead.verdict(seen.inst, is_timed=seen.is_timed)
            if verdict is None:
                continue
            quality = Quality.COMPLETE if verdict.is_known else Quality.PARTIAL
            said += [
                Metric(ts, recv, seen.inst, name, value, "5m", quality, evidence=verdict.words)
                for name, value in (("lead_ms", verdict.ms), ("lead_strength", verdict.strength))
            ]
        return said


class CrossVenue:
    """The processor."""

    def __init__(self, name: str, config: CrossVenueConfig) -> None:
        self.name = name
        self.wants: frozenset[type[Event]] = frozenset({Quote, Ticker, Gap})
        self.gives: frozenset[type[Event]] = frozenset({Metric})
        self.state = CrossVenueState
        self._expire = int(config.expire_secs * SECOND)
        self.measures = (
            Measure("best_bid", ("1s",), "quote", "best bid over the venues"),
            Measure("best_ask", ("1s",), "quote", "best offer over the venues"),
            Measure("cross_spread_bps", ("1s",), "bps", "between them; below 0: an arbitrage"),
            Measure("divergence_bps", ("1s",), "bps", "off the median of three venues or more"),
            Measure("lead_ms", ("5m",), "ms", "how long before the others a venue moves"),
            Measure("lead_strength", ("5m",), "ratio", "correlation behind lead_ms"),
        )

    def key(self, event: Any) -> str:
        return f"{EVERYWHERE}:{split_id(event.inst)[1]}"

    def fresh(self, key: str) -> CrossVenueState:
        return CrossVenueState(key, self._expire)

    def adopt(self, state: CrossVenueState) -> CrossVenueState:
        return state if state.expire == self._expire else self.fresh(state.key)


def _quote(seen: Sight) -> Quote:
    assert seen.quote is not None  # of those that count
    return seen.quote


def _prices(found: Count, seen: Sight) -> tuple[str, ...]:
    """Name the prices, that of the venue itself first."""
    ordered = sorted(found.sights, key=lambda each: each is not seen)
    return tuple(f"{each.venue} {middle(_quote(each)):.10g}" for each in ordered[:_NAMED])


def _divergence(
    seen: Sight, ts: Micros, recv: Micros, value: float, usual: float | None, words: tuple[str, ...]
) -> Metric:
    quality = Quality.COMPLETE if usual else Quality.PARTIAL
    return Metric(
        ts, recv, seen.inst, "divergence_bps", value, "1s", quality, baseline=usual, evidence=words
    )


def _venues(*prices: float) -> list[AnyEvent]:
    """A minute of three venues; what they ask, once they have begun, as given."""
    return [
        Quote(_stage.at(n + 0.1 * k), _stage.at(n + 0.1 * k), f"proof{k}:BTC/USDT",
              60_000.0 * (price if n > 9 else 1.0), 1.0, 60_006.0 * (price if n > 9 else 1.0), 1.0)
        for n in range(60)
        for k, price in enumerate(prices)
    ]  # fmt: skip


PLUGIN = Plugin(config=CrossVenueConfig, build=CrossVenue)
PROOF = Proof(
    "divergence_bps", 50.0, lambda: _venues(1.0, 1.0001, 1.01), lambda: _venues(1.0, 1.0001, 1.0003)
)
