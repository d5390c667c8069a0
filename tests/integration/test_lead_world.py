"""Who leads in the world of the demo, at its pace: five minutes of it, as fast as the machine is."""

from tapewatch.cli.demo import _SHARE
from tapewatch.model.events import Metric, Micros, Quality, Quote
from tapewatch.process.cross_venue import PLUGIN
from tapewatch.sim.venues import open_venue
from tapewatch.stream.pipeline import Pipeline
from tests.integration.sim_bench import START

ONE = 100_000_000
STEP = 50_000
PLACES = {"binance": "BTCUSDT", "okx": "BTC-USDT", "bybit": "spot/BTCUSDT"}


def quotes(secs):
    """What each place asks, whenever its best bid or offer changes."""
    markets = {venue: open_venue(venue, start=START, symbols=6, rate=_SHARE)[0] for venue in PLACES}
    known = {}
    for now in range(START, START + secs * 1_000_000, STEP):
        for venue, market in markets.items():
            market.advance(now)
            book = market.book(PLACES[venue], 1)
            best = book.bids[0][0] / ONE, book.asks[0][0] / ONE
            if known.get(venue) != best:
                known[venue] = best
                yield Quote(Micros(now), Micros(now), f"{venue}:BTC/USDT", best[0], 1, best[1], 1)


def test_after_five_minutes_the_busiest_venue_is_told_to_lead():
    pipeline = Pipeline([PLUGIN.build("cross_venue", PLUGIN.config())])
    said = [e for e in pipeline.process(list(quotes(310))) if isinstance(e, Metric)]
    leads = {e.inst: e for e in said if e.name == "lead_ms"}
    assert set(leads) == {f"{venue}:BTC/USDT" for venue in PLACES}
    assert {e.quality for e in leads.values()} == {Quality.COMPLETE}
    first = [e for e in said if e.name == "lead_ms"][:3]
    assert all("not enough history" in e.evidence[0] for e in first)
    assert leads["binance:BTC/USDT"].value > max(
        leads["okx:BTC/USDT"].value, leads["bybit:BTC/USDT"].value
    )
