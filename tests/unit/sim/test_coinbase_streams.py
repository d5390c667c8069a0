"""Both publishers with a client and no socket."""

import json
from itertools import pairwise

import pytest

from tapewatch.sim.coinbase import RULES, Coinbase
from tapewatch.sim.coinbase_advanced import CoinbaseAdvanced
from tapewatch.sim.coinbase_floor import GRID, Floor, sequence_at
from tapewatch.sim.coinbase_listing import listings
from tapewatch.sim.decimals import units
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import open_market
from tests.unit.sim import doubles

START = 1_790_000_000_000_000  # a whole second, not a whole minute
SECOND = 1_000_000


def market(symbols=3, rate=1.0, seed=1):
    return open_market(start=START, seed=seed, rate=rate, pairs=listings(symbols), venue="coinbase")


class Stage:
    """A venue with one client."""

    def __init__(self, *requests, make=Coinbase, **world):
        self.market = market(**world)
        self.hub = Hub(Faults())
        self.venue = make(self.market, self.hub, RULES)
        self.link = doubles.link(combined=False)
        self.venue.opened(self.link, "/", {})
        self.frames = []
        for request in requests:
            self.say(request)

    def say(self, request):
        self.venue.heard(self.link, json.dumps(request), 0.0)
        return self.read()

    def read(self):
        self.link.flush()
        fresh = self.link._transport.texts()
        self.frames += fresh
        return fresh

    def run(self, secs):
        to = self.market.now + int(secs * SECOND)
        while self.market.now < to:
            now = self.market.now
            self.venue.step(min(to, now - now % GRID + GRID))
        return self.read()

    def of(self, kind):
        return [f for f in self.frames if kind in {f.get("type"), f.get("channel")}]


def exchange(*channels, products=("BTC-USD",)):
    return {"type": "subscribe", "product_ids": list(products), "channels": list(channels)}


def advanced(channel, *products):
    return {"type": "subscribe", "product_ids": list(products), "channel": channel}


# --- the floor ----------------------------------------------------------------------------------


def test_an_order_is_all_fills_of_one_taker():
    floor = Floor(market(rate=10.0))
    orders = list(floor.advance(START + 5 * SECOND))
    assert max(map(len, orders)) > 2
    for order in orders:
        assert len({(t.symbol, t.ts, t.buyer_is_maker) for t in order}) == 1
    ids = [t.id for order in orders for t in order if t.symbol == "BTC-USD"]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_sequences_rise_with_every_trade_and_agree_with_the_book():
    floor = Floor(market(rate=10.0))
    seen = []
    for step in range(1, 100):
        for order in floor.advance(START + step * GRID):
            seen += [floor.sequence_of(t) for t in order if t.symbol == "BTC-USD"]
        floor.collect()
        now = floor.sequence("BTC-USD")
        assert not seen or now >= seen[-1]
        view = floor.market.book("BTC-USD", 1)
        assert sequence_at(floor.market, "BTC-USD", view.update_id, floor.market.now) == now
    assert len(seen) > 50
    assert all(b > a for a, b in pairwise(seen))


# --- the Exchange feed --------------------------------------------------------------------------


def test_last_match_comes_first_and_matches_follow_without_a_hole():
    stage = Stage(exchange("matches"))
    stage.run(10)
    first, *matches = [f for f in stage.frames if f["type"] in {"last_match", "match"}]
    assert first["type"] == "last_match"
    assert {f["type"] for f in matches} == {"match"}
    ids = [f["trade_id"] for f in (first, *matches)]
    assert len(ids) > 20
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(b["sequence"] > a["sequence"] for a, b in pairwise([first, *matches]))
    true = {t.id: t for t in stage.market.trades("BTC-USD")}
    for found in matches:
        assert found["side"] == ("buy" if true[found["trade_id"]].buyer_is_maker else "sell")


def test_there_is_one_ticker_for_each_order_with_the_other_side_than_its_match():
    stage = Stage(exchange("matches", "ticker"), rate=5.0)
    stage.run(10)
    matches = {f["trade_id"]: f for f in stage.of("match")}
    tickers = stage.of("ticker")[1:]
    assert 10 < len(tickers) < len(matches)
    for ticker in tickers:
        match = matches[ticker["trade_id"]]
        assert {match["side"], ticker["side"]} == {"buy", "sell"}
        assert (match["sequence"], match["time"]) == (ticker["sequence"], ticker["time"])
        assert float(ticker["best_bid"]) < float(ticker["best_ask"])


