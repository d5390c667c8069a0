from itertools import pairwise

import pytest

from tapewatch.sim.binance_futures_listing import listings
from tapewatch.sim.binance_futures_streams import GRID, MARKET, PUBLIC, Publisher, parsed
from tapewatch.sim.decimals import units
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import Shock, Size, open_market
from tests.unit.sim import doubles

START = 1_790_000_000_000_000
SECOND = 1_000_000
SYMBOLS = {"btcusdt": "BTCUSDT"}
SMALL = Size(levels=60, trades=20_000, book_changes=500, history_minutes=30)


class Stage:
    """A publisher and one client of each path who listens to all that is asked for."""

    def __init__(self, *names, merged=True, rate=1.0):
        self.market = open_market(
            start=START, pairs=listings(3), venue="binance_futures", size=SMALL, rate=rate
        )
        self.hub = Hub(Faults())
        self.publisher = Publisher(self.market, self.hub, merged=merged)
        self.link = doubles.link()
        for name in names:
            assert self.publisher.opens(name, PUBLIC) or self.publisher.opens(name, MARKET)
            self.hub.listen(self.link, name)

    def run(self, secs):
        """What came in these seconds, by stream."""
        end = self.market.now + int(secs * SECOND)
        while self.market.now < end:
            self.publisher.step(min(end, self.market.now - self.market.now % GRID + GRID))
        self.link.flush()
        found = {}
        for text in self.link._transport.texts():
            found.setdefault(text["stream"], []).append(text["data"])
        return found


@pytest.mark.parametrize(
    ("name", "category", "kind"),
    [
        ("btcusdt@trade", PUBLIC, "trade"),
        ("btcusdt@depth", PUBLIC, "depth"),
        ("btcusdt@depth@500ms", PUBLIC, "depth"),
        ("btcusdt@depth20@100ms", PUBLIC, "partial"),
        ("!bookTicker", PUBLIC, "allBookTickers"),
        ("btcusdt@aggTrade", MARKET, "aggTrade"),
        ("btcusdt@markPrice@1s", MARKET, "markPrice"),
        ("btcusdt@kline_1m", MARKET, "kline"),
        ("btcusdt_perpetual@continuousKline_1h", MARKET, "continuousKline"),
        ("!markPrice@arr@1s", MARKET, "allMarks"),
        ("!forceOrder@arr", MARKET, "allForceOrders"),
    ],
)
def test_each_stream_belongs_to_one_path(name, category, kind):
    stream = parsed(name, SYMBOLS)
    assert (stream.category, stream.kind) == (category, kind)


@pytest.mark.parametrize(
    "name",
    [
        "x@trade",
        "BTCUSDT@trade",
        "btcusdt@kline_1s",
        "btcusdt@continuousKline_1m",
        "btcusdt@depth7",
        "",
    ],
)
def test_what_is_no_stream_is_known_as_none(name):
    assert parsed(name, SYMBOLS) is None


def test_the_old_paths_serve_what_is_public_only():
    publisher = Stage().publisher
    assert publisher.opens("btcusdt@depth", "")
    assert not publisher.opens("btcusdt@aggTrade", "")
    assert not publisher.opens("btcusdt@depth", MARKET)
    assert not publisher.opens("btcusdt@aggTrade", PUBLIC)


@pytest.mark.parametrize("speed", ["", "@100ms", "@500ms"])
def test_differences_chain_by_pu_and_make_the_true_book(speed):
    stage = Stage(f"btcusdt@depth{speed}")
    before = stage.market.book("BTCUSDT")
    told = stage.run(5)[f"btcusdt@depth{speed}"]
    assert told[0]["pu"] == before.update_id * 7
    assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(told))
    assert any(each["U"] != each["pu"] + 1 for each in told)
    assert all(each["pu"] < each["U"] <= each["u"] for each in told)
    sides = (dict(before.bids), dict(before.asks))
    for frame in told:
        for side, key in zip(sides, "ba", strict=True):
            for price, qty in frame[key]:
                side[units(price)] = units(qty)
    now = stage.market.book("BTCUSDT")
    held = [{price: qty for price, qty in side.items() if qty} for side in sides]
    assert held == [dict(now.bids), dict(now.asks)]
    assert told[-1]["u"] == now.update_id * 7


