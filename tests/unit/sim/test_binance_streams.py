from itertools import pairwise

import pytest

from tapewatch.sim.binance_streams import GRID, Publisher, parsed
from tapewatch.sim.decimals import units
from tapewatch.sim.faults import Faults
from tapewatch.sim.link import Hub
from tapewatch.sim.market import open_market
from tests.unit.sim import doubles

START = 1_790_000_000_000_000  # a whole second
SECOND = 1_000_000
SYMBOLS = {"btcusdt": "BTCUSDT"}


class Stage:
    """A publisher with one client, without a socket."""

    def __init__(self, *names, rate=1.0, seed=1, start=START):
        self.market = open_market(start=start, symbols=2, rate=rate, seed=seed)
        self.hub = Hub(Faults())
        self.publisher = Publisher(self.market, self.hub)
        self.link = doubles.link()
        for name in names:
            assert self.publisher.opens(name)
            self.hub.listen(self.link, name)

    def run(self, secs):
        to = self.market.now + int(secs * SECOND)
        while self.market.now < to:
            now = self.market.now
            self.publisher.step(min(to, now - now % GRID + GRID))
        self.link.flush()
        return self

    def of(self, name):
        if not hasattr(self, "_texts"):
            self._texts = self.link._transport.texts()
        return [t["data"] for t in self._texts if t["stream"] == name]


@pytest.mark.parametrize(
    ("name", "kind", "every"),
    [
        ("btcusdt@trade", "trade", 0),
        ("btcusdt@aggTrade", "aggTrade", 0),
        ("btcusdt@bookTicker", "bookTicker", 0),
        ("btcusdt@depth", "slow_depth", SECOND),
        ("btcusdt@depth@100ms", "depth", GRID),
        ("btcusdt@depth5", "partial", SECOND),
        ("btcusdt@depth20@100ms", "partial", GRID),
        ("btcusdt@kline_1M", "kline", GRID),
        ("btcusdt@ticker", "ticker", SECOND),
        ("btcusdt@miniTicker", "miniTicker", SECOND),
    ],
)
def test_stream_names_are_understood(name, kind, every):
    stream = parsed(name, SYMBOLS)
    assert (stream.symbol, stream.kind, stream.every) == ("BTCUSDT", kind, every)


@pytest.mark.parametrize(
    "name", ["BTCUSDT@trade", "btcusdt", "btcusdt@depth7", "btcusdt@kline_1y", "!ticker@arr", "@"]
)
def test_other_names_are_none(name):
    assert parsed(name, SYMBOLS) is None


def test_same_seed_writes_the_same_bytes():
    names = ("btcusdt@trade", "btcusdt@bookTicker", "ethusdt@depth@100ms", "ethusdt@kline_1s")
    written = [Stage(*names, seed=s).run(3).link._transport.written for s in (1, 1, 2)]
    assert written[0] == written[1] != written[2]


def test_update_ids_join_in_both_speeds():
    stage = Stage("btcusdt@depth", "btcusdt@depth@100ms").run(5)
    for name in ("btcusdt@depth", "btcusdt@depth@100ms"):
        rows = stage.of(name)
        assert all(b["U"] == a["u"] + 1 for a, b in pairwise(rows))
    assert len(stage.of("btcusdt@depth")) == 5
    assert len(stage.of("btcusdt@depth@100ms")) > 40
    assert stage.of("btcusdt@depth")[-1]["u"] == stage.of("btcusdt@depth@100ms")[-1]["u"]


def test_slow_and_fast_differences_make_the_same_book():
    stage = Stage("btcusdt@depth", "btcusdt@depth@100ms").run(4)
    books = []
    for name in ("btcusdt@depth", "btcusdt@depth@100ms"):
        book = {}
        for row in stage.of(name):
            for side in "ba":
                book.update({(side, price): qty for price, qty in row[side]})
        books.append(book)
    assert books[0] == books[1]


