"""The server on real sockets: what a browser, a script, a slow reader and a fool would meet."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapewatch.cli import tail
from tapewatch.model.errors import ConfigError, NotFound, Unavailable
from tapewatch.model.events import Coverage, Gap, Holding
from tapewatch.model.instrument import Instrument
from tapewatch.ports import LinkState, Subscription
from tapewatch.serve.app import Server
from tapewatch.serve.context import Options
from tapewatch.serve.live import Hub
from tapewatch.serve.operations import OPERATIONS
from tests.ports import free_port, nobody
from tests.serving import BTC, ETH, MINUTE, NOW, Feeder, World, book, candle, link, ticker, trade

SECS = 60  # a deadline, not a measure


class Running:
    """A server that listens, a feed into its hub, and a client session."""

    def __init__(self, world: World, server: Server, hub: Hub, reader: Feeder) -> None:
        self.world, self.server, self.hub, self.reader = world, server, hub, reader
        self.session = aiohttp.ClientSession(server.url)

    async def get(self, path: str, **more) -> tuple[int, dict]:
        async with self.session.get(path, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, **more) -> tuple[int, dict]:
        async with self.session.post(path, **more) as answer:
            return answer.status, await answer.json(content_type=None)

    def happen(self, *events) -> None:
        self.world.hot.update(events)
        self.reader.feed(*events)

    async def clients(self, count: int) -> None:
        async with asyncio.timeout(SECS):
            while self.hub.clients != count:  # noqa: ASYNC110 - the hub has nobody to tell
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(**options) -> AsyncIterator[Running]:
    world, reader = World(), Feeder()
    hub = Hub(reader, world.context, flush_secs=0.005, patience_secs=options.pop("patience", 5.0))
    server = Server(world.context, hub, Options(port=0, **options))
    server.bind()
    tasks = [asyncio.create_task(worker.run()) for worker in (hub, server)]
    one = Running(world, server, hub, reader)
    try:
        yield one
    finally:
        await one.session.close()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def receive(ws: aiohttp.ClientWebSocketResponse, kind: str) -> dict:
    """The next message of this type; others are passed over."""
    async with asyncio.timeout(SECS):
        while True:
            message = await ws.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            if message.data != "pong" and (body := json.loads(message.data))["type"] == kind:
                return body


# --- REST ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        op.path
        for op in OPERATIONS
        if op.method == "GET" and "{" not in op.path and op.handler is not None
    ],
)
async def test_every_plain_address_answers(path):
    async with running() as one, one.session.get(path) as answer:
        assert answer.status == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "tapewatch"
        assert answer.headers["X-Request-Id"]
        assert await answer.read()


async def test_every_route_is_in_the_openapi():
    async with running() as one:
        _, document = await one.get("/openapi.json")
        assert document["openapi"].startswith("3.1")
        assert set(document["paths"]) == {op.path for op in OPERATIONS}


async def test_prices_come_by_symbol():
    async with running() as one:
        one.world.hot.update([trade(BTC, 50_000.5), ticker(ETH, 3_000.0)])
        _, prices = await one.get("/prices")
        assert prices["BTCUSDT"]["price"] == 50_000.5
        assert prices["ETHUSDT"]["price"] == 3_000.0


@pytest.mark.parametrize(
    "spelling", ["BTCUSDT", "btc-usdt", "BTC%2FUSDT", "BTC/USDT", "binance:BTC/USDT"]
)
async def test_history_takes_any_spelling(spelling):
    async with running() as one:
        one.world.query.rows = [candle(NOW - i * MINUTE) for i in (3, 2, 1)]
        status, body = await one.get(f"/historical/{spelling}?interval=60s&start=-24h&limit=2")
        assert status == 200
        assert (body["symbol"], body["interval"], body["count"]) == ("BTCUSDT", "1m", 2)
        assert (body["has_more"], body["next_offset"]) == (True, 2)
        assert [row["ts"] for row in body["data"]] == [NOW - 3 * MINUTE, NOW - 2 * MINUTE]


async def test_a_question_that_the_store_cannot_answer_is_the_askers_fault_and_no_bug():
    async with running() as one:
        one.world.query.error = ValueError("90s is not made of whole stored candles (1m)")
        for path in ("/historical/BTCUSDT?interval=90s", "/completeness?symbol=BTCUSDT"):
            status, body = await one.get(path)
            assert (status, body["type"]) == (400, "/problems/bad-parameter"), body
            assert "not made of whole stored candles" in body["detail"]


async def test_history_without_a_start_gives_the_newest():
    async with running() as one:
        one.world.query.rows = [candle(NOW - i * MINUTE) for i in (3, 2, 1)]
        _, body = await one.get("/historical/BTCUSDT?limit=2")
        assert [row["ts"] for row in body["data"]] == [NOW - 2 * MINUTE, NOW - MINUTE]
        assert body["has_more"] is True
        _, body = await one.get("/historical/BTCUSDT?limit=2&offset=2")
        assert [row["ts"] for row in body["data"]] == [NOW - 3 * MINUTE]
        assert body["has_more"] is False


async def test_bad_parameters_are_all_told():
    async with (
        running() as one,
        one.session.get("/historical/BTCUSDT?interval=7q&start=soon&limit=0&colour=red") as answer,
    ):
        assert answer.status == 400
        assert answer.content_type == "application/problem+json"
        assert "colour" in (await answer.json(content_type=None))["detail"]
    async with running() as one:
        status, body = await one.get("/historical/BTCUSDT?interval=7q&start=soon&limit=0")
        assert status == 400
        assert [e["pointer"] for e in body["errors"]] == ["?interval", "?start", "?limit"]


async def test_an_unknown_symbol_is_404_with_the_nearest():
    async with running() as one:
        status, body = await one.get("/historical/BTCUSD")
        assert status == 404
        assert BTC in body["suggestions"]
        assert body["instance"] == "/historical/BTCUSD"


async def test_a_question_that_takes_too_long_is_504():
    async with running(query_secs=0.05) as one:
        one.world.query.gate = asyncio.Event()
        status, body = await one.get("/historical/BTCUSDT")
        assert status == 504
        assert "shorter range" in body["detail"]


async def test_slow_questions_do_not_hold_up_health():
    async with running(max_queries=1) as one:
        one.world.query.gate = asyncio.Event()
        slow = [asyncio.create_task(one.get("/historical/BTCUSDT")) for _ in range(3)]
        status, _ = await one.get("/health")
        assert status == 200
        one.world.query.gate.set()
        assert [status for status, _ in await asyncio.gather(*slow)] == [200, 200, 200]


async def test_a_store_that_is_away_is_503_and_says_when_to_come_back():
    async with running() as one:
        one.world.query.error = Unavailable("the disk is away", retry_after=7)
        async with one.session.get("/historical/BTCUSDT") as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "7"


async def test_a_bug_shows_its_request_id_and_nothing_else(caplog):
    async with running() as one:
        one.world.query.error = KeyError("secret path /etc")
        async with one.session.get(
            "/historical/BTCUSDT", headers={"X-Request-Id": "abc-123"}
        ) as answer:
            text = await answer.text()
        assert answer.status == 500
        assert json.loads(text)["request_id"] == "abc-123"
        assert "secret" not in text
        assert "Traceback" not in text
    assert any(record.msg == "request_failed" for record in caplog.records)


async def test_a_book_is_served_only_while_it_is_proven():
    async with running() as one:
        assert (await one.get("/book/BTCUSDT"))[0] == 404
        one.world.hot.update([book()])
        status, body = await one.get("/book/BTCUSDT?depth=3")
        assert (status, body["proven"], len(body["bids"])) == (200, True, 3)
        one.world.hot.update([Gap(NOW, NOW, BTC, "depth", "sequence broken")])
        status, body = await one.get("/book/BTCUSDT")
        assert status == 503
        assert "sequence broken" in body["detail"]


async def test_coverage_tells_the_holes():
    async with running() as one:
        one.world.ledger.entries = [
            Coverage(NOW, NOW, BTC, "aggTrade", 1, 98, Holding.HAVE),
            Coverage(NOW, NOW, BTC, "aggTrade", 99, 100, Holding.LOST, "too old"),
        ]
        _, body = await one.get("/coverage?symbol=BTCUSDT")
        assert body["streams"][0]["proven_percent"] == 98.0
        assert body["ranges"][0]["reason"] == "too old"


async def test_subscribing_and_unsubscribing():
    async with running() as one:
        status, body = await one.post("/symbol/ethusdt/subscribe?streams=ticker,depth")
        assert (status, body["status"]) == (200, "success")
        assert body["streams"] == ["ETHUSDT@ticker", "ETHUSDT@depth"]
        _, symbols = await one.get("/symbols")
        assert "ETHUSDT@depth" in symbols["subscribed_streams"]
        status, _ = await one.post("/symbol/ETH/USDT/unsubscribe")
        assert status == 200
        assert (await one.post("/symbol/ETHUSDT/unsubscribe"))[0] == 404
        assert (await one.post("/symbol/ETHUSDT/subscribe?streams=dept"))[0] == 404


async def test_health_is_503_when_nothing_flows():
    async with running() as one:
        one.world.links = [link(LinkState.BLOCKED, error="451 restricted location")]
        for path in ("/health", "/health/ready", "/health/detailed"):
            assert (await one.get(path))[0] == 503
        assert (await one.get("/health/live"))[0] == 200
        assert "451" in (await one.get("/health"))[1]["problems"][0]


async def test_the_same_health_on_a_second_port():
    port = free_port()
    async with running(health_port=port) as one:
        status, body = await one.get(f"http://127.0.0.1:{port}/health")
        assert status == 200
        assert {"status", "produced", "dlq", "ws_connected"} <= set(body)


async def test_what_is_not_there_is_a_problem_too():
    async with running() as one:
        assert (await one.get("/nothing"))[1]["type"] == "/problems/not-found"
        status, body = await one.post("/prices")
        assert (status, body["type"]) == (405, "/problems/method-not-allowed")
        assert (await one.get("/ws"))[0] == 426
        status, kind = await one.get("/problems/timeout")
        assert (status, kind["status"]) == (200, 504)
        assert (await one.get("/problems/none"))[0] == 404


async def test_a_large_body_is_refused():
    async with running(max_body_bytes=1_000) as one:
        status, body = await one.post("/symbol/ETHUSDT/subscribe", data=b"x" * 5_000)
        assert (status, body["type"]) == (413, "/problems/too-large")


async def test_no_secret_and_no_python_in_the_configuration():
    async with running() as one:
        _, body = await one.get("/config")
        assert body["settings"]["alerts"]["email"]["password"] == "***"


async def test_exchanges_and_stores():
    async with running() as one:
        _, body = await one.get("/exchanges")
        states = {e["name"]: (e["enabled"], e["state"]) for e in body["exchanges"]}
        assert states == {"binance": (True, "live"), "okx": (False, "off")}
        _, body = await one.get("/storage")
        assert [(s["name"], s["written"]) for s in body["stores"]] == [("parquet", 980)]


async def test_head_is_answered_without_a_body():
    async with running() as one, one.session.head("/health") as answer:
        assert answer.status == 200
        assert await answer.read() == b""


PLAIN = [op for op in OPERATIONS if op.handler is not None]


async def test_nonsense_is_refused_and_never_breaks_anything():
    """Any text for any parameter of any address: an answer or a 4xx with a problem, no 5xx."""
    loop = asyncio.get_running_loop()
    async with running() as one:

        async def ask(operation, path: str, name: str, value: str) -> None:
            if "subscribe" in path:
                one.world.control.wanted.clear()
            async with one.session.request(operation.method, path, params={name: value}) as answer:
                body = await answer.read()
                assert answer.status < 500, (path, name, value, body)
                if answer.status >= 400:
                    assert answer.content_type == "application/problem+json"
                    assert json.loads(body)["detail"]

        @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(PLAIN), st.text(max_size=30), st.text(max_size=30), st.data())
        def fuzz(operation, symbol, value, data):
            names = [p.name for p in operation.params if p.where == "query"] + ["x" + value]
            name = data.draw(st.sampled_from(names))
            path = operation.path.replace("{symbol}", quote(symbol, safe="") or "x")
            path = path.replace("{slug}", quote(symbol, safe="") or "x")
            asyncio.run_coroutine_threadsafe(ask(operation, path, name, value), loop).result(SECS)

        await loop.run_in_executor(None, fuzz)


# --- other origins -------------------------------------------------------------------------------

EVIL = {"Origin": "https://evil.example"}


async def test_another_pages_origin_may_not_change_or_listen():
    async with running() as one:
        status, body = await one.post("/symbol/ETHUSDT/subscribe", headers=EVIL)
        assert (status, body["type"]) == (403, "/problems/forbidden-origin")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await one.session.ws_connect("/ws", headers=EVIL)
        assert refused.value.status == 403
        async with one.session.get("/prices", headers=EVIL) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_our_own_page_and_programs_may():
    async with running() as one:
        for headers in ({"Origin": one.server.url}, {}):
            assert (await one.post("/symbol/ETHUSDT/subscribe", headers=headers))[0] == 200
            async with one.session.ws_connect("/ws", headers=headers) as ws:
                await ws.send_str("ping")
                assert (await ws.receive(SECS)).data == "pong"


@pytest.mark.parametrize("allowed", ["*", "https://evil.example"])
async def test_origins_that_the_settings_name_may(allowed):
    async with running(cors_origins=(allowed,)) as one:
        preflight = EVIL | {"Access-Control-Request-Method": "POST"}
        async with one.session.options("/symbol/ETHUSDT/subscribe", headers=preflight) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://evil.example"
        assert (await one.post("/symbol/ETHUSDT/subscribe", headers=EVIL))[0] == 200


# --- WebSocket -----------------------------------------------------------------------------------


async def test_prices_arrive_on_the_wire():
    async with running() as one:
        one.world.hot.update([trade(ETH, 3_000.0)])
        async with one.session.ws_connect("/ws/price") as ws:
            assert (await receive(ws, "price_update"))["symbol"] == "ETHUSDT"
            one.happen(trade(BTC, 50_000.0))
            message = await receive(ws, "price_update")
            assert (message["symbol"], message["price"]) == ("BTCUSDT", 50_000.0)


async def test_subscribing_narrows_and_is_confirmed():
    async with running() as one, one.session.ws_connect("/ws/price") as ws:
        await ws.send_str("subscribe:ETHUSDT")
        assert (await receive(ws, "subscribed"))["symbols"] == ["ETHUSDT"]
        one.happen(trade(BTC, 1.0), trade(ETH, 2.0))
        assert (await receive(ws, "price_update"))["symbol"] == "ETHUSDT"
        await ws.send_str("unsubscribe:ETHUSDT")
        assert (await receive(ws, "unsubscribed"))["symbols"] == []


async def test_a_symbol_of_two_venues_is_followed_on_both_and_priced_under_its_full_name():
    async with running() as one:
        one.world.context.catalogue.add(Instrument("okx", "ETH", "USDT", "ETH-USDT"))
        one.world.context.catalogue.add(Instrument("bybit", "ETH", "USDT", "ETHUSDT"))
        one.world.control.wanted.add(Subscription("bybit:ETH/USDT", "trades"))
        one.world.control.wanted.add(Subscription(ETH, "aggTrade"))
        async with one.session.ws_connect("/ws/price") as ws:
            await ws.send_str("subscribe:ETHUSDT")
            assert set((await receive(ws, "subscribed"))["insts"]) == {"bybit:ETH/USDT", ETH}
            one.happen(trade(ETH, 2.0), trade("bybit:ETH/USDT", 3.0), trade(BTC, 1.0))
            prices = {(await receive(ws, "price_update"))["price"] for _ in range(2)}
            assert prices == {2.0, 3.0}
        status, body = await one.get("/prices")
        assert (status, set(body)) == (200, {"bybit:ETH/USDT", ETH, "BTCUSDT"})
        status, body = await one.get("/historical/ETHUSDT")
        assert (status, body["type"]) == (400, "/problems/ambiguous")
        assert body["suggestions"] == [ETH, "bybit:ETH/USDT"]


async def test_naming_what_nobody_collects_starts_collecting_it():
    async with running() as one:
        async with one.session.ws_connect("/ws/price") as ws:
            await ws.send_str("subscribe:SOLUSDT")
            await receive(ws, "subscribed")
        assert any(s.inst == "binance:SOL/USDT" for s in one.world.control.wanted)


@pytest.mark.parametrize("text", ["subscribe:NOTHING", "hello", "", "subscribe"])
async def test_a_command_that_makes_no_sense_is_answered_not_punished(text):
    async with running() as one, one.session.ws_connect("/ws/price") as ws:
        await ws.send_str(text)
        assert (await receive(ws, "error"))["data"]["detail"]
        await ws.send_str("ping")
        assert (await ws.receive(SECS)).data == "pong"


async def test_events_arrive_with_type_and_data():
    async with running() as one, one.session.ws_connect("/ws?types=trade,orderbook") as ws:
        await ws.send_str("ping")
        assert (await ws.receive(SECS)).data == "pong"
        one.happen(trade(number=5), book(), ticker())
        assert (await receive(ws, "trade"))["data"]["id"] == "5"
        assert (await receive(ws, "orderbook"))["data"]["proven"] is True


async def test_a_wrong_type_or_symbol_is_refused_before_the_handshake():
    async with running() as one:
        for query in ("types=trades", "symbols=NOTHING", "colour=red"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await one.session.ws_connect(f"/ws?{query}")
            assert refused.value.status in {400, 404}


async def test_more_clients_than_fit_are_refused():
    async with running(max_clients=1) as one, one.session.ws_connect("/ws") as ws:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await one.session.ws_connect("/ws")
        assert refused.value.status == 503
        await ws.send_str("ping")
        assert (await ws.receive(SECS)).data == "pong"


async def test_too_many_commands_close_the_connection():
    async with running() as one, one.session.ws_connect("/ws") as ws:
        with contextlib.suppress(ConnectionResetError):
            for _ in range(200):
                await ws.send_str("ping")
        async with asyncio.timeout(SECS):
            while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert ws.close_code == 4029


async def test_a_client_that_does_not_read_freezes_nobody_and_is_closed():
    async with running(patience=0.05) as one:
        stalled = await _stalled_client(one.server.port)
        async with one.session.ws_connect("/ws?types=trade") as ws:
            await one.clients(2)
            number = 0
            async with asyncio.timeout(SECS):
                while one.hub.stats.closed_slow == 0:
                    number += 1
                    one.happen(*(trade(number=number) for _ in range(200)))
                    for _ in range(200):
                        assert (await receive(ws, "trade"))["data"]["id"] == str(number)
            await one.clients(1)
            one.happen(trade(number=-1))
            while (await receive(ws, "trade"))["data"]["id"] != "-1":
                pass
        assert one.hub.stats.dropped > 0
        stalled.close()


async def _stalled_client(port: int) -> socket.socket:
    """Shake hands, then never read again."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", port))
    await loop.sock_sendall(
        raw,
        b"GET /ws?types=trade HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    )
    assert b"101" in await loop.sock_recv(raw, 1_000)
    return raw


async def test_a_client_that_vanishes_is_forgotten():
    async with running() as one:
        stalled = await _stalled_client(one.server.port)
        await one.clients(1)
        stalled.close()
        await one.clients(0)


async def test_clients_are_told_when_the_server_stops():
    world, reader = World(), Feeder()
    hub = Hub(reader, world.context)
    server = Server(world.context, hub, Options(port=0))
    server.bind()
    task = asyncio.create_task(server.run())
    async with aiohttp.ClientSession(server.url) as session, session.ws_connect("/ws") as ws:
        task.cancel()
        assert (await ws.receive(SECS)).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 1001
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, SECS)


