from itertools import pairwise

import pytest

from tapewatch.sim.bybit_desk import Desk
from tapewatch.sim.bybit_streams import parsed, trade_texts
from tapewatch.sim.happenings import Trade
from tapewatch.sim.market import Shock
from tests.unit.sim.bybit_stage import SECOND, START, Stage

SYMBOLS = ("spot/BTCUSDT", "linear/BTCUSDT", "linear/1000PEPEUSDT")


@pytest.mark.parametrize(
    ("category", "text", "kind", "every"),
    [
        ("spot", "publicTrade.BTCUSDT", "publicTrade", 0),
        ("linear", "orderbook.1.BTCUSDT", "orderbook", 10_000),
        ("linear", "orderbook.1000.1000PEPEUSDT", "orderbook", 200_000),
        ("spot", "tickers.BTCUSDT", "tickers", 50_000),
        ("linear", "tickers.BTCUSDT", "tickers", 100_000),
        ("linear", "kline.720.BTCUSDT", "kline", SECOND),
        ("linear", "allLiquidation.BTCUSDT", "allLiquidation", 500_000),
    ],
)
def test_topics_are_understood(category, text, kind, every):
    topic = parsed(category, text, SYMBOLS)
    assert (topic.kind, topic.every, topic.stream) == (kind, every, f"{category}/{text}")


@pytest.mark.parametrize(
    ("category", "text"),
    [
        ("linear", "orderbook.500.BTCUSDT"),
        ("linear", "orderbook.50.btcusdt"),
        ("linear", "orderbook.BTCUSDT"),
        ("linear", "orderbook.²0.BTCUSDT"),
        ("linear", "kline.7.BTCUSDT"),
        ("linear", "kline..BTCUSDT"),
        ("linear", "tickers.x.BTCUSDT"),
        ("linear", "tickers"),
        ("linear", "publicTrade.*"),
        ("spot", "allLiquidation.BTCUSDT"),
        ("spot", "publicTrade.1000PEPEUSDT"),
        ("linear", ""),
    ],
)
def test_anything_else_is_no_topic(category, text):
    assert parsed(category, text, SYMBOLS) is None


@pytest.mark.parametrize("category", ["spot", "linear"])
def test_trades_are_the_truth_in_order(category):
    stage = Stage()
    client = stage.listen("publicTrade.BTCUSDT", category=category)
    stage.run(10)
    rows = [row for frame in client.of("publicTrade.BTCUSDT") for row in frame["data"]]
    true = stage.truth("trades", category=category, symbol="BTCUSDT", limit=str(len(rows)))
    assert rows
    assert [(r["i"], r["p"], r["v"], r["S"], r["T"], r["seq"]) for r in rows] == [
        (t["execId"], t["price"], t["size"], t["side"], int(t["time"]), int(t["seq"]))
        for t in reversed(true["list"])
    ]


def test_all_fills_of_an_order_come_in_one_frame_with_one_sequence_number():
    stage = Stage(rate=3.0)
    client = stage.listen("publicTrade.BTCUSDT")
    stage.run(10)
    frames = [frame["data"] for frame in client.of("publicTrade.BTCUSDT")]
    numbers = [{row["seq"] for row in rows} for rows in frames]
    assert any(len(rows) > 1 for rows in frames)
    assert all(len(found) == 1 for found in numbers)
    assert all(max(a) < min(b) for a, b in pairwise(numbers))


def test_spot_ids_rise_with_holes_and_linear_ids_are_uuids():
    stage = Stage()
    spot = stage.listen("publicTrade.BTCUSDT", category="spot")
    linear = stage.listen("publicTrade.BTCUSDT")
    stage.run(10)
    ids = [int(row["i"]) for frame in spot.of("publicTrade.BTCUSDT") for row in frame["data"]]
    assert {b - a for a, b in pairwise(ids)} == {1, 2, 3, 4, 5}
    uuids = [row["i"] for frame in linear.of("publicTrade.BTCUSDT") for row in frame["data"]]
    assert all(len(one) == 36 and one[14] == "5" for one in uuids)
    assert len(set(uuids)) == len(uuids)


def test_an_order_too_large_for_one_frame_is_split_under_one_sequence_number():
    listing = Stage().market.listing("linear/BTCUSDT")
    desk = Desk(listing, seq=10, now=START)
    trades = [Trade(listing.symbol, n, 10**13, 10**6, START, True) for n in range(5)]
    texts = trade_texts(desk, desk.filled(trades, 20), most=2)
    assert [text.count('"seq":20') for text in texts] == [2, 2, 1]


def test_the_direction_of_a_tick_remembers_the_last_move():
    listing = Stage().market.listing("linear/BTCUSDT")
    desk = Desk(listing, seq=10, now=START)
    prices = [5, 6, 6, 4, 4, 7]
    trades = [Trade(listing.symbol, n, p, 1, START, False) for n, p in enumerate(prices)]
    assert [fill.direction for fill in desk.filled(trades, 20)][1:] == [
        "PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick", "PlusTick",
    ]  # fmt: skip


