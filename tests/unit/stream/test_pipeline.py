from itertools import pairwise

import msgspec
import pytest
from msgspec import Struct

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Alert, DeadLetter, Gap, Metric, NewsItem, Quote, Tick, Trade
from tapewatch.stream.pipeline import Pipeline, arrange
from tests.streams import INSTS, at, tick, trade

BTC, ETH, OKX = INSTS


def metric(name, value=0.0, inst=BTC):
    return Metric(at(0), at(0), inst, name, value, "1s")


class Note(Struct):
    """Says one metric an event, named after its processor and what it heard."""

    name: str
    key: str
    heard: int = 0
    timer: int | None = None
    fail_at: int = 0

    def on_event(self, event):
        self.heard += 1
        if self.heard == self.fail_at:
            raise ValueError("broken on purpose")
        if self.name == "silent":
            return ()
        of = event.name if type(event) is Metric else type(event).__name__
        return [metric(f"{self.name}({of})", self.heard, self.key)]

    def on_timer(self, at):
        self.timer = None
        if self.fail_at < 0:
            raise ValueError("broken on purpose")
        return [metric(f"{self.name} at {at}", inst=self.key)]

    def next_timer(self):
        return self.timer


class Notes:
    state = Note

    def __init__(self, name, wants, gives=(Metric,), fail_at=0, timer=None):
        self.name = name
        self.wants = frozenset(wants)
        self.gives = frozenset(gives)
        self.fail_at = fail_at
        self.timer = timer

    def key(self, event):
        return event.inst

    def fresh(self, key):
        return Note(self.name, key, timer=self.timer, fail_at=self.fail_at)

    def adopt(self, state):
        return state


def names(events):
    return [event.name for event in events]


def test_processors_stand_behind_those_they_hear():
    a = Notes("a", [Alert], [Gap])
    b = Notes("b", [Metric], [Alert])
    c = Notes("c", [Trade], [Metric])
    assert [p.name for p in arrange([a, b, c])] == ["c", "b", "a"]


def test_order_does_not_depend_on_the_order_given():
    some = [Notes("b", [Trade]), Notes("a", [Trade]), Notes("c", [Metric], [Alert])]
    assert arrange(some) == arrange(some[::-1])


def test_a_circle_is_refused_by_naming_it():
    some = [
        Notes("first", [Alert], [Metric]),
        Notes("second", [Metric], [Gap]),
        Notes("third", [Gap], [Alert]),
        Notes("aside", [Gap], []),
    ]
    with pytest.raises(ConfigError, match="circle") as caught:
        arrange(some)
    words = str(caught.value).partition(": ")[2].split(" -> ")
    assert words[0] == words[-1]
    assert set(words) == {"first", "second", "third"}
    order = ["first", "second", "third"]
    assert all((order.index(b) - order.index(a)) % 3 == 1 for a, b in pairwise(words))


def test_two_processors_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="one name: a"):
        arrange([Notes("a", [Trade]), Notes("a", [Quote])])


def test_derived_events_come_out_in_order_each_followed_by_what_it_led_to():
    pipeline = Pipeline([Notes("a", [Trade]), Notes("b", [Trade]), Notes("z", [Metric], [Alert])])
    assert names(pipeline.process([trade()])) == [
        "a(Trade)",
        "z(a(Trade))",
        "b(Trade)",
        "z(b(Trade))",
    ]


def test_a_processor_does_not_hear_itself():
    pipeline = Pipeline([Notes("a", [Trade, Metric])])
    assert names(pipeline.process([trade(), metric("outside")])) == ["a(Trade)", "a(outside)"]


def test_each_instrument_has_its_own_state():
    pipeline = Pipeline([Notes("a", [Trade])])
    said = pipeline.process([trade(), trade(inst=ETH), trade()])
    assert [(event.inst, event.value) for event in said] == [(BTC, 1), (ETH, 1), (BTC, 2)]


def test_events_nobody_wants_are_passed_over():
    pipeline = Pipeline([Notes("a", [Trade])])
    quote = Quote(at(0), at(0), BTC, 1.0, 1.0, 2.0, 1.0)
    news = NewsItem(at(0), at(0), "1", "rss", "title", "url")
    assert pipeline.process([quote, news, quote, tick()]) == []


def test_echoes_of_trades_are_heard_by_nobody():
    pipeline = Pipeline([Notes("a", [Trade])])
    assert pipeline.process([trade(echo=True)]) == []
    assert names(pipeline.process([trade()])) == ["a(Trade)"]


def test_an_exception_becomes_a_dead_letter_and_costs_one_key():
    pipeline = Pipeline([Notes("a", [Trade], fail_at=2), Notes("b", [Trade])])
    said = pipeline.process([trade(), trade(inst=ETH), trade(id_=7), trade(inst=ETH, id_=8)])
    letters = [event for event in said if type(event) is DeadLetter]
    assert [letter.stage for letter in letters] == ["process:a", "process:a"]
    assert letters[0].source == "binance"
    assert "broken on purpose (test_pipeline.py:" in letters[0].error
    assert msgspec.json.decode(letters[0].raw, type=Trade) == trade(id_=7)
    assert pipeline.counters.errors == {"process:a": 2}
    assert [event.value for event in said if event not in letters and event.name[0] == "b"] == [
        1, 1, 2, 2,
    ]  # fmt: skip
    assert [event.value for event in pipeline.process([trade()]) if event.name[0] == "a"] == [1]


def test_an_exception_over_a_derived_event_costs_only_who_heard_it():
    pipeline = Pipeline([Notes("a", [Trade]), Notes("z", [Metric], [Alert], fail_at=1)])
    first, letter = pipeline.process([trade()])
    assert first.name == "a(Trade)"
    assert letter.stage == "process:z"


def test_ticks_fire_timers_and_what_they_say_is_passed_on():
    pipeline = Pipeline(
        [Notes("a", [Trade], timer=at(5)), Notes("z", [Metric], [Alert]), Notes("silent", [Gap])]
    )
    assert names(pipeline.process([trade(), tick(4)])) == ["a(Trade)", "z(a(Trade))"]
    assert names(pipeline.process([tick(6)])) == [f"a at {at(5)}", f"z(a at {at(5)})"]
    assert pipeline.process([tick(7)]) == []


def test_a_tick_of_another_venue_fires_nothing():
    pipeline = Pipeline([Notes("silent", [Trade], timer=at(5))])
    assert pipeline.process([trade(), tick(6, "okx")]) == []


def test_an_exception_in_a_timer_becomes_a_dead_letter_with_the_tick():
    pipeline = Pipeline([Notes("silent", [Trade], timer=at(5), fail_at=-1)])
    (letter,) = pipeline.process([trade(), tick(6)])
    assert (letter.source, letter.stage) == ("binance", "process:silent")
    assert msgspec.json.decode(letter.raw, type=Tick) == tick(6)


def test_what_must_be_fed_in_includes_ticks():
    assert Pipeline([Notes("a", [Trade])]).wants == {Trade, Tick}


def test_too_many_instruments_are_counted():
    pipeline = Pipeline([Notes("a", [Trade])], max_keys=1)
    pipeline.process([trade(), trade(inst=ETH), trade(inst=ETH)])
    assert pipeline.counters.dropped == {"too_many_instruments": 2}


def test_restore_continues_where_the_snapshot_was_taken():
    pipeline = Pipeline([Notes("a", [Trade])])
    pipeline.process([trade(), trade()])
    again = Pipeline([Notes("a", [Trade])])
    assert again.restore(pipeline.snapshot()) == []
    assert again.process([trade()])[0].value == 3
