"""The simulated Binance USD-M over real sockets: two paths, its chain of books, every fault."""

from collections import Counter
from itertools import pairwise

import aiohttp
import pytest

from tapewatch.sim.binance_futures import RULES
from tests.integration.sim_bench import benches

DEPTH = "btcusdt@depth@100ms"


@pytest.fixture
async def open_bench():
    async with benches() as opener:
        yield opener


@pytest.fixture
async def bench(open_bench):
    return await open_bench(venue="binance_futures", symbols=3, rate=2.0)


async def listening(bench, path, *streams):
    client = await bench.connect(path)
    assert await client.ask("SUBSCRIBE", list(streams)) == {"result": None, "id": 1}
    return client


async def heard(bench, client, stream, secs=2):
    client.frames.clear()
    await bench.advance(secs)
    await client.settle()
    return client.of(stream)


async def test_a_misrouted_stream_is_acknowledged_and_silent(bench):
    wrong = await listening(bench, "/public/stream", "btcusdt@aggTrade")
    right = await listening(bench, "/market/stream", "btcusdt@aggTrade")
    await bench.advance(2)
    for client in (wrong, right):
        await client.settle()
    listed = await wrong.ask("LIST_SUBSCRIPTIONS", request_id=5)
    assert listed == {"result": ["btcusdt@aggTrade"], "id": 5}
    assert wrong.frames == []
    assert right.of("btcusdt@aggTrade")


@pytest.mark.parametrize("path", ["/public/ws/", "/ws/"])
async def test_bare_paths_give_bare_frames_and_the_old_ones_are_public(bench, path):
    client = await bench.connect(f"{path}btcusdt@bookTicker/btcusdt@markPrice@1s")
    await bench.advance(2)
    await client.settle()
    assert {frame["e"] for frame in client.frames} == {"bookTicker"}


async def test_streams_in_the_address_are_wrapped(bench):
    client = await bench.connect("/market/stream?streams=btcusdt@markPrice@1s/!forceOrder@arr")
    await bench.advance(3)
    await client.settle()
    assert len(client.of("btcusdt@markPrice@1s")) == 3


async def test_errors_do_not_close_and_paths_that_are_not_there_are_not_found(bench):
    client = await bench.connect("/public/ws")
    assert (await client.say("{"))["code"] == 3
    assert (await client.ask("SUBSCRIBE", ["nobody@depth"]))["result"] is None
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect("/private/ws")
    assert caught.value.status == 404


async def test_pings_are_rare_and_the_cut_comes_after_a_day(bench):
    client = await bench.connect("/public/ws", autoping=False)
    bench.clock.runs = False
    await client.settle()
    (link,) = bench.exchange.sockets._hub.links.values()
    bench.clock.now = link.opened + RULES.ping_secs - 1
    bench.exchange.sockets.tend()
    assert not link._pings
    bench.clock.now = link.opened + RULES.ping_secs
    bench.exchange.sockets.tend()
    assert link._pings
    link._pings.clear()
    bench.clock.now = link.opened + RULES.max_age_secs
    bench.exchange.sockets.tend()
    assert await client.ended() == 1001


async def test_a_book_kept_by_the_venues_rule_is_the_true_book(bench):
    client = await listening(bench, "/public/stream", DEPTH)
    await bench.advance(1)
    _, snapshot, _ = await bench.get("/fapi/v1/depth", symbol="BTCUSDT", limit=1_000)
    await bench.advance(2)
    await client.settle()
    at = snapshot["lastUpdateId"]
    kept = [each for each in client.of(DEPTH) if each["u"] >= at]
    assert kept[0]["U"] <= at <= kept[0]["u"] or kept[0]["pu"] == at
    assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(kept))
    _, truth, _ = await bench.get("/sim/truth/book", symbol="BTCUSDT")
    assert kept[-1]["u"] == truth["lastUpdateId"]
    for key, name in (("b", "bids"), ("a", "asks")):
        side = dict(snapshot[name])
        for frame in kept:
            side |= dict(frame[key])
        assert {p: q for p, q in side.items() if float(q)} == dict(truth[name])