def test_linear_tickers_begin_whole_and_their_deltas_add_up_to_the_truth():
    stage = Stage()
    client = stage.listen("tickers.BTCUSDT")
    stage.run(5)
    frames = client.of("tickers.BTCUSDT")
    assert [f["type"] for f in frames] == ["snapshot"] + ["delta"] * (len(frames) - 1)
    row = {}
    for frame in frames:
        row |= frame["data"]
    (true,) = stage.truth("tickers", category="linear", symbol="BTCUSDT")["list"]
    assert row.items() >= {key: true[key] for key in true if key in row}.items()
    assert len(frames[0]["data"]) == 27
    assert float(row["openInterest"]) == pytest.approx(2 * float(row["singleOpenInterest"]))


def test_a_second_listener_gets_a_snapshot_that_the_next_delta_fits():
    stage = Stage()
    first = stage.listen("tickers.BTCUSDT")
    stage.run(2.05)
    second = stage.listen("tickers.BTCUSDT")
    stage.run(1)
    rows = []
    for client in (first, second):
        row = {}
        for frame in client.of("tickers.BTCUSDT"):
            row |= frame["data"]
        rows.append(row)
    assert rows[0] == rows[1]


def test_spot_tickers_are_always_whole_and_have_no_best_prices():
    stage = Stage()
    client = stage.listen("tickers.BTCUSDT", category="spot")
    stage.run(3)
    frames = client.of("tickers.BTCUSDT")
    assert len(frames) > 5
    assert {f["type"] for f in frames} == {"snapshot"}
    assert {tuple(f["data"]) for f in frames} == {(
        "symbol", "lastPrice", "highPrice24h", "lowPrice24h", "prevPrice24h", "volume24h",
        "turnover24h", "price24hPcnt", "usdIndexPrice",
    )}  # fmt: skip


def test_candles_close_once_and_agree_with_rest():
    stage = Stage()
    client = stage.listen("kline.1.BTCUSDT")
    stage.run(100)
    bars = [frame["data"][0] for frame in client.of("kline.1.BTCUSDT")]
    closed = [bar for bar in bars if bar["confirm"]]
    assert [bar["start"] * 1_000 for bar in closed] == [START - 20 * SECOND, START + 40 * SECOND]
    told = stage.get("kline", category="linear", symbol="BTCUSDT", interval="1", limit="3")["list"]
    assert [
        [str(b["start"]), b["open"], b["high"], b["low"], b["close"], b["volume"], b["turnover"]]
        for b in reversed(closed)
    ] == told[1:]
    assert all(a["start"] <= b["start"] for a, b in pairwise(bars))


def test_a_bar_without_trades_is_told_flat():
    stage = Stage(rate=0.000001)
    client = stage.listen("kline.1.BTCUSDT")
    stage.run(101)
    (first, second) = [
        f["data"][0] for f in client.of("kline.1.BTCUSDT") if f["data"][0]["confirm"]
    ]
    assert second["open"] == second["close"] == first["close"]
    assert second["volume"] == "0"


def test_a_crash_liquidates_longs_and_their_side_is_the_positions():
    stage = Stage(rate=3.0)
    client = stage.listen("allLiquidation.BTCUSDT")
    stage.market.shock(Shock(stage.market.now + SECOND, -0.06, fall_secs=4.0, recover_secs=30.0))
    stage.run(7)
    frames = client.of("allLiquidation.BTCUSDT")
    rows = [row for frame in frames for row in frame["data"]]
    assert rows
    assert {row["S"] for row in rows} == {"Buy"}
    assert all(frame["ts"] % 500 == 0 for frame in frames)
    true = stage.truth("liquidations", category="linear", symbol="BTCUSDT")["list"]
    assert [(r["v"], r["p"], r["S"], str(r["T"])) for r in rows] == [
        (t["v"], t["p"], t["S"], t["T"]) for t in reversed(true)
    ][: len(rows)]


def test_a_topic_that_nobody_wants_any_more_is_forgotten():
    stage = Stage()
    client = stage.listen("orderbook.50.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT")
    client.say(
        op="unsubscribe", args=["orderbook.50.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT"]
    )
    stage.run(1)
    assert stage.publisher._timed == {}


def test_the_same_seed_says_the_same():
    said = []
    for seed in (5, 5, 6):
        stage = Stage(seed=seed)
        client = stage.listen("publicTrade.BTCUSDT", "orderbook.50.BTCUSDT", "tickers.BTCUSDT")
        stage.run(2)
        client.read()
        said.append(client.frames)
    assert said[0] == said[1]
    assert said[0] != said[2]
