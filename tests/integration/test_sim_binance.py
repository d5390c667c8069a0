"""The simulated Binance over real sockets, driven by hand: time moves when a test says so."""

import asyncio
import json
import time
from itertools import pairwise

import aiohttp
import pytest

from tapewatch.sim.decimals import fixed
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import open_market
from tests.integration.sim_bench import DEADLINE, SECOND, START, Client, benches


@pytest.fixture
async def open_bench():
    async with benches() as opener:
        yield opener


@pytest.fixture
async def bench(open_bench):
    return await open_bench()


# --- opening, subscribing, errors ---------------------------------------------------------------


async def test_raw_connection_gets_bare_payloads(bench):
    client = await bench.connect("/ws/btcusdt@trade/btcusdt@bookTicker")
    await bench.advance(1)
    await client.settle()
    assert {frame.get("e", "ticker") for frame in client.frames} == {"trade", "ticker"}
    assert all("stream" not in frame for frame in client.frames)


async def test_combined_connection_gets_wrapped_payloads(bench):
    client = await bench.connect("/stream?streams=btcusdt@trade/ethusdt@trade")
    await bench.advance(1)
    await client.settle()
    assert {frame["stream"] for frame in client.frames} == {"btcusdt@trade", "ethusdt@trade"}
    assert client.of("btcusdt@trade")[0]["s"] == "BTCUSDT"


@pytest.mark.parametrize("path", ["/ws", "/stream"])
async def test_acknowledgement_is_never_wrapped(bench, path):
    client = await bench.connect(path)
    assert await client.ask("SUBSCRIBE", ["btcusdt@trade"], 77) == {"result": None, "id": 77}
    await bench.advance(1)
    await client.settle()
    assert client.frames


@pytest.mark.parametrize(
    "path",
    [
        "/ws/btcusdt@trade?timeUnit=MICROSECOND",
        "/ws/btcusdt%40trade?timeUnit=microsecond",
        "/stream?streams=btcusdt@trade&timeUnit=MICROSECOND",
    ],
)
async def test_microseconds_on_request(bench, path):
    client = await bench.connect(path)
    await bench.advance(1)
    await client.settle()
    times = [frame.get("data", frame)["T"] for frame in client.frames]
    assert times
    assert all(len(str(ts)) == 16 for ts in times)


async def test_unknown_streams_are_acknowledged_listed_and_silent(bench):
    client = await bench.listen("BTCUSDT@trade", "nope@trade")
    await bench.advance(1)
    listed = await client.ask("LIST_SUBSCRIPTIONS")
    assert listed["result"] == ["BTCUSDT@trade", "nope@trade"]
    assert client.frames == []


async def test_errors_do_not_close_the_connection(bench):
    client = await bench.connect()
    assert (await client.say("hello"))["code"] == 3
    assert (await client.ask("FLY"))["code"] == 2
    assert (await client.ask("SET_PROPERTY", ["combined", 5]))["code"] == 1
    assert (await client.ask("SET_PROPERTY", ["speed", True]))["code"] == 0
    assert (await client.ask("SUBSCRIBE", ["btcusdt@trade"]))["result"] is None


async def test_unsubscribed_stream_is_silent(bench):
    client = await bench.listen("btcusdt@trade", "ethusdt@trade")
    await bench.advance(0.5)
    await client.ask("UNSUBSCRIBE", ["btcusdt@trade"])
    client.frames.clear()
    await bench.advance(1)
    await client.settle()
    assert {frame["stream"] for frame in client.frames} == {"ethusdt@trade"}


async def test_wrapper_can_be_switched_under_way(bench):
    client = await bench.listen("btcusdt@bookTicker")
    await client.ask("SET_PROPERTY", ["combined", False])
    await bench.advance(0.5)
    await client.settle()
    assert client.frames
    assert all(set(frame) == set("usbBaA") for frame in client.frames)


async def test_more_than_1024_streams_are_refused_on_the_socket_and_in_the_address(bench):
    names = [f"x{n}@trade" for n in range(1_025)]
    client = await bench.connect()
    assert (await client.ask("SUBSCRIBE", names))["code"] == 2
    assert (await client.ask("SUBSCRIBE", names[:1_024]))["result"] is None
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect("/stream?streams=" + "/".join(names))
    assert caught.value.status == 400
    whole = await bench.connect("/stream?streams=" + "/".join(names[:1_024]))
    assert len((await whole.ask("LIST_SUBSCRIPTIONS"))["result"]) == 1_024


