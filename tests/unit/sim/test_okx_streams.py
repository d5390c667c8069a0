import json
from itertools import pairwise
from zlib import crc32

import pytest

from tapewatch.sim.assets import Shock
from tapewatch.sim.faults import Fault, Faults
from tapewatch.sim.happenings import Liquidation
from tapewatch.sim.okx_listing import listings
from tapewatch.sim.okx_texts import contracts, plain, size
from tests.unit.sim.okx_stage import SECOND, START, Stage

SWAP, SPOT, INVERSE = "BTC-USDT-SWAP", "BTC-USDT", "BTC-USD-SWAP"
QUIET = 1e-6  # nothing is traded or quoted for minutes


def kept(rows):
    """The book that a client has who follows the venue's rule; every break is an error."""
    sides, last = {}, None
    for row in rows:
        if row["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            sides = {"bids": {}, "asks": {}}
        else:
            assert row["prevSeqId"] == last
        last = row["seqId"]
        for name, levels in sides.items():
            for price, qty, dead, orders in row[name]:
                assert dead == "0"
                levels[price] = (qty, orders)
                if qty == "0":
                    assert orders == "0"
                    del levels[price]
    return sides, last


def true_book(stage, symbol):
    pair, view = stage.market.listing(symbol), stage.market.book(symbol)
    return {
        name: {plain(price): size(pair, price, qty) for price, qty in rows}
        for name, rows in (("bids", view.bids), ("asks", view.asks))
    }


def quantities(sides):
    return {name: {p: qty for p, (qty, _) in rows.items()} for name, rows in sides.items()}


# --- books --------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", [SPOT, SWAP, INVERSE])
def test_book_kept_by_the_venues_rule_is_the_true_one(symbol):
    client = Stage().listen("books", symbol=symbol)
    client.stage.run(5)
    rows = client.of("books")
    assert [row["action"] for row in rows[:2]] == ["snapshot", "update"]
    sides, _ = kept(rows)
    assert quantities(sides) == true_book(client.stage, symbol)


def test_books_come_each_100_ms():
    client = Stage(rate=3.0).listen("books")
    client.stage.run(2)
    times = [int(row["ts"]) for row in client.of("books")]
    assert {later - earlier for earlier, later in pairwise(times)} == {100}


def test_late_client_gets_a_snapshot_and_the_chain_of_others_goes_on():
    stage = Stage()
    first = stage.listen("books")
    stage.run(1)
    second = stage.listen("books")
    stage.run(1.05)
    third = stage.listen("books")  # not on the grid
    stage.run(0.95)
    books = [kept(client.of("books")) for client in (first, second, third)]
    assert books[0] == books[1] == books[2]
    snapshots = [
        [row["action"] for row in c.of("books")].count("snapshot") for c in (first, second)
    ]
    assert snapshots == [1, 1]


def test_subscription_made_anew_begins_with_a_snapshot():
    client = Stage().listen("books")
    client.stage.run(1)
    client.subscribe({"channel": "books", "instId": SWAP}, op="unsubscribe")
    client.stage.run(1)
    count = len(client.of("books"))
    client.subscribe({"channel": "books", "instId": SWAP})
    client.stage.run(1)
    rows = client.of("books")
    assert rows[count]["action"] == "snapshot"
    assert quantities(kept(rows)[0]) == true_book(client.stage, SWAP)


def test_after_a_minute_without_change_an_empty_message_repeats_the_number():
    client = Stage(rate=QUIET, symbols=1).listen("books", symbol=SPOT)
    client.stage.run(125)
    snapshot, *rows = client.of("books")
    assert len(rows) == 2
    for row in rows:
        assert (row["asks"], row["bids"]) == ([], [])
        assert row["seqId"] == row["prevSeqId"] == snapshot["seqId"]
    assert int(rows[1]["ts"]) - int(rows[0]["ts"]) == 60_000


def test_reset_lets_numbers_begin_anew_while_the_chain_holds():
    client = Stage().listen("books")
    client.stage.run(1)
    client.stage.venue.reset_sequences(SWAP)
    client.stage.run(1)
    rows = client.of("books")
    falls = [row for row in rows if row["seqId"] < row["prevSeqId"]]
    assert len(falls) == 1
    assert quantities(kept(rows)[0]) == true_book(client.stage, SWAP)


def test_reset_is_told_even_if_nothing_changes():
    client = Stage(rate=QUIET, symbols=1).listen("books", symbol=SPOT)
    client.stage.run(1)
    client.stage.venue.reset_sequences()
    client.stage.run(1)
    snapshot, row = client.of("books")
    assert row["prevSeqId"] == snapshot["seqId"] > row["seqId"]
    assert (row["asks"], row["bids"]) == ([], [])


@pytest.mark.parametrize("symbol", [SPOT, SWAP])
def test_old_mode_has_the_checksum_of_25_levels(symbol):
    client = Stage(checksums=True).listen("books", symbol=symbol)
    client.stage.run(3)
    rows = client.of("books")
    for count in range(1, len(rows) + 1):
        sides, _ = kept(rows[:count])
        bids = sorted(sides["bids"].items(), key=lambda row: -float(row[0]))[:25]
        asks = sorted(sides["asks"].items(), key=lambda row: float(row[0]))[:25]
        texts = [f"{p}:{q}" for pair in zip(bids, asks, strict=True) for p, (q, _) in pair]
        assert rows[count - 1]["checksum"] % 2**32 == crc32(":".join(texts).encode())


def test_checksum_is_zero_today():
    client = Stage().listen("books")
    client.stage.run(1)
    assert {row["checksum"] for row in client.of("books")} == {0}


def test_delayed_message_does_not_reach_who_came_after_it():
    faults = Faults()
    stage = Stage(faults=faults)
    first = stage.listen("books")
    stage.run(1)
    faults.add(Fault(kind="slow", target="books|*", secs=1.0), stage.market.now)
    stage.run(0.1)
    second = stage.listen("books")
    (late,) = faults.due(stage.market.now + 2 * SECOND)
    stage.hub.deliver(late)
    assert second.of("books") == []
    assert first.of("books")[-1]["seqId"] > first.of("books")[-2]["seqId"]


def test_wrong_sequence_breaks_the_chain_of_old_and_new_clients():
    faults = Faults()
    stage = Stage(faults=faults)
    faults.texts = stage.venue.fault_texts
    old = stage.listen("books")
    stage.run(1)
    new = stage.listen("books")
    faults.add(Fault(kind="wrong_sequence", target="books|*", shift=7), stage.market.now)
    stage.run(0.5)
    snapshot, update = new.of("books")[:2]
    assert snapshot["prevSeqId"] == -1
    assert snapshot["seqId"] == update["prevSeqId"] + 7
    broken = [(a, b) for a, b in pairwise(old.of("books")) if b["prevSeqId"] != a["seqId"]]
    assert len(broken) == 2


# --- trades -------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", [SPOT, SWAP, INVERSE])
def test_trades_cover_every_fill_once(symbol):
    stage = Stage(rate=5.0)
    whole = stage.listen("trades", symbol=symbol)
    fills = stage.listen("trades-all", symbol=symbol)
    stage.run(10)
    orders, single = whole.of("trades"), fills.of("trades-all")
    assert any(int(row["count"]) > 1 for row in orders)
    for earlier, later in pairwise(orders):
        assert int(later["tradeId"]) - int(later["count"]) == int(earlier["tradeId"])
    ids = [int(row["tradeId"]) for row in single]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert ids == [trade.id for trade in stage.market.trades(symbol)]
    assert orders[-1]["tradeId"] == single[-1]["tradeId"]
    assert sum(float(r["sz"]) for r in orders) == pytest.approx(sum(float(r["sz"]) for r in single))


def test_trade_comes_before_the_book_that_contains_it():
    client = Stage(rate=3.0).listen("trades", "bbo-tbt", "books")
    client.stage.run(5)
    client.read()
    waiting, last, told = [], 0, 0
    for frame in client.seen:
        if "data" not in frame:
            continue
        row = frame["data"][0]
        match frame["arg"]["channel"]:
            case "trades":
                waiting.append(row["seqId"])
            case "books":
                assert all(last < seq <= row["seqId"] for seq in waiting)
                told += len(waiting)
                last, waiting = row["seqId"], []
            case _:
                assert row["seqId"] >= last
    assert told > 20


def test_trades_of_one_order_have_one_number():
    client = Stage(rate=5.0).listen("trades")
    client.stage.run(10)
    rows = client.of("trades")
    numbers = [row["seqId"] for row in rows]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) < len(numbers)


