import asyncio

import pytest

from tapewatch.model.events import Micros, Tick
from tapewatch.ports import Counters
from tapewatch.wire.outflow import Outflow
from tests.talk import Basket


class Reading:
    """A Speaker that says ticks."""

    def __init__(self, flow, name):
        self.flow, self.name = flow, name
        self.turns, self.reads = [], []
        flow.join(self)

    def read(self, *times):
        for ts in times:
            recv = self.flow.recv if self.flow.speaker is self else self.flow.turn(self)
            self.flow.batch.append(Tick(Micros(ts), recv, self.name))

    def spoke(self, events, ts, recv):
        self.turns.append((events, ts, recv))

    def pause(self):
        self.reads.append("pause")

    def resume(self):
        self.reads.append("resume")


class Clock:
    now = 100

    def __call__(self):
        self.now += 1
        return Micros(self.now)


@pytest.fixture
def basket():
    return Basket()


@pytest.fixture
async def flow(basket):
    failures = []
    made = Outflow(basket, Clock(), Counters(), failures.append)
    made.failures = failures
    return made


async def test_one_wake_up_makes_one_batch_with_one_receive_time(flow, basket):
    link = Reading(flow, "a")
    link.read(1, 2, 3)
    assert basket.batches == []
    await asyncio.sleep(0)
    assert basket.batches == [[Tick(1, 101, "a"), Tick(2, 101, "a"), Tick(3, 101, "a")]]
    link.read(4)
    await asyncio.sleep(0)
    assert basket.events[-1] == Tick(4, 102, "a")
    assert link.turns == [(3, 3, 101), (1, 4, 102)]


async def test_links_that_read_in_one_wake_up_keep_the_order_of_their_calls(flow, basket):
    a, b = Reading(flow, "a"), Reading(flow, "b")
    a.read(1)
    b.read(2)
    a.read(3)
    await asyncio.sleep(0)
    assert [(e.source, e.recv) for e in basket.events] == [("a", 101), ("b", 102), ("a", 103)]
    assert len(basket.batches) == 1
    assert a.turns == [(1, 1, 101), (1, 3, 103)]


async def test_what_is_said_aside_is_not_taken_for_data_of_the_link_that_reads(flow, basket):
    link = Reading(flow, "a")
    link.read(1)
    flow.batch.append(Tick(9, flow.aside(), "aside"))
    await asyncio.sleep(0)
    assert link.turns == [(1, 1, 101)]
    assert [e.source for e in basket.events] == ["a", "aside"]


async def test_a_turn_that_gave_no_events_says_so(flow):
    link = Reading(flow, "a")
    flow.turn(link)
    await asyncio.sleep(0)
    assert link.turns == [(0, 0, 101)]


async def test_a_full_outlet_pauses_all_links_until_it_has_taken_all_in_order(flow, basket):
    a, b = Reading(flow, "a"), Reading(flow, "b")
    basket.fill()
    a.read(1)
    await asyncio.sleep(0)
    assert flow.full
    assert a.reads == b.reads == ["pause"]
    late = Reading(flow, "late")
    assert late.reads == ["pause"]
    flow.batch.append(Tick(2, flow.aside(), "lost"))
    await asyncio.sleep(0)
    basket.empty()
    async with asyncio.timeout(60):
        await flow.room()
    assert [e.ts for e in basket.events] == [1, 2]
    assert a.reads == b.reads == late.reads == ["pause", "resume"]
    assert not flow.full
    a.read(3)
    await asyncio.sleep(0)
    assert [e.ts for e in basket.events] == [1, 2, 3]


async def test_close_hands_over_what_is_pending_and_waits_for_room(flow, basket):
    link = Reading(flow, "a")
    basket.fill()
    link.read(1)
    await asyncio.sleep(0)
    link.read(2)
    closing = asyncio.create_task(flow.close())
    await asyncio.sleep(0)
    assert basket.events == []
    basket.empty()
    async with asyncio.timeout(60):
        await closing
    assert [e.ts for e in basket.events] == [1, 2]


async def test_close_without_anything_pending_ends_at_once(flow, basket):
    await flow.close()
    assert basket.batches == []


async def test_closing_that_is_cut_short_counts_what_is_lost(flow, basket):
    link = Reading(flow, "a")
    basket.fill()
    link.read(1, 2, 3)
    closing = asyncio.create_task(flow.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert flow._counters.dropped == {"not handed over at the end": 3}


@pytest.mark.filterwarnings("ignore")
async def test_an_outlet_that_raises_fails_the_feed_and_loses_nothing_silently(flow, basket):
    def refuse(events):
        raise KeyError("a bug behind the outlet")

    async def refuse_later(events):
        raise KeyError("a bug behind the outlet")

    basket.offer, basket.publish = refuse, refuse_later
    heard = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    Reading(flow, "a").read(1)
    async with asyncio.timeout(60):
        while not flow.failures:  # noqa: ASYNC110 - a list announces nothing
            await asyncio.sleep(0)
    assert isinstance(flow.failures[0], KeyError)
    assert heard
    assert [e.ts for e in flow.batch] == [1]


async def test_counters_tell_what_was_handed_over(flow):
    Reading(flow, "a").read(1, 2, 5)
    await asyncio.sleep(0)
    assert (flow._counters.sent, flow._counters.last_ts) == (3, 5)
