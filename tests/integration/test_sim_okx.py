"""The simulated OKX over real sockets, driven by hand."""

import asyncio
import dataclasses
import functools
import json
from itertools import pairwise
from zlib import crc32

import aiohttp
import pytest
from msgspec import structs

from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import KINDS, Fault
from tapewatch.sim.okx import FAULT_TEXTS
from tapewatch.sim.okx_texts import plain, size
from tapewatch.sim.venues import open_venue
from tests.integration.sim_bench import DEADLINE, START, ByHand, Clock

SWAP, SPOT = "BTC-USDT-SWAP", "BTC-USDT"
PUBLIC, BUSINESS = "/ws/v5/public", "/ws/v5/business"


class Client:
    """Reads all the time."""

    def __init__(self, socket):
        self.socket = socket
        self.texts = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def _read(self):
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.texts.append(message.data)
                self._news.set()
        self._news.set()

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def settle(self):
        """All that was sent before now is here when this returns."""
        count = self.texts.count("pong")
        await self.socket.send_str("ping")
        await self.until(lambda: self.texts.count("pong") > count)

    async def ask(self, op, *args, **more):
        """The answers, one for each arg."""
        count = len(self.texts)
        await self.socket.send_str(json.dumps({**more, "op": op, "args": list(args)}))
        await self.settle()
        said = [json.loads(text) for text in self.texts[count:] if text != "pong"]
        return [answer for answer in said if "event" in answer]

    async def ended(self):
        await self.until(self._task.done)
        return self.socket.close_code

    def rows(self, channel):
        """What could be read of a channel."""
        found = []
        for text in self.texts:
            try:
                said = json.loads(text)
            except json.JSONDecodeError:
                continue
            if isinstance(said, dict) and said.get("arg", {}).get("channel") == channel:
                found += [(said.get("action"), row) for row in said.get("data", [])]
        return found

    async def close(self):
        await self.socket.close()
        await self._task


@dataclasses.dataclass
class Bench:
    exchange: SimulatedExchange
    session: aiohttp.ClientSession
    clock: Clock
    clients: list

    @property
    def market(self):
        return self.exchange.market

    async def connect(self, path=PUBLIC):
        self.clients.append(Client(await self.session.ws_connect(self.exchange.ws_url + path)))
        return self.clients[-1]

    async def listen(self, *channels, symbol=SWAP, path=PUBLIC):
        client = await self.connect(path)
        args = ({"channel": channel, "instId": symbol} for channel in channels)
        answers = await client.ask("subscribe", *args)
        assert [answer["event"] for answer in answers] == ["subscribe"] * len(channels)
        return client

    async def advance(self, secs):
        await self.exchange.advance(int(secs * 1_000_000))
        for client in self.clients:
            if not client.socket.closed:
                await client.settle()

    async def get(self, path, **query):
        async with self.session.get(self.exchange.rest_url + path, params=query) as response:
            return response.status, await response.json(content_type=None)

    async def tend(self, secs):
        """Let the steady clock go on and the connections be looked after."""
        self.clock.now += secs
        self.exchange.sockets.tend()

    def fault(self, kind, target="*", **more):
        self.exchange.faults.add(Fault(kind=kind, target=target, **more), self.market.now)


@pytest.fixture
async def open_bench():
    opened = []

    async def bench(*, checksums=False, symbols=6, rate=1.0, **rules):
        world, make, own = open_venue("okx", start=START, symbols=symbols, rate=rate)
        clock = Clock()
        exchange = ByHand(
            world, venue=functools.partial(make, checksums=checksums), live=False, clock=clock,
            rules=structs.replace(own, **rules),
        )  # fmt: skip
        await exchange.start()
        opened.append(Bench(exchange, aiohttp.ClientSession(), clock, []))
        return opened[-1]

    yield bench
    for each in opened:
        for client in each.clients:
            await client.close()
        await each.session.close()
        await each.exchange.stop()


@pytest.fixture
async def bench(open_bench):
    return await open_bench()


