from msgspec import Struct

from tapewatch.model.events import Metric, NewsItem, Quote, Trade
from tapewatch.stream.keyed import Keyed, shape
from tests.streams import INSTS, at, tick, trade

BTC, ETH, OKX = INSTS


class Count(Struct):
    key: str
    seen: int = 0
    timer: int | None = None

    def on_event(self, event):
        self.seen += 1
        return ()

    def on_timer(self, at):
        return ()

    def next_timer(self):
        return self.timer


class Wider(Struct):
    key: str
    seen: int = 0
    timer: int | None = None
    more: int = 0


class Counter:
    gives = frozenset()

    def __init__(self, name="count", wants=(Trade,), key=lambda event: event.inst, state=Count):
        self.name = name
        self.wants = frozenset(wants)
        self.key = key
        self.state = state

    def fresh(self, key):
        return self.state(key)

    def adopt(self, state):
        return state


def states(keyed, order=0):
    return keyed._states[order]


def test_states_are_made_when_first_wanted():
    keyed = Keyed([Counter()], 10)
    assert states(keyed) == {}
    for handle in keyed.handlers(trade(inst=BTC)):
        handle(trade())
    assert states(keyed) == {BTC: Count(BTC, 1)}


def test_a_cell_gives_the_methods_of_those_who_want_the_type_in_order():
    keyed = Keyed([Counter("a"), Counter("b", (Quote,)), Counter("c")], 10)
    owners = [handle.__self__ for handle in keyed.handlers(trade())]
    assert owners == [states(keyed, 0)[BTC], states(keyed, 2)[BTC]]
    assert states(keyed, 1) == {}


def test_instruments_with_one_key_share_one_state():
    keyed = Keyed([Counter(key=lambda event: event.inst.partition(":")[2])], 10)
    keyed.handlers(trade(inst="a:BTC/USDT"))[0](None)
    keyed.handlers(trade(inst="b:BTC/USDT"))[0](None)
    assert states(keyed) == {"BTC/USDT": Count("BTC/USDT", 2)}


def test_an_event_without_instrument_has_a_cell_too():
    keyed = Keyed([Counter(wants=(NewsItem,), key=lambda event: event.source)], 10)
    news = NewsItem(at(0), at(0), "1", "rss", "title", "url")
    assert keyed.handlers(news)[0].__self__.key == "rss"
    assert keyed.handlers(news) is keyed.handlers(news)


def test_beyond_the_limit_new_instruments_are_left_out_and_counted():
    keyed = Keyed([Counter()], 1)
    keyed.handlers(trade(inst=BTC))
    assert keyed.handlers(trade(inst=ETH)) == ()
    assert keyed.handlers(trade(inst=ETH)) == ()
    assert keyed.refused == 2
    assert len(keyed.handlers(trade(inst=BTC))) == 1
    assert list(states(keyed)) == [BTC]


def test_restart_begins_anew_for_those_who_hold_the_methods():
    keyed = Keyed([Counter()], 10)
    handle = keyed.handlers(trade())[0]
    handle(trade())
    keyed.restart(*keyed.place(handle.__self__))
    handle(trade())
    assert states(keyed) == {BTC: Count(BTC, 1)}


def test_due_gives_timers_by_time_then_key_then_processor():
    keyed = Keyed([Counter("a"), Counter("b")], 10)
    for inst, order, timer in ((ETH, 0, 5), (ETH, 1, 3), (BTC, 1, 5), (BTC, 0, 5)):
        keyed.handlers(trade(inst=inst))
        states(keyed, order)[inst].timer = timer
    given = []
    for moment, timed in keyed.due("binance", 5):
        timed.state.timer = None
        given.append((moment, timed.key, timed.order))
    assert given == [(3, ETH, 1), (5, BTC, 0), (5, BTC, 1), (5, ETH, 0)]


