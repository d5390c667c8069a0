"""What the running process tells of itself."""

import asyncio
from itertools import pairwise

import pytest

from tapewatch.bus.local import LocalBus
from tapewatch.model.events import Metric, Micros, Quality, Tick
from tapewatch.model.times import SECOND
from tapewatch.ports import Buffer, Counters, LinkState, LinkStatus, WhenFull
from tapewatch.rules.defaults import in_force, ready_made
from tapewatch.rules.rulebook import Rulebook
from tapewatch.runtime.telemetry import Processing
from tapewatch.runtime.vitals import MEASURES, PACE_SECS, PROCESS, Facts, Vitals
from tapewatch.stream.pipeline import Pipeline

BEGIN = 1_700_000_000
VENUE = "binance:*"


class Feed:
    """As much of one as is looked at."""

    def __init__(self, *links):
        self.links = list(links)

    def status(self):
        return self.links


class Stage:
    """A process whose facts a test sets."""

    def __init__(self):
        self.secs = 0.0
        self.link = LinkStatus("binance", "one", LinkState.STREAMING, subscriptions=2)
        self.feeds = {"binance": Feed(self.link)}
        self.processing = Processing()
        self.bus = LocalBus()
        self.counters = {"pump-parquet": Counters()}
        self.mark = Micros(0)
        facts = Facts(
            clock=self.now,
            feeds=self.feeds,
            processing=self.processing,
            readers=lambda: self.bus.readers,
            counters=lambda: self.counters,
            mark=lambda: self.mark,
            timer=lambda: self.secs,
        )
        self.vitals = Vitals(facts, self.bus.publish, self.sleep)

    def now(self):
        return Micros(int((BEGIN + self.secs) * SECOND))

    def look(self, after=PACE_SECS):
        self.secs += after
        return {(metric.inst, metric.name): metric for metric in self.vitals.look()}

    async def sleep(self, secs):
        self.secs += secs
        await asyncio.sleep(0)


@pytest.fixture
def stage():
    return Stage()


def test_silence_grows_until_data_come(stage):
    stage.look()
    assert stage.look(60)[VENUE, "feed_silent_secs"].value == 60
    stage.link.last_data = stage.now()
    assert stage.look(2)[VENUE, "feed_silent_secs"].value == 2


def test_silence_on_a_live_link_is_told_with_its_streams(stage):
    stage.link.stalled = ("BTC/USDT trade: silent for 9 s", "ETH/USDT trade: silent for 8 s")
    stage.look()
    words = stage.look(20)[VENUE, "feed_silent_secs"].evidence
    assert words == ("one: live, 2 streams beyond their rhythm",)


def test_silence_is_remembered_when_the_link_that_spoke_is_gone(stage):
    stage.look()
    stage.link.last_data = stage.now()
    stage.look(1)
    stage.feeds["binance"].links = [LinkStatus("binance", "two", LinkState.CONNECTING)]
    assert stage.look(9)[VENUE, "feed_silent_secs"].value == 10


def test_clock_that_is_set_back_does_not_hide_a_silence(stage):
    stage.look()
    stage.link.last_data = stage.now()
    stage.look(-3_600)
    stage.link.last_data = Micros(0)
    assert stage.look(90)[VENUE, "feed_silent_secs"].value == 90


def test_feed_of_which_nothing_is_wanted_is_not_silent(stage):
    stage.feeds["binance"].links = [LinkStatus("binance", "catalogue", LinkState.CLOSED)]
    stage.look()
    assert stage.look(600)[VENUE, "feed_silent_secs"].value == 0


def test_feed_that_cannot_even_learn_its_instruments_is_silent(stage):
    down = LinkStatus("binance", "catalogue", LinkState.BACKOFF, error="HTTP 503")
    stage.feeds["binance"].links = [down]
    stage.look()
    told = stage.look(90)
    assert told[VENUE, "feed_silent_secs"].value == 90
    assert told[VENUE, "feed_links_down"].value == 1
    assert told[VENUE, "feed_silent_secs"].evidence == ("catalogue: backing-off, HTTP 503",)


def test_latency_is_that_of_the_slowest_link_and_never_certain(stage):
    stage.link.latency_ms = 12.0
    slow = LinkStatus("binance", "two", LinkState.STREAMING, subscriptions=1, latency_ms=80.0)
    stage.feeds["binance"].links.append(slow)
    told = stage.look()[VENUE, "feed_latency_ms"]
    assert (told.value, told.evidence, told.quality) == (80.0, ("two",), Quality.PARTIAL)


