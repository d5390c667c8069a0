import json
from itertools import pairwise

import pytest

from tapewatch.sim.bybit_funding import PERIOD, Fundings
from tapewatch.sim.market import Mark
from tapewatch.sim.venue import Refused
from tests.unit.sim.bybit_stage import SECOND, START, Follower, Stage

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}


@pytest.fixture(scope="module")
def stage():
    made = Stage(symbols=24)
    made.run(30)
    return made


def refused(stage, path, **query):
    with pytest.raises(Refused) as caught:
        stage.get(path, **query)
    return caught.value.status, json.loads(caught.value.body)["retCode"]


def test_every_answer_is_wrapped(stage):
    body, _ = stage.venue.answer("/v5/market/time", {}, {}, stale=False)
    now = START + 30 * SECOND
    assert json.loads(body) == {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"timeSecond": str(now // SECOND), "timeNano": str(now * 1_000)},
        "retExtInfo": {},
        "time": now // 1_000,
    }


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("orderbook", {"category": "linear", "symbol": "NOPE"}),
        ("orderbook", {"symbol": "BTCUSDT"}),
        ("orderbook", LINEAR | {"limit": "0"}),
        ("orderbook", LINEAR | {"limit": "x"}),
        ("kline", LINEAR | {"interval": "7"}),
        ("recent-trade", {"category": "inverse", "symbol": "BTCUSD"}),
        ("funding/history", SPOT),
        ("funding/history", LINEAR | {"startTime": "1"}),
        ("open-interest", LINEAR | {"intervalTime": "2h"}),
        ("tickers", {"category": "linear", "symbol": "NOPE"}),
        ("instruments-info", {"category": "moon"}),
    ],
)
def test_mistakes_are_http_200_with_a_code(stage, path, query):
    assert refused(stage, path, **query) == (200, 10_001)


def test_an_unknown_path_is_404(stage):
    assert refused(stage, "insurance")[0] == 404


def test_spot_is_listed_whole_and_linear_in_pages(stage):
    spot = stage.get("instruments-info", category="spot", limit="1")
    assert len(spot["list"]) == 12
    assert "nextPageCursor" not in spot
    seen, cursor = [], None
    while cursor != "":
        more = {"cursor": cursor} if cursor else {}
        page = stage.get("instruments-info", category="linear", limit="5", **more)
        seen += [row["symbol"] for row in page["list"]]
        cursor = page["nextPageCursor"]
    assert seen == [s.partition("/")[2] for s in stage.market.symbols if s.startswith("linear")]


@pytest.mark.parametrize("query", [
    {"category": "linear", "status": "PreLaunch"},
    {"category": "inverse", "limit": "1000"},
    {"category": "option", "baseCoin": "BTC"},
])  # fmt: skip
def test_what_is_not_simulated_is_an_empty_list(stage, query):
    assert stage.get("instruments-info", **query)["list"] == []


def test_recent_trades_are_newest_first_and_capped_by_category(stage):
    spot = stage.get("recent-trade", **SPOT, limit="1000")["list"]
    linear = stage.get("recent-trade", **LINEAR)["list"]
    most = stage.get("recent-trade", **LINEAR, limit="5000")["list"]
    assert [len(spot), len(linear), len(most)] == [60, 500, 1_000]
    ids = [int(row["execId"]) for row in spot]
    assert ids == sorted(ids, reverse=True)
    numbers = [int(row["seq"]) for row in most]
    assert numbers == sorted(numbers, reverse=True)
    assert list(spot[0]) == [
        "execId", "symbol", "price", "size", "side", "time", "isBlockTrade", "isRPITrade", "seq",
    ]  # fmt: skip


def test_a_book_has_the_counter_of_the_deepest_topic():
    stage, follower = Stage(), Follower()
    client = stage.listen("orderbook.1000.BTCUSDT")
    stage.run(1.05)
    book = stage.get("orderbook", **LINEAR, limit="1000")
    for frame in client.of("orderbook.1000.BTCUSDT"):
        follower.take(frame)
    assert (book["u"], book["seq"]) == (follower.u, follower.seq)
    assert (book["b"], book["a"]) == follower.top(1_000)


def test_a_book_has_one_level_on_spot_and_twenty_five_on_linear_unless_asked(stage):
    assert len(stage.get("orderbook", **SPOT)["b"]) == 1
    assert len(stage.get("orderbook", **LINEAR)["a"]) == 25
    assert len(stage.get("orderbook", **SPOT, limit="50")["b"]) == 50


