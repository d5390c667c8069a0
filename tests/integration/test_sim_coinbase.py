"""Both simulated Coinbase feeds over real sockets, driven by hand."""

import asyncio
import json
from itertools import pairwise

import aiohttp
import pytest

from tapewatch.sim import coinbase
from tapewatch.sim.coinbase_listing import DEEP
from tapewatch.sim.decimals import units
from tapewatch.sim.exchange import SimulatedExchange
from tapewatch.sim.faults import Fault
from tapewatch.sim.venues import open_venue
from tests.integration.sim_bench import DEADLINE, START, Client, benches

BOTH = ["coinbase", "coinbase_advanced"]
API = "/api/v3/brokerage/market"
ACKS = {"subscriptions"}


class Talker(Client):
    """Keeps every frame in order; texts that are no JSON as they are."""

    def _take(self, text):
        try:
            self.frames.append(json.loads(text))
        except json.JSONDecodeError:
            self.frames.append(text)

    async def say(self, request):
        await self.socket.send_str(json.dumps(request))
        await self.settle()

    async def settle(self):
        """What is no JSON is answered with an error: then all that was sent before is here."""
        await self.socket.send_str("{")
        await self.until(self._has_error)
        self.frames.remove(self._error())

    def _error(self):
        return next(
            (f for f in self.frames if str(_get(f, "message")).lower() == "malformed json"), None
        )

    def _has_error(self):
        return self._error() is not None

    def of(self, kind):
        return [f for f in self.frames if kind in {_get(f, "type"), _get(f, "channel")}]


def _get(frame, key):
    return frame.get(key) if isinstance(frame, dict) else None


@pytest.fixture
async def open_bench():
    async with benches() as opener:
        yield opener


async def talk(bench, *requests, **options):
    options = {"max_msg_size": 2**25} | options
    talker = Talker(await bench.session.ws_connect(bench.exchange.ws_url, **options))
    bench.clients.append(talker)
    for request in requests:
        await talker.say(request)
    return talker


def exchange(*channels, products=("BTC-USD",)):
    return {"type": "subscribe", "product_ids": list(products), "channels": list(channels)}


def advanced(channel, *products):
    return {"type": "subscribe", "product_ids": list(products), "channel": channel}


def trades_request(venue):
    return exchange("matches") if venue == "coinbase" else advanced("market_trades", "BTC-USD")


def trade_ids(venue, talker):
    """Ids in the order of their arrival, without the first, old ones."""
    if venue == "coinbase":
        return [f["trade_id"] for f in talker.of("match")]
    return [
        int(trade["trade_id"])
        for f in talker.of("market_trades")
        if f["events"][0]["type"] == "update"
        for trade in reversed(f["events"][0]["trades"])
    ]


def numbers(talker):
    return [f["sequence_num"] for f in talker.frames if _get(f, "sequence_num") is not None]


# --- subscribing, answers, errors ---------------------------------------------------------------


async def test_exchange_acknowledges_with_the_whole_list_and_refuses_level2(open_bench):
    bench = await open_bench(venue="coinbase")
    talker = await talk(bench, exchange("matches", "heartbeat"), exchange("level2"))
    told = talker.of("subscriptions")[-1]["channels"]
    assert {row["name"] for row in told} == {"matches", "heartbeat"}
    assert "authentication" in talker.of("error")[0]["reason"]
    assert talker.frames[0]["type"] == "last_match"


async def test_advanced_acknowledges_after_the_snapshot_with_a_number(open_bench):
    bench = await open_bench(venue="coinbase_advanced")
    talker = await talk(bench, advanced("level2", "BTC-USD"))
    assert [f["channel"] for f in talker.frames] == ["l2_data", "l2_data", "subscriptions"]
    assert numbers(talker) == [0, 1, 2]


@pytest.mark.parametrize("venue", BOTH)
async def test_errors_do_not_close_the_connection(open_bench, venue):
    bench = await open_bench(venue=venue)
    talker = await talk(bench, {"type": "fly"}, trades_request(venue))
    assert talker.of("error")
    await bench.advance(2)
    await talker.settle()
    assert trade_ids(venue, talker)


