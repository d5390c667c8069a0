import asyncio
import math
import struct

from tapewatch.sim.faults import Fault, Faults
from tapewatch.sim.limits import Rules
from tapewatch.sim.link import Hub
from tapewatch.sim.messages import CLOSE, PING, Message, frame
from tests.unit.sim import doubles

RULES = Rules(ping_secs=20, pong_secs=60, max_age_secs=1_000)


def test_pushed_frames_are_written_in_one_go():
    link = doubles.link()
    link.push(b"one")
    link.push(b"two")
    assert link._transport.written == b""
    link.flush()
    assert link._transport.written == b"onetwo"
    assert link.frames == 2


def test_a_ping_with_payload_goes_out_every_interval():
    link = doubles.link(rules=RULES)
    link.tend(19.9)
    assert link._transport.frames() == []
    link.tend(20.0)
    link.tend(20.1)
    ((opcode, payload),) = link._transport.frames()
    assert opcode == PING
    assert payload


async def test_a_client_that_never_answers_is_ended_after_the_deadline():
    link = doubles.link(rules=RULES)
    for now in (20.0, 40.0, 60.0, 79.9):
        link.tend(now)
    assert not link.ended
    link.tend(80.0)
    assert link.ended


async def test_a_pong_must_copy_the_payload():
    link = doubles.link(rules=RULES)
    link.tend(20.0)
    ((_, payload),) = link._transport.frames()
    link.ponged(b"something else")
    link.tend(80.0)
    assert link.ended
    good = doubles.link(rules=RULES)
    good.tend(20.0)
    good.ponged(payload)
    good.tend(80.0)
    assert not good.ended


async def test_the_newest_pong_answers_the_older_pings():
    link = doubles.link(rules=RULES)
    for now in (20.0, 40.0, 60.0):
        link.tend(now)
    link.ponged(link._transport.frames()[-1][1])
    for now in (81.0, 101.0):  # the second of the old ones would be too late at 100
        link.tend(now)
    assert not link.ended


async def test_a_link_that_is_too_old_is_ended():
    link = doubles.link(rules=RULES)
    link.tend(15.0)
    assert not link.ended
    link.tend(1_000.0)
    opcode, payload = link._transport.frames()[-1]
    assert opcode == CLOSE
    assert struct.unpack("!H", payload[:2]) == (1001,)


def test_a_link_that_is_never_pinged_lives_for_ever():
    link = doubles.link(rules=Rules(ping_secs=math.inf, max_age_secs=math.inf))
    link.tend(1e9)
    assert link._transport.frames() == []
    assert not link.ended


def test_a_link_knows_when_it_was_written_to_last():
    now = 5.0
    link = doubles.link(clock=lambda: now)
    now = 7.0
    link.flush()
    assert (link.opened, link.last_out) == (5.0, 5.0)
    link.push(b"x")
    link.flush()
    assert link.last_out == 7.0


async def test_after_the_end_nothing_is_written_and_the_socket_is_cut_soon(monkeypatch):
    monkeypatch.setattr("tapewatch.sim.link._CLOSE_SECS", 0.0)
    link = doubles.link()
    link.end(1008, "x")
    link._transport.frames()
    link.push(frame(1, b"late"))
    link.flush()
    link.end(1008, "again")
    assert link._transport.written == b""
    await asyncio.wait_for(link._transport.aborted.wait(), 60)


def test_hub_sends_to_those_who_listen_in_the_form_they_want():
    hub, one, two = Hub(Faults()), doubles.link(1), doubles.link(2, combined=False, unit=1)
    message = Message("btcusdt@trade", lambda unit: f'{{"T":{1_000_000 // unit}}}')
    for link in (one, two):
        hub.links[link.number] = link
        hub.listen(link, "btcusdt@trade")
    hub.send(message, 0)
    hub.send(Message("ethusdt@trade", lambda _: "{}"), 0)
    hub.leave(one, "btcusdt@trade")
    hub.send(message, 0)
    hub.remove(two)
    assert not hub.wants("btcusdt@trade")
    for link in (one, two):
        link.flush()
    assert one._transport.texts() == [{"stream": "btcusdt@trade", "data": {"T": 1_000}}]
    assert two._transport.texts() == [{"T": 1_000_000}] * 2


def test_a_fault_hits_all_clients_alike():
    faults = Faults()
    faults.add(Fault(kind="drop"), 0)
    hub, links = Hub(faults), [doubles.link(1), doubles.link(2)]
    for link in links:
        hub.listen(link, "x")
    for number in range(3):
        hub.send(Message("x", lambda _, n=number: str(n)), 0)
    for link in links:
        link.flush()
        assert [t["data"] for t in link._transport.texts()] == [1, 2]


class _Numbered(Message):
    """Each client counts for itself."""

    def frame_for(self, link):
        link.state += 1
        return frame(1, f'{{"n":{link.state},"is":{self.text()}}}'.encode())

    def lost_for(self, link):
        link.state += 1


def test_frames_may_differ_from_client_to_client_and_what_is_lost_is_counted():
    faults = Faults()
    faults.add(Fault(kind="drop", after_secs=1e-6), 0)
    hub, links = Hub(faults), [doubles.link(1), doubles.link(2)]
    for link, first in zip(links, (0, 10), strict=True):
        link.state = first
        hub.listen(link, "x")
    for now in range(3):
        hub.send(_Numbered("x", lambda _, n=now: str(n)), now)
    for link, first in zip(links, (0, 10), strict=True):
        link.flush()
        assert link._transport.texts() == [{"n": first + 1, "is": 0}, {"n": first + 3, "is": 2}]


def test_an_altered_message_is_still_of_its_kind():
    link = doubles.link()
    link.state = 0
    sent = _Numbered("x", lambda _: "1").altered(lambda text: text + "2").frame_for(link)
    assert sent.endswith(b'{"n":1,"is":12}')
