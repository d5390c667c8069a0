"""Requests against a server that fails, refuses, bans, and sends too much."""

import asyncio
import gzip
import random

import pytest
from aiohttp import web
from msgspec.structs import replace

from tapewatch.feeds.exchange import fetch_catalogue
from tapewatch.model.errors import Unavailable
from tapewatch.wire import http as module
from tapewatch.wire.http import Http
from tapewatch.wire.limiter import Window
from tests.ports import nobody
from tests.talk import LIMITS, Server, Talk, serving


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_DELAY_SECS", 0.001)
    monkeypatch.setattr(module, "_MAX_DELAY_SECS", 0.002)


@pytest.fixture
async def http():
    made = Http("talk", LIMITS, random.Random(1), max_bytes=10_000)
    yield made
    await made.close()


async def ask(http, *answers, path="x"):
    """Let the server answer in this order; give the final answer and how often it was asked."""
    server = Server()
    server.answers[path] = list(answers)
    async with serving(server):
        answer = await http.get(f"{Talk(server.url).rest_url}/{path}")
    return answer, len(server.asked)


def page(status=200, text="body", **headers):
    return web.Response(status=status, text=text, headers=headers)


async def test_an_answer_is_brought_as_it_is(http):
    answer, asked = await ask(http, page(text="[1]"))
    assert (answer.status, answer.body, asked) == (200, b"[1]", 1)


async def test_a_server_in_trouble_is_asked_four_times_in_all(http):
    answer, asked = await ask(http, page(503), page(500), page(502), page(200, "at last"))
    assert (answer.body, asked) == (b"at last", 4)
    answer, asked = await ask(http, page(503))
    assert (answer.status, asked) == (503, 4)


async def test_a_mistake_of_ours_is_not_repeated(http):
    answer, asked = await ask(http, page(400, '{"code":-1121}'))
    assert (answer.status, answer.body, asked) == (400, b'{"code":-1121}', 1)


async def test_too_many_requests_wait_as_long_as_the_venue_asks_for_all(http):
    answer, asked = await ask(http, page(429, **{"Retry-After": "0.05"}), page(200, "now"))
    assert (answer.body, asked) == (b"now", 2)


async def test_a_long_ban_is_answered_at_once_and_nobody_asks_meanwhile(http):
    answer, asked = await ask(http, page(418, **{"Retry-After": "7200"}))
    assert (answer.status, asked) == (0, 1)
    assert b"wants no requests for 7" in answer.body
    answer, asked = await ask(http, page(200))
    assert (answer.status, asked) == (0, 0)


@pytest.mark.parametrize("status", [403, 451])
async def test_a_refusal_is_told_once_and_names_the_setting(http, status, caplog):
    for _ in range(3):
        answer, asked = await ask(http, page(status, "<html>"))
        assert (answer.status, asked) == (status, 1)
    told = [record for record in caplog.records if record.message == "request_refused"]
    assert 1 <= len({record.fields["reason"] for record in told}) == len(told)
    assert "exchanges.talk.rest_url" in told[0].fields["reason"]


async def test_nobody_there_is_status_0_with_the_reason(http):
    with nobody() as port:
        answer = await http.get(f"http://127.0.0.1:{port}/x")
    assert answer.status == 0
    assert answer.body.startswith(b"cannot connect to 127.0.0.1:")


async def test_an_address_that_is_none_is_status_0_with_the_reason(http):
    answer = await http.get("http://")
    assert (answer.status, answer.body) == (0, b"http:// is no address")


async def test_a_connection_that_is_cut_is_tried_again(http):
    class Cutting(Server):
        async def page(self, request):
            self.asked.append(request.path)
            if len(self.asked) == 1:
                request.transport.abort()
            return web.Response(text="well")

    async with serving(Cutting()) as server:
        answer = await http.get(f"{Talk(server.url).rest_url}/x")
    assert answer.body == b"well"


async def test_an_endless_answer_is_cut_off(http):
    answer, _ = await ask(http, page(text="x" * 10_001))
    assert (answer.status, answer.body) == (0, b"answer of more than 10000 bytes")


async def test_the_bound_counts_what_gzip_hides(http):
    def packed(size):
        body = gzip.compress(b"x" * size)
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    answer, _ = await ask(http, packed(10_000))
    assert answer.body == b"x" * 10_000
    answer, _ = await ask(http, packed(5_000_000))
    assert answer.status == 0


async def test_gzip_is_asked_for(http):
    heads = []

    class Curious(Server):
        async def page(self, request):
            heads.append(request.headers)
            return web.Response()

    async with serving(Curious()) as server:
        await http.get(f"{Talk(server.url).rest_url}/x")
    assert "gzip" in heads[0]["Accept-Encoding"]
    assert heads[0]["User-Agent"].startswith("tapewatch/")


async def test_weight_beyond_the_budget_waits():
    limits = LIMITS.__class__(3, 1000, 1000, 1, 10, 3600, 60, 3600)
    http = Http("talk", limits, random.Random(1))
    server = Server()
    server.answers["x"] = [page()]
    async with serving(server):
        url = f"{Talk(server.url).rest_url}/x"
        await http.get(url, 6)
        await http.get(url, 4)
        third = asyncio.create_task(http.get(url, 1))
        done, _ = await asyncio.wait({third}, timeout=0.05)
        assert not done
        assert len(server.asked) == 2
        third.cancel()
    await http.close()


async def test_a_ban_that_one_heard_holds_for_all_who_share_the_budget():
    weights = Window(LIMITS.weight, LIMITS.weight_secs)
    one, other = (Http("talk", LIMITS, random.Random(1), weights=weights) for _ in range(2))
    answer, asked = await ask(one, page(418, **{"Retry-After": "7200"}))
    assert (answer.status, asked) == (0, 1)
    answer, asked = await ask(other, page(200))
    assert (answer.status, asked) == (0, 0)
    await one.close()
    await other.close()


async def test_the_catalogue_is_fetched_or_the_reason_is_told(http):
    server = Server()
    server.answers["all"] = [page(text="a b c")]
    async with serving(server):
        found = await fetch_catalogue(Talk(server.url), http)
        assert [each.id for each in found] == ["talk:A/X", "talk:B/X", "talk:C/X"]
        server.answers["all"] = [page(status=404, text="no such page")]
        with pytest.raises(Unavailable, match="HTTP 404 no such page"):
            await fetch_catalogue(Talk(server.url), http)
        server.answers["all"] = [web.Response(body=b"\xff")]
        with pytest.raises(Unavailable, match="gave no list of instruments"):
            await fetch_catalogue(Talk(server.url), http)
        server.answers["all"] = [page(text="")]
        with pytest.raises(Unavailable, match="lists no instruments"):
            await fetch_catalogue(Talk(server.url), http)


@pytest.mark.parametrize(
    ("text", "held"), [("access too frequent", True), ("<html>no</html>", False)]
)
async def test_a_403_in_the_venues_own_words_is_a_ban_where_it_bans_so(text, held):
    http = Http("talk", replace(LIMITS, ban_secs=600), random.Random(1))
    server = Server()
    server.answers["x"] = [page(403, text), page(200, "now")]
    async with serving(server):
        url = f"{Talk(server.url).rest_url}/x"
        assert (await http.get(url)).status == 403
        again = await http.get(url)
    await http.close()
    assert (again.status == 0) is held
    assert (b"wants no requests for" in again.body) is held
