"""What a venue says of its last trade: a hole above the newest one is asked for too."""

from tapewatch.model.events import Coverage, Gap, Holding, Side, Trade
from tapewatch.ports import Answer, Fetch
from tapewatch.venues._trades import History, TradeChain

INST = "coinbase:BTC/USD"
SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def trade(number):
    ts = START + number * 1_000
    return Trade(ts, ts, INST, str(number), Side.BUY, 1.0, 1.0)


class Wire:
    def __init__(self, **changes):
        def rows(body, recv, echo):
            return [(int(text), trade(int(text))) for text in body.split()]

        history = History(10, lambda key, first, count: Fetch(key, f"/{first}/{count}"), rows)
        options = {"resume": None, "hold": SECOND, "repair_max_ids": 1_000, "lenient": False}
        self.chain = TradeChain(INST, "matches", history, **(options | changes))
        self.now = START
        self.out = []
        self.asks = []

    def take(self, *numbers):
        for number in numbers:
            self.asks.extend(self.chain.take(number, trade(number), self.now, self.out))
        return self

    def promise(self, last):
        return self.chain.promise(last, self.now)

    def tick(self, secs):
        self.now += int(secs * SECOND)
        self.asks.extend(self.chain.tick(self.now, self.out))
        return self

    def answer(self, *numbers):
        body = " ".join(map(str, numbers)).encode()
        self.asks.extend(self.chain.answer(Answer(200, body), self.now, self.out))
        return self

    def ids(self):
        return [int(event.id) for event in self.out if isinstance(event, Trade)]

    def told(self, holding):
        found = [e for e in self.out if isinstance(e, Coverage) and e.holding is holding]
        return [(e.first, e.last) for e in found]


def test_a_promise_that_is_kept_within_a_second_asks_for_nothing():
    wire = Wire().take(5)
    assert wire.promise(6) is False
    wire.tick(0.9).take(6).tick(5)
    assert wire.asks == []
    assert wire.ids() == [5, 6]
    assert wire.promise(6) is True


def test_promised_trades_that_do_not_come_are_fetched_and_stand_in_order():
    wire = Wire().take(5)
    wire.promise(7)
    wire.tick(1)
    assert [fetch.url for fetch in wire.asks] == ["/6/2"]
    assert wire.told(Holding.MISSING) == [(6, 7)]
    wire.answer(6, 7).take(8)
    assert wire.ids() == [5, 6, 7, 8]
    assert not [event for event in wire.out if isinstance(event, Gap)]


def test_later_trades_wait_for_the_promised_ones():
    wire = Wire().take(5)
    wire.promise(7)
    wire.tick(1).take(8)
    assert wire.ids() == [5]
    wire.answer(6, 7)
    assert wire.ids() == [5, 6, 7, 8]
    assert len(wire.asks) == 1


def test_a_promised_trade_may_still_come_live():
    wire = Wire().take(5)
    wire.promise(7)
    wire.tick(1).take(6, 7).tick(0.1)
    assert wire.ids() == [5, 6, 7]
    assert wire.chain.next == 8
    assert not wire.chain.holes


def test_when_the_hold_is_over_the_gap_is_said_and_the_trades_come_late():
    wire = Wire().take(5)
    wire.promise(7)
    wire.tick(1).tick(1)
    assert [(e.first, e.last) for e in wire.out if isinstance(e, Gap)] == [(6, 7)]
    wire.answer(6, 7).take(8)
    assert wire.ids() == [5, 6, 7, 8]


def test_time_is_held_back_while_a_promise_is_open():
    wire = Wire().take(5)
    assert wire.chain.held_since() is None
    wire.promise(6)
    assert wire.chain.held_since() == START + 5_000
    wire.take(6)
    assert wire.chain.held_since() is None


def test_the_first_promise_begins_a_chain_that_knows_nothing():
    wire = Wire()
    assert wire.promise(9) is True
    wire.take(11)
    assert [fetch.url for fetch in wire.asks] == ["/10/1"]


def test_a_promise_shows_what_an_outage_cost_before_the_next_trade():
    wire = Wire(resume=4)
    wire.promise(6)
    wire.tick(1)
    assert [fetch.url for fetch in wire.asks] == ["/5/2"]
    wire.answer(5, 6).tick(2)
    assert wire.ids() == [5, 6]
    assert wire.told(Holding.HAVE) == [(5, 6)]


def test_rows_below_what_was_asked_for_prove_nothing():
    wire = Wire().take(5, 9)
    for _ in range(3):
        wire.answer(3, 4, 5).tick(1.1)
    assert len(wire.asks) == 3
    assert wire.told(Holding.LOST) == [(6, 8)]


def test_a_second_promise_does_not_put_off_the_first():
    wire = Wire().take(5)
    wire.promise(6)
    wire.tick(0.6)
    wire.promise(8)
    wire.tick(0.6)
    assert [fetch.url for fetch in wire.asks] == ["/6/1"]
    wire.answer(6)
    wire.promise(8)
    wire.tick(1)
    assert [fetch.url for fetch in wire.asks] == ["/6/1", "/7/2"]
