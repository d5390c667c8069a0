"""What is seen of one pair at each venue, and which venues count now.

A venue counts while its newest quote is not older than `expire` and no Gap came since. That a
quote stands unchanged cannot be told from silence, so an old one does not count, whatever the
reason, and that is said. Two feeds of one market count once, by the first that is fresh.
"""

from msgspec import Struct, field

from tapewatch.model.events import InstrumentId, Micros, Quote
from tapewatch.model.instrument import split_id
from tapewatch.model.times import SECOND
from tapewatch.stream.window import Samples

STEP = 200_000  # of the grid on which prices are kept, microseconds
_TWINS = {"coinbase_advanced": "coinbase"}  # another feed of the same market
_NAMED = 3  # of those that do not count


class Sight(Struct, array_like=True):
    """One venue. `told` and `value` are of its divergence."""

    inst: InstrumentId
    prices: Samples
    quote: Quote | None = None
    edge: Micros = Micros(0)  # quotes before this are only kept
    gap: str = ""  # why there is no quote
    is_timed: bool = True  # its quotes have times of the venue, not ours
    told: Micros = Micros(0)
    value: float = 0.0
    judged: bool = False  # it counted when it was told last

    @property
    def venue(self) -> str:
        return split_id(self.inst)[0]

    @property
    def heard(self) -> Micros:
        """When its quote was made; never ahead of our clock."""
        return Micros(0) if self.quote is None else min(self.quote.ts, self.quote.recv)

    def move(self, quote: Quote, ts: Micros) -> None:
        """Take a quote, and note what held until it came."""
        if self.quote is not None and (before := middle(self.quote)):
            self.prices.reach(ts, before)
        self.quote = quote
        self.is_timed = quote.ts != quote.recv

    def void(self, reason: str) -> None:
        self.quote = None
        self.gap = reason
        self.forget()

    def forget(self) -> None:
        """Begin anew with its times."""
        self.edge = self.told = Micros(0)
        self.prices = Samples(self.prices.width, self.prices.count)


class Count(Struct):
    """Which venues count at a moment, and why others do not."""

    sights: list[Sight] = field(default_factory=list)
    others: dict[InstrumentId, str] = field(default_factory=dict)
    twins: list[InstrumentId] = field(default_factory=list)  # of a market that counts already

    def words(self) -> tuple[str, ...]:
        words = [f"{split_id(i)[0]} does not count: {why}" for i, why in self.others.items()]
        more = len(words) - _NAMED
        return (*words[:_NAMED], *((f"and {more} more do not count",) if more > 0 else ()))


def sight(inst: InstrumentId, expire: int) -> Sight:
    """Begin with a venue. Prices reach back as far as others may be behind."""
    return Sight(inst, Samples(STEP, expire // STEP + 16))


def count(sights: dict[InstrumentId, Sight], ts: Micros, expire: int) -> Count:
    found = Count()
    markets: set[str] = set()
    for inst in sorted(sights):
        each = sights[inst]
        reason = _why_not(each, ts, expire)
        market = _TWINS.get(each.venue, each.venue)
        if reason:
            found.others[inst] = reason
        elif market in markets:
            found.twins.append(inst)
        else:
            markets.add(market)
            found.sights.append(each)
    return found


def middle(quote: Quote) -> float:
    """Give the price between bid and ask; 0 if a side is empty."""
    return (quote.bid + quote.ask) / 2.0 if quote.bid and quote.ask else 0.0


def _why_not(sight: Sight, ts: Micros, expire: int) -> str:
    if sight.quote is None:
        return f"no quote since a gap ({sight.gap})"
    age = ts - sight.heard
    if age >= expire:
        return f"no quote for {age / SECOND:.0f} s"
    return "" if middle(sight.quote) else "one side of its book is empty"
