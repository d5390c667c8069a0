"""Each fault over real sockets does what it says, and is listed."""

import json
from collections import Counter

import aiohttp
import pytest

from tests.integration.sim_bench import benches


@pytest.fixture
async def open_bench():
    async with benches() as opener:
        yield opener


@pytest.fixture
async def bench(open_bench):
    return await open_bench()


# --- faults -------------------------------------------------------------------------------------


async def test_drop_duplicate_and_reorder_do_what_they_say(bench):
    client = await bench.listen("btcusdt@trade")
    await bench.add(kind="drop")
    lost = await bench.heard(client)
    first = min(lost) - 1
    assert lost == list(range(first + 1, first + 1 + len(lost)))
    await bench.add(kind="duplicate")
    doubled = await bench.heard(client)
    assert Counter(Counter(doubled).values())[2] == 1
    await bench.add(kind="reorder")
    swapped = await bench.heard(client)
    assert swapped[:2] == [swapped[1] + 1, swapped[1]]
    assert sorted(swapped) == list(range(min(swapped), max(swapped) + 1))
    _, listed, _ = await bench.get("/sim/faults")
    assert listed["counts"] == {"drop": 1, "duplicate": 1, "reorder": 1}
    assert json.loads(listed["applied"][0]["text"])["t"] == first


async def test_stall_is_silence_with_an_open_socket(bench):
    client = await bench.listen("btcusdt@trade")
    await bench.add(kind="stall", secs=3)
    assert await bench.heard(client, 3) == []
    assert await bench.heard(client, 2) != []


async def test_slow_frames_arrive_later_and_complete(bench):
    client = await bench.listen("btcusdt@trade")
    await bench.add(kind="slow", count=None, secs=1.0)
    assert await bench.heard(client, 0.9) == []
    late = await bench.heard(client, 2)
    assert late == list(range(late[0], late[0] + len(late)))


async def test_garbage_comes_between_and_nothing_is_lost(bench):
    client = await bench.listen("btcusdt@trade")
    await bench.add(kind="garbage", count=3)
    await bench.advance(2)
    await client.settle()
    ids = [row["t"] for row in client.of("btcusdt@trade") if isinstance(row.get("t"), int)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert any(isinstance(frame, str) for frame in client.frames)


async def test_wrong_sequence_moves_one_id(bench):
    client = await bench.listen("btcusdt@trade")
    await bench.add(kind="wrong_sequence", shift=1_000)
    ids = await bench.heard(client)
    assert ids[0] == ids[1] - 1 + 1_000


async def test_close_cuts_only_clients_of_the_stream(bench):
    hit, spared = await bench.listen("btcusdt@trade"), await bench.listen("ethusdt@trade")
    await bench.add(kind="close", target="btcusdt@*")
    await bench.advance(2)
    assert await hit.ended() == 1006
    await spared.settle()
    again = await bench.listen("btcusdt@trade")
    assert await bench.heard(again)


@pytest.mark.parametrize("status", [429, 451, 500, 503])
async def test_http_fault_answers_once_with_its_status(bench, status):
    await bench.add(kind="http", status=status, retry_after=7)
    answer = await bench.get("/api/v3/time")
    assert answer[0] == status
    assert "code" in answer[1]
    assert answer[2]["Retry-After"] == "7"
    assert (await bench.get("/api/v3/time"))[0] == 200


async def test_http_fault_can_be_a_page_or_a_reset(bench):
    await bench.add(kind="http", status=502, body="html")
    async with bench.session.get(bench.exchange.rest_url + "/api/v3/time") as response:
        assert response.content_type == "text/html"
    await bench.add(kind="http", status=0, count=None)
    with pytest.raises(aiohttp.ClientError):
        await bench.get("/api/v3/time")


async def test_handshake_can_be_refused_like_a_restricted_region(bench):
    await bench.add(kind="http", target="/stream*", status=451)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect()
    assert caught.value.status == 451
    await bench.connect()


async def test_faults_can_be_cleared_and_bad_ones_are_explained(bench):
    await bench.add(kind="drop", count=None)
    url = bench.exchange.rest_url + "/sim/faults"
    async with bench.session.delete(url) as response:
        assert await response.json() == {"faults": []}
    client = await bench.listen("btcusdt@trade")
    assert await bench.heard(client)
    async with bench.session.post(url, json={"kind": "explode"}) as response:
        assert response.status == 400
        assert "explode" in (await response.json())["error"]
