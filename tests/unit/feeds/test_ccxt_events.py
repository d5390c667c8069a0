import pytest

from tapewatch.feeds.ccxt_events import (
    Units,
    to_instruments,
    to_levels,
    to_quote,
    to_ticker,
    to_trades,
)
from tapewatch.model.errors import BadFrame
from tapewatch.model.events import Side
from tapewatch.model.instrument import Catalogue

RECV = 1_790_000_000_500_000
SPOT = Units("kraken:BTC/USD")
LINEAR = Units("okx:BTC/USDT:USDT", 0.01, is_contract=True)
INVERSE = Units("okx:BTC/USD:BTC", 100.0, is_contract=True, is_inverse=True)


def trade(**more):
    row = {"id": "7", "timestamp": 1_790_000_000_123, "price": 50_000.0, "amount": 2.0}
    return {**row, "side": "buy", **more}


@pytest.mark.parametrize(("units", "size"), [(SPOT, 2.0), (LINEAR, 0.02), (INVERSE, 0.004)])
def test_amounts_become_base_units(units, size):
    ((told,), strange) = to_trades([trade()], units, RECV)
    assert told.size == pytest.approx(size)
    assert (told.id, told.side, told.ts, told.recv) == ("7", Side.BUY, 1_790_000_000_123_000, RECV)
    assert not strange


def test_a_trade_without_time_happened_when_it_came():
    ((told,), _) = to_trades([trade(timestamp=None)], SPOT, RECV)
    assert told.ts == RECV


@pytest.mark.parametrize("missing", ["price", "amount", "side"])
def test_a_row_without_what_makes_a_trade_is_given_back(missing):
    row = trade(**{missing: None})
    assert to_trades([row, trade()], SPOT, RECV)[1] == [row]


def test_trades_without_ids_are_told_apart_within_a_message_and_known_again():
    rows = [trade(id=None), trade(id=None), trade(id=None, amount=3.0)]
    first, again = (to_trades(rows, SPOT, RECV)[0] for _ in range(2))
    assert len({each.id for each in first}) == 3
    assert [each.id for each in first] == [each.id for each in again]


def ticker(**more):
    row = {"timestamp": None, "last": 110.0, "open": 100.0, "high": 120.0, "low": 90.0}
    return {**row, "baseVolume": 5.0, "quoteVolume": 500.0, **more}


def test_a_ticker_is_told_with_its_change_as_a_fraction():
    told = to_ticker(ticker(bid=109.0, ask=111.0), SPOT, RECV)
    assert (told.change, told.change_pct, told.ts) == (10.0, pytest.approx(0.1), RECV)
    assert (told.volume, told.quote_volume, told.bid, told.ask) == (5.0, 500.0, 109.0, 111.0)


@pytest.mark.parametrize("known", [{"change": 10.0}, {"percentage": 10.0}])
def test_the_opening_price_follows_from_the_change(known):
    told = to_ticker(ticker(open=None, **known), SPOT, RECV)
    assert told.open == pytest.approx(100.0)
    assert told.change_pct == pytest.approx(0.1)


def test_what_a_venue_does_not_tell_of_the_day_is_zero():
    bare = {"last": 110.0, "timestamp": float("nan"), "high": None}
    told = to_ticker(bare, SPOT, RECV)
    assert (told.last, told.open, told.high, told.change, told.volume) == (110.0, 0, 0, 0, 0)


def test_without_a_price_there_is_no_ticker_and_without_both_sides_no_quote():
    assert to_ticker({"last": None, "bid": 1.0}, SPOT, RECV) is None
    assert to_quote({"bid": 1.0, "ask": None}, SPOT, RECV) is None
    told = to_quote({"bid": 100.0, "ask": 101.0, "bidVolume": 3.0}, LINEAR, RECV)
    assert (told.bid_size, told.ask_size) == (pytest.approx(0.03), 0.0)


@pytest.mark.parametrize(
    ("row", "volume"),
    [
        ({"baseVolume": 500.0, "quoteVolume": 550.0}, 5.0),  # in contracts
        ({"baseVolume": 5.0, "quoteVolume": 550.0}, 5.0),  # in base units already
        ({"baseVolume": 500.0, "quoteVolume": None}, 5.0),
    ],
)
def test_the_volume_of_a_derivative_is_what_the_quote_volume_says(row, volume):
    assert to_ticker(ticker(**row), LINEAR, RECV).volume == pytest.approx(volume)


def test_a_book_is_cut_and_its_empty_levels_are_left_out():
    book = {"bids": [[100, 1], [99, 0], [98, 2], [97, 3]], "asks": [[101, 5, "id"]]}
    bids, asks = to_levels(book, LINEAR, 2)
    assert bids == ((100.0, 0.01), (98.0, 0.02))
    assert asks == ((101.0, 0.05),)


@pytest.mark.parametrize("level", [[0, 1], [-1, 1], [1, -1], [None, 1], [1, "x"]])
def test_an_impossible_level_is_no_book(level):
    with pytest.raises(BadFrame):
        to_levels({"bids": [level], "asks": []}, SPOT, 10)


def market(symbol, id_, **more):
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    settle = settle.partition("-")[0] or None
    steps = {"price": 0.1, "amount": 0.001}
    row = {"symbol": symbol, "id": id_, "base": base, "quote": quote, "settle": settle}
    return {**row, "precision": steps, "contract": settle is not None, **more}


def test_a_pair_and_its_perpetual_of_one_name_are_two_instruments():
    rows = [
        market("BTC/USDT", "BTCUSDT"),
        market("BTC/USDT:USDT", "BTCUSDT", contractSize=0.01),
        market("ETH/USDT", "ETHUSDT", active=False),
        market("BTC/USDT:USDT-261225", "BTC-26"),
        market("BTC/USDT:USDT-261225-100000-C", "BTC-26-C"),
    ]
    found = to_instruments("bybit", rows, 4)
    assert [each.symbol for each in found] == [row["symbol"] for row in rows[:4]]  # no options
    assert found[0].tick == 0.1
    assert found[1].contract_size == 0.01
    assert not found[2].active
    catalogue = Catalogue(found)
    assert catalogue.resolve("btcusdt").id == "bybit:BTC/USDT"
    assert catalogue.resolve("bybit:BTC/USDT:USDT").settle == "USDT"


@pytest.mark.parametrize(
    ("venue", "side"), [("ccxt_coinbase", Side.SELL), ("coinbaseexchange", Side.BUY)]
)
def test_a_side_of_the_maker_is_turned_where_ccxt_leaves_it(venue, side):
    units = Units.of(venue, {"symbol": "BTC/USD"})
    row = {"id": "1", "timestamp": 1_700_000_000_000, "price": 1.0, "amount": 1.0, "side": "buy"}
    (trade,), strange = to_trades([row], units, 1)
    assert trade.side is side
    assert not strange
