from tapewatch.serve.client import PRICE
from tapewatch.serve.gathered import MAX_EVENTS, Gathered
from tests.serving import BTC, ETH, ticker, trade

TRADES = frozenset({"trade"})


def test_what_waits_is_bounded_without_any_flush():
    gathered = Gathered()
    for number in range(10 * MAX_EVENTS):
        gathered.add([trade(number=number)], TRADES)
    held = sum(map(len, gathered.events.values())) + gathered._unsorted
    assert held <= 6 * MAX_EVENTS
    gathered.sort(TRADES)
    assert [event.id for event in gathered.events["trade"]][-1] == str(10 * MAX_EVENTS - 1)
    assert gathered.overflow == {"trade": 9 * MAX_EVENTS}


def test_the_cut_into_batches_changes_nothing():
    events = [trade(BTC, number=1), ticker(ETH), trade(ETH, number=2), trade(BTC, number=3)]
    whole, cut = Gathered(), Gathered()
    whole.add(events, TRADES)
    for event in events:
        cut.add([event], TRADES)
    for each in (whole, cut):
        each.sort(TRADES)
        assert [event.id for event in each.events["trade"]] == ["1", "2", "3"]
        assert set(each.states) == {(PRICE, BTC), (PRICE, ETH), ("ticker", ETH)}


def test_events_that_nobody_wants_only_mark_their_states():
    gathered = Gathered()
    gathered.add([trade(BTC)], TRADES)
    gathered.sort(frozenset({PRICE}))
    assert (gathered.events, list(gathered.states)) == ({}, [(PRICE, BTC)])