def test_a_stale_book_is_older_in_every_number(stage):
    fresh = stage.get("orderbook", **LINEAR)
    body, _ = stage.venue.answer("/v5/market/orderbook", LINEAR, {}, stale=True)
    stale = json.loads(body)["result"]
    assert all(stale[key] < fresh[key] for key in ("u", "seq", "ts"))


def test_candles_are_newest_first_and_within_the_bounds(stage):
    minute = 60_000
    now = stage.market.now // 1_000
    ask = LINEAR | {"interval": "1"}
    newest = stage.get("kline", **ask, limit="3")["list"]
    opens = [int(row[0]) for row in newest]
    assert opens == [now - now % minute - n * minute for n in range(3)]
    first = opens[-1] - 100 * minute
    after = stage.get("kline", **ask, start=str(first + 1), limit="2")["list"]
    assert [int(row[0]) for row in after] == [first + minute, first]  # the bar that contains it
    bounded = stage.get("kline", **ask, start=str(first), end=str(opens[1]), limit="2")["list"]
    assert [int(row[0]) for row in bounded] == [opens[1], opens[2]]
    assert len(stage.get("kline", **ask)["list"]) == 200
    assert len(stage.get("kline", **ask, limit="9999")["list"]) == 1_000


def test_tickers_of_a_category_come_in_one_answer_with_best_prices(stage):
    for category in ("spot", "linear"):
        rows = stage.get("tickers", category=category)["list"]
        assert len(rows) == 12
        assert all(float(row["bid1Price"]) < float(row["ask1Price"]) for row in rows)
    (one,) = stage.get("tickers", **LINEAR)["list"]
    assert one["fundingRate"]
    assert stage.get("tickers", category="inverse")["list"] == []


def test_funding_was_paid_every_eight_hours(stage):
    rows = stage.get("funding/history", **LINEAR)["list"]
    times = [int(row["fundingRateTimestamp"]) for row in rows]
    assert len(rows) == 200
    assert {a - b for a, b in pairwise(times)} == {8 * 3_600_000}
    assert times[0] <= stage.market.now // 1_000 < times[0] + 8 * 3_600_000
    within = {"startTime": str(times[5]), "endTime": str(times[2])}
    found = stage.get("funding/history", **LINEAR, **within)["list"]
    assert found == rows[2:6]
    assert stage.get("funding/history", **LINEAR, endTime=str(times[3]), limit="1")["list"] == [
        rows[3]
    ]


def test_what_was_told_before_a_payment_is_what_was_paid():
    fundings, due = Fundings(), START - START % PERIOD + PERIOD
    fundings.see("linear/BTCUSDT", Mark(1, 1, 0.00031, due))
    fundings.see("linear/BTCUSDT", Mark(1, 1, 0.00042, due))
    fundings.see("linear/BTCUSDT", Mark(1, 1, 0.00099, due + PERIOD))
    assert fundings.rates("linear/BTCUSDT", 0, due, 1) == [(due, 0.00042)]


def test_open_interest_is_one_side_in_pages(stage):
    ask = LINEAR | {"intervalTime": "5min", "limit": "3"}
    first = stage.get("open-interest", **ask)
    second = stage.get("open-interest", **ask, cursor=first["nextPageCursor"])
    times = [int(row["timestamp"]) for row in first["list"] + second["list"]]
    assert {a - b for a, b in pairwise(times)} == {300_000}
    (ticker,) = stage.get("tickers", **LINEAR)["list"]
    single = float(ticker["singleOpenInterest"])
    assert float(first["list"][0]["openInterest"]) == pytest.approx(single, rel=0.05)
    bounded = stage.get("open-interest", **ask, startTime=str(times[1]))
    assert [len(bounded["list"]), bounded["nextPageCursor"]] == [2, ""]


def test_truth_has_no_caps_and_knows_its_own_limits(stage):
    assert len(stage.truth("trades", **SPOT, limit="300")["list"]) == 300
    assert stage.venue.truth("weather", {}) is None
    with pytest.raises(Refused):
        stage.venue.truth("book", {"category": "spot", "symbol": "NOPE"})


@pytest.mark.parametrize(("status", "code"), [(503, 10_016), (429, 10_006), (403, 10_009)])
def test_trouble_is_told_in_the_envelope(stage, status, code):
    assert json.loads(stage.venue.trouble(status))["retCode"] == code
