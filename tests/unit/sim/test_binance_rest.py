import json
from itertools import pairwise

import pytest

from tapewatch.sim.binance_query import Refused
from tapewatch.sim.binance_rest import Rest
from tapewatch.sim.limits import Rules
from tapewatch.sim.market import open_market

START = 1_790_000_000_123_456
MINUTE = 60_000


@pytest.fixture(scope="module")
def rest():
    market = open_market(start=START, symbols=6)
    market.advance(START + 90_000_000)
    return Rest(market, Rules())


def get(rest, name, unit=1_000, *, stale=False, **query):
    body = rest.answer(f"/api/v3/{name}", {k: str(v) for k, v in query.items()}, unit, stale=stale)
    return json.loads(body)


def code(rest, name, **query):
    with pytest.raises(Refused) as caught:
        get(rest, name, **query)
    return json.loads(caught.value.body)["code"]


def test_ping_and_time(rest):
    assert get(rest, "ping") == {}
    assert get(rest, "time") == {"serverTime": (START + 90_000_000) // 1_000}
    assert get(rest, "time", unit=1) == {"serverTime": START + 90_000_000}


def test_exchange_info_lists_pairs_with_rules(rest):
    info = get(rest, "exchangeInfo")
    assert len(info["symbols"]) == 6
    assert {limit["rateLimitType"]: limit["limit"] for limit in info["rateLimits"]}[
        "REQUEST_WEIGHT"
    ] == 6_000
    row = info["symbols"][0]
    filters = {entry["filterType"]: entry for entry in row["filters"]}
    assert (row["symbol"], row["baseAsset"], row["quoteAsset"]) == ("BTCUSDT", "BTC", "USDT")
    assert (row["status"], row["permissionSets"]) == ("TRADING", [["SPOT"]])
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"


def test_exchange_info_can_be_asked_for_some(rest):
    assert [s["symbol"] for s in get(rest, "exchangeInfo", symbol="ETHUSDT")["symbols"]] == [
        "ETHUSDT"
    ]
    some = get(rest, "exchangeInfo", symbols='["SOLUSDT","BTCUSDT"]')
    assert [s["symbol"] for s in some["symbols"]] == ["SOLUSDT", "BTCUSDT"]


def test_depth_is_a_little_old_and_limited(rest):
    market = rest._market
    body = get(rest, "depth", symbol="BTCUSDT", limit=5)
    assert len(body["bids"]) == len(body["asks"]) == 5
    whole = get(rest, "depth", symbol="BTCUSDT", limit=5_000)
    assert len(whole["bids"]) > 250
    assert whole["lastUpdateId"] < market.book("BTCUSDT").update_id
    past = market.book("BTCUSDT", at=market.now - 60_000)
    assert whole["lastUpdateId"] == past.update_id


def test_stale_depth_is_much_older(rest):
    fresh = get(rest, "depth", symbol="BTCUSDT")
    stale = get(rest, "depth", symbol="BTCUSDT", stale=True)
    assert stale["lastUpdateId"] < fresh["lastUpdateId"] - 1_000


def test_newest_trades_end_with_the_newest(rest):
    rows = get(rest, "trades", symbol="ETHUSDT", limit=50)
    assert len(rows) == 50
    assert rows[-1]["id"] == rest._market.newest_ids("ETHUSDT")[0]
    assert all(b["id"] == a["id"] + 1 for a, b in pairwise(rows))


def test_historical_trades_begin_where_asked(rest):
    newest = rest._market.newest_ids("BTCUSDT")[0]
    rows = get(rest, "historicalTrades", symbol="BTCUSDT", fromId=newest - 2_500, limit=1_000)
    assert [row["id"] for row in rows] == list(range(newest - 2_500, newest - 1_500))


def test_aggregates_are_paged_by_id(rest):
    newest = rest._market.newest_ids("BTCUSDT")[1]
    seen, at = [], newest - 1_700
    while rows := get(rest, "aggTrades", symbol="BTCUSDT", fromId=at, limit=1_000):
        seen += rows
        at = rows[-1]["a"] + 1
    assert [row["a"] for row in seen] == list(range(newest - 1_700, newest + 1))
    assert all(b["f"] == a["l"] + 1 for a, b in pairwise(seen))


def test_aggregates_are_found_by_time(rest):
    end = (START + 60_000_000) // 1_000
    rows = get(rest, "aggTrades", symbol="BTCUSDT", startTime=end - 30_000, endTime=end)
    assert rows
    assert all(end - 30_000 <= row["T"] <= end for row in rows)
    in_micros = get(
        rest, "aggTrades", symbol="BTCUSDT", startTime=(end - 30_000) * 1_000, endTime=end * 1_000
    )
    assert [row["a"] for row in in_micros] == [row["a"] for row in rows]


def test_newest_aggregates_without_a_range(rest):
    rows = get(rest, "aggTrades", symbol="BTCUSDT", limit=3)
    assert rows[-1]["a"] == rest._market.newest_ids("BTCUSDT")[1]


def test_klines_follow_the_range_rules(rest):
    now = rest._market.now // 1_000
    minute = now - now % MINUTE
    ask = {"symbol": "BTCUSDT", "interval": "1m"}
    newest = get(rest, "klines", **ask, limit=3)
    assert [row[0] for row in newest] == [minute - 2 * MINUTE, minute - MINUTE, minute]
    start = minute - 100 * MINUTE
    oldest = get(rest, "klines", **ask, startTime=start, limit=2)
    assert [row[0] for row in oldest] == [start, start + MINUTE]
    until = get(rest, "klines", **ask, endTime=start, limit=2)
    assert [row[0] for row in until] == [start - MINUTE, start]
    both = get(rest, "klines", **ask, startTime=start + 1, endTime=start + 3 * MINUTE)
    assert [row[0] for row in both] == [start + n * MINUTE for n in (1, 2, 3)]
    assert len(get(rest, "klines", **ask, limit=5_000)) == 1_000
    assert len(get(rest, "klines", **ask)) == 500
    assert newest[0][6] == newest[1][0] - 1
    assert len(newest[0]) == 12


@pytest.mark.parametrize("interval", ["1s", "3m", "1h", "1d", "1w", "1M"])
def test_klines_exist_in_every_interval(rest, interval):
    assert get(rest, "klines", symbol="BTCUSDT", interval=interval)


def test_tickers_of_one_or_many(rest):
    day = get(rest, "ticker/24hr", symbol="BTCUSDT")
    assert day["symbol"] == "BTCUSDT"
    assert "priceChangePercent" in day
    mini = get(rest, "ticker/24hr", symbols='["BTCUSDT","ETHUSDT"]', type="MINI")
    assert [row["symbol"] for row in mini] == ["BTCUSDT", "ETHUSDT"]
    assert "priceChangePercent" not in mini[0]
    assert len(get(rest, "ticker/price")) == 6
    assert set(get(rest, "ticker/bookTicker", symbol="BTCUSDT")) == {
        "symbol", "bidPrice", "bidQty", "askPrice", "askQty",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "query", "expected"),
    [
        ("depth", {}, -1102),
        ("depth", {"symbol": "NOPE"}, -1121),
        ("depth", {"symbol": "btcusdt"}, -1100),
        ("depth", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("depth", {"symbol": "BTCUSDT", "limit": 0}, -1100),
        ("depth", {"symbol": "BTCUSDT", "colour": "red"}, -1104),
        ("klines", {"symbol": "BTCUSDT"}, -1102),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("aggTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, -1128),
        ("exchangeInfo", {"symbol": "BTCUSDT", "symbols": "[]"}, -1128),
        ("exchangeInfo", {"symbols": "BTCUSDT"}, -1100),
        ("exchangeInfo", {"symbols": '["NOPE"]'}, -1121),
        ("fly", {}, -1000),
    ],
)
def test_bad_request_gets_the_venues_code(rest, name, query, expected):
    assert code(rest, name, **query) == expected


@pytest.mark.parametrize(
    ("name", "query", "weight"),
    [
        ("ping", {}, 1),
        ("exchangeInfo", {}, 20),
        ("depth", {}, 5),
        ("depth", {"limit": "500"}, 25),
        ("depth", {"limit": "1000"}, 50),
        ("depth", {"limit": "5000"}, 250),
        ("depth", {"limit": "nonsense"}, 5),
        ("trades", {}, 25),
        ("historicalTrades", {}, 25),
        ("aggTrades", {}, 4),
        ("klines", {}, 2),
        ("ticker/24hr", {"symbol": "A"}, 2),
        ("ticker/24hr", {"symbols": ",".join("A" * 21)}, 40),
        ("ticker/24hr", {}, 80),
        ("ticker/price", {}, 4),
    ],
)
def test_weights_are_the_documented_ones(rest, name, query, weight):
    assert rest.weight(f"/api/v3/{name}", query) == weight
