import json
from itertools import pairwise

import msgspec
import pytest
from multidict import MultiDict

from tapewatch.sim.coinbase import RULES
from tapewatch.sim.coinbase_advanced_frames import book
from tapewatch.sim.coinbase_advanced_rest import Rest as AdvancedRest
from tapewatch.sim.coinbase_listing import DEEP, listings
from tapewatch.sim.coinbase_rest import Rest
from tapewatch.sim.coinbase_truth import truth
from tapewatch.sim.decimals import ONE, fixed, units
from tapewatch.sim.listing import MOST
from tapewatch.sim.market import open_market
from tapewatch.sim.venue import Refused
from tests.frames import recording

START = 1_790_000_000_000_000
SECOND = 1_000_000
API = "/api/v3/brokerage/market/"


@pytest.fixture(scope="module")
def stand():
    """A market twenty seconds after the start, and both interfaces to it."""
    world = open_market(start=START, pairs=listings(5), venue="coinbase", rate=3.0)
    interfaces = Rest(world, RULES), AdvancedRest(world, RULES)
    world.advance(START + 20 * SECOND)
    return world, *interfaces


@pytest.fixture(scope="module")
def market(stand):
    return stand[0]


@pytest.fixture(scope="module")
def rest(stand):
    return stand[1]


@pytest.fixture(scope="module")
def advanced(stand):
    return stand[2]


def body(rest, path, **query):
    return json.loads(rest.answer(path, query)[0])


def ask(rest, path, **query):
    return json.loads(rest.answer(path, query))


def refusal(rest, path, **query):
    with pytest.raises(Refused) as caught:
        rest.answer(path, query)
    return caught.value.status, json.loads(caught.value.body)


# --- listings -----------------------------------------------------------------------------------


def test_pairs_are_many_and_their_ticks_fit_their_prices():
    pairs = listings(60)
    assert len({pair.symbol for pair in pairs}) == 60
    assert [pair.symbol for pair in pairs[:4]] == ["BTC-USD", "ETH-USD", "ETH-BTC", "USDT-USD"]
    world = open_market(start=START, pairs=pairs, venue="coinbase")
    for pair in pairs:
        bid, _, ask_price, _ = world.live_book(pair.symbol).top()
        assert 0 < (ask_price - bid) / ask_price < 0.01


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_an_impossible_number_of_pairs_is_refused(count):
    with pytest.raises(ValueError, match="symbols asked for"):
        listings(count)


def test_a_dollar_is_the_unit_of_account(market):
    bid, _, ask_price, _ = market.live_book("USDT-USD").top()
    assert 0.99 < bid / ONE < ask_price / ONE < 1.01


def test_a_deep_market_has_a_snapshot_of_several_megabytes():
    world = open_market(start=START, pairs=listings(1), venue="coinbase", size=DEEP)
    view = world.book("BTC-USD")
    assert len(view.bids) >= 22_000
    assert len(book("snapshot", "BTC-USD", view.bids, view.asks, START)) > 4_000_000


# --- the Exchange interface ---------------------------------------------------------------------


def test_products_have_the_recorded_keys_and_a_delisted_one(rest):
    rows = body(rest, "/products")
    old = json.loads(recording("coinbase_exchange/rest_products.jsonl.gz")[0])[0]
    assert set(rows[0]) >= set(old) - {"base_min_size", "base_max_size", "max_market_funds"}
    assert (rows[0]["quote_increment"], rows[0]["base_increment"]) == ("0.01", "0.00000001")
    assert [row["id"] for row in rows if row["trading_disabled"]] == ["REP-USD"]
    assert body(rest, "/products/ETH-BTC") == rows[2]


def test_trades_are_newest_first_with_the_makers_side(rest, market):
    rows = body(rest, "/products/BTC-USD/trades", limit="50")
    true = market.trades("BTC-USD")
    assert [row["trade_id"] for row in rows] == [t.id for t in reversed(true)][:50]
    assert list(rows[0]) == ["trade_id", "side", "size", "price", "time"]
    assert rows[0]["side"] == ("buy" if true[-1].buyer_is_maker else "sell")
    assert (rows[0]["size"], rows[0]["price"]) == (fixed(true[-1].qty), fixed(true[-1].price))


def test_after_gives_older_trades_page_by_page_into_history(rest, market):
    last = market.newest_ids("BTC-USD")[0]
    seen, after = [], str(last + 1)
    for _ in range(5):
        found, headers = rest.answer("/products/BTC-USD/trades", {"limit": "100", "after": after})
        rows = json.loads(found)
        assert headers == {"CB-BEFORE": str(rows[0]["trade_id"]), "CB-AFTER": after_of(rows)}
        seen += [row["trade_id"] for row in rows]
        after = headers["CB-AFTER"]
    assert seen == list(range(last, last - 500, -1))


