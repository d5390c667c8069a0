"""Our frames beside recorded ones: the same keys in the same order, of the same types."""

import json

import pytest

from tapewatch.sim.bybit_tickers import changed
from tapewatch.sim.market import Shock
from tests.frames import recording
from tests.unit.sim.bybit_stage import SECOND, Stage

TICKER_DELTAS = "bybit/tickers.recent2026.jsonl"


def shape(value):
    """Keys in order and types; of a list its first element."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def filled(frames):
    """Those of which no list is empty, so that shapes can be compared."""
    return [f for f in frames if not isinstance(f["data"], dict) or all(
        f["data"].get(side, True) for side in "ba"
    )]  # fmt: skip


def recorded(path, topic, kind):
    frames = [json.loads(line) for line in recording(f"bybit/{path}")]
    return filled(f for f in frames if f.get("topic", "").startswith(topic) and f["type"] == kind)


@pytest.fixture(scope="module")
def sent():
    stage = Stage(rate=3.0)
    topics = ["publicTrade", "orderbook.1", "orderbook.50", "tickers"]
    clients = {
        category: stage.listen(*(f"{topic}.BTCUSDT" for topic in topics), category=category)
        for category in ("spot", "linear")
    }
    clients["linear"].say(op="subscribe", args=["allLiquidation.BTCUSDT", "kline.1.BTCUSDT"])
    stage.market.shock(Shock(stage.market.now, -0.06, fall_secs=3.0))
    for _ in range(10):
        stage.run(0.5)
        for client in clients.values():
            client.read()
    return clients


@pytest.mark.parametrize(
    ("path", "topic", "kind", "category"),
    [
        ("orderbook.1.recent2026.jsonl", "orderbook.1", "snapshot", "spot"),
        ("orderbook.50.recent2026.jsonl", "orderbook.50", "snapshot", "spot"),
        ("orderbook.50.recent2026.jsonl", "orderbook.50", "delta", "spot"),
        ("publicTrade.recent2026.jsonl", "publicTrade", "snapshot", "spot"),
        ("tickers.recent2026.jsonl", "tickers.BTCUSDT", "snapshot", "linear"),
        ("allLiquidation.recent2026.jsonl", "allLiquidation", "snapshot", "linear"),
    ],
)
def test_frames_are_of_the_recorded_form(sent, path, topic, kind, category):
    ours = filled(f for f in sent[category].frames if f["topic"].startswith(topic))
    ours = [f for f in ours if f["type"] == kind]
    theirs = recorded(path, topic, kind)
    assert ours
    assert theirs
    assert {str(shape(f)) for f in ours} == {str(shape(f)) for f in theirs}


def test_linear_trades_add_two_keys_to_those_recorded_before_they_were(sent):
    theirs = [json.loads(line) for line in recording("bybit/publicTrade.singles.jsonl")]
    old = next(f for f in theirs if f["topic"] == "publicTrade.LTCUSDT")
    ours = sent["linear"].of("publicTrade.BTCUSDT")[0]
    assert list(ours) == list(old)
    assert list(ours["data"][0]) == [*old["data"][0], "RPI", "seq"]
    assert len(ours["data"][0]["i"]) == len(old["data"][0]["i"]) == 36


def test_ticker_deltas_have_their_keys_in_the_recorded_order(sent):
    whole = sent["linear"].of("tickers.BTCUSDT")[0]["data"]
    deltas = [
        f["data"] for f in map(json.loads, recording(TICKER_DELTAS)) if f.get("type") == "delta"
    ]
    assert deltas
    for delta in deltas:
        after = whole | {key: "other" for key in delta if key != "symbol"}
        assert list(changed(whole, after)) == list(delta)


def test_answers_are_of_the_recorded_form():
    stage = Stage()
    spot, linear = stage.connect("spot"), stage.connect("linear")
    ours = [
        linear.say(op="subscribe", args=["publicTrade.BTCUSDT"], req_id="md0"),
        spot.say(op="subscribe", args=["publicTrade.BTCUSDT"], req_id="sub1"),
        spot.say(op="ping", req_id="p1"),
        spot.say(op="subscribe", args=["orderbook.50.NOSUCHSYM"]),
        linear.say(op="ping"),
        stage.connect("spot").say(op="subscribe", args=["publicTrade.BTCUSDT"]),
    ]
    theirs = [json.loads(line) for line in recording("bybit/ack.recent2026.jsonl")]
    for (answer,), expected in zip(ours, theirs, strict=True):
        assert list(answer) == list(expected)
        same = {key: value for key, value in answer.items() if key != "conn_id"}
        assert same == {key: value for key, value in expected.items() if key != "conn_id"}


def test_candle_says_what_the_documents_show(sent):
    frame = sent["linear"].of("kline.1.BTCUSDT")[0]
    assert list(frame) == ["topic", "data", "ts", "type"]
    assert list(frame["data"][0]) == [
        "start", "end", "interval", "open", "close", "high", "low", "volume", "turnover",
        "confirm", "timestamp",
    ]  # fmt: skip
    assert frame["data"][0]["end"] - frame["data"][0]["start"] == 60 * SECOND // 1_000 - 1