def followed(rows):
    """The book by the venue's rule, and how often the chain broke."""
    sides, last, breaks = {"bids": {}, "asks": {}}, None, 0
    for action, row in rows:
        if action == "snapshot":
            sides = {"bids": {}, "asks": {}}
        elif row["prevSeqId"] != last:
            breaks += 1
        last = row["seqId"]
        for name, levels in sides.items():
            for price, qty, *_ in row[name]:
                levels[price] = qty
                if qty == "0":
                    del levels[price]
    return sides, breaks


def true_book(market, symbol):
    pair, view = market.listing(symbol), market.book(symbol)
    return {
        name: {plain(price): size(pair, price, qty) for price, qty in rows}
        for name, rows in (("bids", view.bids), ("asks", view.asks))
    }


# --- conversation -------------------------------------------------------------------------------


async def test_both_sockets_serve_their_channels(bench):
    public = await bench.listen("trades", "bbo-tbt", "books", "books5", "tickers", "mark-price")
    business = await bench.listen("candle1m", "trades-all", path=BUSINESS)
    await bench.advance(3)
    for channel in ("trades", "bbo-tbt", "books", "books5", "tickers", "mark-price"):
        assert public.rows(channel), channel
    for channel in ("candle1m", "trades-all"):
        assert business.rows(channel), channel


async def test_wrong_socket_is_an_error_and_the_connection_stays(bench):
    client = await bench.connect()
    (answer,) = await client.ask("subscribe", {"channel": "candle1m", "instId": SPOT}, id="a1")
    assert (answer["event"], answer["code"], answer["id"]) == ("error", "60018", "a1")
    (answer,) = await client.ask("subscribe", {"channel": "tickers", "instId": SPOT})
    assert answer["event"] == "subscribe"


async def test_other_paths_are_no_sockets(bench):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect("/ws/v5/private")
    assert caught.value.status == 404


async def test_unsubscribed_channel_is_silent(bench):
    client = await bench.listen("trades", "tickers")
    await client.ask("unsubscribe", {"channel": "trades", "instId": SWAP})
    count = len(client.rows("tickers"))
    await bench.advance(3)
    assert client.rows("trades") == []
    assert len(client.rows("tickers")) > count


async def test_book_kept_by_the_venues_rule_is_the_true_one(bench):
    client = await bench.listen("books")
    await bench.advance(5)
    assert followed(client.rows("books")) == (true_book(bench.market, SWAP), 0)


async def test_book_of_rest_is_that_of_the_channel(open_bench):
    bench = await open_bench(snapshot_age_micros=0)
    client = await bench.listen("books", symbol=SPOT)
    await bench.advance(2)
    _, answer = await bench.get("/api/v5/market/books", instId=SPOT, sz="400")
    (row,) = answer["data"]
    assert row["seqId"] == client.rows("books")[-1][1]["seqId"]
    sides, _ = followed(client.rows("books"))
    assert {price: qty for price, qty, *_ in row["asks"]} == sides["asks"]


async def test_maintenance_lets_numbers_begin_anew_and_breaks_nothing(bench):
    client = await bench.listen("books")
    await bench.advance(1)
    bench.exchange.venue.reset_sequences()
    await bench.advance(1)
    numbers = [row["seqId"] for _, row in client.rows("books")]
    assert sum(b < a for a, b in pairwise(numbers)) == 1
    assert followed(client.rows("books")) == (true_book(bench.market, SWAP), 0)


# --- life of a connection -----------------------------------------------------------------------


async def test_idle_connection_is_closed_and_one_that_pings_stays(bench):
    bench.clock.runs = False
    quiet = await bench.listen("trades")
    pinging = await bench.listen("trades")
    await bench.tend(20)
    await pinging.settle()
    await bench.tend(10)
    assert await quiet.ended() == 4004
    await pinging.settle()
    assert bench.exchange.state()["clients"] == 1


async def test_connection_without_subscription_is_closed(bench):
    bench.clock.runs = False
    client = await bench.connect()
    await bench.tend(29)
    await client.settle()
    await bench.tend(1)
    assert await client.ended() == 4004