def after_of(rows):
    return str(rows[-1]["trade_id"])


def test_before_gives_newer_trades_the_newest_page_first(rest, market):
    last = market.newest_ids("BTC-USD")[0]
    ids = [r["trade_id"] for r in body(rest, "/products/BTC-USD/trades", before=str(last - 10))]
    assert ids == list(range(last, last - 10, -1))
    few = body(rest, "/products/BTC-USD/trades", before=str(last - 10), limit="3")
    assert [row["trade_id"] for row in few] == [last, last - 1, last - 2]
    assert body(rest, "/products/BTC-USD/trades", before=str(last)) == []


def test_a_gap_is_filled_by_walking_down_from_its_upper_end(rest, market):
    last = market.newest_ids("BTC-USD")[0]
    low, high = last - 40, last - 20
    rows = body(rest, "/products/BTC-USD/trades", after=str(high), limit="1000")
    ids = [row["trade_id"] for row in rows if row["trade_id"] > low]
    assert ids == list(range(high - 1, low, -1))


def test_candles_are_time_low_high_open_close_newest_first(rest, market):
    rows = body(rest, "/products/BTC-USD/candles", granularity="300")
    assert len(rows) <= 300
    assert all(a[0] > b[0] for a, b in pairwise(rows))
    bars = {bar.open_ts // SECOND: bar for bar in market.klines("BTC-USD", "5m", None, None, 300)}
    for ts, low, high, open_, close, volume in rows:
        bar = bars[ts]
        assert [units(str(part)) for part in (low, high, open_, close)] == [
            bar.low, bar.high, bar.open, bar.close,
        ]  # fmt: skip
        assert volume == pytest.approx(bar.volume / ONE)


def test_candles_cover_start_and_end_both_inclusive(rest):
    span = {"granularity": "60", "start": "2026-09-21T13:00:00Z", "end": "2026-09-21T13:09:00Z"}
    rows = body(rest, "/products/BTC-USD/candles", **span)
    assert [row[0] for row in rows] == [1_789_995_600 + 60 * n for n in range(9, -1, -1)]
    same = {"granularity": "60", "start": "1789995600", "end": "1789996140"}
    assert body(rest, "/products/BTC-USD/candles", **same) == rows


def test_candles_without_trades_are_absent():
    world = open_market(start=START, pairs=listings(5), venue="coinbase", rate=0.001)
    world.advance(START + 200 * SECOND)
    rows = body(Rest(world, RULES), "/products/ETH-BTC/candles", granularity="60")
    assert rows[0][0] == START // SECOND - 80  # the last minute of history
    assert world.klines("ETH-BTC", "1m", None, None, 1)[0].open_ts // SECOND > rows[0][0]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"granularity": "61"}, "Unsupported granularity"),
        ({"granularity": "x"}, "granularity is invalid"),
        ({"granularity": "60", "start": "0", "end": "1789996140"}, "exceeds 300"),
        ({"granularity": "60", "start": "soon", "end": "1"}, "not a valid time"),
    ],
)
def test_wrong_candles_are_400(rest, query, text):
    status, told = refusal(rest, "/products/BTC-USD/candles", **query)
    assert status == 400
    assert text in told["message"]


@pytest.mark.parametrize(
    "path", ["/products/NOPE", "/products/BTC-USD/moon", "/products/X/trades", "/orders"]
)
def test_unknown_paths_are_not_found(rest, path):
    assert refusal(rest, path) == (404, {"message": "NotFound"})


def test_levels_of_the_book(rest, market):
    view = market.book("BTC-USD", None, market.now - RULES.snapshot_age_micros)
    best, whole, orders = (
        body(rest, "/products/BTC-USD/book", level=level) for level in ("1", "2", "3")
    )
    assert (len(best["bids"]), len(whole["bids"])) == (1, len(view.bids))
    assert [units(row[0]) for row in whole["asks"]] == [price for price, _ in view.asks]
    assert isinstance(whole["bids"][0][2], int)
    assert isinstance(orders["bids"][0][2], str)
    assert refusal(rest, "/products/BTC-USD/book", level="9")[0] == 400
    assert body(rest, "/products/BTC-USD/book") == best