@pytest.mark.parametrize("venue", BOTH)
async def test_trades_have_no_hole_and_are_the_truth(open_bench, venue):
    bench = await open_bench(venue=venue)
    talker = await talk(bench, trades_request(venue))
    await bench.advance(5)
    await talker.settle()
    assert trade_ids(venue, talker) == [t.id for t in bench.exchange.market.trades("BTC-USD")]


@pytest.mark.parametrize("venue", BOTH)
async def test_unsubscribed_channel_is_silent(open_bench, venue):
    bench = await open_bench(venue=venue)
    talker = await talk(bench, trades_request(venue))
    await talker.say(trades_request(venue) | {"type": "unsubscribe"})
    talker.frames.clear()
    await bench.advance(2)
    await talker.settle()
    assert talker.frames == []


async def test_same_seed_sends_the_same(open_bench):
    sent = []
    for seed in (5, 5, 6):
        bench = await open_bench(venue="coinbase_advanced", seed=seed)
        talker = await talk(bench, advanced("level2", "ETH-USD"), advanced("heartbeats"))
        await bench.advance(2)
        await talker.settle()
        sent.append(talker.frames)
    assert sent[0] == sent[1] != sent[2]


# --- books --------------------------------------------------------------------------------------


def kept(talker):
    """The book of BTC-USD as a client of either feed keeps it."""
    sides = {}
    for frame in talker.frames:
        for kind, rows in changes(frame):
            if kind == "snapshot":
                sides = {"bids": {}, "asks": {}}
            for side, price, size in rows:
                sides[side][units(price)] = units(size)
    return {side: {p: q for p, q in rows.items() if q} for side, rows in sides.items()}


def changes(frame):
    names = {"buy": "bids", "sell": "asks", "bid": "bids", "offer": "asks"}
    if frame.get("type") == "snapshot":
        yield "snapshot", [(s, p, q) for s in ("bids", "asks") for p, q in frame[s]]
    elif frame.get("type") == "l2update":
        yield "update", [(names[side], p, q) for side, p, q in frame["changes"]]
    elif frame.get("channel") == "l2_data":
        for event in frame["events"]:
            rows = [
                (names[row["side"]], row["price_level"], row["new_quantity"])
                for row in event["updates"]
            ]
            yield event["type"], rows


def true_book(bench):
    view = bench.exchange.market.book("BTC-USD")
    return {"bids": dict(view.bids), "asks": dict(view.asks)}


def book_request(venue):
    if venue == "coinbase":
        return exchange("level2_batch")
    return advanced("level2", "BTC-USD")


@pytest.mark.parametrize("venue", BOTH)
async def test_a_book_kept_by_a_client_is_the_true_book(open_bench, venue):
    bench = await open_bench(venue=venue)
    await bench.advance(0.71)
    talker = await talk(bench, book_request(venue))
    await bench.advance(5.04)
    await talker.settle()
    assert kept(talker) == true_book(bench)


@pytest.mark.parametrize("venue", BOTH)
async def test_a_snapshot_of_many_megabytes_arrives_whole(open_bench, venue):
    bench = await open_bench(venue=venue, symbols=1, size=DEEP)
    talker = await talk(bench, book_request(venue))
    assert len(kept(talker)["bids"]) >= 22_000
    assert kept(talker) == true_book(bench)


async def test_a_client_with_small_frames_breaks_at_such_a_snapshot(open_bench):
    bench = await open_bench(venue="coinbase_advanced", symbols=1, size=DEEP)
    talker = await talk(bench, max_msg_size=2**20)
    await talker.socket.send_str(json.dumps(book_request("coinbase_advanced")))
    assert await talker.ended() == 1009


# --- keep-alive and limits ----------------------------------------------------------------------


@pytest.mark.parametrize("venue", BOTH)
async def test_who_does_not_subscribe_within_five_seconds_is_closed(open_bench, venue):
    bench = await open_bench(venue=venue)
    bench.clock.runs = False
    idle, busy = await talk(bench), await talk(bench, trades_request(venue))
    bench.clock.now += 4.9
    bench.exchange.sockets.tend()
    await idle.settle()
    bench.clock.now += 0.2
    bench.exchange.sockets.tend()
    assert await idle.ended() == 1008
    await busy.settle()
    assert bench.exchange.state()["clients"] == 1