async def test_upgrade_is_announced_a_minute_before_the_cut(open_bench):
    bench = await open_bench(max_age_secs=100.0)
    bench.clock.runs = False
    client = await bench.listen("trades")
    for _ in range(2):
        await bench.tend(20)
        await client.settle()
    notices = [json.loads(text) for text in client.texts if "notice" in text]
    assert [(notice["event"], notice["code"]) for notice in notices] == [("notice", "64008")]
    for _ in range(2):
        await bench.tend(25)
        await client.settle()
    await bench.tend(10)
    assert await client.ended() == 1001
    assert sum("64008" in text for text in client.texts) == 1


async def test_fourth_connection_within_a_second_is_refused(bench):
    bench.clock.runs = False
    for _ in range(3):
        await bench.connect()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.connect()
    assert caught.value.status == 429
    bench.clock.now += 1
    await bench.connect()


async def test_481st_request_of_an_hour_is_refused(bench):
    bench.clock.runs = False
    client = await bench.connect()
    arg = {"channel": "trades", "instId": SPOT}
    for op in ["subscribe", "unsubscribe"] * 240:
        await client.socket.send_str(json.dumps({"op": op, "args": [arg]}))
    await client.settle()
    (answer,) = await client.ask("subscribe", arg)
    assert answer["code"] == "60014"
    bench.clock.now += 3_600
    (answer,) = await client.ask("subscribe", arg)
    assert answer["event"] == "subscribe"


# --- REST ---------------------------------------------------------------------------------------


async def test_missed_trades_can_be_fetched_by_id(open_bench):
    bench = await open_bench(rate=5.0)
    client = await bench.listen("trades")
    bench.fault("drop", "trades|*", count=5, every_secs=0.3, after_secs=1.0)
    await bench.advance(5)
    rows = [row for _, row in client.rows("trades")]
    holes = [
        (int(a["tradeId"]), int(b["tradeId"]) - int(b["count"]))
        for a, b in pairwise(rows)
        if int(b["tradeId"]) - int(b["count"]) != int(a["tradeId"])
    ]
    lost = [json.loads(each.text)["data"][0] for each in bench.exchange.faults.applied]
    assert len(lost) == 5
    fetched = []
    for last, newest in holes:
        _, answer = await bench.get(
            "/api/v5/market/history-trades", instId=SWAP, after=str(newest + 1),
            limit=str(newest - last),
        )  # fmt: skip
        fetched += [int(row["tradeId"]) for row in answer["data"]]
    told = {int(row["tradeId"]) - k for row in lost for k in range(int(row["count"]))}
    assert set(fetched) == told


async def test_refusals_are_the_venues(bench):
    assert (await bench.get("/api/v5/market/ticker", instId="X"))[1]["code"] == "51001"
    status, answer = await bench.get("/api/v5/market/moon")
    assert (status, answer["code"]) == (404, "404")
    for _ in range(10):
        assert (await bench.get("/api/v5/public/time"))[0] == 200
    status, answer = await bench.get("/api/v5/public/time")
    assert (status, answer["code"]) == (429, "50011")


async def test_large_answers_come_whole(open_bench):
    bench = await open_bench(symbols=200)
    for kind in ("SPOT", "SWAP"):
        _, answer = await bench.get("/api/v5/public/instruments", instType=kind)
        assert len(answer["data"]) > 80


async def test_truth_is_told(bench):
    await bench.advance(2)
    _, answer = await bench.get("/sim/truth/trades", instId=SPOT, limit="3")
    assert answer["data"][0]["tradeId"] == str(bench.market.trades(SPOT)[-1].id)
    assert (await bench.get("/sim/truth/moon"))[0] == 404
    assert (await bench.get("/sim/state"))[1]["venue"] == "okx"


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "wrong_sequence"])
async def test_fault_in_the_book_is_seen_and_healed_by_subscribing_anew(bench, kind):
    client = await bench.listen("books")
    await bench.advance(1)
    bench.fault(kind, "books|*")
    await bench.advance(1)
    assert followed(client.rows("books"))[1] >= 1
    arg = {"channel": "books", "instId": SWAP}
    await client.ask("unsubscribe", arg)
    client.texts.clear()
    await client.ask("subscribe", arg)
    await bench.advance(1)
    assert followed(client.rows("books")) == (true_book(bench.market, SWAP), 0)