def test_best_prices_have_ids_within_the_differences():
    stage = Stage("btcusdt@depth@100ms", "btcusdt@bookTicker")
    told = stage.run(3)
    ranges = [(each["U"], each["u"]) for each in told["btcusdt@depth@100ms"]]
    for ticker in told["btcusdt@bookTicker"]:
        assert any(first <= ticker["u"] <= last for first, last in ranges)
        assert ticker["E"] >= ticker["T"]


def test_a_partial_book_is_whole_each_time():
    stage = Stage("btcusdt@depth5@100ms")
    last = stage.run(2)["btcusdt@depth5@100ms"][-1]
    view = stage.market.book("BTCUSDT", 5)
    assert [units(price) for price, _ in last["b"]] == [price for price, _ in view.bids]
    assert len(last["a"]) == 5


def test_aggregates_put_together_all_fills_of_a_window():
    stage = Stage("btcusdt@aggTrade", "btcusdt@trade", rate=3.0)
    told = stage.run(10)
    fills = {each["t"]: each for each in told["btcusdt@trade"]}
    wholes = told["btcusdt@aggTrade"]
    assert len(wholes) < len(stage.market.aggregates("BTCUSDT"))
    assert all(b["a"] == a["a"] + 1 and b["f"] == a["l"] + 1 for a, b in pairwise(wholes))
    for whole in wholes:
        parts = [fills[number] for number in range(whole["f"], whole["l"] + 1)]
        assert sum(units(part["q"]) for part in parts) == units(whole["q"])
        assert {(part["p"], part["m"]) for part in parts} == {(whole["p"], whole["m"])}
        assert parts[-1]["T"] - parts[0]["T"] <= 100
        assert whole["E"] >= parts[-1]["T"]


def test_marks_come_each_second_and_every_three():
    told = Stage("btcusdt@markPrice@1s", "btcusdt@markPrice", "!markPrice@arr@1s").run(6)
    assert len(told["btcusdt@markPrice@1s"]) == 6
    assert len(told["btcusdt@markPrice"]) == 2
    assert [len(each) for each in told["!markPrice@arr@1s"]] == [3] * 6


def test_at_most_one_liquidation_a_second_and_symbol_is_told_as_one_object():
    stage = Stage("!forceOrder@arr", "btcusdt@forceOrder", rate=3.0)
    stage.market.shock(Shock(at=START, change=-0.06))
    told = stage.run(8)
    mine = told["btcusdt@forceOrder"]
    assert len(mine) < len(stage.market.liquidations("BTCUSDT"))
    assert all(later["E"] - earlier["E"] >= 1_000 for earlier, later in pairwise(mine))
    assert all(each["o"]["S"] == "SELL" for each in mine)
    universes = {each["o"]["st"] for each in told["!forceOrder@arr"]}
    assert universes == {1, 2}
    ours = [e for e in told["!forceOrder@arr"] if e["o"]["s"] == "BTCUSDT"]
    assert ours == mine


def test_before_the_merge_there_is_one_universe():
    stage = Stage("!miniTicker@arr", "btcusdt@depth@100ms", merged=False)
    told = stage.run(2)
    assert [row["s"] for row in told["!miniTicker@arr"][0]] == list(stage.market.symbols)
    assert "st" not in told["btcusdt@depth@100ms"][0]


def test_since_the_merge_all_means_both():
    told = Stage("!ticker@arr", "!bookTicker").run(5)
    assert {row["st"] for row in told["!ticker@arr"][0]} == {1, 2}
    assert {row["s"] for row in told["!bookTicker"]} == {
        "BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCUSD_PERP", "ETHUSD_PERP",
    }  # fmt: skip


def test_a_candle_closes_once_after_its_end_and_agrees_with_the_truth():
    stage = Stage("btcusdt@kline_1m")
    bars = [each["k"] for each in stage.run(130)["btcusdt@kline_1m"]]
    closed = [bar for bar in bars if bar["x"]]
    assert len({bar["t"] for bar in closed}) == len(closed) == 2
    for bar in closed:
        last = max(n for n, each in enumerate(bars) if each["t"] == bar["t"])
        assert bars[last] is bar
        true = stage.market.bar("BTCUSDT", "1m", bar["t"] * 1_000)
        assert (units(bar["c"]), bar["n"], bar["f"], bar["L"]) == (
            true.close, true.trades, true.first, true.last,
        )  # fmt: skip
