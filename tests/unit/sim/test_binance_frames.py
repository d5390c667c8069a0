"""Keys and forms against the examples of the venue's own documentation, copied by hand."""

import json
import re

import pytest

from tapewatch.sim import binance_frames as frames
from tapewatch.sim.bars import Bar
from tapewatch.sim.book import Changes, View
from tapewatch.sim.chart import Day
from tapewatch.sim.decimals import units
from tapewatch.sim.happenings import Aggregate, Top, Trade

TS = 1_723_161_255_342_777
TRADE = Trade("BTCUSDT", 3735683259, units("61837.63"), units("0.02"), TS, True)
WHOLE = Aggregate("BTCUSDT", 7, units("61837.63"), units("0.02"), 5, 6, TS, False)
BAR = Bar(1_633_998_480_000_000, 35270000, 35280000, 35220000, 35280000, trades=3, first=1, last=3)


def test_trade_has_the_documented_keys_and_values():
    sent = json.loads(frames.trade(TRADE, 1_000))
    assert list(sent) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert sent["T"] == TS // 1_000
    assert 0 <= sent["E"] - sent["T"] <= 2
    assert (sent["p"], sent["q"]) == ("61837.63000000", "0.02000000")
    assert sent["m"] is True


def test_microseconds_have_sixteen_digits():
    sent = json.loads(frames.trade(TRADE, 1))
    assert sent["T"] == TS
    assert len(str(sent["E"])) == 16


def test_aggregate_covers_first_to_last():
    sent = json.loads(frames.aggregate(WHOLE, 1_000))
    assert list(sent) == ["e", "E", "s", "a", "p", "q", "f", "l", "T", "m", "M"]
    assert (sent["a"], sent["f"], sent["l"], sent["m"]) == (7, 5, 6, False)


def test_book_ticker_has_no_time():
    sent = json.loads(frames.book_ticker(Top("BTCUSDT", 9, 1, 2, 3, 4)))
    assert list(sent) == ["u", "s", "b", "B", "a", "A"]


def test_depth_update_deletes_with_zero_and_sorts_from_the_best():
    changes = Changes(5, 9, {100: 1, 300: 0, 200: 2}, {500: 1, 400: 3})
    sent = json.loads(frames.depth_update("BTCUSDT", changes, TS, 1_000))
    assert list(sent) == ["e", "E", "s", "U", "u", "b", "a"]
    assert (sent["U"], sent["u"]) == (5, 9)
    assert sent["b"][0] == ["0.00000300", "0.00000000"]
    assert [row[0] for row in sent["a"]] == ["0.00000400", "0.00000500"]


def test_partial_depth_has_no_symbol():
    sent = json.loads(frames.partial_depth(View(1, [(2, 3)], [])))
    assert sent == {"lastUpdateId": 1, "bids": [["0.00000002", "0.00000003"]], "asks": []}


@pytest.mark.parametrize("unit", [1_000, 1])
def test_kline_ends_one_unit_before_the_next(unit):
    sent = json.loads(frames.kline("NKNUSDT", "1m", BAR, TS, unit, closed=True))
    assert list(sent) == ["e", "E", "s", "k"]
    assert list(sent["k"]) == list("tTsifLoc") + list("hlvnxqVQB")
    assert sent["k"]["T"] - sent["k"]["t"] == 60_000_000 // unit - 1
    assert sent["k"]["x"] is True
    assert sent["k"]["B"] == "0"


def test_tickers_have_the_documented_keys():
    day = Day(TS - 86_400_000_000, TS, BAR, 35000000)
    sent = json.loads(frames.ticker("ETHUSDT", day, (1, 2, 3, 4), 5, 1_000))
    assert list(sent) == list("eEspPwxcQbBaAohlvqOCFLn")
    assert re.fullmatch(r"-?\d+\.\d{3}", sent["P"])
    assert sent["p"] == "0.00010000"
    mini = json.loads(frames.mini_ticker("ETHUSDT", day, 1_000))
    assert list(mini) == list("eEscohlvq")