async def test_heartbeats_keep_an_advanced_connection_alive(open_bench):
    bench = await open_bench(venue="coinbase_advanced", rate=0.0001)
    bench.clock.runs = False
    quiet = await talk(bench, advanced("market_trades", "ETH-BTC"))
    alive = await talk(bench, advanced("market_trades", "ETH-BTC"), advanced("heartbeats"))
    for _ in range(91):
        bench.clock.now += 1
        await bench.advance(1)
        bench.exchange.sockets.tend()
    assert await quiet.ended() == 1001
    await alive.settle()
    assert len(alive.of("heartbeats")) == 91
    assert numbers(alive) == list(range(len(numbers(alive))))


async def test_an_exchange_connection_may_be_silent(open_bench):
    bench = await open_bench(venue="coinbase", rate=0.0001)
    bench.clock.runs = False
    talker = await talk(bench, exchange("matches", products=["ETH-BTC"]))
    bench.clock.now += 600
    bench.exchange.sockets.tend()
    await talker.settle()
    assert bench.exchange.state()["clients"] == 1


async def test_ninth_message_within_a_second_ends_an_advanced_connection(open_bench):
    bench = await open_bench(venue="coinbase_advanced")
    bench.clock.runs = False
    talker = await talk(bench)
    for _ in range(9):
        await talker.socket.send_str(json.dumps(advanced("heartbeats")))
    assert await talker.ended() == 1008


@pytest.mark.parametrize("venue", BOTH)
async def test_sixteenth_request_within_a_second_is_429_in_the_venues_words(open_bench, venue):
    bench = await open_bench(venue=venue)
    bench.clock.runs = False
    path = "/time" if venue == "coinbase" else "/api/v3/brokerage/time"
    answers = [await bench.get(path) for _ in range(16)]
    assert [status for status, _, _ in answers] == [200] * 15 + [429]
    assert "message" in answers[-1][1]
    bench.clock.now += 1
    assert (await bench.get(path))[0] == 200


@pytest.mark.parametrize("venue", BOTH)
async def test_a_client_that_does_not_read_is_told_so_and_closed(open_bench, venue, monkeypatch):
    monkeypatch.setattr(coinbase, "SLOW_BYTES", 4_000_000)
    bench = await open_bench(venue=venue, symbols=1, size=DEEP)
    bench.clock.runs = False
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.exchange.port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert b"101" in await reader.readline()
    reader._transport.pause_reading()
    (link,) = bench.exchange._hub.links.values()
    end = book_request(venue) | {"type": "unsubscribe"}
    while link.backlog <= coinbase.SLOW_BYTES:
        bench.exchange.venue.heard(link, json.dumps(book_request(venue)), 0.0)
        bench.exchange.venue.heard(link, json.dumps(end), 0.0)
        link.flush()
    bench.exchange.sockets.tend()
    reader._transport.resume_reading()
    told, read = b'{"type":"error","message":"ErrSlowConsume"}', b""
    async with asyncio.timeout(DEADLINE):
        while told not in read:
            read = read[-100:] + await reader.read(65_536)
            assert not reader.at_eof() or told in read
    assert link.ended
    writer.close()


# --- REST ---------------------------------------------------------------------------------------


async def test_a_dropped_match_shows_in_the_heartbeat_and_is_fetched(open_bench):
    bench = await open_bench(venue="coinbase")
    talker = await talk(bench, exchange("matches", "heartbeat"))
    await bench.add(kind="drop", target="matches|BTC-USD", count=3, every_secs=0.5, after_secs=1)
    await bench.advance(5)
    await talker.settle()
    got = set(trade_ids("coinbase", talker)) | {talker.of("last_match")[0]["trade_id"]}
    last = talker.of("heartbeat")[-1]["last_trade_id"]
    missing = sorted(set(range(min(got), last + 1)) - got)
    assert len(missing) == 3
    fetched = {}
    upper = missing[-1] + 1
    while upper > missing[0]:
        _, rows, headers = await bench.get("/products/BTC-USD/trades", after=str(upper), limit="10")
        fetched |= {row["trade_id"]: row for row in rows}
        upper = int(headers["CB-AFTER"])
    true = {t.id: t for t in bench.exchange.market.trades("BTC-USD")}
    for number in missing:
        assert units(fetched[number]["size"]) == true[number].qty
        assert fetched[number]["side"] == ("buy" if true[number].buyer_is_maker else "sell")


