from math import inf, nan
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from tapewatch.model.codec import raw_of
from tapewatch.model.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Liquidation,
    MarkPrice,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tapewatch.model.times import DAY, HOUR
from tapewatch.process.validate import validate
from tests.streams import BEGIN, INSTS, at, gap, play, random_moves, tick, trade

NOW = (BEGIN, BEGIN, INSTS[0])
TRADE = trade()
QUOTE = Quote(*NOW, 9.0, 1.0, 10.0, 1.0)
TICKER = Ticker(*NOW, 9.0, 8.0, 10.0, 7.0, 1.0, 9.0, 1.0, 0.125)
CANDLE = Candle(*NOW, "1m", 9.0, 10.0, 8.0, 9.5, 1.0, 0.5, 3, closed=True)
SNAPSHOT = BookSnapshot(*NOW, 1, ((9.0, 1.0),), ((10.0, 1.0),))
DELTA = BookDelta(*NOW, 1, 2, ((9.0, 0.0),), ((10.0, 1.0),))
LIQUIDATION = Liquidation(*NOW, Side.SELL, 9.0, 1.0)
MARK = MarkPrice(*NOW, 9.0)
GOOD = [TRADE, QUOTE, TICKER, CANDLE, SNAPSHOT, DELTA, LIQUIDATION, MARK, gap(), tick()]


def problem(event):
    good, (letter,) = validate([event])
    assert good == []
    return letter.error


def test_a_good_batch_is_the_same_list_and_no_letters():
    good, letters = validate(GOOD)
    assert good is GOOD
    assert letters == []


def test_bad_events_become_letters_and_the_others_stay_in_order():
    bad = trade(price=-1.0, id_=7)
    good, (letter,) = validate([TRADE, bad, QUOTE])
    assert good == [TRADE, QUOTE]
    assert (letter.source, letter.stage, letter.recv) == ("binance", "validate", bad.recv)
    assert msgspec.json.decode(raw_of(letter), type=Trade) == bad


@pytest.mark.parametrize("number", [0.0, -1.0, inf, nan])
@pytest.mark.parametrize("field", ["price", "size"])
@pytest.mark.parametrize("event", [TRADE, LIQUIDATION], ids=["trade", "liquidation"])
def test_prices_and_sizes_must_be_positive_and_finite(event, field, number):
    assert "positive and finite" in problem(replace(event, **{field: number}))


def test_other_fields_of_a_trade():
    assert "count" in problem(replace(TRADE, count=0))
    assert "128" in problem(replace(TRADE, id="x" * 129))


@pytest.mark.parametrize(
    "change",
    [{"bid": 10.5}, {"bid": nan}, {"ask": inf}, {"bid_size": -1.0}, {"ask_size": nan}],
)
def test_quotes_must_be_finite_and_not_crossed(change):
    assert problem(replace(QUOTE, **change))


def test_a_quote_may_have_an_empty_side_and_be_locked():
    assert validate([replace(QUOTE, ask=0.0), replace(QUOTE, bid=10.0)])[1] == []


@pytest.mark.parametrize(
    "change",
    [
        {"high": 7.0}, {"open": 11.0}, {"close": 7.0}, {"low": 0.0}, {"high": nan},
        {"volume": -1.0}, {"quote_volume": inf}, {"trades": -1},
    ],
)  # fmt: skip
def test_candles_must_be_possible(change):
    assert problem(replace(CANDLE, **change))


@pytest.mark.parametrize("change", [{"last": -1.0}, {"volume": nan}, {"change": inf}])
def test_tickers_must_be_finite(change):
    assert problem(replace(TICKER, **change))


@pytest.mark.parametrize("event", [SNAPSHOT, DELTA], ids=["snapshot", "delta"])
@pytest.mark.parametrize("level", [(0.0, 1.0), (nan, 1.0), (9.0, -1.0), (9.0, inf), (9.0, nan)])
@pytest.mark.parametrize("side", ["bids", "asks"])
def test_each_level_must_be_possible(event, side, level):
    assert "level" in problem(replace(event, **{side: ((8.0, 1.0), level)}))


def test_a_book_has_a_limit():
    assert "levels" in problem(replace(SNAPSHOT, bids=((9.0, 1.0),) * 200_001))


def test_mark_prices_must_be_positive():
    assert "mark" in problem(replace(MARK, mark=nan))


@pytest.mark.parametrize("event", GOOD[:8], ids=lambda event: type(event).__name__)
def test_times_must_be_possible(event):
    assert "2009" in problem(replace(event, ts=at(0) // 1000))
    assert "2100" in problem(replace(event, ts=at(0) * 1000))
    assert "received" in problem(replace(event, recv=event.ts - 2 * DAY))


def test_a_wrong_clock_here_of_some_hours_is_no_problem():
    assert validate([replace(TRADE, recv=TRADE.ts - 5 * HOUR)])[1] == []


def test_repaired_and_backfilled_trades_may_be_old():
    assert validate([replace(TRADE, recv=TRADE.ts + 400 * DAY, repaired=True)])[1] == []


@pytest.mark.parametrize("recv", [0, 55_000_000])
def test_recordings_without_receive_times_pass(recv):
    assert validate([replace(event, recv=recv) for event in GOOD])[1] == []


def test_what_a_market_sends_passes():
    events = play(random_moves(Random(1), 2_000))
    assert validate(events) == (events, [])