def test_due_gives_what_a_call_sets_anew_in_its_turn():
    keyed = Keyed([Counter()], 10)
    for inst, timer in ((BTC, 1), (ETH, 2)):
        keyed.handlers(trade(inst=inst))
        states(keyed)[inst].timer = timer
    given = []
    for moment, timed in keyed.due("binance", 6):
        timed.state.timer += 2
        given.append((moment, timed.key))
    assert given == [(1, BTC), (2, ETH), (3, BTC), (4, ETH), (5, BTC), (6, ETH)]


def test_due_leaves_out_a_timer_that_does_not_move():
    keyed = Keyed([Counter()], 10)
    keyed.handlers(trade())
    states(keyed)[BTC].timer = 1
    assert [moment for moment, _ in keyed.due("binance", 9)] == [1]


def test_due_asks_again_because_another_call_may_have_moved_a_timer():
    keyed = Keyed([Counter("a"), Counter("b")], 10)
    keyed.handlers(trade())
    states(keyed, 0)[BTC].timer = 1
    states(keyed, 1)[BTC].timer = 2
    given = []
    for moment, timed in keyed.due("binance", 9):
        given.append((moment, timed.order))
        states(keyed, 0)[BTC].timer = None
        states(keyed, 1)[BTC].timer = 4 if moment < 4 else None
    assert given == [(1, 0), (4, 1)]


def test_a_tick_is_heard_by_its_venue_and_by_keys_without_one():
    asset = Counter("b", key=lambda event: "BTC")
    keyed = Keyed([Counter("a"), asset], 10)
    for inst in (BTC, OKX):
        keyed.handlers(trade(inst=inst))
    for order in (0, 1):
        for state in states(keyed, order).values():
            state.timer = 1
    given = [timed.key for _, timed in keyed.due(tick(source="okx").source, 1)]
    assert given == ["BTC", OKX]


def dumped(processors):
    keyed = Keyed(processors, 10)
    keyed.handlers(trade())[0](trade())
    return keyed.dump()


def test_load_gives_back_what_dump_took():
    again = Keyed([Counter()], 10)
    assert again.load(dumped([Counter()])) == []
    again.handlers(trade())[0](trade())
    assert states(again) == {BTC: Count(BTC, 2)}


def test_a_changed_shape_starts_fresh_and_says_so():
    again = Keyed([Counter(state=Wider)], 10)
    (told,) = again.load(dumped([Counter()]))
    assert "count" in told
    assert "shape" in told
    assert states(again) == {}


def test_a_processor_that_is_gone_and_one_that_is_new_are_told():
    again = Keyed([Counter("new")], 10)
    told = again.load(dumped([Counter("old")]))
    assert [word.partition(" ")[0] for word in told] == ["old", "new"]


def test_garbage_starts_everything_fresh_and_says_so():
    again = Keyed([Counter()], 10)
    (told,) = again.load(b"\x01garbage")
    assert "cannot be read" in told
    assert states(again) == {}


def test_another_format_starts_fresh():
    data = dumped([Counter()]).replace(b"format\x01", b"format\x02")
    (told,) = Keyed([Counter()], 10).load(data)
    assert "format 2" in told


def test_one_unreadable_key_does_not_cost_the_others():
    keyed = Keyed([Counter()], 10)
    for inst in (BTC, ETH):
        keyed.handlers(trade(inst=inst))
    states(keyed)[BTC].seen = "no number"
    again = Keyed([Counter()], 10)
    (told,) = again.load(keyed.dump())
    assert BTC in told
    assert list(states(again)) == [ETH]


def test_restored_timers_hear_ticks_before_any_event():
    keyed = Keyed([Counter()], 10)
    keyed.handlers(trade())
    states(keyed)[BTC].timer = 1
    again = Keyed([Counter()], 10)
    again.load(keyed.dump())
    assert [timed.key for _, timed in again.due("binance", 5)] == [BTC]


def test_shape_tells_nested_fields_apart_and_is_stable():
    class One(Struct):
        inner: Count

    class Other(Struct):
        inner: Wider

    assert shape(One) == shape(One)
    assert shape(One) != shape(Other)
    assert shape(Metric) != shape(Trade)