async def test_wrong_sequence_moves_ids_of_trades(bench):
    client = await bench.listen("trades")
    bench.fault("wrong_sequence", "trades|*", shift=1_000_000)
    await bench.advance(3)
    (wrong,) = bench.exchange.faults.applied
    true_id = json.loads(wrong.text)["data"][0]["tradeId"]
    assert client.rows("trades")[0][1]["tradeId"] == str(int(true_id) + 1_000_000)


async def test_duplicate_and_reordered_frames_break_the_chain(bench):
    for kind in ("duplicate", "reorder"):
        client = await bench.listen("books")
        await bench.advance(0.5)
        bench.fault(kind, "books|*")
        await bench.advance(1)
        assert followed(client.rows("books"))[1] >= 1, kind


async def test_stalled_stream_is_silent_while_the_socket_is_open(bench):
    client = await bench.listen("books", "tickers")
    await bench.advance(0.5)
    bench.fault("stall", "books|*", secs=2)
    await bench.advance(0.1)
    count, others = len(client.rows("books")), len(client.rows("tickers"))
    await bench.advance(1.5)
    assert len(client.rows("books")) == count
    assert len(client.rows("tickers")) > others


async def test_slow_frames_come_later(bench):
    client = await bench.listen("tickers")
    bench.fault("slow", "tickers|*", count=None, secs=1)
    await bench.advance(0.9)
    assert len(client.rows("tickers")) == 1  # of the subscription
    await bench.advance(1)
    assert len(client.rows("tickers")) > 3


async def test_garbage_is_no_frame_of_the_venue(bench):
    client = await bench.listen("bbo-tbt")
    bench.fault("garbage", count=None)
    await bench.advance(3)
    assert {*FAULT_TEXTS.nonsense} <= {*client.texts}


async def test_close_cuts_the_clients_of_the_stream(bench):
    cut, other = await bench.listen("tickers"), await bench.listen("books")
    bench.fault("close", "tickers|*")
    await bench.exchange.advance(500_000)
    assert await cut.ended() == 1006
    await other.settle()


async def test_http_faults_answer_as_the_venue_does(bench):
    bench.fault("http", "", status=503)
    status, answer = await bench.get("/api/v5/public/time")
    assert (status, answer["code"]) == (503, "50001")
    bench.fault("stale_snapshot", "")
    await bench.advance(5)
    path = "/api/v5/market/books"
    stale, fresh = [(await bench.get(path, instId=SWAP))[1]["data"][0]["seqId"] for _ in range(2)]
    assert stale < fresh


async def test_wrong_checksum_is_for_the_old_mode_only(open_bench):
    today, old = await open_bench(), await open_bench(checksums=True)
    asked = {"kind": "wrong_checksum", "target": "books|*"}
    for bench, status in ((today, 400), (old, 200)):
        url = bench.exchange.rest_url + "/sim/faults"
        client = await bench.listen("books")
        await bench.advance(0.3)
        async with bench.session.post(url, json=asked) as response:
            assert response.status == status
        await bench.advance(0.5)
        wrong = sum(not checked(client.rows("books")[:n]) for n in range(1, 8))
        assert wrong == (1 if status == 200 else 7)


def checked(rows):
    """Whether the last checksum is right."""
    sides, _ = followed(rows)
    bids = sorted(sides["bids"].items(), key=lambda row: -float(row[0]))[:25]
    asks = sorted(sides["asks"].items(), key=lambda row: float(row[0]))[:25]
    text = ":".join(f"{p}:{q}" for pair in zip(bids, asks, strict=True) for p, q in pair)
    return rows[-1][1]["checksum"] % 2**32 == crc32(text.encode())


def test_no_kind_of_fault_was_forgotten():
    tried = {
        "drop", "wrong_sequence", "duplicate", "reorder", "stall", "slow", "garbage", "close",
        "http", "stale_snapshot",
    }  # fmt: skip
    assert tried == {*KINDS}
