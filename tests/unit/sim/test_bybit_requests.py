import pytest

from tests.unit.sim.bybit_stage import Stage


@pytest.fixture
def stage():
    return Stage(symbols=24)


def answers(frames):
    return [frame for frame in frames if "success" in frame]


def test_on_linear_data_comes_before_the_answer_and_on_spot_after_it(stage):
    ask = {"op": "subscribe", "args": ["orderbook.50.BTCUSDT", "tickers.BTCUSDT"]}
    linear = stage.connect("linear").say(**ask)
    spot = stage.connect("spot").say(**ask)
    assert ["topic" in frame for frame in linear] == [True, True, False]
    assert ["topic" in frame for frame in spot] == [False, True, True]


def test_the_same_name_is_another_instrument_on_the_other_path(stage):
    books = [
        next(f for f in stage.connect(category).say(op="subscribe", args=["orderbook.1.BTCUSDT"])
             if "topic" in f)
        for category in ("spot", "linear")
    ]  # fmt: skip
    assert books[0]["topic"] == books[1]["topic"]
    assert books[0]["data"] != books[1]["data"]


@pytest.mark.parametrize(
    ("category", "text"),
    [
        ("spot", "Invalid symbol :[orderbook.50.NOPE]"),
        ("linear", "error:handler not found,topic:orderbook.50.NOPE"),
    ],
)
def test_one_bad_topic_refuses_the_whole_request(stage, category, text):
    client = stage.connect(category)
    (refused,) = client.say(op="subscribe", args=["orderbook.1.BTCUSDT", "orderbook.50.NOPE"])
    assert (refused["success"], refused["ret_msg"]) == (False, text)
    stage.run(1)
    assert client.read() == []


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_a_topic_is_not_subscribed_twice(stage, category):
    client = stage.connect(category)
    client.say(op="subscribe", args=["publicTrade.BTCUSDT"])
    (again,) = client.say(op="subscribe", args=["publicTrade.BTCUSDT"])
    assert again["ret_msg"] == "error:already subscribed,topic:publicTrade.BTCUSDT"
    stage.run(2)
    assert client.of("publicTrade.BTCUSDT")


def test_spot_takes_ten_args_in_a_request_and_linear_as_many_as_there_are(stage):
    depths = [f"orderbook.{d}.{s}" for d in (1, 50, 200) for s in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
    args = [*depths, "tickers.BTCUSDT", "tickers.ETHUSDT"]
    spot = stage.connect("spot")
    (refused,) = spot.say(op="subscribe", args=args)
    assert refused["ret_msg"] == "args size >10"
    assert answers(spot.say(op="subscribe", args=args[:10]))[0]["success"]
    assert answers(spot.say(op="subscribe", args=args[10:]))[0]["success"]
    assert answers(stage.connect("linear").say(op="subscribe", args=args))[0]["success"]


def test_the_args_of_a_connection_have_a_length():
    many = Stage(symbols=1_000, size=None, rate=0.001)
    client = many.connect("linear")
    names = [s.partition("/")[2] for s in many.market.symbols if s.startswith("linear")]
    args = [f"{topic}.{name}" for name in names for topic in ("publicTrade", "allLiquidation")]
    fits, total = [], 0
    for arg in args:
        total += len(arg)
        if total > 21_000:
            break
        fits.append(arg)
    assert len(fits) < len(args)
    assert client.say(op="subscribe", args=fits[:-1])[-1]["success"]
    assert not client.say(op="subscribe", args=args[len(fits) - 1 : len(fits) + 1])[-1]["success"]
    client.say(op="unsubscribe", args=fits[:2])
    assert client.say(op="subscribe", args=[fits[-1]])[-1]["success"]


def test_what_is_unsubscribed_is_silent(stage):
    client = stage.listen("publicTrade.BTCUSDT", "tickers.BTCUSDT")
    (answer,) = client.say(op="unsubscribe", args=["publicTrade.BTCUSDT", "never.HEARD"])
    assert (answer["success"], answer["op"]) == (True, "unsubscribe")
    client.frames.clear()
    stage.run(2)
    assert set(client.topics()) == {"tickers.BTCUSDT"}


def test_errors_do_not_close_the_connection(stage):
    client = stage.connect("linear")
    for text in (
        "hello",
        "[1]",
        '{"op":"nope"}',
        '{"op":"subscribe"}',
        '{"op":"subscribe","args":[7]}',
    ):
        (answer,) = client.say(text)
        assert answer["success"] is False
    assert not client.link.ended
    assert client.say(op="ping", req_id="p1")[0]["ret_msg"] == "pong"


def test_connections_have_ids_of_their_own(stage):
    ids = {stage.connect().say(op="ping")[0]["conn_id"] for _ in range(20)}
    assert len(ids) == 20


def test_a_gone_client_leaves_nothing_behind(stage):
    client = stage.listen("orderbook.50.BTCUSDT")
    stage.hub.remove(client.link)
    stage.venue.closed(client.link)
    assert not stage.hub.wants("linear/orderbook.50.BTCUSDT")