def test_heartbeats_tell_the_last_trade_each_second():
    stage = Stage(exchange("heartbeat", "matches"))
    stage.run(5)
    beats = stage.of("heartbeat")
    assert [beat["time"][-10:] for beat in beats] == [f"{n}.000000Z" for n in range(21, 26)]
    last = None
    for frame in stage.frames:
        if frame["type"] in {"match", "last_match"}:
            last = frame["trade_id"]
        elif frame["type"] == "heartbeat":
            assert frame["last_trade_id"] == last


def kept(frames, symbol):
    """A book as a client keeps it: snapshot, then absolute sizes."""
    sides = {"buy": {}, "sell": {}}
    for frame in frames:
        if frame.get("product_id") != symbol:
            continue
        if frame["type"] == "snapshot":
            sides = {"buy": dict(frame["bids"]), "sell": dict(frame["asks"])}
        elif frame["type"] == "l2update":
            for side, price, size in frame["changes"]:
                sides[side][price] = size
                if float(size) == 0:
                    del sides[side][price]
    return {
        side: {units(price): units(size) for price, size in rows.items()}
        for side, rows in sides.items()
    }


def truth(world, symbol):
    view = world.book(symbol)
    return {"buy": dict(view.bids), "sell": dict(view.asks)}


@pytest.mark.parametrize("symbol", ["BTC-USD", "ETH-BTC"])
def test_a_book_kept_from_snapshot_and_updates_is_the_true_book(symbol):
    stage = Stage()
    stage.run(0.33)
    stage.say(exchange("level2_batch", products=[symbol]))
    stage.run(5.27)
    assert len(stage.of("l2update")) > 10
    assert kept(stage.frames, symbol) == truth(stage.market, symbol)


def test_book_updates_come_in_batches_of_50_ms_without_a_sequence():
    stage = Stage(exchange("level2_batch"), rate=20.0)
    stage.run(2)
    updates = stage.of("l2update")
    assert len(updates) == 40
    assert all("sequence" not in update for update in updates)
    assert {len(size.partition(".")[2]) for u in updates for _, _, size in u["changes"]} == {8}


def test_status_and_ticker_batch_come_each_five_seconds():
    stage = Stage(exchange("status", "ticker_batch"), rate=5.0)
    stage.run(11)
    assert len(stage.of("status")) == len(stage.of("ticker")) == 3
    status = stage.of("status")[0]
    assert [row["id"] for row in status["products"]][:2] == ["BTC-USD", "ETH-USD"]
    assert {row["status"] for row in status["products"]} == {"online", "delisted"}
    assert "BTC" in {row["id"] for row in status["currencies"]}


def test_same_seed_writes_the_same_bytes():
    written = []
    for seed in (1, 1, 2):
        stage = Stage(exchange("matches", "ticker", "level2_batch", "heartbeat"), seed=seed)
        written.append(stage.run(2))
    assert written[0] == written[1] != written[2]


# --- the Advanced feed --------------------------------------------------------------------------


def advanced_stage(*requests, **world):
    return Stage(*requests, make=CoinbaseAdvanced, **world)


def events(frames, channel):
    return [event for f in frames if f.get("channel") == channel for event in f["events"]]


def test_frames_are_numbered_over_all_channels_with_acknowledgements():
    stage = advanced_stage(
        advanced("heartbeats"), advanced("level2", "BTC-USD"), advanced("market_trades", "ETH-USD"),
    )  # fmt: skip
    stage.run(3)
    assert [f["sequence_num"] for f in stage.frames] == list(range(len(stage.frames)))
    assert {f["channel"] for f in stage.frames} == {
        "subscriptions", "heartbeats", "l2_data", "market_trades",
    }  # fmt: skip


def test_the_acknowledgement_comes_after_the_snapshot_and_an_empty_update():
    stage = advanced_stage(advanced("level2", "BTC-USD"))
    assert [f["channel"] for f in stage.frames] == ["l2_data", "l2_data", "subscriptions"]
    snapshot, empty = events(stage.frames, "l2_data")
    assert (snapshot["type"], empty["type"], empty["updates"]) == ("snapshot", "update", [])
    assert len(snapshot["updates"]) == 2 * 300


