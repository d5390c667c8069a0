"""Sessions and the feed against servers that lie, stall, cut and refuse."""

import asyncio
import random
import time
from contextlib import suppress
from math import inf

import pytest
from aiohttp import web

from tapewatch.feeds.exchange import ExchangeFeed
from tapewatch.model.codec import raw_of
from tapewatch.model.events import DeadLetter, Gap, Metric, Tick, Trade
from tapewatch.model.instrument import Catalogue
from tapewatch.ports import LinkState
from tapewatch.wire import http, life, link, session
from tests.ports import nobody
from tests.talk import LIMITS, Basket, Server, Talk, catalogue, config, running, serving, sub, subs


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(life, "TICK_SECS", 0.01)
    monkeypatch.setattr(session, "OVERLAP_SECS", 0.05)
    monkeypatch.setattr(http, "_FIRST_DELAY_SECS", 0.001)
    monkeypatch.setattr(link, "_CLOSE_SECS", 0.5)


@pytest.fixture
def basket():
    return Basket()


def now():
    return time.time_ns() // 1000


def feed(server, wanted="a", *, instruments=None, clock=now, limits=LIMITS, **more):
    return ExchangeFeed(
        Talk(server.url, limits),
        config(**more),
        clock=clock,
        catalogue=catalogue() if instruments is None else instruments,
        wanted=subs(wanted),
        resume={},
        rng=random.Random(1),
    )