def test_book_ticker_agrees_with_the_book_at_the_same_update_id():
    stage = Stage("btcusdt@depth@100ms", "btcusdt@bookTicker")
    view = stage.market.book("BTCUSDT")
    stage.run(20)
    bids, asks = dict(view.bids), dict(view.asks)
    tickers = {row["u"]: row for row in stage.of("btcusdt@bookTicker")}
    compared = 0
    for row in stage.of("btcusdt@depth@100ms"):
        for side, levels in ((bids, row["b"]), (asks, row["a"])):
            side.update({units(price): units(qty) for price, qty in levels})
        best_bid = max(price for price, qty in bids.items() if qty)
        best_ask = min(price for price, qty in asks.items() if qty)
        assert best_bid < best_ask
        told = tickers.get(row["u"])
        if told is not None:
            compared += 1
            assert (units(told["b"]), units(told["B"])) == (best_bid, bids[best_bid])
            assert (units(told["a"]), units(told["A"])) == (best_ask, asks[best_ask])
    assert compared > 20


def test_candles_close_once_each_and_agree_with_the_market():
    stage = Stage("btcusdt@kline_1s", "btcusdt@kline_1m", start=START - START % 60_000_000).run(125)
    closed = [row["k"] for row in stage.of("btcusdt@kline_1m") if row["k"]["x"]]
    assert len(closed) == 3  # the first is of the minute before the start: history
    assert all(b["t"] == a["t"] + 60_000 for a, b in pairwise(closed))
    assert all(b["f"] == a["L"] + 1 for a, b in pairwise(closed))
    for bar in closed:
        true = stage.market.bar("BTCUSDT", "1m", bar["t"] * 1_000)
        assert (bar["n"], units(bar["v"]), units(bar["c"])) == (
            true.trades,
            true.volume,
            true.close,
        )
    seconds = [row["k"] for row in stage.of("btcusdt@kline_1s")]
    assert all(row["x"] for row in seconds)
    assert all(b["t"] == a["t"] + 1_000 for a, b in pairwise(seconds))


def test_closed_candle_is_the_last_word_about_its_bar():
    stage = Stage("ethusdt@kline_1m", start=START - START % 60_000_000).run(130)
    finished = set()
    for row in stage.of("ethusdt@kline_1m"):
        assert row["k"]["t"] not in finished
        assert row["E"] > row["k"]["T"] or not row["k"]["x"]
        if row["k"]["x"]:
            finished.add(row["k"]["t"])


def test_candles_come_also_when_nothing_is_traded():
    stage = Stage("ethusdt@kline_1s", rate=0.0005).run(10)
    quiet = [row["k"] for row in stage.of("ethusdt@kline_1s") if row["k"]["n"] == 0]
    assert quiet
    assert {(k["f"], k["L"], k["v"], k["o"] == k["c"]) for k in quiet} == {
        (-1, -1, "0.00000000", True)
    }


def test_partial_depth_is_the_top_and_comes_when_something_changed():
    stage = Stage("btcusdt@depth5@100ms", "btcusdt@depth20").run(2)
    rows = stage.of("btcusdt@depth5@100ms")
    assert all(len(row["bids"]) == len(row["asks"]) == 5 for row in rows)
    assert all(b["lastUpdateId"] > a["lastUpdateId"] for a, b in pairwise(rows))
    last, view = stage.of("btcusdt@depth20")[-1], stage.market.book("BTCUSDT", 20)
    assert last["lastUpdateId"] == view.update_id
    assert [(units(p), units(q)) for p, q in last["bids"]] == view.bids


def test_tickers_come_every_second_with_the_truth():
    stage = Stage("btcusdt@ticker", "btcusdt@miniTicker").run(3)
    assert len(stage.of("btcusdt@ticker")) == len(stage.of("btcusdt@miniTicker")) == 3
    last, day = stage.of("btcusdt@ticker")[-1], stage.market.day("BTCUSDT")
    assert units(last["c"]) == day.bar.close == stage.market.trades("BTCUSDT")[-1].price
    assert units(last["h"]) >= units(last["c"]) >= units(last["l"])
    assert last["L"] == stage.market.newest_ids("BTCUSDT")[0]
    assert last["C"] - last["O"] == 86_400_000


def test_a_stream_that_nobody_wants_any_more_is_forgotten():
    stage = Stage("btcusdt@depth5@100ms").run(0.5)
    stage.hub.leave(stage.link, "btcusdt@depth5@100ms")
    stage.run(0.2)
    assert stage.publisher._timed == {}