# --- what the streams say -----------------------------------------------------------------------


async def test_trades_and_aggregates_are_the_truth_and_have_no_hole(bench):
    client = await bench.listen("btcusdt@trade", "btcusdt@aggTrade")
    await bench.advance(10)
    await client.settle()
    trades, wholes = client.of("btcusdt@trade"), client.of("btcusdt@aggTrade")
    assert all(b["t"] == a["t"] + 1 for a, b in pairwise(trades))
    assert all(b["f"] == a["l"] + 1 and b["a"] == a["a"] + 1 for a, b in pairwise(wholes))
    assert (wholes[0]["f"], wholes[-1]["l"]) == (trades[0]["t"], trades[-1]["t"])
    true = [(t.id, fixed(t.price), fixed(t.qty)) for t in bench.exchange.market.trades("BTCUSDT")]
    assert [(t["t"], t["p"], t["q"]) for t in trades] == true


class Follower:
    """The venue's way to keep a book (section 5 of the wire reference), written for this test."""

    def __init__(self):
        self.waiting = []
        self.local = None
        self.resyncs = 0
        self.sides = {}

    def needs_snapshot(self):
        return self.local is None and bool(self.waiting)

    def snapshot(self, body):
        if body["lastUpdateId"] < self.waiting[0]["U"] - 1:
            return
        self.local = body["lastUpdateId"]
        self.sides = {"b": dict(body["bids"]), "a": dict(body["asks"])}
        waiting, self.waiting = self.waiting, []
        for frame in waiting:
            self.take(frame)

    def take(self, frame):
        if self.local is None:
            self.waiting.append(frame)
        elif frame["u"] <= self.local:
            pass
        elif frame["U"] > self.local + 1:
            self.local, self.waiting = None, [frame]
            self.resyncs += 1
        else:
            for side, levels in self.sides.items():
                for price, qty in frame[side]:
                    levels[price] = qty
                    if qty == "0.00000000":
                        del levels[price]
            self.local = frame["u"]


async def follow(bench, client, follower, secs):
    """Feed what comes, a tenth of a second at a time; fetch when a snapshot is needed."""
    seen = 0
    for _ in range(round(secs * 10)):
        await bench.advance(0.1)
        await client.settle()
        frames = client.of("btcusdt@depth@100ms")
        for frame in frames[seen:]:
            follower.take(frame)
        seen = len(frames)
        if follower.needs_snapshot():
            _, body, _ = await bench.get("/api/v3/depth", symbol="BTCUSDT", limit=5_000)
            follower.snapshot(body)


async def true_book(bench):
    _, body, _ = await bench.get("/sim/truth/book", symbol="BTCUSDT")
    return body["lastUpdateId"], {"b": dict(body["bids"]), "a": dict(body["asks"])}


async def test_a_book_kept_by_the_venues_rule_is_the_true_book(bench):
    client, follower = await bench.listen("btcusdt@depth@100ms"), Follower()
    await follow(bench, client, follower, 5)
    assert follower.resyncs == 0
    assert (follower.local, follower.sides) == await true_book(bench)


@pytest.mark.parametrize("kind", ["drop", "wrong_sequence"])
async def test_a_fault_in_the_book_is_seen_by_the_rule_and_healed(bench, kind):
    client, follower = await bench.listen("btcusdt@depth@100ms"), Follower()
    await follow(bench, client, follower, 2)
    bench.exchange.faults.add(Fault(kind=kind, target="*@depth*"), bench.exchange.market.now)
    await follow(bench, client, follower, 3)
    assert follower.resyncs == 1
    assert (follower.local, follower.sides) == await true_book(bench)


async def test_a_stale_snapshot_is_older_than_the_stream(bench):
    await bench.advance(5)
    bench.exchange.faults.add(Fault(kind="stale_snapshot"), bench.exchange.market.now)
    client = await bench.listen("btcusdt@depth@100ms")
    await bench.advance(0.2)
    await client.settle()
    first = client.of("btcusdt@depth@100ms")[0]["U"]
    _, stale, _ = await bench.get("/api/v3/depth", symbol="BTCUSDT")
    _, fresh, _ = await bench.get("/api/v3/depth", symbol="BTCUSDT")
    assert stale["lastUpdateId"] < first - 100
    assert fresh["lastUpdateId"] >= first - 1


