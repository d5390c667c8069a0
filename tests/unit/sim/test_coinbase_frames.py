"""Keys and forms of both feeds against the recorded frames, where they are, and by hand."""

import json

import pytest

from tapewatch.sim import coinbase_advanced_frames as advanced
from tapewatch.sim import coinbase_frames as frames
from tapewatch.sim.bars import Bar
from tapewatch.sim.book import Changes
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import units
from tapewatch.sim.happenings import Top, Trade
from tests.frames import recording
from tests.unit.sim import doubles

TS = 1_790_000_000_974_504
SOLD = Trade("BTC-USD", 1100243515, units("83425.9"), units("0.00000014"), TS, True)
BOUGHT = Trade("BTC-USD", 1100243516, units("83426"), units("0.5"), TS - 104, False)
TOP = Top("BTC-USD", 9, units("83425.9"), units("0.6"), units("83425.97"), units("0.18528568"))
BAR = Bar(1_789_999_800_000_000, units("8"), units("9"), units("7"), units("8.5"), units("2.5"), 1)
LAST = frames.Last(SOLD, TOP, Day(TS - 86_400_000_000, TS, BAR, 0))
BIDS, ASKS = [(units("5.1"), units("2"))], [(units("5.2"), units("0.25"))]


def shape(value):
    """Keys in order, and the kind of every value; of a list the first element."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}, list(value)
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


def recorded(path, keep=lambda frame: True):
    return next(frame for frame in map(json.loads, recording(path)) if keep(frame))


# --- the Exchange feed --------------------------------------------------------------------------


def test_match_has_the_recorded_shape_and_the_makers_side():
    sent = json.loads(frames.match(SOLD, 136999333734, 2))
    assert shape(sent) == shape(recorded("coinbase_exchange/matches.recent2026.jsonl"))
    assert (sent["type"], sent["side"], sent["price"]) == ("match", "buy", "83425.90")
    assert (sent["size"], sent["time"]) == ("0.00000014", "2026-09-21T14:13:20.974504Z")
    assert json.loads(frames.match(BOUGHT, 1, 2))["side"] == "sell"


def test_last_match_is_a_match_with_another_name():
    old = recorded("coinbase_exchange/matches.singles.jsonl", lambda f: f["type"] == "last_match")
    assert shape(json.loads(frames.match(SOLD, 7, 2, kind="last_match"))) == shape(old)


def test_fills_of_one_order_have_one_taker_and_each_its_maker():
    first, second = (
        json.loads(frames.match(trade, 1, 2))
        for trade in (SOLD, Trade("BTC-USD", 1100243517, units("83425"), 1, TS, True))
    )
    assert first["taker_order_id"] == second["taker_order_id"]
    assert first["maker_order_id"] != second["maker_order_id"]


def test_ticker_has_the_recorded_shape_and_the_takers_side():
    sent = json.loads(frames.ticker(LAST, 50978628538, 2))
    newest = recorded("coinbase_exchange/ticker.singles.jsonl", lambda f: "best_bid_size" in f)
    assert shape(sent) == shape(newest)
    assert (sent["side"], json.loads(frames.match(SOLD, 1, 2))["side"]) == ("sell", "buy")
    assert (sent["price"], sent["best_bid"], sent["best_ask"]) == (
        "83425.9", "83425.90", "83425.97",
    )  # fmt: skip
    assert (sent["trade_id"], sent["last_size"]) == (SOLD.id, "0.00000014")


def test_heartbeat_has_the_recorded_shape_and_a_whole_second():
    sent = json.loads(frames.heartbeat("BTC-USD", 5, 6, TS))
    assert shape(sent) == shape(recorded("coinbase_exchange/heartbeat.recent2026.jsonl"))
    assert sent["time"] == "2026-09-21T14:13:20.000000Z"


def test_book_update_has_the_recorded_shape_and_padded_sizes():
    sent = json.loads(frames.update("BTC-USD", Changes(1, 2, dict(BIDS), {units("6"): 0}), TS, 2))
    assert shape(sent) == shape(recorded("coinbase_exchange/level2_batch.recent2026.jsonl"))
    assert sent["changes"] == [["buy", "5.10", "2.00000000"], ["sell", "6.00", "0.00000000"]]


def test_snapshot_has_both_sides_best_first():
    sent = json.loads(frames.snapshot("ETH-BTC", BIDS, ASKS, TS, 5))
    assert list(sent) == ["type", "product_id", "asks", "bids", "time"]
    assert (sent["asks"], sent["bids"]) == (
        [["5.20000", "0.25000000"]], [["5.10000", "2.00000000"]],
    )  # fmt: skip


# --- the Advanced feed --------------------------------------------------------------------------


def whole(channel, event, number=0):
    text = advanced.envelope(channel, event, TS, 3)
    data = advanced.numbered(text, number)
    return json.loads(data[data.index(b"{") :])


def test_book_update_of_advanced_has_the_recorded_shape():
    event = advanced.book("update", "BTC-USD", BIDS, [(units("5.2"), 0)], TS)
    sent = whole("l2_data", event, 2)
    live = recorded(
        "coinbase_advanced/l2_data.recent2026.jsonl",
        lambda f: f["events"][0]["type"] == "update" and f["events"][0]["updates"],
    )
    assert shape(sent) == shape(live)
    assert [row["side"] for row in sent["events"][0]["updates"]] == ["bid", "offer"]
    assert [row["new_quantity"] for row in sent["events"][0]["updates"]] == ["2", "0"]


def test_empty_book_update_and_acknowledgement_have_the_recorded_shapes():
    empty = recorded(
        "coinbase_advanced/l2_data.recent2026.jsonl", lambda f: not f["events"][0]["updates"]
    )
    assert shape(whole("l2_data", advanced.book("update", "X", (), (), TS))) == shape(empty)
    told = advanced.subscriptions({"level2": ["BTC-USD"]})
    live = recorded("coinbase_advanced/subscriptions.recent2026.jsonl")
    assert shape(whole("subscriptions", told)) == shape(live)


def test_trades_of_advanced_have_the_recorded_shape_and_the_makers_side():
    sent = whole("market_trades", advanced.trades("update", [SOLD, BOUGHT]))
    live = recorded("coinbase_advanced/market_trades.recent2026.jsonl")
    assert shape(sent) == shape(live)
    rows = sent["events"][0]["trades"]
    assert [row["side"] for row in rows] == ["BUY", "SELL"]
    assert [row["time"][-8:] for row in rows] == [".974504Z", "20.9744Z"]
    assert (rows[1]["trade_id"], rows[1]["price"], rows[1]["size"]) == (
        "1100243516", "83426", "0.5",
    )  # fmt: skip


def test_ticker_candle_and_heartbeat_have_the_documented_keys():
    ticker = json.loads(advanced.ticker("update", LAST))["tickers"][0]
    assert list(ticker) == [
        "type", "product_id", "price", "volume_24_h", "low_24_h", "high_24_h", "low_52_w",
        "high_52_w", "price_percent_chg_24_h", "best_bid", "best_bid_quantity", "best_ask",
        "best_ask_quantity",
    ]  # fmt: skip
    candle = json.loads(advanced.candles("update", "BTC-USD", [BAR], 2))["candles"][0]
    assert candle == {
        "start": "1789999800", "high": "9.00", "low": "7.00", "open": "8.00", "close": "8.50",
        "volume": "2.5", "product_id": "BTC-USD",
    }  # fmt: skip
    beat = json.loads(advanced.heartbeat(TS, 42_000_000))
    assert (list(beat), beat["heartbeat_counter"]) == (["current_time", "heartbeat_counter"], 42)


def test_client_id_is_there_when_it_is_wanted():
    old = json.loads(advanced.envelope("status", "{}", TS, 1, has_client_id=True))
    assert list(old) == ["channel", "client_id", "timestamp", "sequence_num", "events"]


# --- the numbers of connections -----------------------------------------------------------------


def client(number):
    link = doubles.link(number)
    link.state = advanced.Session(0.0)
    return link


def number_of(data):
    return json.loads(data[data.index(b"{") :])["sequence_num"]


def test_each_connection_counts_its_own_frames():
    one, two = client(1), client(2)
    two.state.take()
    message = advanced.Numbered("s", advanced.envelope("c", "{}", TS, 1), [one, two])
    assert [number_of(message.frame_for(link)) for link in (one, two)] == [0, 1]
    assert [link.state.take() for link in (one, two)] == [1, 2]


def test_a_frame_sent_twice_has_one_number_and_a_late_client_gets_none():
    one, late = client(1), client(2)
    message = advanced.Numbered("s", advanced.envelope("c", "{}", TS, 1), [one])
    assert message.frame_for(one) == message.frame_for(one)
    assert message.frame_for(late) == b""


@pytest.mark.parametrize("shift", [7, -3])
def test_a_wrong_number_is_shifted_from_the_right_one(shift):
    one = client(1)
    for _ in range(5):
        one.state.take()
    message = advanced.Numbered("s", advanced.envelope("c", "{}", TS, 1), [one])
    wrong = message.altered(
        lambda text: text.replace('"sequence_num":0', f'"sequence_num":{shift}')
    )
    assert number_of(wrong.frame_for(one)) == 5 + shift
    assert number_of(message.frame_for(one)) == 5
