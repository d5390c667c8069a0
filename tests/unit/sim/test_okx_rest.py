import json
from itertools import pairwise

import pytest

from tapewatch.sim.limits import Rules
from tapewatch.sim.okx_rest import Rest
from tapewatch.sim.okx_texts import plain, size
from tapewatch.sim.venue import Refused
from tests.unit.sim.okx_stage import Stage

SPOT, SWAP, INVERSE = "BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"
MINUTE = 60_000


@pytest.fixture(scope="module")
def stage():
    return Stage().run(90)


class Api:
    """Paths without their limits, unless they are what is tested."""

    def __init__(self, stage):
        self.stage = stage
        self.market = stage.market

    def body(self, path, *, stale=False, **query):
        rest = Rest(self.market, self.stage.venue.publisher.rows, Rules(snapshot_age_micros=0))
        texts = {key: str(value) for key, value in query.items()}
        return json.loads(rest.answer(f"/api/v5/{path}", texts, stale=stale))

    def get(self, path, **query):
        answer = self.body(path, **query)
        assert (answer["code"], answer["msg"]) == ("0", "")
        return answer["data"]

    def refused(self, path, **query):
        with pytest.raises(Refused) as caught:
            self.body(path, **query)
        return json.loads(caught.value.body)["code"]

    def ids(self, **query):
        rows = self.get("market/history-trades", instId=SPOT, **query)
        return [int(row["tradeId"]) for row in rows]


@pytest.fixture
def api(stage):
    return Api(stage)