async def test_same_seed_sends_the_same(open_bench):
    sent = []
    for seed in (5, 5, 6):
        bench = await open_bench(seed=seed)
        client = await bench.listen("btcusdt@trade", "ethusdt@depth@100ms", "solusdt@kline_1s")
        await bench.advance(2)
        await client.settle()
        sent.append(client.frames)
    assert sent[0] == sent[1]
    assert sent[0] != sent[2]


# --- keep-alive and limits ----------------------------------------------------------------------


async def test_client_that_answers_pings_stays_and_one_that_does_not_goes(open_bench):
    bench = await open_bench(rules=Rules(ping_secs=20, pong_secs=60))
    bench.clock.runs = False
    good, deaf = await bench.connect(), await bench.connect(autoping=False)
    for _ in range(4):
        bench.clock.now += 20
        bench.exchange.sockets.tend()
        await good.settle()
    assert await deaf.ended() == 1008
    bench.clock.now += 20
    bench.exchange.sockets.tend()
    await good.settle()
    assert bench.exchange.state()["clients"] == 1


async def test_connection_is_cut_at_its_age_after_a_notice(open_bench):
    bench = await open_bench(rules=Rules(max_age_secs=86_400, notice_secs=600))
    bench.clock.runs = False
    combined, raw = await bench.connect("/stream"), await bench.connect("/ws")
    bench.clock.now += 86_400 - 600
    bench.exchange.sockets.tend()
    for client in (combined, raw):
        await client.settle()
    assert combined.frames == [
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": START // 1_000}}
    ]
    assert raw.frames == [{"e": "serverShutdown", "E": START // 1_000}]
    bench.clock.now += 600
    bench.exchange.sockets.tend()
    assert await combined.ended() == 1001
    assert await raw.ended() == 1001


async def test_sixth_message_within_a_second_ends_the_connection(bench):
    bench.clock.runs = False
    client = await bench.connect()
    for _ in range(5):
        await client.ask("LIST_SUBSCRIPTIONS")
    await client.socket.ping(b"also counts")
    assert await client.ended() == 1008
    assert bench.exchange.state()["dropped_chatty"] == 1


async def test_too_many_connections_are_refused(open_bench):
    bench = await open_bench(rules=Rules(connects=2, connects_secs=300))
    bench.clock.runs = False
    await bench.connect()
    await bench.connect()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect()
    assert caught.value.status == 429


async def test_ping_of_the_client_is_answered_with_its_payload(bench):
    client = await bench.connect(autoping=False)
    pongs = []
    client._task.cancel()
    await client.socket.ping(b"hello")
    async with asyncio.timeout(DEADLINE):
        pongs.append(await client.socket.receive())
    assert (pongs[0].type, bytes(pongs[0].data)) == (aiohttp.WSMsgType.PONG, b"hello")
    client._task = asyncio.create_task(client._read())


async def test_client_that_does_not_read_is_dropped(open_bench):
    bench = await open_bench(rules=Rules(max_backlog_bytes=50_000), rate=50.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.exchange.port)
    writer.write(
        b"GET /stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth20@100ms HTTP/1.1\r\n"
        b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"101" in await reader.readline()
    reader._transport.pause_reading()
    for _ in range(3_000):
        bench.exchange._step(bench.exchange.market.now + SECOND)
        await asyncio.sleep(0)
        if bench.exchange.state()["dropped_slow"]:
            break
    assert bench.exchange.state()["dropped_slow"] == 1
    writer.close()


# --- REST ---------------------------------------------------------------------------------------


async def test_weight_is_told_and_too_much_of_it_is_429_then_418(open_bench):
    bench = await open_bench(rules=Rules(weight=60, ban_after=2, ban_secs=120))
    bench.clock.runs = False
    seen = []
    for _ in range(6):
        status, body, headers = await bench.get("/api/v3/exchangeInfo")
        seen.append((status, headers["X-MBX-USED-WEIGHT-1M"], headers.get("Retry-After")))
    assert [status for status, _, _ in seen] == [200, 200, 200, 429, 429, 418]
    assert [used for _, used, _ in seen] == ["20", "40", "60", "60", "60", "60"]
    assert seen[0][2] is None
    assert 1 <= int(seen[3][2]) <= 60
    assert seen[5][2] == "120"
    assert body["code"] == -1003
    bench.clock.now += 121
    assert (await bench.get("/api/v3/ping"))[0] == 200


async def test_error_body_is_the_venues(bench):
    status, body, _ = await bench.get("/api/v3/depth", symbol="NOPE")
    assert (status, body) == (400, {"code": -1121, "msg": "Invalid symbol."})


async def test_rest_can_speak_microseconds(bench):
    url = bench.exchange.rest_url + "/api/v3/time"
    async with bench.session.get(url, headers={"X-MBX-TIME-UNIT": "MICROSECOND"}) as response:
        assert await response.json() == {"serverTime": START}


async def test_missed_trades_can_be_fetched_by_id(bench):
    client = await bench.listen("btcusdt@aggTrade")
    fault = Fault(kind="drop", count=5, target="*@aggTrade", every_secs=0.2, after_secs=1.0)
    bench.exchange.faults.add(fault, bench.exchange.market.now)
    await bench.advance(5)
    await client.settle()
    got = {row["a"] for row in client.of("btcusdt@aggTrade")}
    missing = sorted(set(range(min(got), max(got) + 1)) - got)
    assert len(missing) == 5
    lost = [json.loads(applied.text)["a"] for applied in bench.exchange.faults.applied]
    assert lost == missing
    for number in missing:
        _, rows, _ = await bench.get(
            "/api/v3/aggTrades", symbol="BTCUSDT", fromId=str(number), limit="1"
        )
        assert rows[0]["a"] == number


# --- truth, life, live drive --------------------------------------------------------------------


async def test_truth_is_told_without_faults_and_limits(open_bench):
    bench = await open_bench(rules=Rules(weight=1))
    await bench.add(kind="http", count=None, target="*")
    await bench.advance(3)
    market = bench.exchange.market
    first = market.trades("BTCUSDT")[0].id
    _, rows, _ = await bench.get(
        "/sim/truth/trades", symbol="BTCUSDT", fromId=str(first), limit="1000"
    )
    assert [row["id"] for row in rows] == [t.id for t in market.trades("BTCUSDT")]
    _, bars, _ = await bench.get("/sim/truth/klines", symbol="BTCUSDT", interval="1m", limit="2")
    assert len(bars) == 2
    assert (await bench.get("/sim/truth/moon"))[0] == 404
    assert (await bench.get("/sim/truth/book", symbol="X"))[0] == 400
    assert (await bench.get("/sim/state"))[1]["symbols"] == 4


async def test_shock_by_http_moves_the_market(bench):
    before = bench.exchange.market.book("BTCUSDT").bids[0][0]
    url = bench.exchange.rest_url + "/sim/shock"
    async with bench.session.post(url, json={"change": -0.1, "fall_secs": 2}) as response:
        assert response.status == 200
    await bench.advance(4)
    assert bench.exchange.market.book("BTCUSDT").bids[0][0] < before * 0.95
    async with bench.session.post(url, json={"change": -2}) as response:
        assert response.status == 400


async def test_stopped_exchange_returns_on_the_same_port(bench):
    client, port = await bench.listen("btcusdt@trade"), bench.exchange.port
    await bench.exchange.stop()
    assert await client.ended() == 1006
    await bench.exchange.start()
    assert bench.exchange.port == port
    again = await bench.listen("btcusdt@trade")
    assert await bench.heard(again)


async def test_live_exchange_sends_by_itself():
    market = open_market(start=START, symbols=2, rate=20.0)
    async with SimulatedExchange(market) as exchange, aiohttp.ClientSession() as session:
        url = exchange.ws_url + "/stream?streams=btcusdt@trade/btcusdt@depth@100ms"
        client = Client(await session.ws_connect(url))
        await client.until(lambda: len({frame["stream"] for frame in client.frames}) == 2)
        await client.close()


async def test_market_opened_just_now_shows_the_time_of_day():
    opened = time.time_ns() // 1_000 - 5 * SECOND
    market = open_market(start=opened, symbols=1)
    async with SimulatedExchange(market) as exchange, aiohttp.ClientSession() as session:
        client = Client(await session.ws_connect(exchange.ws_url + "/ws/btcusdt@bookTicker"))
        await client.until(lambda: client.frames)
        await client.close()
    assert market.now >= opened + 5 * SECOND
    assert exchange.skipped_micros == 0
