"""One channel's queue, over a notifier that does as the test says and a log in memory."""

import asyncio
import random

import pytest

from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.model.events import Micros
from tapewatch.runtime.courier import Courier, Patience, World
from tests.notices import SECOND, START, notice


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)


class Channel:
    """Each answer is what to say, an error to raise, or an Event to wait for."""

    name = "mail"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.got = []
        self.closed = False

    async def send(self, told):
        self.got.append(told.id)
        answer = self.answers.pop(0) if self.answers else "250"
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return "late"
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self):
        self.closed = True


class Attempts:
    def __init__(self):
        self.rows = []
        self.is_full = False

    async def attempted(self, notice_id, attempt, status):
        if self.is_full:
            raise Unavailable("disk full")
        self.rows.append((notice_id, attempt.ok, status, attempt.said))


class Desk:
    """A courier with its world: time moves only by being slept."""

    def __init__(self, channel, **patience):
        self.now = START
        self.slept = []
        self.log = Attempts()
        self.channel = channel
        world = World(lambda: Micros(self.now), self._sleep, random.Random(1))
        self.courier = Courier(channel, "email", self.log, Patience(**patience), world)

    async def _sleep(self, secs):
        self.slept.append(secs)
        self.now += int(secs * SECOND)
        await asyncio.sleep(0)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.courier.run())
        return self

    async def __aexit__(self, *_):
        if not self.task.cancelling():
            self.task.cancel()
        await asyncio.wait({self.task})

    async def idle(self):
        """Until nothing waits and everything is written down."""
        await until(lambda: not (self.courier.status.waiting or self.courier._unsaved))

    def statuses(self):
        return [(row[0], row[2]) for row in self.log.rows]


async def test_notices_are_sent_in_order_each_once():
    async with Desk(Channel()) as desk:
        for number in (1, 2, 3):
            desk.courier.take(notice(number=number))
        await desk.idle()
    assert desk.channel.got == ["mail-1", "mail-2", "mail-3"]
    assert [row[2] for row in desk.log.rows] == ["sent"] * 3
    assert desk.courier.status.sent == 3
    assert desk.channel.closed


async def test_a_channel_that_cannot_take_it_is_asked_again_and_nothing_overtakes():
    answers = (Unavailable("451 greylisted"), Unavailable("451 greylisted"), "250")
    async with Desk(Channel(*answers)) as desk:
        desk.courier.take(notice())
        desk.courier.take(notice(number=2))
        await desk.idle()
    assert desk.channel.got == ["mail-1", "mail-1", "mail-1", "mail-2"]
    assert [row[2] for row in desk.log.rows] == ["waiting", "waiting", "sent", "sent"]
    assert desk.courier.status.error == ""


async def test_what_the_channel_asks_for_is_waited_at_least():
    async with Desk(Channel(Unavailable("429", 17.0))) as desk:
        desk.courier.take(notice())
        await desk.idle()
    assert desk.slept == [17.0]


async def test_what_is_refused_for_good_is_failed_and_the_next_one_goes():
    async with Desk(Channel(Rejected("554 spam", frozenset()))) as desk:
        desk.courier.take(notice())
        desk.courier.take(notice(number=2))
        await desk.idle()
    assert desk.statuses() == [("mail-1", "failed"), ("mail-2", "sent")]
    assert desk.courier.status.failed == 1
    assert not desk.slept


async def test_after_a_day_a_notice_is_given_up():
    async with Desk(Channel(*[Unavailable("down")] * 2_000), give_up_secs=3600.0) as desk:
        desk.courier.take(notice())
        await desk.idle()
    assert desk.statuses()[-1] == ("mail-1", "failed")
    assert desk.log.rows[-1][3] == "given up: down"
    assert desk.now > START + 3600 * SECOND


async def test_a_fault_in_a_channel_costs_an_attempt_and_tells_no_secret():
    async with Desk(Channel(KeyError("https://hooks/geheim"))) as desk:
        desk.courier.take(notice())
        await desk.idle()
    said = desk.log.rows[0][3]
    assert "KeyError (test_courier.py:" in said
    assert "geheim" not in said
    assert desk.statuses()[-1] == ("mail-1", "sent")


async def test_of_too_many_the_oldest_that_is_not_on_its_way_is_dropped():
    gate = asyncio.Event()
    async with Desk(Channel(gate), max_waiting=2) as desk:
        desk.courier.take(notice())
        await until(lambda: desk.channel.got)
        desk.courier.take(notice(number=2))
        desk.courier.take(notice(number=3))
        gate.set()
        await desk.idle()
    assert desk.channel.got == ["mail-1", "mail-3"]
    assert sorted(desk.statuses()) == [
        ("mail-1", "sent"),
        ("mail-2", "dropped"),
        ("mail-3", "sent"),
    ]
    assert desk.courier.status.dropped == 1


async def test_an_attempt_that_is_under_way_may_end_when_we_stop():
    gate = asyncio.Event()
    desk = Desk(Channel(gate))
    async with desk:
        desk.courier.take(notice())
        await until(lambda: desk.channel.got)
        desk.task.cancel()
        await asyncio.sleep(0)
        gate.set()
    assert desk.statuses() == [("mail-1", "sent")]


async def test_an_attempt_that_does_not_end_is_left_and_waits_on_disk():
    desk = Desk(Channel(asyncio.Event()), goodbye_secs=0.01)
    async with desk:
        desk.courier.take(notice())
        await until(lambda: desk.channel.got)
    assert desk.log.rows == []
    assert desk.task.cancelled()


async def test_what_a_full_disk_does_not_take_is_written_later():
    async with Desk(Channel()) as desk:
        desk.log.is_full = True
        desk.courier.take(notice())
        await until(lambda: desk.slept)
        assert not desk.log.rows
        desk.log.is_full = False
        await desk.idle()
    assert desk.statuses() == [("mail-1", "sent")]


@pytest.mark.parametrize("secs", [0.02])
async def test_a_channel_without_an_answer_is_given_up_in_time(secs, monkeypatch):
    monkeypatch.setattr("tapewatch.runtime.courier._MARGIN_SECS", 0.0)
    async with Desk(Channel(asyncio.Event()), send_secs=secs) as desk:
        desk.courier.take(notice())
        await desk.idle()
    assert desk.log.rows[0][3] == "no answer in time"
    assert desk.statuses()[-1] == ("mail-1", "sent")