def test_time_is_the_markets(api):
    assert api.get("public/time") == [{"ts": str(api.market.now // 1_000)}]


def test_instruments_are_told_by_kind(api):
    spot, swaps = (api.get("public/instruments", instType=kind) for kind in ("SPOT", "SWAP"))
    assert [row["instId"] for row in spot] == [SPOT, "ETH-USDT", "BTC-USDC"]
    assert [row["instId"] for row in swaps] == [SWAP, "ETH-USDT-SWAP", INVERSE]
    assert api.get("public/instruments", instType="FUTURES") == []
    assert api.get("public/instruments", instType="OPTION", uly="BTC-USD") == []
    one = api.get("public/instruments", instType="SWAP", instId=SWAP)
    assert [row["instId"] for row in one] == [SWAP]


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("public/instruments", {}, "50014"),
        ("public/instruments", {"instType": "OPTION"}, "50015"),
        ("public/instruments", {"instType": "MOON"}, "51000"),
        ("market/books", {}, "50014"),
        ("market/books", {"instId": "X-Y"}, "51001"),
        ("market/books", {"instId": SPOT, "sz": "many"}, "51000"),
        ("market/candles", {"instId": SPOT, "bar": "7m"}, "51000"),
        ("market/candles", {"instId": SPOT, "bar": "1D"}, "51000"),
        ("market/candles", {"instId": SPOT, "limit": "0"}, "51000"),
        ("market/tickers", {"instId": SPOT}, "50014"),
        ("market/ticker", {"instId": "X"}, "51001"),
        ("market/history-trades", {"instId": SPOT, "type": "3"}, "51000"),
        ("market/history-trades", {"instId": SPOT, "type": "2", "before": "1"}, "50039"),
        ("public/funding-rate", {"instId": SPOT}, "51000"),
        ("market/index-tickers", {}, "50015"),
        ("market/index-tickers", {"instId": "X-Y"}, "51001"),
        ("market/moon", {}, "404"),
    ],
)
def test_wrong_request_is_refused_with_the_venues_code(api, path, query, code):
    assert api.refused(path, **query) == code


@pytest.mark.parametrize("symbol", [SPOT, SWAP, INVERSE])
def test_book_is_the_true_one_with_the_number_of_the_stream(api, symbol):
    (row,) = api.get("market/books", instId=symbol, sz=400)
    pair, view = api.market.listing(symbol), api.market.book(symbol)
    assert [level[:2] for level in row["bids"]] == [
        [plain(price), size(pair, price, qty)] for price, qty in view.bids
    ]
    assert row["seqId"] == api.stage.venue.publisher.rows.seq(symbol, view.update_id)
    assert len(api.get("market/books", instId=symbol)[0]["asks"]) == 1


def test_book_of_the_channel_and_of_rest_have_the_same_levels():
    stage = Stage()
    client = stage.listen("books", symbol=SPOT)
    stage.run(0.1)
    (snapshot,) = client.of("books")
    (row,) = Api(stage).get("market/books", instId=SPOT, sz=400)
    assert (snapshot["asks"], snapshot["bids"]) == (row["asks"], row["bids"])
    assert snapshot["seqId"] == row["seqId"]


def test_full_book_has_levels_of_three(api):
    (row,) = api.get("market/books-full", instId=SPOT, sz=5_000)
    (short,) = api.get("market/books", instId=SPOT, sz=400)
    assert row["asks"] == [[price, qty, orders] for price, qty, _, orders in short["asks"]]


def test_stale_book_is_older(api):
    (old,) = api.body("market/books", instId=SWAP, stale=True)["data"]
    (new,) = api.get("market/books", instId=SWAP)
    assert old["seqId"] < new["seqId"]


def test_trades_are_single_fills_newest_first(api):
    rows = api.get("market/trades", instId=SPOT, limit=500)
    ids = [int(row["tradeId"]) for row in rows]
    assert ids == list(range(ids[0], ids[0] - 500, -1))
    newest = api.market.trades(SPOT)[-1]
    assert rows[0]["tradeId"] == str(newest.id)
    assert rows[0]["side"] == ("sell" if newest.buyer_is_maker else "buy")
    assert list(rows[0]) == ["instId", "side", "sz", "source", "px", "tradeId", "ts"]


def test_pages_of_trades_after_an_id_go_back_without_a_hole(api):
    newest = api.market.newest_ids(SPOT)[0]
    first = api.ids()
    assert first == list(range(newest, newest - 100, -1))
    second = api.ids(after=first[-1])
    assert second == list(range(first[-1] - 1, first[-1] - 101, -1))
    assert api.ids(after=first[-1], limit=3) == second[:3]
    assert api.ids(after=1) == []


def test_trades_before_an_id_are_the_newest_that_are_newer(api):
    newest = api.market.newest_ids(SPOT)[0]
    assert api.ids(before=newest - 5) == list(range(newest, newest - 5, -1))
    assert api.ids(before=newest - 1_000) == list(range(newest, newest - 100, -1))
    assert api.ids(before=newest) == []
    assert api.ids(after=newest - 10, before=newest - 13) == [newest - 11, newest - 12]


def test_trades_by_time_are_older_than_it(api):
    rows = api.get(
        "market/history-trades", instId=SPOT, type=2, after=api.market.now // 1_000 - MINUTE
    )
    times = [int(row["ts"]) for row in rows]
    assert times == sorted(times, reverse=True)
    assert max(times) < api.market.now // 1_000 - MINUTE
    later = api.market.trades_from(SPOT, int(rows[0]["tradeId"]) + 1, 1)
    assert later[0].ts // 1_000 >= api.market.now // 1_000 - MINUTE


def test_candles_are_newest_first_and_the_running_one_is_not_confirmed(api):
    rows = api.get("market/candles", instId=SPOT)
    assert len(rows) == 100
    assert [row[8] for row in rows] == ["0"] + ["1"] * 99
    assert {int(a[0]) - int(b[0]) for a, b in pairwise(rows)} == {MINUTE}
    bar = api.market.klines(SPOT, "1m", None, None, 2)[0]
    assert rows[1][:6] == [
        str(bar.open_ts // 1_000),
        *(plain(price) for price in (bar.open, bar.high, bar.low, bar.close, bar.volume)),
    ]


def test_pages_of_candles_go_back_to_the_beginning(api):
    found, oldest = [], None
    while page := api.get(
        "market/history-candles", instId=SWAP, limit=300, **({"after": oldest} if oldest else {})
    ):
        found += page
        oldest = page[-1][0]
    opens = [int(row[0]) for row in found]
    assert {a - b for a, b in pairwise(opens)} == {MINUTE}
    assert len(opens) >= 1_440


def test_candles_between_two_times(api):
    newest = api.get("market/candles", instId=SPOT, limit=10)
    opens = [row[0] for row in newest]
    query = {"instId": SPOT, "before": opens[6], "after": opens[2]}
    assert [row[0] for row in api.get("market/candles", **query)] == opens[3:6]
    assert [row[0] for row in api.get("market/candles", instId=SPOT, before=opens[3])] == opens[:3]


def test_recent_candles_are_1440(api):
    rows = api.get("market/history-candles", instId=SPOT, bar="1s", limit=3)
    assert [row[8] for row in rows][1:] == ["1", "1"]
    oldest = api.get("market/candles", instId=SPOT, bar="1m", limit=300)[0][0]
    early = int(oldest) - 1_439 * MINUTE
    assert api.get("market/candles", instId=SPOT, after=early) == []
    assert api.get("market/history-candles", instId=SPOT, after=early) != []


def test_long_bars_open_in_utc(api):
    (row,) = api.get("market/candles", instId=SPOT, bar="1Dutc", limit=1)
    assert int(row[0]) % 86_400_000 == 0


def test_tickers_are_told_by_kind(api):
    rows = api.get("market/tickers", instType="SWAP")
    assert [row["instId"] for row in rows] == [SWAP, "ETH-USDT-SWAP", INVERSE]
    assert api.get("market/tickers", instType="FUTURES") == []
    assert api.get("market/ticker", instId=SWAP) == rows[:1]


def test_swaps_tell_mark_interest_and_funding(api):
    for path in ("public/mark-price", "public/open-interest"):
        rows = api.get(path, instType="SWAP")
        assert [row["instId"] for row in rows] == [SWAP, "ETH-USDT-SWAP", INVERSE]
        assert [row["instId"] for row in api.get(path, instId=SWAP)] == [SWAP]
        assert api.get(path, instType="SPOT") == []
    assert [r["instId"] for r in api.get("public/funding-rate", instId=INVERSE)] == [INVERSE]
    assert len(api.get("public/funding-rate", instId="ANY")) == 3


def test_index_tickers_are_told_by_name_or_quote(api):
    assert [r["instId"] for r in api.get("market/index-tickers", instId="BTC-USD")] == ["BTC-USD"]
    rows = api.get("market/index-tickers", quoteCcy="USDT")
    assert {row["instId"] for row in rows} == {SPOT, "ETH-USDT"}


def test_each_path_has_a_limit_of_its_own_in_two_seconds():
    stage = Stage(symbols=1)
    answer = stage.venue.rest.answer
    for _ in range(10):
        answer("/api/v5/public/time", {})
    with pytest.raises(Refused) as caught:
        answer("/api/v5/public/time", {})
    assert (caught.value.status, json.loads(caught.value.body)["code"]) == (429, "50011")
    answer("/api/v5/market/ticker", {"instId": SPOT})
    stage.run(2)
    assert answer("/api/v5/public/time", {})


def truth(api, what, **query):
    found = api.stage.venue.truth(what, query)
    return None if found is None else json.loads(found)["data"]


def test_truth_has_everything_and_no_limits(api):
    first = api.market.trades(SPOT)[0].id
    rows = truth(api, "trades", instId=SPOT, fromId=str(first), limit="100000")
    assert [row["tradeId"] for row in rows] == [str(t.id) for t in api.market.trades(SPOT)]
    assert len(truth(api, "trades", instId=SPOT, limit="5000")) == 5_000
    assert len(truth(api, "klines", instId=SPOT, limit="1000")) == 1_000
    (book,) = truth(api, "book", instId=SPOT)
    assert len(book["bids"]) == len(api.market.book(SPOT).bids)
    known = api.market.liquidations(SWAP)
    assert len(truth(api, "liquidations", instId=SWAP)) == len(known)
    assert truth(api, "moon") is None