# --- ports ---------------------------------------------------------------------------------------


def test_a_port_that_is_taken_names_the_setting():
    world = World()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(world.context, Hub(Feeder(), world.context), Options(port=port))
        with pytest.raises(ConfigError, match=r"server\.port"):
            server.bind()


def test_a_host_that_is_not_ours_names_the_setting():
    world = World()
    options = Options(host="192.0.2.1", port=0)
    with pytest.raises(ConfigError, match=r"server\.host"):
        Server(world.context, Hub(Feeder(), world.context), options).bind()


# --- tapewatch tail ------------------------------------------------------------------------------


async def test_tail_prints_what_is_worth_it(capsys):
    async with running() as one:
        printing = asyncio.create_task(
            tail._print("trade", "BTCUSDT", one.server.url, 100.0, False)
        )
        await one.clients(1)
        one.happen(trade(price=1.0), trade(ETH), trade(price=50_000.0))
        async with asyncio.timeout(SECS):
            while not (out := capsys.readouterr().out):  # noqa: ASYNC110 - a print tells nobody
                await asyncio.sleep(0)
        printing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await printing
    assert out.count("\n") == 1
    assert "binance:BTC/USDT" in out
    assert "12,500.00 USDT" in out


async def test_tail_of_an_unknown_symbol_names_the_nearest():
    async with running() as one:
        with pytest.raises(NotFound) as unknown:
            await tail._print("trade", "BTCUSD", one.server.url, 0, False)
    assert BTC in unknown.value.suggestions


async def test_tail_without_a_server_says_what_to_do():
    with nobody() as port, pytest.raises(Unavailable, match="tapewatch run"):
        await tail._print("trade", "", f"http://127.0.0.1:{port}", 0, False)


async def test_tail_ends_when_the_server_stops():
    async with running() as one:
        printing = asyncio.create_task(tail._print("trade", "", one.server.url, 0, False))
        await one.clients(1)
    with pytest.raises(Unavailable, match="1001"):
        await asyncio.wait_for(printing, SECS)