async def test_rest_of_both_dialects_tells_the_same_candles(open_bench):
    one = await open_bench(venue="coinbase", alone=True)
    two = await open_bench(venue="coinbase_advanced", alone=True)
    for bench in (one, two):
        await bench.advance(3)
    _, rows, _ = await one.get("/products/BTC-USD/candles", granularity="60")
    span = {"start": str(rows[4][0]), "end": str(rows[0][0])}
    _, told, _ = await two.get(f"{API}/products/BTC-USD/candles", granularity="ONE_MINUTE", **span)
    assert [[float(c[k]) for k in ("low", "high", "open", "close")] for c in told["candles"]] == [
        row[1:5] for row in rows[:5]
    ]


@pytest.mark.parametrize(
    ("venue", "path"), [("coinbase", "/products/X"), ("coinbase_advanced", f"{API}/products/X")]
)
async def test_unknown_products_are_404_in_the_venues_words(open_bench, venue, path):
    bench = await open_bench(venue=venue)
    status, body, _ = await bench.get(path)
    assert (status, "message" in body) == (404, True)


async def test_no_cache_gives_a_fresh_answer(open_bench):
    bench = await open_bench(venue="coinbase_advanced", rate=20.0)
    url = f"{bench.exchange.rest_url}{API}/products/BTC-USD/ticker"

    async def newest(**headers):
        async with bench.session.get(url, headers=headers) as response:
            return (await response.json())["trades"][0]["trade_id"]

    first = await newest()
    await bench.advance(0.5)
    assert await newest() == first
    assert await newest(**{"Cache-Control": "no-cache"}) != first


@pytest.mark.parametrize("venue", BOTH)
async def test_truth_is_told_without_faults(open_bench, venue):
    bench = await open_bench(venue=venue)
    await bench.add(kind="http", count=None, target="*")
    await bench.advance(2)
    _, rows, _ = await bench.get("/sim/truth/trades", symbol="BTC-USD", limit="5")
    true = bench.exchange.market.trades("BTC-USD")
    assert [row["trade_id"] for row in rows] == [t.id for t in true][-5:]
    assert (await bench.get("/sim/truth/moon"))[0] == 404
    assert (await bench.get("/sim/truth/book", symbol="X"))[0] == 404


# --- faults -------------------------------------------------------------------------------------


async def faulty(open_bench, venue, **fault):
    """A client of trades with one fault in force, after six seconds."""
    bench = await open_bench(venue=venue, rate=3.0)
    talker = await talk(bench, trades_request(venue))
    await bench.advance(1)
    target = "matches|*" if venue == "coinbase" else "market_trades|*"
    bench.exchange.faults.add(Fault(**{"target": target} | fault), bench.exchange.market.now)
    await bench.advance(5)
    return bench, talker


@pytest.mark.parametrize("venue", BOTH)
async def test_a_dropped_frame_leaves_a_hole(open_bench, venue):
    _, talker = await faulty(open_bench, venue, kind="drop")
    await talker.settle()
    ids = trade_ids(venue, talker)
    assert sum(b != a + 1 for a, b in pairwise(ids)) == 1
    if venue == "coinbase_advanced":
        assert [b - a for a, b in pairwise(numbers(talker))].count(2) == 1


@pytest.mark.parametrize("venue", BOTH)
async def test_a_doubled_frame_comes_twice_with_one_number(open_bench, venue):
    _, talker = await faulty(open_bench, venue, kind="duplicate")
    await talker.settle()
    texts = [json.dumps(f) for f in talker.frames]
    assert len(texts) - len(set(texts)) == 1


@pytest.mark.parametrize("venue", BOTH)
async def test_reordered_frames_are_out_of_order_by_their_numbers(open_bench, venue):
    _, talker = await faulty(open_bench, venue, kind="reorder")
    await talker.settle()
    ids = trade_ids(venue, talker)
    assert ids != sorted(ids)
    assert sorted(ids) == list(range(min(ids), max(ids) + 1))
    if venue == "coinbase_advanced":
        assert numbers(talker) != sorted(numbers(talker))