def test_events_are_counted_by_venue_and_time(stage):
    stage.look()
    events = stage.processing.events
    events["trade", "binance"] += 300
    events["quote", "binance"] += 200
    events["tick", "binance"] += 5
    events["trade", "okx"] += 999
    assert stage.look(10)[VENUE, "events_per_sec"].value == pytest.approx(50.0)
    assert stage.look(10)[VENUE, "events_per_sec"].value == 0.0


def test_dead_letters_are_a_share_of_what_came_of_late(stage):
    stage.look()
    stage.processing.events["trade", "binance"] += 90
    stage.processing.events["dead_letter", "binance"] += 10
    assert stage.look()[VENUE, "dead_letter_rate"].value == pytest.approx(0.1)
    stage.look(200)
    assert stage.look(200)[VENUE, "dead_letter_rate"].value == 0.0


def test_reconnects_are_those_of_the_last_minutes(stage):
    stage.look()
    stage.link.reconnects = 3
    assert stage.look()[VENUE, "feed_reconnects"].value == 3
    stage.feeds["binance"].links = []  # it takes its count along
    assert stage.look(100)[VENUE, "feed_reconnects"].value == 3
    assert stage.look(300)[VENUE, "feed_reconnects"].value == 0


async def test_fullest_buffer_and_slowest_reader_are_named(stage):
    stage.bus.subscribe("processors", frozenset({Tick}), Buffer(100))
    stage.bus.subscribe("hub", frozenset({Tick}), Buffer(10, WhenFull.DROP_OLDEST))
    stage.mark = stage.now()
    tick = Tick(stage.now(), stage.now(), "binance")
    for _ in range(20):
        await stage.bus.publish([tick])
    told = stage.look(3)
    assert told[PROCESS, "buffer_fill"].value == pytest.approx(0.2)
    assert told[PROCESS, "buffer_fill"].evidence == ("processors: 20 events wait",)
    assert told[PROCESS, "consumer_lag"].value == 20
    assert told[PROCESS, "processing_lag_secs"].value == 3


async def test_reader_that_has_read_all_is_not_behind_however_quiet_it_is(stage):
    stage.bus.subscribe("processors", frozenset({Tick}), Buffer(100))
    stage.mark = stage.now()
    assert stage.look(600)[PROCESS, "processing_lag_secs"].value == 0


def test_lost_events_are_told_with_who_lost_them(stage):
    stage.look()
    stage.counters["pump-parquet"].drop("spill full", 7)
    told = stage.look()[PROCESS, "events_dropped"]
    assert (told.value, told.evidence) == (7, ("pump-parquet: 7 since the start",))
    assert stage.look(400)[PROCESS, "events_dropped"].value == 0


def test_all_that_is_told_is_declared(stage):
    stage.bus.subscribe("processors", frozenset({Tick}), Buffer(100))
    stage.link.latency_ms = 1.0
    declared = {(measure.name, measure.windows[0]) for measure in MEASURES}
    assert {(m.name, m.window) for m in stage.look().values()} == declared


async def test_it_is_told_on_the_bus_at_its_pace(stage):
    reader = stage.bus.subscribe("rules", frozenset({Metric}), Buffer(1_000))
    task = asyncio.create_task(stage.vitals.run())
    times = []
    async for batch in reader:
        times.append(batch[0].ts)
        if len(times) == 3:
            break
    task.cancel()
    assert [b - a for a, b in pairwise(times)] == [PACE_SECS * SECOND] * 2


def test_silent_feed_fires_the_ready_made_rule_and_ends_it_when_it_speaks(stage):
    rules = in_force((), ready_made(), MEASURES).rules
    pipeline = Pipeline([Rulebook(rules, MEASURES)])
    stage.link.last_data = stage.now()
    alerts = []
    for second in range(0, 150, PACE_SECS):
        if second > 100:
            stage.link.last_data = stage.now()
        alerts += pipeline.process(list(stage.look().values()))
    assert [(a.rule, a.inst, a.state.value, a.value, a.value_now) for a in alerts] == [
        ("stale_feed", VENUE, "firing", 65.0, None),
        ("stale_feed", VENUE, "resolved", 65.0, 5.0),
    ]
    assert alerts[0].text == "binance has been silent for 65 s"
