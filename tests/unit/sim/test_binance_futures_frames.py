"""Frames of the simulated Binance USD-M beside recorded ones: the same keys, order and types."""

import json

import pytest

from tapewatch.sim import binance_futures_frames as frames
from tapewatch.sim import binance_futures_rows as rows
from tapewatch.sim.bars import Bar
from tapewatch.sim.binance_futures_batches import Told
from tapewatch.sim.binance_futures_coin import shadow
from tapewatch.sim.binance_futures_listing import Spelling, exchange_info, listings, spelling
from tapewatch.sim.book import View
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import units
from tapewatch.sim.happenings import Aggregate, Liquidation, Top, Trade
from tapewatch.sim.limits import Rules
from tapewatch.sim.perpetual import Mark
from tests.frames import recording

NOW = 1_791_091_007_473_000
BTC = Spelling("BTCUSDT", "BTCUSDT", 2, 3)
LOT = units("0.001")
PRICE, QTY = units("61800.2"), units("0.19")
BAR = Bar(
    NOW - NOW % 60_000_000, PRICE, PRICE, PRICE, PRICE, QTY, PRICE * QTY, 2, 7, 8, LOT, PRICE * LOT
)
DAY = Day(NOW - 86_400_000_000, NOW, BAR, PRICE)
LIQUIDATION = Liquidation("BTCUSDT", 2, NOW - 900_000, True, units("61500"), PRICE, QTY)

TEXTS = {
    "trade": frames.trade(BTC, Trade("BTCUSDT", 5, PRICE, QTY, NOW, True)),
    "aggTrade": frames.aggregate(
        BTC,
        Aggregate("BTCUSDT", 40, PRICE, QTY, 1, 3, NOW, False),
        LOT,
        NOW,
    ),
    "bookTicker": frames.book_ticker(BTC, Top("BTCUSDT", 9, PRICE, QTY, PRICE + 1, QTY, NOW)),
    "depth": frames.depth(BTC, Told(64, 77, 63, {PRICE: QTY}, {PRICE + 1: 0}), NOW),
    "markPrice": frames.mark_price(BTC, Mark(PRICE, PRICE - 5, -0.00001012, NOW), NOW),
    "kline": frames.kline(BTC, "1m", BAR, NOW, closed=False),
    "ticker": frames.ticker(BTC, DAY, PRICE, QTY),
    "forceOrder": frames.force_order(BTC, LIQUIDATION, LOT, NOW),
}


def shape(value):
    """Keys in order and the types of what they hold; texts by how many decimals they have."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def payload(line):
    decoded = json.loads(line)
    return decoded.get("data", decoded)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("bookTicker", "bookTicker.recent2026.jsonl"),
        ("depth", "depth_100ms.recent2026.jsonl"),
        ("markPrice", "markPrice_1s.recent2026.jsonl"),
        ("forceOrder", "forceOrder.recent2026.jsonl"),
        ("kline", "kline_1m.jsonl"),
    ],
)
def test_frames_have_the_shape_of_recorded_ones(kind, path):
    ours = shape(json.loads(TEXTS[kind]))
    for line in recording(f"binance_usdm/{path}"):
        theirs = payload(line)
        if all(theirs.get(side, True) for side in "ba"):  # an empty side shows no shape
            assert ours == shape(theirs)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ticker", "ticker.singles.jsonl"),
        ("forceOrder", "forceOrder.singles.jsonl"),
    ],
)
def test_frames_before_the_merge_have_the_shape_of_recorded_ones(kind, path):
    ours = shape(json.loads(frames.before_merge(TEXTS[kind])))
    for line in recording(f"binance_usdm/{path}"):
        assert ours == shape(payload(line))


def test_snapshot_has_the_shape_of_a_recorded_one():
    ours = rows.depth(BTC, View(3, [(PRICE, QTY)], [(PRICE, QTY)]), NOW)
    (theirs, *_) = recording("binance_usdm/rest_depth_snapshot.jsonl.gz")
    assert shape(ours) == shape(json.loads(theirs))


def test_listing_has_the_shape_of_a_recorded_one():
    ours = exchange_info(list(listings(3)), Rules(), 5)
    (line, *_) = recording("binance_usdm/rest_exchangeInfo.jsonl.gz")
    theirs = json.loads(line)
    assert list(ours) == list(theirs)
    assert shape(ours["symbols"][0]) == shape(theirs["symbols"][0])
    kinds = [
        [each["filterType"] for each in found["symbols"][0]["filters"]] for found in (ours, theirs)
    ]
    assert kinds[0] == kinds[1]


def test_numbers_have_the_places_of_the_instrument():
    depth, order = json.loads(TEXTS["depth"]), json.loads(TEXTS["forceOrder"])["o"]
    assert depth["b"] == [["61800.20", "0.190"]]
    assert depth["a"] == [["61800.20", "0.000"]]
    assert (order["q"], order["p"], order["ap"]) == ("0.190", "61500.00", "61800.20")
    assert json.loads(TEXTS["markPrice"])["r"] == "-0.00001012"


def test_a_frame_before_the_merge_lacks_its_keys_and_nothing_else():
    new, old = (
        json.loads(text) for text in (TEXTS["aggTrade"], frames.before_merge(TEXTS["aggTrade"]))
    )
    assert new.keys() - old.keys() == {"nq", "st"}
    assert {key: new[key] for key in old} == old


def test_part_of_some_quantities_is_for_retail_only():
    told = json.loads(TEXTS["aggTrade"])
    assert (told["q"], told["nq"]) == ("0.190", "0.189")


def test_a_shadow_counts_contracts():
    beside = shadow("BTCUSDT")
    order = beside.liquidation(LIQUIDATION)
    text = json.loads(frames.force_order(beside.spelling, order, order.qty, NOW))
    assert text["o"]["s"] == "BTCUSD_PERP"
    assert text["o"]["st"] == 2
    assert text["o"]["q"] == "117"  # 0.19 * 61800.2 / 100
    assert shadow("SOLUSDT") is None


@pytest.mark.parametrize("pair", listings(25), ids=lambda pair: pair.symbol)
def test_ticks_and_lots_can_be_written(pair):
    written = spelling(pair)
    assert units(written.price(pair.tick)) == pair.tick
    assert units(written.qty(pair.lot)) == pair.lot