@pytest.mark.parametrize("venue", BOTH)
async def test_a_stall_loses_frames_while_the_socket_stays(open_bench, venue):
    bench, talker = await faulty(open_bench, venue, kind="stall", secs=2.0)
    await talker.settle()
    ids = trade_ids(venue, talker)
    lost = [b - a for a, b in pairwise(ids) if b != a + 1]
    assert len(lost) == 1
    assert lost[0] > 5
    assert bench.exchange.state()["clients"] == 1


@pytest.mark.parametrize("venue", BOTH)
async def test_a_slow_frame_comes_late(open_bench, venue):
    _, talker = await faulty(open_bench, venue, kind="slow", secs=1.0)
    await talker.settle()
    ids = trade_ids(venue, talker)
    assert ids != sorted(ids)
    assert sorted(ids) == list(range(min(ids), max(ids) + 1))


@pytest.mark.parametrize("venue", BOTH)
async def test_garbage_comes_between_whole_frames(open_bench, venue):
    nonsense = len(coinbase.FAULT_TEXTS.nonsense)
    bench, talker = await faulty(open_bench, venue, kind="garbage", count=nonsense)
    await talker.settle()
    assert bench.exchange.faults.counts["garbage"] == nonsense
    assert len([f for f in talker.frames if not is_sound(f)]) == nonsense
    talker.frames = [f for f in talker.frames if is_sound(f)]
    ids = trade_ids(venue, talker)
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def is_sound(frame):
    number = _get(frame, "trade_id") or _get(frame, "sequence_num")
    return isinstance(number, int) or bool({_get(frame, "type"), _get(frame, "channel")} & ACKS)


@pytest.mark.parametrize("venue", BOTH)
async def test_a_wrong_sequence_shifts_a_trade_id_or_a_number(open_bench, venue):
    _, talker = await faulty(open_bench, venue, kind="wrong_sequence", shift=1_000)
    await talker.settle()
    ids = trade_ids(venue, talker) if venue == "coinbase" else numbers(talker)
    assert [b - a for a, b in pairwise(ids) if b != a + 1] == [1_001, -999]


@pytest.mark.parametrize("venue", BOTH)
async def test_a_cut_ends_the_connection_without_a_word(open_bench, venue):
    _, talker = await faulty(open_bench, venue, kind="close")
    assert await talker.ended() == 1006


@pytest.mark.parametrize(
    ("venue", "path"),
    [("coinbase", "/products/BTC-USD/ticker"), ("coinbase_advanced", f"{API}/products")],
)
async def test_http_faults_answer_in_the_venues_words(open_bench, venue, path):
    bench = await open_bench(venue=venue)
    await bench.add(kind="http", status=503)
    status, body, _ = await bench.get(path)
    assert (status, "message" in body) == (503, True)
    assert (await bench.get(path))[0] == 200


async def test_a_stale_book_is_older_than_the_stream(open_bench):
    bench = await open_bench(venue="coinbase")
    await bench.advance(5)
    await bench.add(kind="stale_snapshot")
    path = "/products/BTC-USD/book"
    _, stale, _ = await bench.get(path, level="2")
    _, fresh, _ = await bench.get(path, level="2")
    assert stale["sequence"] < fresh["sequence"]
    bench = await open_bench(venue="coinbase_advanced")
    await bench.advance(5)
    await bench.add(kind="stale_snapshot")
    _, stale, _ = await bench.get(f"{API}/product_book", product_id="BTC-USD")
    _, fresh, _ = await bench.get(f"{API}/product_book", product_id="BTC-USD")
    assert stale["pricebook"]["bids"] != fresh["pricebook"]["bids"]


# --- live ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", BOTH)
async def test_live_exchange_sends_by_itself(venue):
    market, make, rules = open_venue(venue, start=START, symbols=2, rate=20.0)
    live = SimulatedExchange(market, venue=make, rules=rules)
    async with live, aiohttp.ClientSession() as session:
        talker = Talker(await session.ws_connect(live.ws_url))
        await talker.say(book_request(venue))
        await talker.say(trades_request(venue))
        await talker.until(lambda: len(talker.frames) > 20)
        await talker.close()


def test_rules_allow_the_snapshots_of_a_deep_book():
    assert coinbase.RULES.max_backlog_bytes > 10_000_000