async def meet(condition):
    """Poll a fact that nobody announces."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - that is the point
            await asyncio.sleep(0)


def letters(basket):
    return [raw_of(letter) for letter in basket.of(DeadLetter)]


# --- the good days -------------------------------------------------------------------------------


async def test_frames_become_events_and_status_tells_the_facts(basket):
    async def visit(each):
        await each.accept()
        await each.say("T a 1", "T b 1", "T a 2")
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server, "ab")
        async with running(talk, basket):
            await basket.until(lambda b: b.ids() == [1, 2] and b.ids("b") == [1])
            [status] = talk.status()
        assert status.state is LinkState.STREAMING
        assert (status.subscriptions, status.accepted, status.frames) == (2, 2, 4)
        assert status.last_data == basket.of(Trade)[-1].recv
        assert status.latency_ms == 3.0
        assert status.error == ""
        assert talk.counters.received == 4
        assert talk.counters.sent == len(basket.events)


async def test_stopping_says_goodbye_and_hands_over_the_last_words(basket):
    async with serving(Server()) as server:
        async with running(feed(server, "ab"), basket):
            await meet(lambda: server.visits and server.visits[0].heard)
        await meet(lambda: server.visits[0].closed_by_client)
    gaps = basket.of(Gap)
    assert [gap.inst for gap in gaps] == ["talk:A/X", "talk:B/X"]
    assert gaps[0].reason == "tapewatch is stopping"


async def test_ticks_come_while_the_link_is_up(basket):
    async with serving(Server()) as server, running(feed(server), basket):
        await basket.until(lambda b: len(b.of(Tick)) > 3)


async def test_more_subscriptions_than_a_link_carries_are_shared_out(basket):
    async with serving(Server()) as server:
        talk = feed(server, "abcdefgh")
        async with running(talk, basket):
            await meet(lambda: [s.accepted for s in talk.status()] == [3, 3, 2])


# --- bad frames ----------------------------------------------------------------------------------


async def test_a_frame_that_cannot_be_read_is_kept_and_the_connection_lives(basket):
    async def visit(each):
        await each.accept()
        await each.say("T a 1", "GARBAGE here", "T a 2")
        await each.ws.send_bytes(b"\xff\xfe\x00")
        await each.say("T a 3")
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server)
        async with running(talk, basket):
            await basket.until(lambda b: b.ids() == [1, 2, 3])
        assert letters(basket) == [b"GARBAGE here", b"\xff\xfe\x00"]
        assert basket.of(DeadLetter)[0].stage == "decode"
        assert "what does 'GARBAGE' mean?" in basket.of(DeadLetter)[0].error
        assert talk.counters.errors["decode"] == 2
        assert len(server.visits) == 1


# --- reconnecting --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "close", "end"])
async def test_a_lost_connection_is_a_gap_and_then_a_new_conversation(basket, how):
    async def visit(each):
        await each.accept()
        await each.say(f"T a {each.number + 1}")
        if each.number:
            await each.stay()
        elif how == "cut":
            each.cut()
        elif how == "close":
            await each.ws.close(code=1012, message=b"back soon")

    async with serving(Server(visit)) as server:
        talk = feed(server)
        async with running(talk, basket):
            await basket.until(lambda b: 2 in b.ids())
            [status] = talk.status()
            assert status.reconnects >= 1
            await meet(lambda: talk.status()[0].state is LinkState.STREAMING)
    if how != "cut":  # a reset may overtake the frame
        assert basket.ids() == [1, 2]
    gap = basket.of(Gap)[0]
    words = {
        "cut": "without a close frame",
        "close": "1012 service restart: back soon",
        "end": "1000 ok",
    }
    assert words[how] in gap.reason


async def test_a_venue_that_is_not_there_is_tried_for_ever(basket, caplog):
    gone = Server()
    with nobody() as port:
        gone.url = f"ws://127.0.0.1:{port}"
        talk = feed(gone)
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].reconnects > 5)
            status = talk.status()[0]
    assert "cannot connect to 127.0.0.1" in status.error
    assert status.state in (LinkState.BACKOFF, LinkState.CONNECTING)
    assert "link_lost" in caplog.messages
    assert basket.events == []


async def test_silence_ends_the_link_though_pings_and_empty_frames_come(basket):
    async def visit(each):
        await each.accept()
        while not each.ws.closed and not each.number:
            await each.ws.ping(b"alive")
            await each.say("QUIET")
            await asyncio.sleep(0.005)
        await each.say("T a 1")
        await each.stay()

    async with serving(Server(visit)) as server, running(feed(server, idle_secs=0.2), basket):
        await basket.until(lambda b: b.ids() == [1])
    assert basket.of(Gap)[0].reason == "no data for 0.2 s"


async def test_a_venue_that_never_accepts_meets_one_deadline(basket, monkeypatch):
    async def visit(each):
        await each.hear()
        count = 0
        while not each.number and not each.ws.closed:  # talkative: data must not push it back
            count += 1
            await each.say(f"T a {count}", "OK a")
            await asyncio.sleep(0.005)
        await each.say("OK a b")
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server, "ab")
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].accepted == 1)
            monkeypatch.setattr(life, "ACCEPT_SECS", 0.1)
            await meet(lambda: basket.of(Gap))
            monkeypatch.setattr(life, "ACCEPT_SECS", 60.0)  # the next one may be slow
            await meet(lambda: talk.status()[0].state is LinkState.STREAMING)
    assert basket.of(Gap)[0].reason == "not accepted within 0.1 s: talk:B/X word"


async def test_what_the_venue_refuses_is_told_and_not_asked_again(basket, caplog):
    async def visit(each):
        await each.hear()
        if "b" in each.heard[0]:
            await each.say("NO b no such thing", "OK a")
        else:
            await each.say("OK a")
        await each.say(f"T a {each.number + 1}")
        if each.number:
            await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server, "ab")
        async with running(talk, basket):
            await basket.until(lambda b: b.ids() == [1, 2])
            await meet(lambda: talk.status()[0].error == "talk:B/X word refused: no such thing")
    assert [each.heard[0] for each in server.visits] == ["SUB a b", "SUB a"]
    assert caplog.messages.count("subscription_refused") == 1


async def test_with_all_refused_the_link_is_closed_until_something_else_is_wanted(basket):
    async def visit(each):
        await each.hear()
        await each.say("NO a never" if "a" in each.heard[0].split() else "OK b")
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server, "a")
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].state is LinkState.CLOSED)
            assert "never" in talk.status()[0].error
            await talk.want(subs("ab"))
            await meet(lambda: any(s.accepted for s in talk.status()))
    assert server.visits[-1].heard[0] == "SUB b"


# --- handshakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [451, 403])
async def test_a_restricted_region_is_blocked_and_names_the_setting(basket, caplog, status):
    server = Server()
    server.turn_away = [web.Response(status=status, text="<html>no</html>") for _ in range(3)]
    async with serving(server):
        talk = feed(server, reconnect_delay=0.001, max_reconnect_delay=0.05)
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].state is LinkState.BLOCKED)
            [blocked] = talk.status()
            await meet(lambda: talk.status()[0].state is LinkState.STREAMING)
    assert f"HTTP {status}" in blocked.error
    assert "exchanges.talk.ws_url" in blocked.error
    assert blocked.retry_at is not None
    assert caplog.messages.count("link_blocked") == 1


async def test_too_many_connects_make_the_whole_venue_wait_as_long_as_it_asks(basket):
    server = Server()
    server.turn_away = [web.Response(status=429, headers={"Retry-After": "7200"})]
    async with serving(server):
        talk = feed(server, "abcdef")
        async with running(talk, basket):
            await meet(lambda: any(s.state is LinkState.BACKOFF for s in talk.status()))
            waiting = next(s for s in talk.status() if s.state is LinkState.BACKOFF)
            loop = asyncio.get_running_loop()
            assert talk._connects.held(loop.time()) > 7000
    assert waiting.retry_at > now() + 7000 * 1_000_000
    assert "connect too often (HTTP 429)" in waiting.error


async def test_connects_stay_within_the_budget_of_the_venue(basket):
    limits = LIMITS.__class__(3, 1000, 2, 3600, 1000, 1, 60, 3600)
    async with serving(Server()) as server:
        talk = feed(server, "abcdefghi", limits=limits)
        async with running(talk, basket):
            await meet(lambda: sum(s.accepted for s in talk.status()) == 6)
            states = sorted(s.state.value for s in talk.status())
    assert states == ["connecting", "live", "live"]
    assert len(server.visits) == 2


# --- renewal -------------------------------------------------------------------------------------


async def test_a_renewed_link_loses_and_doubles_no_trade(basket):
    """Both links run for a while and tell the same trades; some only the one, some the other."""
    told = 0

    async def visit(each):
        nonlocal told
        await each.accept()
        if each.number == 0:
            await each.say("T a 1", "T a 2", "RENEW going down")
        while not each.ws.closed and told < 300:
            told += 1
            for other in server.visits:
                if not other.ws.closed:
                    with suppress(ConnectionError):  # closing, and not closed yet
                        await other.say(f"T a {told}")
            await asyncio.sleep(0.001)
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server)
        async with running(talk, basket):
            await basket.until(lambda b: 300 in b.ids())
            await meet(lambda: server.visits[0].closed_by_client)
            [status] = talk.status()
        assert basket.ids() == list(range(1, 301))
        assert len(server.visits) == 2
        assert status.reconnects == 0
        assert status.state is LinkState.STREAMING


async def test_an_old_link_is_renewed_by_age(basket):
    async with serving(Server()) as server:
        talk = feed(server, max_age_secs=0.2)
        async with running(talk, basket):
            await meet(lambda: len(server.visits) > 2)
            assert talk.status()[0].reconnects == 0


async def test_without_a_successor_the_old_link_is_kept_as_long_as_it_lives(basket):
    async def visit(each):
        await each.accept()
        await each.say("T a 1", "RENEW please")
        await meet(lambda: len(server.turn_away) <= 1)
        await each.say("T a 2")
        await each.stay()

    server = Server(visit)
    async with serving(server):
        talk = feed(server)
        async with running(talk, basket):
            await meet(lambda: server.visits)
            server.turn_away = [web.Response(status=503) for _ in range(5)]
            await basket.until(lambda b: 2 in b.ids())
            assert not basket.of(Gap)
            await meet(lambda: len(server.visits) == 2)
    assert basket.ids() == [1, 2]


async def test_an_old_link_that_dies_while_its_successor_connects_is_one_gap(basket):
    release = asyncio.Event()

    async def visit(each):
        if each.number == 1:
            release.set()
            await asyncio.sleep(0.05)
        await each.accept()
        await each.say(f"T a {each.number + 1}")
        if each.number == 0:
            await each.say("RENEW please")
            await release.wait()
        else:
            await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server)
        async with running(talk, basket):
            await basket.until(lambda b: b.ids() == [1, 2])
            await meet(lambda: talk.status()[0].state is LinkState.STREAMING)
            assert len(basket.of(Gap)) == 1
            assert len(server.visits) == 2


# --- wanting something else ----------------------------------------------------------------------


async def test_one_more_subscription_disturbs_no_other_stream(basket):
    async with serving(Server()) as server:
        talk = feed(server, "ab")
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].accepted == 2)
            await talk.want(subs("abc"))
            await meet(lambda: talk.status()[0].accepted == 3)
            await talk.want(subs("abcd"))
            await meet(lambda: [s.accepted for s in talk.status()] == [3, 1])
            await talk.want(subs("cd"))
            await meet(lambda: server.visits[0].heard[-1].startswith("UNSUB"))
            await talk.want(subs("c"))
            await meet(lambda: server.visits[1].closed_by_client)
            [status] = talk.status()
            assert (status.accepted, status.reconnects) == (1, 0)
    assert [each.heard for each in server.visits] == [["SUB a b", "SUB c", "UNSUB a b"], ["SUB d"]]
    reasons = {gap.inst[5]: gap.reason for gap in basket.of(Gap)}
    assert reasons == {"C": "tapewatch is stopping", "D": "no longer wanted"}


async def test_what_is_wanted_while_the_venue_is_away_is_asked_when_it_is_back(basket):
    async with serving(Server()) as server:
        server.turn_away = [web.Response(status=503) for _ in range(5)]
        talk = feed(server, "a")
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].reconnects)
            await talk.want(subs("ab"))
            await meet(lambda: talk.status()[0].accepted == 2)
    assert server.visits[0].heard == ["SUB a b"]


async def test_an_instrument_that_the_venue_does_not_list_is_told_and_left_out(basket, caplog):
    async with serving(Server()) as server:
        talk = feed(server, "az")
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].accepted == 1)
            assert "does not list talk:Z/X" in talk.status()[-1].error
    assert server.visits[0].heard == ["SUB a"]
    assert "instrument_unknown" in caplog.messages


async def test_resync_reaches_the_conversation_that_carries_the_instrument(basket):
    async with serving(Server()) as server:
        talk = feed(server, "abcd")
        async with running(talk, basket):
            await meet(lambda: [s.accepted for s in talk.status()] == [3, 1])
            await talk.resync("talk:D/X", "crossed")
            await meet(lambda: server.visits[1].heard[-1] == "AGAIN d")
            assert [gap.reason for gap in basket.of(Gap)] == ["crossed"]


# --- the catalogue and requests ------------------------------------------------------------------


async def test_a_feed_without_instruments_asks_for_them_until_it_gets_them(basket):
    server = Server()
    bad = [web.Response(status=503)] * 4 + [web.Response(text="")]
    server.answers["all"] = [*bad, web.Response(text="a b")]
    async with serving(server):
        talk = feed(server, instruments=Catalogue())
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].error)
            assert talk.status()[0].route == "catalogue"
            await meet(lambda: talk.status()[0].accepted == 1)
            assert talk.status()[0].route == "talk-0"


async def test_an_answer_comes_to_the_conversation_that_asked_even_after_its_link_is_gone(basket):
    asked = asyncio.Event()
    gone = asyncio.Event()

    class Slow(Server):
        async def page(self, request):
            asked.set()
            await gone.wait()
            return web.Response(text="5")

    async def visit(each):
        await each.accept()
        if each.number == 0:
            await each.say("FETCH seven")
            await asked.wait()
        else:
            gone.set()
            await each.stay()

    async with serving(Slow(visit)) as server, running(feed(server), basket):
        await basket.until(lambda b: b.of(Metric))
    assert basket.of(Metric)[0].name == "seven"
    kinds = [type(e) for e in basket.events if type(e) in (Gap, Metric)]
    assert kinds[:2] == [Gap, Metric]


async def test_an_answer_may_ask_for_the_next_page(basket):
    server = Server(_fetch_one)
    server.answers = {"one": [web.Response(text="more two")], "two": [web.Response(text="end")]}
    async with serving(server), running(feed(server), basket):
        await basket.until(lambda b: len(b.of(Metric)) == 2)
    assert [m.window for m in basket.of(Metric)] == ["more two", "end"]


async def test_an_unreadable_answer_is_kept_and_the_conversation_hears_of_the_failure(basket):
    server = Server(_fetch_one)
    server.answers = {"one": [web.Response(text="<html>log in</html>")]}
    async with serving(server), running(feed(server), basket):
        await basket.until(lambda b: b.of(Metric))
    assert letters(basket) == [b"<html>log in</html>"]
    assert basket.of(DeadLetter)[0].stage == "answer"
    assert basket.of(Metric)[0].value == 0
    assert "a web page" in basket.of(Metric)[0].window


async def _fetch_one(each):
    await each.accept()
    await each.say("FETCH one")
    await each.stay()


# --- pressure ------------------------------------------------------------------------------------


async def test_a_full_outlet_stops_reading_and_loses_nothing(basket):
    """Far more than sockets buffer: the server must feel that nobody reads."""
    padding = "." * 2000
    sent = 0

    async def visit(each):
        nonlocal sent
        await each.accept()
        for number in range(1, 20_001):
            await each.say(f"T a {number} {padding}")
            sent = number
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server)
        basket.fill()
        async with running(talk, basket):
            await meet(lambda: basket.refused)
            [running_session] = talk._sessions
            [link_life] = running_session._lives
            link_life._heard_at = -inf  # that nothing is read is not the venue's silence
            await meet(lambda: link_life._heard_at > -inf)
            quiet = 0
            while quiet < 2000:  # turns of the loop in which the server cannot send
                before = sent
                await asyncio.sleep(0)
                quiet = quiet + 1 if sent == before else 0
            assert sent < 20_000
            assert basket.events == []
            basket.empty()
            await basket.until(lambda b: b.ids() and b.ids()[-1] == 20_000)
            assert talk.status()[0].reconnects == 0
    assert basket.ids() == list(range(1, 20_001))


async def test_a_clock_that_jumps_back_hangs_nothing_and_no_stamp_goes_back(basket):
    jumps = iter([0] * 20)

    def clock():
        return now() - (3_600_000_000 if next(jumps, None) is None else 0)

    async def visit(each):
        await each.accept()
        for number in range(1, 101):
            await each.say(f"T a {number}")
            await asyncio.sleep(0)
        if each.number:
            await each.say("T a 101")
            await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server, clock=clock)
        async with running(talk, basket):
            await basket.until(lambda b: 101 in b.ids() and len(b.of(Tick)) > 30)
    stamps = [event.recv for event in basket.events]
    assert stamps == sorted(stamps)


async def test_a_feed_that_failed_can_be_run_again_and_goes_on(basket):
    async def visit(each):
        await each.accept()
        await each.say(f"T a {each.number + 1}")
        await each.stay()

    async with serving(Server(visit)) as server:
        talk = feed(server)
        task = asyncio.create_task(talk.run(basket))
        await basket.until(lambda b: b.ids() == [1])
        [running_session] = talk._sessions
        running_session._lives[0]._conversation.tick = None  # a bug
        with pytest.raises(TypeError):
            await task
        async with running(talk, basket):
            await basket.until(lambda b: b.ids() == [1, 2])


async def test_sends_obey_the_budget_of_the_venue(basket):
    limits = LIMITS.__class__(3, 0.0001, 1000, 1, 1000, 1, 60, 3600)  # one frame in hours

    async def visit(each):
        await each.accept()
        await each.say("SHOUT at once", "T a 1")
        await each.stay()

    async with serving(Server(visit)) as server, running(feed(server, limits=limits), basket):
        await basket.until(lambda b: b.ids() == [1] and len(b.of(Tick)) > 10)
        assert server.visits[0].heard == ["SUB a"]


async def test_unknown_subscriptions_only_make_no_connection(basket):
    async with serving(Server()) as server:
        talk = feed(server, "z")
        async with running(talk, basket):
            await meet(lambda: talk.status()[0].error)
        assert server.visits == []
        assert sub("z").inst in talk.status()[0].error


@pytest.mark.parametrize("seed", range(5))
async def test_a_venue_gone_mad_is_survived_until_it_is_well_again(basket, seed):
    """Random frames, fragments, control frames, halves and resets, life after life."""
    rng = random.Random(seed)
    mad = 15

    async def visit(each):
        if each.number >= mad:
            await each.accept()
            await each.say("T a 1")
            await each.stay()
            return
        if rng.random() < 0.8:
            await each.accept()
        for _ in range(rng.randrange(20)):
            payload = rng.randbytes(rng.choice([0, 3, 125, 126, 5000]))
            size = len(payload)
            head = bytes([rng.randrange(256), min(126, size)])
            wire = head + (size.to_bytes(2, "big") if size >= 126 else b"") + payload
            each.request.transport.write(wire[: rng.choice([len(wire), rng.randrange(1, 9)])])
            await asyncio.sleep(0)
        if rng.random() < 0.5:
            each.cut()
        elif rng.random() < 0.5:
            await each.ws.close(code=rng.choice([1000, 1008, 1013, 4000]))
        else:
            each.request.transport.close()

    async with serving(Server(visit)) as server:
        talk = feed(server, idle_secs=0.3)
        async with running(talk, basket):
            await basket.until(lambda b: b.ids() == [1])
            assert len(server.visits) > mad
            assert talk.status()[0].reconnects >= mad