def test_trades_come_newest_first_in_batches_after_a_hundred_old_ones():
    stage = advanced_stage(advanced("market_trades", "BTC-USD"), rate=10.0)
    stage.run(3)
    first, *later = events(stage.frames, "market_trades")
    assert (first["type"], len(first["trades"])) == ("snapshot", 100)
    assert {event["type"] for event in later} == {"update"}
    batches = [[int(t["trade_id"]) for t in event["trades"]] for event in (first, *later)]
    assert max(map(len, batches[1:])) > 3
    assert all(a == b + 1 for batch in batches for a, b in pairwise(batch))
    assert all(b[-1] == a[0] + 1 for a, b in pairwise(batches))
    true = {str(t.id): t for t in stage.market.trades("BTC-USD")}
    for trade in (t for event in later for t in event["trades"]):
        assert trade["side"] == ("BUY" if true[trade["trade_id"]].buyer_is_maker else "SELL")


def test_an_advanced_book_is_the_true_book_and_says_so_when_nothing_changed():
    stage = advanced_stage(advanced("level2", "ETH-BTC"))
    stage.run(5)
    sides = {"bid": {}, "offer": {}}
    for event in events(stage.frames, "l2_data"):
        for row in event["updates"]:
            sides[row["side"]][units(row["price_level"])] = units(row["new_quantity"])
    full = {side: {p: q for p, q in rows.items() if q} for side, rows in sides.items()}
    true = truth(stage.market, "ETH-BTC")
    assert full == {"bid": true["buy"], "offer": true["sell"]}
    assert sum(not event["updates"] for event in events(stage.frames, "l2_data")) > 3


def test_book_rows_are_sorted_from_the_best_bids_first():
    stage = advanced_stage(advanced("level2", "BTC-USD"), rate=20.0)
    stage.run(1)
    for event in events(stage.frames, "l2_data"):
        sides = [row["side"] for row in event["updates"]]
        assert sides == sorted(sides)
        bids = [float(r["price_level"]) for r in event["updates"] if r["side"] == "bid"]
        offers = [float(r["price_level"]) for r in event["updates"] if r["side"] == "offer"]
        assert (bids, offers) == (sorted(bids, reverse=True), sorted(offers))


def test_candles_are_told_each_second_and_whole_at_their_end():
    stage = advanced_stage(advanced("candles", "BTC-USD"), rate=3.0)
    stage.run(110)  # START is 200 s into a candle
    first, *later = events(stage.frames, "candles")
    assert len(first["candles"]) == 100
    assert int(first["candles"][0]["start"]) > int(first["candles"][1]["start"])
    rows = [event["candles"][0] for event in later]
    assert len(rows) == pytest.approx(110, abs=2)
    old = [row for row in rows if row["start"] == rows[0]["start"]]
    assert len(old) < len(rows)
    bar = stage.market.bar("BTC-USD", "5m", int(old[-1]["start"]) * SECOND)
    assert (units(old[-1]["close"]), units(old[-1]["volume"])) == (bar.close, bar.volume)


def test_tickers_heartbeats_and_status():
    stage = advanced_stage(
        advanced("ticker", "BTC-USD"), advanced("ticker_batch", "ETH-USD"), advanced("status"),
        advanced("heartbeats"),
    )  # fmt: skip
    stage.run(5)
    assert len(events(stage.frames, "ticker")) > 3
    assert [e["type"] for e in events(stage.frames, "ticker_batch")] == ["snapshot", "update"]
    assert [e["type"] for e in events(stage.frames, "status")] == ["snapshot", "update"]
    assert [e["heartbeat_counter"] for e in events(stage.frames, "heartbeats")] == [1, 2, 3, 4, 5]


def test_both_feeds_tell_the_same_trades():
    exchange_stage = Stage(exchange("matches"), rate=5.0)
    advanced_one = advanced_stage(advanced("market_trades", "BTC-USD"), rate=5.0)
    exchange_stage.run(3)
    advanced_one.run(3)
    matches = {
        (f["trade_id"], units(f["price"]), units(f["size"]), f["side"].upper())
        for f in exchange_stage.of("match")
    }
    trades = {
        (int(t["trade_id"]), units(t["price"]), units(t["size"]), t["side"])
        for event in events(advanced_one.frames, "market_trades")[1:]
        for t in event["trades"]
    }
    assert len(matches) > 10
    assert matches == trades