async def test_lost_aggregates_are_given_by_rest(bench):
    client = await listening(bench, "/market/stream", "btcusdt@aggTrade")
    await bench.add(kind="drop", target="*@aggTrade", count=3)
    told = await heard(bench, client, "btcusdt@aggTrade")
    first = told[0]["a"] - 3
    _, rows, headers = await bench.get(
        "/fapi/v1/aggTrades", symbol="BTCUSDT", fromId=first, limit=1_000
    )
    assert [row["a"] for row in rows] == list(range(first, told[-1]["a"] + 1))
    shared = {key: value for key, value in told[0].items() if key in rows[0]}
    assert rows[3] == shared
    assert int(headers["X-MBX-USED-WEIGHT-1M"]) == 20


async def test_too_much_weight_is_refused_and_then_banned(bench):
    bench.clock.runs = False
    statuses = Counter()
    for _ in range(72):
        status, _, headers = await bench.get("/fapi/v1/ticker/24hr")
        statuses[status] += 1
    assert statuses == {200: 60, 429: 10, 418: 2}
    assert int(headers["Retry-After"]) > 60


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("drop", {}), ("duplicate", {}), ("reorder", {}), ("wrong_sequence", {"shift": 9}),
        ("garbage", {}), ("stall", {"secs": 0.5}), ("slow", {"secs": 0.5}),
    ],
)  # fmt: skip
async def test_each_fault_is_seen_in_the_chain(bench, kind, more):
    client = await listening(bench, "/public/stream", DEPTH)
    assert all(b["pu"] == a["u"] for a, b in pairwise(await heard(bench, client, DEPTH)))
    await bench.add(kind=kind, target=DEPTH, **more)
    told = await heard(bench, client, DEPTH)
    whole = all(b["pu"] == a["u"] for a, b in pairwise(told))
    strange = [each for each in client.frames if not isinstance(each, dict) or "data" not in each]
    assert strange or len(told) < 20 or not whole
    _, listed, _ = await bench.get("/sim/faults")
    assert listed["counts"][kind] >= 1


async def test_close_cuts_and_stale_snapshots_are_old_and_http_fails(bench):
    client = await listening(bench, "/public/stream", DEPTH)
    await bench.advance(2)
    await bench.add(kind="stale_snapshot")
    _, old, _ = await bench.get("/fapi/v1/depth", symbol="BTCUSDT")
    _, new, _ = await bench.get("/fapi/v1/depth", symbol="BTCUSDT")
    assert old["lastUpdateId"] < new["lastUpdateId"]
    await bench.add(kind="http", status=503)
    status, body, _ = await bench.get("/fapi/v1/time")
    assert (status, body["code"]) == (503, -1000)
    await bench.add(kind="close", target=DEPTH)
    await bench.advance(1)
    assert await client.ended() == 1006


async def test_a_checksum_cannot_be_wrong_where_there_is_none(bench):
    url = bench.exchange.rest_url + "/sim/faults"
    async with bench.session.post(url, json={"kind": "wrong_checksum"}) as response:
        assert response.status == 400
        assert "binance_futures" in (await response.json())["error"]


async def test_a_shock_brings_liquidations_to_all_who_listen(bench):
    client = await listening(bench, "/market/stream", "!forceOrder@arr")
    url = bench.exchange.rest_url + "/sim/shock"
    async with bench.session.post(url, json={"change": -0.06}) as response:
        assert response.status == 200
    told = await heard(bench, client, "!forceOrder@arr", 8)
    assert {each["o"]["S"] for each in told} == {"SELL"}
    _, truth, _ = await bench.get("/sim/truth/liquidations", symbol="BTCUSDT")
    assert {each["o"]["T"] for each in told if each["o"]["s"] == "BTCUSDT"} <= {
        row["time"] for row in truth
    }
