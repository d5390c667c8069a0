"""What a life does between handshake and end; no socket is opened."""

import asyncio
import random

import pytest

from tapewatch.model.errors import Disconnected
from tapewatch.model.events import DeadLetter, Gap, Metric, Micros, Tick, Trade
from tapewatch.ports import Answer, Counters, Fetch, LinkState, Route, Streams
from tapewatch.wire.crew import Crew
from tapewatch.wire.life import Life
from tapewatch.wire.limiter import Window
from tapewatch.wire.outflow import Outflow
from tapewatch.wire.shared import Shared
from tests.talk import LIMITS, Basket, Talk, catalogue, config, sub, subs


class Fetches:
    def __init__(self):
        self.asked = []

    def fetch(self, asker, fetch):
        self.asked.append(fetch.key)


class Stage:
    """A life with everything it touches."""

    def __init__(self, **more):
        self.basket, self.counters, self.fetches, self.refused = Basket(), Counters(), Fetches(), {}
        self.flow = Outflow(self.basket, self._clock, self.counters, self._fail)
        self._now = 1000
        self.talk, self.streams = Talk(), Streams(catalogue())
        shared = Shared(
            venue="talk",
            limits=LIMITS,
            config=config(**more),
            connects=Window(1, 1),
            converse=lambda route: self.talk.converse(route, self.streams),
            flow=self.flow,
            fetcher=self.fetches,
            crew=Crew(),
            counters=self.counters,
            rng=random.Random(1),
        )
        route = Route("talk-0", "ws://x", tuple(sorted(subs("ab"))))
        self.life = Life(route, shared, self.refused, setting="exchanges.talk.ws_url")

    def _clock(self):
        self._now += 1
        return Micros(self._now)

    def _fail(self, error):
        raise error

    def hear(self, *frames):
        self.life.received([frame.encode() for frame in frames])

    async def said(self):
        await asyncio.sleep(0)
        return self.basket.events

    def later(self, secs):
        """Let so much time have passed since everything that happened."""
        for name in ("_beat_at", "_heard_at", "_opened_at", "_renew_at"):
            setattr(self.life, name, getattr(self.life, name) - secs)


@pytest.fixture
async def stage():
    made = Stage()
    made.life.connected()
    return made


async def test_it_streams_once_everything_was_accepted_or_refused(stage):
    assert stage.life.state is LinkState.SUBSCRIBING
    stage.hear("OK a")
    assert not stage.life.settled.is_set()
    stage.hear("NO b it is gone")
    assert stage.life.settled.is_set()
    assert stage.life.state is LinkState.STREAMING
    assert stage.refused == {sub("b"): "it is gone"}


async def test_an_acceptance_of_what_nobody_asked_for_counts_nothing(stage):
    stage.hear("OK c d e")
    assert stage.life.accepted == set()


async def test_what_was_read_before_a_frame_went_bad_is_kept(stage):
    stage.hear("T a 1", "T a", "T a 2")
    assert [type(event) for event in await stage.said()] == [Trade, DeadLetter, Trade]
    assert stage.counters.errors == {"decode": 1}


async def test_a_tick_comes_with_the_beat(stage):
    assert stage.life._beat() == ""
    assert [type(event) for event in await stage.said()] == [Tick]


async def test_after_the_loop_was_busy_the_sockets_speak_before_time_does(stage):
    stage.later(5)
    assert stage.life._beat() == ""
    assert await stage.said() == []
    stage.life._beat()
    assert [type(event) for event in await stage.said()] == [Tick]


async def test_while_the_outlet_is_full_there_is_no_tick_nor_at_once_after_it(stage):
    stage.basket.fill()
    stage.hear("T a 1")
    await asyncio.sleep(0)
    assert stage.life._beat() == ""
    stage.basket.empty()
    await stage.flow.room()
    assert stage.life._beat() == ""
    assert not stage.basket.of(Tick)
    stage.life._beat()
    await asyncio.sleep(0)
    assert stage.basket.of(Tick)


async def test_silence_is_measured_from_the_last_data():
    stage = Stage(idle_secs=10)
    stage.life.connected()
    stage.hear("OK a b", "T a 1")
    await stage.said()
    stage.life._heard_at -= 9
    assert stage.life._beat() == ""
    stage.hear("QUIET")  # no data
    await stage.said()
    stage.life._heard_at -= 2
    assert stage.life._beat() == "no data for 10 s"
    stage.hear("T a 2")
    await stage.said()
    assert stage.life._beat() == ""


async def test_time_spent_with_a_full_outlet_is_no_silence_of_the_venue():
    stage = Stage(idle_secs=10)
    stage.life.connected()
    stage.basket.fill()
    stage.hear("OK a b", "T a 1")
    await asyncio.sleep(0)
    stage.life._heard_at -= 100
    assert stage.life._beat() == ""
    stage.basket.empty()
    await stage.flow.room()
    assert [stage.life._beat(), stage.life._beat()] == ["", ""]


async def test_the_age_asks_for_a_successor_once(stage):
    stage.hear("OK a b", "T a 1")
    stage.life._renew_at -= 3600
    stage.life._beat()
    assert stage.life.due.is_set()
    assert stage.life.renewal == "the connection is old"
    stage.hear("RENEW again")
    assert stage.life.renewal == "the connection is old"


async def test_an_answer_after_the_end_still_gives_its_events_and_may_fetch_more(stage):
    stage.life._end(Disconnected("gone"))
    stage.life.answer(Fetch("one", "http://x"), Answer(200, b"more two"))
    kinds = [type(event) for event in await stage.said()]
    assert kinds == [Gap, Gap, Metric]
    assert stage.fetches.asked == ["two"]


async def test_latency_is_unknown_where_the_venue_sends_no_time(stage):
    stage.life.spoke(1, Micros(500), Micros(500))
    assert stage.life.latency_ms is None
    stage.life.spoke(1, Micros(500), Micros(3000))
    assert stage.life.latency_ms == 2.5
    assert stage.life.last_data == 3000


async def test_a_conversation_that_floods_the_venue_is_a_bug(stage):
    with pytest.raises(RuntimeError, match="more than the venue takes"):
        stage.hear(*["SHOUT hello"] * 2100)