# --- best prices, tickers, candles --------------------------------------------------------------


def test_best_prices_are_pushed_in_order_and_are_true():
    client = Stage().listen("bbo-tbt", "books5", "books")
    client.stage.run(3)
    best, five = client.of("bbo-tbt")[-1], client.of("books5")[-1]
    book = true_book(client.stage, SWAP)
    for name in ("bids", "asks"):
        top = [[price, qty] for price, qty, *_ in five[name]]
        assert top == [list(row) for row in list(book[name].items())[:5]]
        assert [row[:2] for row in best[name]] == top[:1]
    order = [
        f["arg"]["channel"] for f in client.seen if f.get("data", [{}])[0].get("ts") == best["ts"]
    ]
    assert order == sorted(order, key=["bbo-tbt", "books", "books5"].index)
    assert all(int(row["ts"]) % 10 == 0 for row in client.of("bbo-tbt"))


def test_ticker_tells_the_day():
    client = Stage().listen("tickers", symbol=SPOT)
    client.stage.run(2)
    row, day = client.of("tickers")[-1], client.stage.market.day(SPOT)
    assert (row["open24h"], row["high24h"]) == (plain(day.bar.open), plain(day.bar.high))
    assert (row["vol24h"], row["volCcy24h"]) == (plain(day.bar.volume), plain(day.bar.quote))
    assert row["last"] == plain(day.bar.close)
    midnight = client.stage.market.bar(SPOT, "1d", START - START % (86_400 * SECOND))
    assert row["sodUtc0"] == plain(midnight.open)


