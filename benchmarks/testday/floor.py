"""Simulated markets as events of ours, second by second; and what truly happened there.

Happenings of the market become events directly, not by way of a venue's frames: that connectors
read frames rightly is proven elsewhere, and a day would take hours. Best quotes are told once a
second. Each second ends with a Tick of each venue, received when all before it was.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from tapewatch.model.events import AnyEvent, Liquidation, Micros, Quality, Quote, Side, Tick, Trade
from tapewatch.sim import happenings
from tapewatch.sim.listing import Listing
from tapewatch.sim.market import Market, Shock, Size, open_market
from tapewatch.sim.venues import listings_of

SECOND = 1_000_000
START = Micros(1_790_812_800 * SECOND)  # a midnight UTC
# venue: how its listing calls them, and what goes by another venue's name with us
VENUES: dict[str, tuple[str, ...]] = {
    "binance": ("BTCUSDT", "ETHUSDT", "BTCUSDC"),
    "okx": ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP"),
    "bybit": ("spot/BTCUSDT", "linear/BTCUSDT"),
    "binance_futures": ("BTCUSDT", "ETHUSDT"),
    "coinbase": ("BTC-USD", "ETH-USD"),
}
_LISTED = 20  # of each venue, to choose from
_UNIT = 1e-8
_LATENCY = 40_000
_SIZE = Size(levels=150, trades=1_000, book_changes=200, history_minutes=60)
BIG_USD = 100_000.0  # smaller orders are not remembered


class Order(Struct):
    """A taker order, all its fills together."""

    ts: int
    side: Side
    usd: float


class Truth(Struct):
    """What happened on one instrument, by the market itself."""

    typical_usd: float
    volume: list[float] = field(default_factory=list)  # of each second, in quote
    middle: list[float] = field(default_factory=list)  # between the best prices, each second
    orders: list[Order] = field(default_factory=list)  # large ones
    liquidations: list[tuple[int, float]] = field(default_factory=list)  # when, dollars


class Floor:
    """All markets. `advance` by a second gives what our feeds would give."""

    def __init__(self, seed: int, rate: float, venues: Mapping[str, Sequence[str]]) -> None:
        self.rate = rate
        self.now = int(START)
        self.markets: dict[str, Market] = {}
        self.truths: dict[str, Truth] = {}
        self.muted: dict[str, int] = {}  # venue, until when nothing is heard of it
        self._insts: dict[tuple[str, str], str] = {}
        self._open: dict[str, Order] = {}
        self._by_hand: list[tuple[str, happenings.Happening]] = []
        for venue, symbols in venues.items():
            listed = {each.symbol: each for each in listings_of(venue, _LISTED)}
            pairs = tuple(listed[symbol] for symbol in symbols)
            self.markets[venue] = open_market(
                start=self.now, seed=seed, rate=rate, size=_SIZE, pairs=pairs, venue=venue
            )
            for pair in pairs:
                inst = _inst(venue, pair)
                self._insts[venue, pair.symbol] = inst
                self.truths[inst] = Truth(pair.typical_usd)

    @property
    def sources(self) -> list[str]:
        return sorted({inst.partition(":")[0] for inst in self.truths})

    def place(self, inst: str) -> tuple[Market, str]:
        """Where an instrument is traded, and how it is called there."""
        for (venue, symbol), known in self._insts.items():
            if known == inst:
                return self.markets[venue], symbol
        raise KeyError(inst)

    def pace(self, share: float) -> None:
        for market in self.markets.values():
            market.rate = self.rate * share

    def shock(self, shock: Shock) -> None:
        for market in self.markets.values():
            market.shock(shock)

    def order(self, inst: str, usd: float, *, buys: bool) -> None:
        market, symbol = self.place(inst)
        venue = next(name for name, each in self.markets.items() if each is market)
        self._by_hand += [(venue, each) for each in market.order(symbol, usd, buys=buys)]

    def liquidate(self, inst: str, usd: float, *, longs: bool) -> None:
        market, symbol = self.place(inst)
        venue = next(name for name, each in self.markets.items() if each is market)
        price = market.mark(symbol).mark
        qty = round(usd / (price * _UNIT) / _UNIT)
        told = happenings.Liquidation(symbol, 0, self.now, longs, price, price, qty)
        self._by_hand.append((venue, told))

    def advance(self) -> list[AnyEvent]:
        """Let a second pass."""
        self.now += SECOND
        happened, self._by_hand = self._by_hand, []
        for venue, market in self.markets.items():
            happened += [(venue, each) for each in market.advance(self.now)]
        happened.sort(key=lambda each: each[1].ts)
        for truth in self.truths.values():
            truth.volume.append(0.0)
            truth.middle.append(truth.middle[-1] if truth.middle else 0.0)
        events = self._events(happened)
        heard = [each for each in events if not self.is_muted(each.inst.partition(":")[0])]
        ticks = [
            Tick(Micros(self.now), Micros(self.now + _LATENCY), source)
            for source in self.sources
            if not self.is_muted(source)
        ]
        return [*heard, *ticks]

    def is_muted(self, source: str) -> bool:
        return self.muted.get(source, 0) >= self.now

    def _events(self, happened) -> list:
        events: list = []
        tops: dict[str, happenings.Top] = {}
        for venue, each in happened:
            inst = self._insts[venue, each.symbol]
            if type(each) is happenings.Top:
                tops[inst] = each
            elif type(each) is happenings.Aggregate:
                events.append(self._trade(inst, each))
            elif type(each) is happenings.Liquidation:
                events.append(self._liquidation(inst, each))
        for inst, top in tops.items():
            bid, ask = top.bid * _UNIT, top.ask * _UNIT
            sizes = top.bid_qty * _UNIT, top.ask_qty * _UNIT
            at = Micros(self.now)
            recv = Micros(at + _LATENCY)
            events.append(Quote(at, recv, inst, bid, sizes[0], ask, sizes[1], top.update_id))
            self.truths[inst].middle[-1] = (bid + ask) / 2
        return events

    def _trade(self, inst: str, each: happenings.Aggregate) -> Trade:
        side = Side.SELL if each.buyer_is_maker else Side.BUY
        price, size = each.price * _UNIT, each.qty * _UNIT
        worth, truth = price * size, self.truths[inst]
        truth.volume[-1] += worth
        order = self._open.get(inst)
        if order is None or (order.ts, order.side) != (each.ts, side):
            self._open[inst] = order = Order(each.ts, side, 0.0)
        was_big = order.usd >= BIG_USD
        order.usd += worth
        if order.usd >= BIG_USD and not was_big:
            truth.orders.append(order)
        count = each.last - each.first + 1
        ts = Micros(each.ts)
        return Trade(
            ts, Micros(ts + _LATENCY), inst, str(each.id), side, price, size, "aggTrade", count
        )

    def _liquidation(self, inst: str, each: happenings.Liquidation) -> Liquidation:
        price, size = each.average * _UNIT, each.qty * _UNIT
        self.truths[inst].liquidations.append((each.ts, price * size))
        side = Side.SELL if each.longs else Side.BUY
        ts = Micros(each.ts)
        return Liquidation(ts, Micros(ts + _LATENCY), inst, side, price, size, Quality.COMPLETE)


def groups(insts: Iterable[str]) -> dict[str, list[str]]:
    """Instruments by symbol: what several venues trade."""
    found = defaultdict(list)
    for inst in insts:
        found[inst.partition(":")[2]].append(inst)
    return found


def _inst(venue: str, pair: Listing) -> str:
    if pair.kind == "spot":
        return f"{venue}:{pair.base}/{pair.quote}"
    name = "bybit_linear" if venue == "bybit" else venue
    return f"{name}:{pair.base}/{pair.quote}:{pair.settle or pair.quote}"