def test_a_stale_book_has_an_older_sequence(rest):
    fresh = body(rest, "/products/BTC-USD/book", level="2")
    stale = json.loads(rest.answer("/products/BTC-USD/book", {"level": "2"}, stale=True)[0])
    assert stale["sequence"] < fresh["sequence"] - 100


def test_ticker_stats_time_currencies_and_spark_lines(rest, market):
    ticker = body(rest, "/products/BTC-USD/ticker")
    assert ticker["trade_id"] == market.newest_ids("BTC-USD")[0]
    assert float(ticker["bid"]) < float(ticker["ask"])
    stats = body(rest, "/products/BTC-USD/stats")
    assert float(stats["low"]) <= float(stats["last"]) <= float(stats["high"])
    assert body(rest, "/time") == {"iso": "2026-09-21T14:13:40.000Z", "epoch": 1_790_000_020.0}
    assert {"BTC", "USD", "USDT"} <= {row["id"] for row in body(rest, "/currencies")}
    lines = body(rest, "/products/spark-lines")
    assert list(lines) == list(market.symbols)
    assert {len(row) for row in lines["BTC-USD"]} == {5}


def test_truth_is_told_oldest_first(market):
    rows = json.loads(truth(market, "trades", {"symbol": "BTC-USD", "limit": "10"}))
    last = market.newest_ids("BTC-USD")[0]
    assert [row["trade_id"] for row in rows] == list(range(last - 9, last + 1))
    bars = json.loads(
        truth(market, "klines", {"symbol": "BTC-USD", "interval": "1m", "limit": "3"})
    )
    assert [b[0] - a[0] for a, b in pairwise(bars)] == [60, 60]
    best = json.loads(truth(market, "book", {"symbol": "BTC-USD", "limit": "5"}))
    assert len(best["asks"]) == 5
    assert truth(market, "moon", {}) is None
    with pytest.raises(Refused):
        truth(market, "book", {"symbol": "X"})
    with pytest.raises(Refused):
        truth(market, "klines", {"symbol": "BTC-USD", "interval": "7m"})


# --- the Advanced interface ---------------------------------------------------------------------


def test_products_of_advanced_have_aliases_and_kinds_to_pass_over(advanced):
    answer = ask(advanced, API + "products")
    rows = {row["product_id"]: row for row in answer["products"]}
    assert answer["num_products"] == len(rows)
    assert rows["BTC-USD"]["alias_to"] == ["BTC-USDC"]
    assert (rows["BTC-USDC"]["alias"], rows["BTC-USDC"]["quote_currency_id"]) == (
        "BTC-USD", "USDC",
    )  # fmt: skip
    assert rows["REP-USD"]["is_disabled"]
    (future,) = (row for row in rows.values() if row["product_type"] == "FUTURE")
    assert future["product_id"].startswith("BIT-")
    assert {tuple(row) for row in rows.values() if row is not future} == {tuple(rows["BTC-USD"])}


def test_products_of_advanced_can_be_chosen(advanced):
    spot = ask(advanced, API + "products", product_type="SPOT")["products"]
    assert {row["product_type"] for row in spot} == {"SPOT"}
    assert len(ask(advanced, API + "products", product_type="FUTURE")["products"]) == 1
    both = MultiDict([("product_ids", "BTC-USD"), ("product_ids", "ETH-USD")])
    chosen = json.loads(advanced.answer(API + "products", both))["products"]
    assert [row["product_id"] for row in chosen] == ["BTC-USD", "ETH-USD"]
    page = ask(advanced, API + "products", offset="1", limit="1")["products"]
    assert [row["product_id"] for row in page] == ["ETH-USD"]
    assert ask(advanced, API + "products/BTC-USDC")["product_id"] == "BTC-USDC"


def test_ticker_of_advanced_has_trades_newest_first_with_the_makers_side(advanced, market):
    answer = ask(advanced, API + "products/BTC-USD/ticker", limit="20")
    true = market.trades("BTC-USD")
    assert [int(row["trade_id"]) for row in answer["trades"]] == [t.id for t in true][:-21:-1]
    assert answer["trades"][0]["side"] == ("BUY" if true[-1].buyer_is_maker else "SELL")
    assert float(answer["best_bid"]) < float(answer["best_ask"])
    twin = ask(advanced, API + "products/BTC-USDC/ticker", limit="20")["trades"]
    assert [row["trade_id"] for row in twin] == [row["trade_id"] for row in answer["trades"]]
    assert {row["product_id"] for row in twin} == {"BTC-USDC"}