def test_ticker_is_silent_while_nothing_happens():
    client = Stage(rate=QUIET, symbols=1).listen("tickers", "bbo-tbt", symbol=SPOT)
    client.stage.run(5)
    assert len(client.of("tickers")) == len(client.of("bbo-tbt")) == 1  # at the subscription


@pytest.mark.parametrize("symbol", [SPOT, SWAP, INVERSE])
def test_last_frame_of_a_candle_is_the_closed_and_true_one(symbol):
    stage = Stage().run(2)
    client = stage.listen("candle1m", "candle1s", symbol=symbol)
    stage.run(130)
    minutes = {}
    for row in client.of("candle1m"):
        assert minutes.get(row[0], [*row[:8], "0"])[8] == "0"
        minutes[row[0]] = row
    closed = [row for row in minutes.values() if row[8] == "1"]
    assert len(closed) == 2
    pair = stage.market.listing(symbol)
    for row in closed:
        bar = stage.market.bar(symbol, "1m", int(row[0]) * 1_000)
        assert row[1:5] == [plain(p) for p in (bar.open, bar.high, bar.low, bar.close)]
        trades = [t for t in stage.market.trades(symbol) if bar.first <= t.id <= bar.last]
        if len(trades) == bar.trades:
            assert row[5] == plain(sum(contracts(pair, t.price, t.qty) for t in trades))
    opens = [int(row[0]) for row in client.of("candle1s")]
    assert {b - a for a, b in pairwise(opens)} == {1_000}
    assert {row[8] for row in client.of("candle1s")} == {"1"}


# --- what only swaps have -----------------------------------------------------------------------


def test_mark_price_follows_the_market_and_speaks_every_ten_seconds():
    client = Stage(rate=QUIET).listen("mark-price")
    client.stage.run(25)
    rows = client.of("mark-price")
    times = [int(row["ts"]) for row in rows]
    assert all(200 <= b - a <= 10_000 for a, b in pairwise(times[1:]))
    mark = client.stage.market.mark(SWAP).mark
    assert float(rows[-1]["markPx"]) == pytest.approx(mark / 1e8, rel=1e-3)


