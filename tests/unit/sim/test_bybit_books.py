from itertools import pairwise

import pytest

from tests.unit.sim.bybit_stage import Follower, Stage

DEPTHS = (1, 50, 200, 1_000)


@pytest.mark.parametrize("category", ["spot", "linear"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_book_kept_by_the_venues_rule_is_the_true_one(category, depth):
    stage, follower = Stage(), Follower()
    client = stage.listen(f"orderbook.{depth}.BTCUSDT", category=category)
    stage.run(4)
    for frame in client.of(f"orderbook.{depth}.BTCUSDT"):
        follower.take(frame)
    true = stage.truth("book", category=category, symbol="BTCUSDT", limit=str(depth))
    assert follower.holes == 0
    assert follower.top(depth) == (true["b"], true["a"])


def test_a_window_is_never_wider_than_its_depth():
    stage, follower = Stage(rate=5.0), Follower()
    client = stage.listen("orderbook.50.BTCUSDT")
    stage.run(5)
    for frame in client.of("orderbook.50.BTCUSDT"):
        follower.take(frame)
        assert len(follower.sides["b"]) == len(follower.sides["a"]) == 50


def test_every_depth_counts_for_itself_and_all_share_the_cross_sequence():
    stage = Stage()
    client = stage.listen(
        *(f"orderbook.{depth}.BTCUSDT" for depth in DEPTHS), "publicTrade.BTCUSDT"
    )
    stage.run(5)
    frames = {d: [f["data"] for f in client.of(f"orderbook.{d}.BTCUSDT")] for d in DEPTHS}
    for rows in frames.values():
        assert all(b["u"] == a["u"] + 1 and b["seq"] >= a["seq"] for a, b in pairwise(rows))
    assert len({rows[0]["u"] for rows in frames.values()}) == len(DEPTHS)
    assert {rows[-1]["seq"] for rows in frames.values()} <= {f["seq"] for f in frames[1]}


def test_a_frame_with_the_sequence_of_a_trade_has_its_time():
    stage = Stage()
    client = stage.listen("publicTrade.BTCUSDT", "orderbook.1.BTCUSDT")
    stage.run(10)
    matched = {row["seq"]: row["T"] for f in client.of("publicTrade.BTCUSDT") for row in f["data"]}
    shared = [
        (f["cts"], matched[f["data"]["seq"]])
        for f in client.of("orderbook.1.BTCUSDT") if f["data"]["seq"] in matched
    ]  # fmt: skip
    assert shared
    assert all(cts == match for cts, match in shared)


def test_depth_one_is_always_whole_and_repeated_after_three_quiet_seconds():
    stage = Stage(rate=0.000001)  # nothing happens
    client = stage.listen("orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT")
    stage.run(6.5)
    frames = client.of("orderbook.1.BTCUSDT")
    assert [f["ts"] - frames[0]["ts"] for f in frames] == [0, 3_000, 6_000]
    assert {(f["type"], f["data"]["u"]) for f in frames} == {("snapshot", frames[0]["data"]["u"])}
    assert len(client.of("orderbook.50.BTCUSDT")) == 1


def test_no_delta_is_empty_and_its_levels_are_best_first():
    stage = Stage(rate=3.0)
    client = stage.listen("orderbook.200.BTCUSDT")
    stage.run(5)
    deltas = [f["data"] for f in client.of("orderbook.200.BTCUSDT") if f["type"] == "delta"]
    assert deltas
    for data in deltas:
        bids, asks = ([float(price) for price, _ in data[side]] for side in "ba")
        assert data["b"] or data["a"]
        assert (bids, asks) == (sorted(bids, reverse=True), sorted(asks))


def test_who_subscribes_later_begins_with_what_the_others_have_seen():
    stage, follower = Stage(), Follower()
    first = stage.listen("orderbook.1000.BTCUSDT")
    stage.run(0.75)  # between two frames of this depth
    second = stage.listen("orderbook.1000.BTCUSDT")
    assert (
        second.of("orderbook.1000.BTCUSDT")[0]["data"]["u"]
        == (first.of("orderbook.1000.BTCUSDT")[-1]["data"]["u"])
    )
    stage.run(1)
    for frame in second.of("orderbook.1000.BTCUSDT"):
        follower.take(frame)
    assert follower.holes == 0
    assert [f["type"] for f in second.of("orderbook.1000.BTCUSDT")][1:] == ["delta"] * 5


def test_after_nobody_listened_the_book_is_up_to_date_again():
    stage = Stage()
    client = stage.listen("orderbook.50.BTCUSDT")
    client.say(op="unsubscribe", args=["orderbook.50.BTCUSDT"])
    stage.run(5)
    client.say(op="subscribe", args=["orderbook.50.BTCUSDT"])
    last = client.of("orderbook.50.BTCUSDT")[-1]
    true = stage.truth("book", category="linear", symbol="BTCUSDT", limit="50")
    assert (last["type"], last["data"]["b"]) == ("snapshot", true["b"])


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_after_a_restart_books_begin_with_one(kind):
    stage, follower = Stage(), Follower()
    client = stage.listen("orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT")
    stage.run(1)
    assert stage.venue.restart("linear/orderbook.50.*", kind) == 1
    assert (client.read() or client.frames)[-1]["data"]["u"] == 1
    assert client.of("orderbook.50.BTCUSDT")[-1]["type"] == kind
    stage.run(1)
    for frame in client.of("orderbook.50.BTCUSDT"):
        follower.take(frame)
    true = stage.truth("book", category="linear", symbol="BTCUSDT", limit="50")
    assert follower.holes == 0
    assert follower.u < 100
    assert follower.top(50) == (true["b"], true["a"])