def test_ticker_of_advanced_can_be_limited_to_a_span(advanced, market):
    start, end = START // SECOND - 3_600, START // SECOND - 3_540
    rows = ask(advanced, API + "products/BTC-USD/ticker", start=str(start), end=str(end))["trades"]
    assert rows
    assert all("T13:13:2" <= row["time"][10:18] <= "T13:14:20" for row in rows)


def test_candles_of_advanced_are_texts_newest_first(advanced, rest):
    span = {"start": "1789995600", "end": "1789996140"}
    rows = ask(advanced, API + "products/BTC-USD/candles", granularity="ONE_MINUTE", **span)
    same = body(rest, "/products/BTC-USD/candles", granularity="60", **span)
    assert [
        [int(row["start"]), *(float(row[key]) for key in ("low", "high", "open", "close"))]
        for row in rows["candles"]
    ] == [row[:5] for row in same]
    assert list(rows["candles"][0]) == ["start", "low", "high", "open", "close", "volume"]


def test_book_of_advanced(advanced, market):
    answer = ask(advanced, API + "product_book", product_id="BTC-USD", limit="5")
    assert [len(answer["pricebook"][side]) for side in ("bids", "asks")] == [5, 5]
    view = market.book("BTC-USD", 5, market.now - RULES.snapshot_age_micros)
    assert [units(row["size"]) for row in answer["pricebook"]["bids"]] == [q for _, q in view.bids]
    assert units(answer["spread_absolute"]) == view.asks[0][0] - view.bids[0][0]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("products/NOPE", {}, 404),
        ("products/NOPE/ticker", {}, 404),
        ("product_book", {}, 404),
        ("moon", {}, 404),
        ("products/BTC-USD/moon", {}, 404),
        ("products/BTC-USD/candles", {"granularity": "ONE_MINUTE"}, 400),
        ("products/BTC-USD/candles", {"granularity": "60", "start": "1", "end": "2"}, 400),
        (
            "products/BTC-USD/candles",
            {"granularity": "ONE_MINUTE", "start": "1789900000", "end": "1789996140"},
            400,
        ),
        ("products/BTC-USD/ticker", {"limit": "x"}, 400),
    ],
)
def test_wrong_requests_of_advanced_are_refused_in_its_words(advanced, path, query, status):
    found, told = refusal(advanced, API + path, **query)
    assert found == status
    assert list(told) == ["error", "error_details", "message"]


def test_an_answer_of_advanced_is_a_second_old_unless_a_fresh_one_is_wanted():
    world = open_market(start=START, pairs=listings(1), venue="coinbase", rate=20.0)
    rest = AdvancedRest(world, RULES)
    path = API + "products/BTC-USD/ticker"
    first = rest.answer(path, {}, fresh=False)
    world.advance(START + SECOND // 2)
    assert rest.answer(path, {}, fresh=False) == first
    assert rest.answer(path, {"limit": "3"}, fresh=False) != first
    assert rest.answer(path, {}) != first
    world.advance(START + 2 * SECOND)
    assert json.loads(rest.answer(path, {}, fresh=False)) != json.loads(first)


def test_the_older_interface_tells_time_and_currencies(advanced):
    assert ask(advanced, "/api/v3/brokerage/time")["epochMillis"] == "1790000020000"
    assert ask(advanced, "/v2/time")["data"]["epoch"] == 1_790_000_020
    coins = {row["code"] for row in ask(advanced, "/v2/currencies/crypto")["data"]}
    assert {"BTC", "ETH", "USDT"} <= coins
    assert ask(advanced, "/v2/currencies")["data"][0]["id"] == "USD"
    rates = ask(advanced, "/v2/exchange-rates")["data"]["rates"]
    assert 0 < float(rates["BTC"]) < 0.001


def test_all_answers_are_json(rest, advanced):
    for path in ("/time", "/products", "/currencies", "/products/BTC-USD/book"):
        assert msgspec.json.decode(rest.answer(path, {})[0])
    assert msgspec.json.decode(advanced.answer(API + "products", {}))


def test_a_book_asked_for_at_the_start_is_not_empty():
    world = open_market(start=START, pairs=listings(1), venue="coinbase")
    exchange, other = Rest(world, RULES), AdvancedRest(world, RULES)
    for stale in (False, True):
        told, _ = exchange.answer("/products/BTC-USD/book", {"level": "2"}, stale=stale)
        assert len(json.loads(told)["bids"]) == 300
        told = other.answer(API + "product_book", {"product_id": "BTC-USD"}, stale=stale)
        assert len(json.loads(told)["pricebook"]["asks"]) == 300
