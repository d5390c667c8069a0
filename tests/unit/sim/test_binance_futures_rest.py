import json
from itertools import pairwise

import pytest

from tapewatch.sim.binance_futures import RULES, BinanceFutures, listings
from tapewatch.sim.binance_query import Refused
from tapewatch.sim.decimals import units
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Shock, Size, open_market

START = 1_790_000_000_000_000
SECOND = 1_000_000
HOUR = 3_600_000


class Shop:
    def __init__(self):
        size = Size(levels=60, trades=20_000, book_changes=2_000, history_minutes=120)
        self.market = open_market(
            start=START, pairs=listings(3), venue="binance_futures", size=size, rate=2.0
        )
        self.venue = BinanceFutures(self.market, Hub(Faults()), RULES)

    def run(self, secs):
        end = self.market.now + int(secs * SECOND)
        while self.market.now < end:
            self.venue.step(min(end, self.market.now - self.market.now % 50_000 + 50_000))

    def get(self, name, **query):
        told = {key: str(value) for key, value in query.items()}
        return json.loads(self.venue.answer(f"/fapi/v1/{name}", told, {}, stale=False)[0])

    def refusal(self, name, **query):
        with pytest.raises(Refused) as caught:
            self.get(name, **query)
        return caught.value.status, json.loads(caught.value.body)["code"]


@pytest.fixture(scope="module")
def shop():
    made = Shop()
    made.run(10)
    return made


def test_aggregates_by_id_have_no_hole_from_the_past_to_now(shop):
    rows = shop.get("aggTrades", symbol="BTCUSDT", limit=1_000)
    first = shop.venue.publisher.instruments["BTCUSDT"].batches.first_id
    assert rows[0]["a"] < first < rows[-1]["a"]
    assert [row["a"] for row in rows] == list(range(rows[0]["a"], rows[0]["a"] + len(rows)))
    assert all(b["f"] == a["l"] + 1 for a, b in pairwise(rows))
    again = shop.get("aggTrades", symbol="BTCUSDT", fromId=first - 2, limit=5)
    assert again == [row for row in rows if first - 2 <= row["a"] < first + 3]


def test_aggregates_by_time_are_the_same_rows(shop):
    rows = shop.get("aggTrades", symbol="BTCUSDT", limit=1_000)
    start, end = rows[-200]["T"], rows[-10]["T"]
    found = shop.get("aggTrades", symbol="BTCUSDT", startTime=start, endTime=end, limit=1_000)
    assert found == [row for row in rows if start <= row["T"] <= end]


def test_aggregates_are_not_asked_for_by_id_and_time_nor_for_too_long(shop):
    assert shop.refusal("aggTrades", symbol="BTCUSDT", fromId=1, startTime=1) == (400, -1128)
    far = {"startTime": START // 1_000 - 2 * HOUR, "endTime": START // 1_000}
    assert shop.refusal("aggTrades", symbol="BTCUSDT", **far) == (400, -1127)


def test_snapshots_sometimes_end_where_a_frame_ends(shop):
    shop.run(0.23)
    ids = [shop.get("depth", symbol="BTCUSDT", limit=50)["lastUpdateId"] for _ in range(3)]
    at = shop.market.now - shop.market.now % 500_000
    assert min(ids) == shop.market.book("BTCUSDT", at=at).update_id * 7
    assert max(ids) > min(ids)


def test_a_snapshot_is_the_book_of_a_moment_ago(shop):
    row = shop.get("depth", symbol="ETHUSDT", limit=20)
    stale = json.loads(
        shop.venue.answer("/fapi/v1/depth", {"symbol": "ETHUSDT"}, {}, stale=True)[0]
    )
    assert len(row["bids"]) == len(row["asks"]) == 20
    assert stale["lastUpdateId"] < row["lastUpdateId"]
    assert shop.refusal("depth", symbol="ETHUSDT", limit=7) == (400, -1130)


def test_trades_need_a_key_when_they_are_old(shop):
    rows = shop.get("trades", symbol="BTCUSDT", limit=5)
    assert rows[-1]["id"] == shop.market.newest_ids("BTCUSDT")[0]
    assert shop.refusal("historicalTrades", symbol="BTCUSDT") == (401, -2014)


def test_candles_have_no_seconds_and_at_most_1500_rows(shop):
    rows = shop.get("klines", symbol="BTCUSDT", interval="1m", limit=5_000)
    assert len(rows) == 121
    assert shop.refusal("klines", symbol="BTCUSDT", interval="1s") == (400, -1120)


def test_premium_index_is_the_mark_of_one_or_all(shop):
    one = shop.get("premiumIndex", symbol="BTCUSDT")
    assert units(one["markPrice"]) == shop.market.mark("BTCUSDT").mark
    assert [row["symbol"] for row in shop.get("premiumIndex")] == list(shop.market.symbols)


def test_funding_was_paid_every_eight_hours_and_always_the_same(shop):
    rows = shop.get("fundingRate", symbol="BTCUSDT", limit=4)
    assert [row["fundingTime"] % (8 * HOUR) for row in rows] == [0] * 4
    start = rows[1]["fundingTime"]
    assert shop.get("fundingRate", symbol="BTCUSDT", startTime=start, limit=2) == rows[1:3]


@pytest.mark.parametrize(
    ("name", "query", "weight"),
    [
        ("depth", {}, 10),
        ("depth", {"limit": "1000"}, 20),
        ("depth", {"limit": "5"}, 2),
        ("klines", {"limit": "99"}, 1),
        ("klines", {"limit": "1500"}, 10),
        ("aggTrades", {}, 20),
        ("ticker/24hr", {}, 40),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, 1),
        ("time", {}, 1),
    ],
)
def test_each_request_has_its_weight(shop, name, query, weight):
    assert shop.venue.weight(f"/fapi/v1/{name}", query) == weight


@pytest.mark.parametrize("name", ["ticker/24hr", "ticker/price", "ticker/bookTicker"])
def test_tickers_are_of_one_or_of_all(shop, name):
    one = shop.get(name, symbol="ETHUSDT")
    assert one["symbol"] == "ETHUSDT"
    assert one in shop.get(name)


def test_listing_names_what_a_multiple_is_of(shop):
    info = shop.get("exchangeInfo")
    assert {row["contractType"] for row in info["symbols"]} == {"PERPETUAL"}
    named = {row["symbol"]: row["baseAsset"] for row in info["symbols"]}
    assert named["BTCUSDT"] == "BTC"


@pytest.mark.parametrize("path", ["/fapi/v1/nothing", "/fapi/v2/ticker/price", "/fapi/x"])
def test_what_is_not_simulated_is_not_found(shop, path):
    with pytest.raises(Refused) as caught:
        shop.venue.answer(path, {}, {}, stale=False)
    assert caught.value.status == 404


def test_the_truth_knows_all_liquidations():
    shop = Shop()
    shop.market.shock(Shock(at=START, change=-0.06))
    shop.run(6)
    told = json.loads(shop.venue.truth("liquidations", {"symbol": "BTCUSDT"}))
    assert [row["id"] for row in told] == list(range(1, len(told) + 1))
    sides = [row["side"] for row in told]
    assert sides.count("SELL") > 0.8 * len(sides) > 0
    trades = json.loads(shop.venue.truth("trades", {"symbol": "BTCUSDT", "limit": "3"}))
    assert trades[1]["id"] == trades[0]["id"] + 1
    assert shop.venue.truth("weather", {"symbol": "BTCUSDT"}) is None
