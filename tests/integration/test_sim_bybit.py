"""The simulated Bybit over real sockets, driven by hand: time moves when a test says so."""

import asyncio
import json
from contextlib import asynccontextmanager
from itertools import pairwise

import aiohttp
import msgspec
import pytest

from tapewatch.sim.bybit import IDLE_SECS, RULES
from tapewatch.sim.faults import Fault
from tests.integration.sim_bench import DEADLINE, SECOND, START, Clock, make
from tests.unit.sim.bybit_stage import Follower

BOOK = "orderbook.50.BTCUSDT"
TRADES = "publicTrade.BTCUSDT"


class Client:
    """Reads all the time; frames of topics and answers apart."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []
        self.answers = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self):
        async for message in self.socket:
            self._take(message.data)
            self._news.set()
        self._news.set()

    def _take(self, text):
        try:
            decoded = json.loads(text)
        except json.JSONDecodeError:
            decoded = text
        is_answer = isinstance(decoded, dict) and "success" in decoded
        (self.answers if is_answer else self.frames).append(decoded)

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def ask(self, **request):
        count = len(self.answers)
        await self.socket.send_str(json.dumps(request))
        await self.until(lambda: len(self.answers) > count)
        return self.answers[-1]

    async def settle(self):
        """All that was sent before now is here when this returns."""
        await self.ask(op="ping", req_id="settle")

    async def ended(self):
        await self.until(self._task.done)
        return self.socket.close_code

    def of(self, topic):
        return [f for f in self.frames if isinstance(f, dict) and f.get("topic") == topic]

    async def close(self):
        await self.socket.close()
        await self._task


class Bench:
    def __init__(self, exchange, session, clock):
        self.exchange = exchange
        self.session = session
        self.clock = clock
        self.clients = []

    async def connect(self, category="linear"):
        url = f"{self.exchange.ws_url}/v5/public/{category}"
        self.clients.append(Client(await self.session.ws_connect(url)))
        return self.clients[-1]

    async def listen(self, *topics, category="linear"):
        client = await self.connect(category)
        answer = await client.ask(op="subscribe", args=list(topics))
        assert answer["success"], answer
        await client.settle()  # on spot the first frames come after the answer
        return client

    async def get(self, path, **query):
        url = f"{self.exchange.rest_url}{path}"
        async with self.session.get(url, params=query) as response:
            return response.status, await response.read()

    async def result(self, path, **query):
        _, body = await self.get(f"/v5/market/{path}", **query)
        return json.loads(body)["result"]

    async def true_book(self, category, limit):
        query = {"category": category, "symbol": "BTCUSDT", "limit": str(limit)}
        _, body = await self.get("/sim/truth/book", **query)
        return json.loads(body)["result"]

    async def advance(self, client, secs):
        await self.exchange.advance(int(secs * SECOND))
        await client.settle()

    def add(self, **fault):
        self.exchange.faults.add(Fault(**fault), self.exchange.market.now)


@asynccontextmanager
async def opened(rules=None):
    clock = Clock()
    exchange = make(clock, rules, venue="bybit")
    async with exchange, aiohttp.ClientSession() as session:
        bench = Bench(exchange, session, clock)
        try:
            yield bench
        finally:
            for client in bench.clients:
                await client.close()


@pytest.fixture
async def bench():
    async with opened() as made:
        yield made


def scaled(**changes):
    return msgspec.structs.replace(RULES, **changes)


# --- sockets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", ["spot", "linear"])
async def test_a_book_kept_from_the_socket_is_the_true_one(bench, category):
    client, follower = await bench.listen(BOOK, category=category), Follower()
    await bench.advance(client, 3)
    for frame in client.of(BOOK):
        follower.take(frame)
    true = await bench.true_book(category, 50)
    assert follower.holes == 0
    assert follower.top(50) == (true["b"], true["a"])


async def test_the_same_topic_on_both_paths_is_of_two_instruments(bench):
    spot, linear = await bench.listen(TRADES, category="spot"), await bench.listen(TRADES)
    await bench.advance(spot, 5)
    await linear.settle()
    keys = [list(client.of(TRADES)[0]["data"][0]) for client in (spot, linear)]
    assert keys[0] == ["i", "T", "p", "v", "S", "seq", "s", "BT", "RPI"]
    assert keys[1] == ["T", "s", "S", "v", "p", "L", "i", "BT", "RPI", "seq"]


async def test_missed_trades_are_found_by_their_id_in_what_rest_tells(bench):
    client = await bench.listen(TRADES)
    bench.add(kind="drop", count=3, target=f"linear/{TRADES}", every_secs=0.5, after_secs=1.0)
    await bench.advance(client, 5)
    got = {row["i"] for frame in client.of(TRADES) for row in frame["data"]}
    rows = (await bench.result("recent-trade", category="linear", symbol="BTCUSDT"))["list"]
    lost = [json.loads(one.text)["data"] for one in bench.exchange.faults.applied]
    assert len(lost) == 3
    missing = {row["i"] for data in lost for row in data}
    assert missing <= {row["execId"] for row in rows}
    assert not missing & got


async def test_an_unknown_path_is_no_socket(bench):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect("inverse")
    assert caught.value.status == 404


async def test_a_refusal_leaves_the_socket_open(bench):
    client = await bench.connect("spot")
    answer = await client.ask(op="subscribe", args=["orderbook.50.NOSUCHSYM"], req_id="1")
    assert (answer["ret_msg"], answer["req_id"]) == (
        "Invalid symbol :[orderbook.50.NOSUCHSYM]", "1",
    )  # fmt: skip
    assert (await client.ask(op="subscribe", args=[BOOK]))["ret_msg"] == "subscribe"


async def test_protocol_pings_are_answered_too(bench):
    client = await bench.connect()
    client._task.cancel()
    async with asyncio.timeout(DEADLINE):
        await client.socket.ping(b"hello")
        await client.socket.send_str('{"op":"ping"}')
        answer = await client.socket.receive()
    assert json.loads(answer.data)["ret_msg"] == "pong"
    client._task = asyncio.create_task(client._read())


async def test_an_idle_connection_is_closed_and_one_that_pings_is_not(bench):
    bench.clock.runs = False
    quiet, alive = await bench.connect(), await bench.connect()
    bench.clock.now += IDLE_SECS - 1
    await alive.settle()
    bench.clock.now += 1
    bench.exchange.sockets.tend()
    assert await quiet.ended() == 1000
    await alive.settle()


async def test_a_client_that_only_listens_is_not_idle(bench):
    bench.clock.runs = False
    client = await bench.listen(BOOK)
    for _ in range(3):
        bench.clock.now += IDLE_SECS / 2
        await bench.exchange.advance(SECOND)
        bench.exchange.sockets.tend()
    await client.settle()
    assert not client.socket.closed


async def test_too_many_connections_are_refused():
    async with opened(scaled(connects=2)) as bench:
        bench.clock.runs = False
        await bench.connect()
        await bench.connect()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await bench.connect()


async def test_a_restart_is_seen_by_who_listens(bench):
    client, follower = await bench.listen(BOOK), Follower()
    await bench.advance(client, 1)
    assert bench.exchange.venue.restart() == 1
    await bench.advance(client, 1)
    frames = client.of(BOOK)
    assert [f["data"]["u"] for f in frames if f["type"] == "snapshot"][1:] == [1]
    for frame in frames:
        follower.take(frame)
    assert follower.holes == 0


# --- faults, each once --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "wrong_sequence", "reorder"])
async def test_a_fault_in_the_book_breaks_the_chain(bench, kind):
    client, follower = await bench.listen(BOOK), Follower()
    bench.add(kind=kind, target="linear/orderbook.50.*", after_secs=1.0)
    await bench.advance(client, 3)
    for frame in client.of(BOOK):
        follower.take(frame)
    assert bench.exchange.faults.counts == {kind: 1}
    assert follower.holes > 0


async def test_a_duplicate_comes_twice(bench):
    client = await bench.listen(TRADES)
    bench.add(kind="duplicate", target="linear/publicTrade.*")
    await bench.advance(client, 5)
    frames = client.of(TRADES)
    assert [a == b for a, b in pairwise(frames)].count(True) == 1


async def test_garbage_comes_besides_the_frames(bench):
    client, follower = await bench.listen(BOOK), Follower()
    nonsense = bench.exchange.venue.fault_texts.nonsense
    bench.add(kind="garbage", count=len(nonsense))
    await bench.advance(client, 2)
    whole = client.of(BOOK)
    for frame in whole:
        if "cts" in frame:
            follower.take(frame)
    assert follower.holes == 0
    assert len(client.frames) - sum("cts" in frame for frame in whole) == len(nonsense)


async def test_a_stall_is_silence_on_an_open_socket(bench):
    client = await bench.listen(BOOK)
    await bench.advance(client, 1)
    bench.add(kind="stall", secs=10.0)
    count = len(client.frames)
    await bench.advance(client, 5)
    assert len(client.frames) == count
    assert bench.exchange.faults.counts["stall"] > 10


async def test_slow_frames_come_late(bench):
    client = await bench.listen(BOOK)
    bench.add(kind="slow", secs=2.0, count=None)
    await bench.advance(client, 1.5)
    assert len(client.of(BOOK)) == 1  # the snapshot
    await bench.advance(client, 1.5)
    assert len(client.of(BOOK)) > 10


async def test_a_close_cuts_who_listens_without_a_word(bench):
    client, other = await bench.listen(BOOK), await bench.listen(TRADES)
    bench.add(kind="close", target="*/orderbook.*")
    await bench.exchange.advance(SECOND)
    assert await client.ended() == 1006
    await other.settle()


async def test_http_faults_have_the_venues_body_or_html(bench):
    bench.add(kind="http", status=503)
    query = {"category": "linear", "symbol": "BTCUSDT"}
    status, body = await bench.get("/v5/market/tickers", **query)
    assert (status, json.loads(body)["retCode"]) == (503, 10_016)
    bench.add(kind="http", status=403, body="html")
    status, body = await bench.get("/v5/market/tickers", **query)
    assert (status, body[:6]) == (403, b"<html>")
    assert (await bench.get("/v5/market/tickers", **query))[0] == 200


async def test_a_stale_book_is_older_than_the_stream(bench):
    client = await bench.listen("orderbook.1000.BTCUSDT")
    await bench.advance(client, 3)
    bench.add(kind="stale_snapshot")
    query = {"category": "linear", "symbol": "BTCUSDT", "limit": "1000"}
    stale, fresh = [await bench.result("orderbook", **query) for _ in range(2)]
    newest = client.frames[-1]["data"]
    assert (fresh["u"], fresh["seq"]) == (newest["u"], newest["seq"])
    assert stale["u"] < fresh["u"] - 10


# --- REST ---------------------------------------------------------------------------------------


async def test_markets_of_both_categories_are_listed(bench):
    for category in ("spot", "linear"):
        listed = await bench.result("instruments-info", category=category, limit="1000")
        assert [row["symbol"] for row in listed["list"]] == ["BTCUSDT", "ETHUSDT"]


async def test_time_is_the_markets(bench):
    assert (await bench.result("time"))["timeNano"] == str(START * 1_000)


async def test_errors_are_http_200(bench):
    status, body = await bench.get("/v5/market/kline", category="linear", symbol="X", interval="1")
    assert (status, json.loads(body)["retCode"]) == (200, 10_001)


async def test_more_requests_than_allowed_are_a_ban_of_ten_minutes():
    async with opened(scaled(weight=3)) as bench:
        bench.clock.runs = False
        statuses = [(await bench.get("/v5/market/time"))[0] for _ in range(5)]
        _, body = await bench.get("/v5/market/time")
        assert statuses == [200, 200, 200, 403, 403]
        assert b"access too frequent" in body
        for _ in range(2):  # a second ban is no longer than the first
            bench.clock.now += 599
            assert (await bench.get("/v5/market/time"))[0] == 403
            bench.clock.now += 1
            statuses = [(await bench.get("/v5/market/time"))[0] for _ in range(4)]
            assert statuses == [200, 200, 200, 403]


async def test_truth_is_told_without_faults_and_caps():
    async with opened(scaled(weight=0)) as bench:
        bench.add(kind="http", count=None, target="*")
        query = {"category": "spot", "symbol": "BTCUSDT", "limit": "200"}
        status, body = await bench.get("/sim/truth/trades", **query)
        assert (status, len(json.loads(body)["result"]["list"])) == (200, 200)
        assert (await bench.get("/sim/truth/weather"))[0] == 404
