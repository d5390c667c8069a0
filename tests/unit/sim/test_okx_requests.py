import json

import pytest

from tapewatch.sim.messages import CLOSE
from tapewatch.sim.okx_streams import BUSINESS, PUBLIC
from tests.unit.sim.okx_stage import Stage

TRADES = {"channel": "trades", "instId": "BTC-USDT"}
CANDLES = {"channel": "candle1m", "instId": "BTC-USDT"}


@pytest.fixture
def client():
    return Stage().client()


def closed(client):
    client.link.flush()
    frames = client.link._transport.frames()
    return [int.from_bytes(payload[:2]) for opcode, payload in frames if opcode == CLOSE]


def codes(answers):
    return [answer.get("code") for answer in answers]


def test_each_arg_is_acknowledged_by_itself(client):
    books = {"channel": "books", "instId": "BTC-USDT-SWAP"}
    answers = client.subscribe(TRADES, books, id="1512")
    conn_id = answers[0]["connId"]
    assert answers == [
        {"id": "1512", "event": "subscribe", "arg": arg, "connId": conn_id}
        for arg in (TRADES, books)
    ]


def test_without_id_none_is_told(client):
    (answer,) = client.subscribe(TRADES)
    assert list(answer) == ["event", "arg", "connId"]


def test_connections_have_ids_of_their_own():
    stage = Stage()
    ids = {stage.client().subscribe(TRADES)[0]["connId"] for _ in range(20)}
    assert len(ids) == 20


def test_present_follows_its_acknowledgement(client):
    answers = client.subscribe(
        *({"channel": c, "instId": "BTC-USDT"} for c in ("tickers", "bbo-tbt"))
    )
    assert [answer.get("event", "data") for answer in answers] == [
        "subscribe", "data", "subscribe", "data",
    ]  # fmt: skip


def test_ping_is_a_text_and_so_is_the_answer(client):
    assert client.say("ping") == ["pong"]


@pytest.mark.parametrize(
    ("path", "arg"),
    [
        (PUBLIC, CANDLES),
        (PUBLIC, {"channel": "trades-all", "instId": "BTC-USDT"}),
        (BUSINESS, TRADES),
        (BUSINESS, {"channel": "liquidation-orders", "instType": "SWAP"}),
        (PUBLIC, {"channel": "trades", "instId": "NOPE-USDT"}),
        (PUBLIC, {"channel": "trades"}),
        (PUBLIC, {"channel": "mark-price", "instId": "BTC-USDT"}),
        (PUBLIC, {"channel": "index-tickers", "instId": "BTC-USDT-SWAP"}),
        (PUBLIC, {"channel": "liquidation-orders"}),
        (BUSINESS, {"channel": "candle1D", "instId": "BTC-USDT"}),
        (BUSINESS, {"channel": "candle", "instId": "BTC-USDT"}),
        (PUBLIC, {"channel": "moon", "instId": "BTC-USDT"}),
    ],
)
def test_wrong_socket_channel_or_instrument_is_60018(path, arg):
    client = Stage().client(path)
    (answer,) = client.subscribe(arg, id="7")
    assert (answer["event"], answer["code"], answer["id"]) == ("error", "60018", "7")
    assert f"channel:{arg['channel']}" in answer["msg"]
    assert not client.stage.hub.streams(client.link)


def test_good_args_beside_a_bad_one_are_acknowledged(client):
    answers = client.subscribe(CANDLES, TRADES)
    assert [answer["event"] for answer in answers] == ["error", "subscribe"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "60012"),
        ("[]", "60012"),
        ('{"args":[]}', "60012"),
        ('{"op":"subscribe"}', "60013"),
        ('{"op":"subscribe","args":[]}', "60013"),
        ('{"op":"subscribe","args":["trades"]}', "60013"),
        ('{"op":"subscribe","args":[{"instId":"BTC-USDT"}]}', "60013"),
        ('{"op":"subscribe","args":[{"channel":7}]}', "60013"),
        ('{"op":"dance","args":[]}', "60019"),
        ('{"id":"not-a-word","op":"subscribe","args":[]}', "60033"),
        ('{"id":7,"op":"subscribe","args":[]}', "60033"),
    ],
)
def test_malformed_request_is_refused_and_the_connection_stays(client, text, code):
    (answer,) = client.say(text)
    assert (answer["event"], answer["code"]) == ("error", code)
    assert not client.link.ended


def test_tick_books_are_for_members(client):
    answers = client.subscribe({"channel": "books-l2-tbt", "instId": "BTC-USDT"})
    assert codes(answers) == ["64003"]


async def test_too_long_request_ends_the_connection(client):
    client.stage.venue.heard(client.link, " " * 65_537, 0.0)
    assert client.link.ended
    assert closed(client) == [1009]


def test_480_requests_an_hour_however_many_args_they_have(client):
    for _ in range(240):
        client.subscribe(TRADES, CANDLES)
        client.subscribe(TRADES, op="unsubscribe")
    assert codes(client.subscribe(TRADES)) == ["60014"]
    assert client.say("ping") == ["pong"]
    request = json.dumps({"op": "subscribe", "args": [TRADES]})
    assert codes(client.say(request, now=3_601.0)) == [None]


def test_second_subscription_is_acknowledged_and_changes_nothing(client):
    client.subscribe(TRADES)
    (answer,) = client.subscribe(TRADES)
    assert answer["event"] == "subscribe"
    client.stage.run(5)
    ids = [row["tradeId"] for row in client.of("trades")]
    assert len(ids) == len(set(ids)) > 0


def test_unsubscribing_is_acknowledged(client):
    client.subscribe(TRADES)
    (answer,) = client.subscribe(TRADES, op="unsubscribe", id="a")
    assert (answer["event"], answer["arg"], answer["id"]) == ("unsubscribe", TRADES, "a")
    assert not client.stage.hub.wants("trades|BTC-USDT")


async def tended(client, now, *, last_out):
    client.link.last_out = last_out
    client.stage.venue.tend(client.link, now)


async def test_connection_to_which_nothing_is_pushed_for_30_s_is_closed(client):
    client.subscribe(TRADES)
    await tended(client, 60.0, last_out=30.1)
    assert not client.link.ended
    await tended(client, 60.2, last_out=30.1)
    assert closed(client) == [4004]


async def test_connection_without_a_subscription_is_closed_though_it_pings(client):
    client.say("ping")
    await tended(client, 30.0, last_out=29.0)
    assert closed(client) == [4004]
