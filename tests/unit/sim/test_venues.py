import pytest

from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.venues import VENUES, open_venue

START = 1_790_000_000_123_456


@pytest.mark.parametrize("name", VENUES)
def test_every_venue_of_the_list_opens_and_goes_by_its_name(name):
    market, make, rules = open_venue(name, start=START, symbols=4)
    venue = make(market, Hub(Faults()), rules)
    assert venue.name == name
    assert len(market.symbols) == 4
    assert venue.try_it("ws://x", "http://x")
    venue.step(market.now + venue.grid - market.now % venue.grid)
    assert market.now % venue.grid == 0


def test_an_unknown_venue_is_named_with_those_that_there_are():
    with pytest.raises(ValueError, match="'mtgox' is simulated; there is binance, "):
        open_venue("mtgox", start=START)


def test_a_market_alone_is_that_of_no_world():
    alone, _, _ = open_venue("binance", start=START, symbols=1, alone=True)
    inside, _, _ = open_venue("binance", start=START, symbols=1)
    assert alone.advance(START + 1_000_000) != inside.advance(START + 1_000_000)
