import asyncio
import struct

from tapewatch.sim.faults import Fault, Faults
from tapewatch.sim.limits import Rules
from tapewatch.sim.link import Hub
from tapewatch.sim.messages import CLOSE, PING, Message, frame
from tests.unit.sim import doubles

NOTICE = Message("!serverShutdown", lambda _: '{"e":"serverShutdown"}')
RULES = Rules(ping_secs=20, pong_secs=60, max_age_secs=1_000, notice_secs=100)


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
    link.tend(19.9, NOTICE)
    assert link._transport.frames() == []
    link.tend(20.0, NOTICE)
    link.tend(20.1, NOTICE)
    ((opcode, payload),) = link._transport.frames()
    assert opcode == PING
    assert payload


async def test_a_client_that_never_answers_is_ended_after_the_deadline():
    link = doubles.link(rules=RULES)
    for now in (20.0, 40.0, 60.0, 79.9):
        link.tend(now, NOTICE)
    assert not link.ended
    link.tend(80.0, NOTICE)
    assert link.ended


async def test_a_pong_must_copy_the_payload():
    link = doubles.link(rules=RULES)
    link.tend(20.0, NOTICE)
    ((_, payload),) = link._transport.frames()
    link.ponged(b"something else")
    link.tend(80.0, NOTICE)
    assert link.ended
    good = doubles.link(rules=RULES)
    good.tend(20.0, NOTICE)
    good.ponged(payload)
    good.tend(80.0, NOTICE)
    assert not good.ended


async def test_the_newest_pong_answers_the_older_pings():
    link = doubles.link(rules=RULES)
    for now in (20.0, 40.0, 60.0):
        link.tend(now, NOTICE)
    link.ponged(link._transport.frames()[-1][1])
    for now in (81.0, 101.0):  # the second of the old ones would be too late at 100
        link.tend(now, NOTICE)
    assert not link.ended


async def test_a_notice_comes_once_before_the_age_ends_the_connection():
    link = doubles.link(rules=RULES)
    for now in (899.0, 900.0, 901.0):
        link.tend(now, NOTICE)
        link.ponged(next((p for o, p in link._transport.frames() if o == PING), b""))
    link = doubles.link(rules=RULES)
    link.tend(900.0, NOTICE)
    link.tend(901.0, NOTICE)
    assert link._transport.texts() == [
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown"}}
    ]
    link.tend(1_000.0, NOTICE)
    opcode, payload = link._transport.frames()[-1]
    assert opcode == CLOSE
    assert struct.unpack("!H", payload[:2]) == (1001,)


async def test_after_the_end_nothing_is_written_and_the_socket_is_cut_soon(monkeypatch):
    monkeypatch.setattr("tapewatch.sim.link._CLOSE_SECS", 0.0)
    link = doubles.link()
    link.end(1008, "x")
    link._transport.frames()
    link.push(frame(1, b"late"))
    link.flush()
    link.end(1008, "again")
    assert link._transport.written == b""
    await asyncio.wait_for(link._transport.aborted.wait(), 5)


def test_hub_sends_to_those_who_listen_in_the_form_they_want():
    hub, one, two = Hub(Faults()), doubles.link(1), doubles.link(2, combined=False, unit=1)
    message = Message("btcusdt@trade", lambda unit: f'{{"T":{1_000_000 // unit}}}')
    for link in (one, two):
        link.names["btcusdt@trade"] = None
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
