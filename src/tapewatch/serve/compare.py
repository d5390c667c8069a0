"""One coin at all venues: who bids most, who asks least, who is off, who does not count and why.

Pairs stand apart by their whole symbol: BTC/USD, BTC/USDT and BTC/USDT:USDT are never one.
"""

import difflib
from statistics import median

from msgspec import Struct

from tapewatch.model.errors import NotFound
from tapewatch.model.events import InstrumentId, Metric, Micros, Quality
from tapewatch.model.instrument import split_id
from tapewatch.model.times import iso
from tapewatch.ports import Latest
from tapewatch.serve.ask import Ask
from tapewatch.serve.context import Context, VenueQuote

_BPS = 10_000.0
_MEDIAN_OF = 3
_ALL = "all"


class Holder(Struct, kw_only=True):
    """A best price and whose it is."""

    price: float
    venue: str


class AtVenue(Struct, kw_only=True):
    """One venue. `counts`: its quote is fresh; if not, `why_not` says why."""

    venue: str
    inst: str
    symbol: str
    price: float | None
    bid: float | None = None
    ask: float | None = None
    spread_bps: float | None = None
    age_ms: int | None = None  # of the quote
    counts: bool = False
    why_not: str = ""
    divergence_bps: float | None = None  # of its middle price from the median
    lead_ms: float | None = None
    lead_strength: float | None = None
    lead_why_not: str = ""  # why nothing is known of who leads
    latency_ms: float | None = None  # of its feed


class Pair(Struct, kw_only=True):
    """One symbol. `cross_spread_bps` below 0: one bids more than another asks."""

    symbol: str
    quote: str
    settle: str
    venues: list[AtVenue]
    best_bid: Holder | None = None
    best_ask: Holder | None = None
    cross_spread_bps: float | None = None
    median: float | None = None  # of three venues at least


class Comparison(Struct, kw_only=True):
    base: str  # empty: every coin
    timestamp: str
    ts: Micros
    pairs: list[Pair]
    depeg_bps: dict[str, float]  # of the coins of a dollar that are measured


async def get_compare(context: Context, ask: Ask) -> Comparison:
    base, quote = ask.text("base").upper(), ask.text("quote").upper()
    ask.done()
    hot = context.hot.get_all()
    symbols = _symbols(hot, base, quote)
    if not base:
        symbols = {symbol: insts for symbol, insts in symbols.items() if len(insts) > 1}
    elif not symbols:
        known = {symbol.partition("/")[0] for symbol in _symbols(hot, "", "")}
        near = difflib.get_close_matches(base, sorted(known), n=3)
        raise NotFound("coin", f"{base}/{quote}" if quote else base, tuple(near))
    now = context.clock()
    return Comparison(
        base=base,
        timestamp=iso(now),
        ts=now,
        pairs=[_pair(context, symbol, insts, hot, now) for symbol, insts in symbols.items()],
        depeg_bps={
            split_id(inst)[1].partition("/")[0]: value
            for inst, latest in sorted(hot.items())
            if (value := latest.measured("depeg_bps 15s")) is not None
        },
    )


def _symbols(
    hot: dict[InstrumentId, Latest], base: str, quote: str
) -> dict[str, list[InstrumentId]]:
    """Give instruments by symbol; empty: of any base, of any quote."""
    found: dict[str, list[InstrumentId]] = {}
    for inst in sorted(hot):
        venue, symbol = split_id(inst)
        own, slash, rest = symbol.partition("/")
        if slash and venue != _ALL and base in {"", own} and quote in {"", rest.partition(":")[0]}:
            found.setdefault(symbol, []).append(inst)
    return found


def _pair(
    context: Context,
    symbol: str,
    insts: list[InstrumentId],
    hot: dict[InstrumentId, Latest],
    now: Micros,
) -> Pair:
    quotes = {each.inst: each for each in context.across(symbol, now)}
    middles: dict[InstrumentId, float] = {}
    for inst, each in quotes.items():
        if each.quote is not None and not each.why_not:
            middles[inst] = (each.quote.bid + each.quote.ask) / 2.0
    usual = median(middles.values()) if len(middles) >= _MEDIAN_OF else None
    venues = []
    for inst in insts:
        row = _row(context, inst, quotes.get(inst), hot, now)
        if usual is not None and inst in middles:
            row.divergence_bps = (middles[inst] / usual - 1.0) * _BPS
        venues.append(row)
    pair = Pair(
        symbol=symbol,
        quote=symbol.partition("/")[2].partition(":")[0],
        settle=symbol.partition(":")[2],
        venues=venues,
        median=usual,
    )
    _best(pair)
    return pair


def _row(
    context: Context,
    inst: InstrumentId,
    seen: VenueQuote | None,
    hot: dict[InstrumentId, Latest],
    now: Micros,
) -> AtVenue:
    latest = hot[inst]
    venue = split_id(inst)[0]
    feed = hot.get(f"{venue}:*")
    row = AtVenue(
        venue=venue,
        inst=inst,
        symbol=context.native(inst),
        price=latest.price,
        why_not="no best quote has come",
        latency_ms=None if feed is None else feed.measured("feed_latency_ms 5s"),
    )
    _lead(row, latest.metrics.get("lead_ms 5m"), latest.measured("lead_strength 5m"))
    if seen is not None:
        row.why_not, row.counts = seen.why_not, not seen.why_not
    quote = None if seen is None else seen.quote
    if quote is not None:
        row.bid, row.ask = quote.bid or None, quote.ask or None
        row.age_ms = max(0, now - quote.recv) // 1000
        if quote.bid and quote.ask:
            row.spread_bps = (quote.ask - quote.bid) / (quote.ask + quote.bid) * 2.0 * _BPS
    return row


def _lead(row: AtVenue, told: Metric | None, strength: float | None) -> None:
    """A detector that cannot say it tells 0, partial: that is not "together with the others"."""
    if told is None:
        return
    if told.quality is Quality.PARTIAL:
        row.lead_why_not = told.evidence[0] if told.evidence else "not known yet"
    else:
        row.lead_ms, row.lead_strength = told.value, strength


def _best(pair: Pair) -> None:
    bids = [(each.bid, each.venue) for each in pair.venues if each.counts and each.bid]
    asks = [(each.ask, each.venue) for each in pair.venues if each.counts and each.ask]
    if not bids or not asks:
        return
    bid, bidder = max(bids)
    ask, asker = min(asks)
    pair.best_bid, pair.best_ask = Holder(price=bid, venue=bidder), Holder(price=ask, venue=asker)
    pair.cross_spread_bps = (ask - bid) / (ask + bid) * 2.0 * _BPS