def test_funding_rate_is_told_each_minute_for_the_next_eight_hours():
    client = Stage(rate=QUIET).listen("funding-rate")
    client.stage.run(121)
    rows = client.of("funding-rate")
    assert len(rows) == 3
    due = client.stage.market.mark(SWAP).next_funding // 1_000
    for row in rows:
        assert int(row["fundingTime"]) == due
        assert int(row["nextFundingTime"]) - int(row["fundingTime"]) == 8 * 3_600_000
        assert int(row["fundingTime"]) - int(row["prevFundingTime"]) == 8 * 3_600_000
        assert int(row["ts"]) < due


def test_what_was_settled_is_the_last_estimate_before():
    stage = Stage(rate=QUIET, start=START + 6_396 * SECOND)  # four seconds before 16:00
    client = stage.listen("funding-rate")
    stage.run(1)
    running = client.of("funding-rate")[-1]["fundingRate"]
    stage.run(63)
    row = client.of("funding-rate")[-1]
    assert row["settFundingRate"] != "0.0001000000000000"
    assert float(row["settFundingRate"]) == pytest.approx(float(running), rel=0.2)


def test_open_interest_moves_with_trading_and_is_told_in_all_units():
    client = Stage(rate=5.0).listen("open-interest")
    client.stage.run(10)
    rows = client.of("open-interest")
    assert len({row["oi"] for row in rows}) == len(rows) >= 3
    for row in rows:
        assert float(row["oi"]) * 0.01 == pytest.approx(float(row["oiCcy"]))
        assert float(row["oiUsd"]) == pytest.approx(float(row["oiCcy"]) * 61_800, rel=0.01)


def test_index_has_no_book():
    client = Stage().listen("index-tickers", symbol="BTC-USD")
    client.stage.run(2)
    rows = client.of("index-tickers")
    assert len(rows) > 3
    index = client.stage.market.mark(INVERSE).index
    assert float(rows[-1]["idxPx"]) == pytest.approx(index / 1e8, abs=0.06)


def test_liquidations_are_a_sample_of_one_a_second():
    stage = Stage(rate=4.0)
    client = stage.client()
    client.subscribe({"channel": "liquidation-orders", "instType": "SWAP"})
    stage.market.shock(Shock(at=stage.market.now, change=-0.1, fall_secs=5))
    stage.run(12)
    told = {}
    for row in client.of("liquidation-orders"):
        (detail,) = row["details"]
        told.setdefault(row["instId"], []).append(detail)
    true = stage.market.liquidations(SWAP)
    assert 1 < len(told[SWAP]) < len(true)
    times = [int(detail["ts"]) for detail in told[SWAP]]
    assert all(b - a >= 1_000 - 1 for a, b in pairwise(times))
    longs = [each for each in true if each.longs]
    assert len(longs) > len(true) / 2
    known = {(each.ts // 1_000, "sell" if each.longs else "buy") for each in true}
    assert {(int(d["ts"]), d["side"]) for d in told[SWAP]} <= known
    assert isinstance(true[0], Liquidation)


def test_nothing_is_sent_to_who_left():
    client = Stage().listen("trades", "tickers", "books5", "bbo-tbt")
    client.stage.run(1)
    args = [{"channel": c, "instId": SWAP} for c in ("trades", "tickers", "books5", "bbo-tbt")]
    client.subscribe(*args, op="unsubscribe")
    client.stage.run(2)
    assert client.read() == []


def test_same_seed_sends_the_same():
    sent = []
    for seed in (3, 3, 4):
        client = Stage(seed=seed).listen("trades", "books", "tickers", "bbo-tbt", "open-interest")
        client.stage.run(3)
        client.read()
        sent.append(json.dumps(client.seen))
    assert sent[0] == sent[1] != sent[2]


def test_every_instrument_can_be_heard():
    stage = Stage(symbols=20)
    for pair in listings(20):
        client = stage.listen("books", "tickers", symbol=pair.symbol)
        stage.run(0.1)
        assert client.of("books"), pair.symbol
        assert client.of("tickers"), pair.symbol
