"""Chains whose ids count single fills while live trades are aggregates of them."""

import pytest
from msgspec import json
from msgspec.structs import replace

from tapewatch.model.events import Coverage, Gap, Holding, Side, Trade
from tapewatch.ports import Answer, Fetch
from tapewatch.venues._trades import History, TradeChain

INST = "okx:BTC/USDT"
SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def trade(first, last, *, repaired=False):
    ts = START + last * 1_000
    count = last - first + 1
    return Trade(ts, ts, INST, str(last), Side.BUY, 1.0, 1.0, "trades", count, repaired=repaired)


def rows(body, recv, echo):
    return [(number, trade(number, number, repaired=True)) for number in json.decode(body)]


def fetch(key, first, count):
    return Fetch(key, f"/{first}/{count}")


class Wire:
    def __init__(self, **changes):
        options = {"resume": None, "hold": SECOND, "repair_max_ids": 1_000, "lenient": False}
        history = History(10, fetch, rows, spans=True)
        self.chain = TradeChain(INST, "trades", history, **(options | changes))
        self.now = START
        self.out = []
        self.asks = []

    def take(self, *spans):
        for first, last in spans:
            taken = self.chain.take(first, trade(first, last), self.now, self.out)
            self.asks.extend(taken)
        return self

    def tick(self, secs):
        self.now += int(secs * SECOND)
        self.asks.extend(self.chain.tick(self.now, self.out))
        return self

    def answer(self, *numbers):
        answer = Answer(200, json.encode(numbers))
        self.asks.extend(self.chain.answer(answer, self.now, self.out))
        return self

    def spans(self):
        return [(int(e.id) - e.count + 1, int(e.id)) for e in self.out if isinstance(e, Trade)]

    def gaps(self):
        return [(e.first, e.last) for e in self.out if isinstance(e, Gap)]

    def coverage(self, holding):
        found = [e for e in self.out if isinstance(e, Coverage) and e.holding is holding]
        return [(e.first, e.last) for e in found]

    def urls(self):
        return [ask.url for ask in self.asks]


def test_spans_that_touch_have_no_hole_and_all_their_ids_are_covered():
    wire = Wire().take((5, 7), (8, 8), (9, 20)).tick(1)
    assert wire.spans() == [(5, 7), (8, 8), (9, 20)]
    assert wire.coverage(Holding.HAVE) == [(5, 20)]
    assert not wire.asks
    assert not wire.gaps()


def test_a_span_that_came_before_is_dropped():
    assert Wire().take((5, 7), (8, 9), (5, 7), (8, 9), (10, 10)).spans() == [
        (5, 7),
        (8, 9),
        (10, 10),
    ]


def test_missing_aggregates_come_as_single_fills_in_order():
    wire = Wire().take((5, 7), (11, 12), (13, 13))
    assert wire.urls() == ["/8/3"]
    wire.answer(8, 9, 10).tick(1)
    assert wire.spans() == [(5, 7), (8, 8), (9, 9), (10, 10), (11, 12), (13, 13)]
    assert wire.coverage(Holding.REPAIRED) == [(8, 10)]
    assert wire.coverage(Holding.HAVE) == [(5, 7), (11, 13)]
    assert not wire.gaps()


def test_an_aggregate_of_a_second_connection_fills_the_hole_whole():
    wire = Wire().take((5, 7), (11, 12), (8, 10)).tick(1)
    assert wire.spans() == [(5, 7), (8, 10), (11, 12)]
    assert not wire.gaps()


def test_an_aggregate_of_which_fills_are_in_hand_is_dropped_and_the_rest_is_asked_for():
    wire = Wire().take((5, 7), (11, 12)).tick(1.1)
    assert wire.gaps() == [(8, 10)]
    wire.answer(8).take((8, 10)).tick(1).answer(9, 10).tick(1)
    assert wire.spans() == [(5, 7), (11, 12), (8, 8), (9, 9), (10, 10)]
    assert wire.coverage(Holding.REPAIRED) == [(8, 8), (9, 10)]


def test_an_aggregate_that_comes_late_is_told_with_all_its_ids():
    wire = Wire().take((5, 7), (11, 12)).tick(1.1).take((8, 10)).tick(1)
    assert wire.spans() == [(5, 7), (11, 12), (8, 10)]
    assert sorted(wire.coverage(Holding.HAVE)) == [(5, 7), (8, 10), (11, 12)]


def test_what_is_cut_in_another_way_is_asked_for_as_single_fills():
    wire = Wire().take((5, 7), (6, 9))
    assert wire.urls() == ["/8/2"]
    wire.take((10, 10)).answer(8, 9)
    assert wire.spans() == [(5, 7), (8, 8), (9, 9), (10, 10)]
    assert not wire.gaps()


def test_rows_below_what_was_asked_for_prove_nothing_and_are_not_told():
    wire = Wire().take((5, 7), (11, 12)).answer(1, 2, 3)
    assert wire.spans() == [(5, 7)]
    assert not wire.coverage(Holding.LOST)
    wire.tick(1.1).answer(6, 7, 8, 9, 10)
    assert wire.spans()[-3:] == [(8, 8), (9, 9), (10, 10)]


def test_the_last_stored_id_is_where_a_restart_goes_on():
    wire = Wire(resume=7).take((11, 12))
    assert wire.urls() == ["/8/3"]


@pytest.mark.parametrize("echo", [False, True])
def test_history_is_marked_as_the_chain_is(echo):
    seen = []

    def told(body, recv, is_echo):
        seen.append(is_echo)
        return ()

    wire = Wire()
    wire.chain._history = replace(wire.chain._history, rows=told)
    wire.chain.echo = echo
    wire.take((5, 7), (11, 12)).answer()
    assert seen == [echo]
