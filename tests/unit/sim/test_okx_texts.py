import pytest

from tapewatch.sim.bars import flat
from tapewatch.sim.decimals import units
from tapewatch.sim.okx_listing import family, instrument, listings
from tapewatch.sim.okx_texts import contracts, lot_size, orders, plain, size, to_tick, volumes

PAIRS = {pair.symbol: pair for pair in listings(60)}


@pytest.mark.parametrize(
    ("text", "told"), [("84094.10", "84094.1"), ("84094", "84094"), ("0.00000001", "0.00000001")]
)
def test_zeros_at_the_end_are_not_written(text, told):
    assert plain(units(text)) == told


@pytest.mark.parametrize(("price", "told"), [("84003.96", "84004.0"), ("84003.94", "84003.9")])
def test_derived_price_has_all_decimals_of_the_tick(price, told):
    assert to_tick(units(price), PAIRS["BTC-USDT-SWAP"]) == told


@pytest.mark.parametrize(
    ("symbol", "told"),
    [("BTC-USDT", "0.3"), ("BTC-USDT-SWAP", "30"), ("ETH-USDT-SWAP", "3"), ("BTC-USD-SWAP", "180")],
)
def test_size_is_in_base_on_spot_and_in_contracts_on_swaps(symbol, told):
    assert size(PAIRS[symbol], units("60000"), units("0.3")) == told


@pytest.mark.parametrize("pair", PAIRS.values(), ids=str)
def test_every_size_is_a_whole_number_of_lots(pair):
    lot = units(lot_size(pair))
    assert lot > 0
    for ticks, lots in ((1, 1), (7, 3), (61_843, 12_345)):
        assert contracts(pair, ticks * pair.tick, lots * pair.lot) % lot == 0


@pytest.mark.parametrize("symbol", ["BTC-USDT", "BTC-USDT-SWAP", "BTC-USD-SWAP"])
def test_volume_of_a_candle_is_the_sum_of_sizes(symbol):
    pair, bar = PAIRS[symbol], flat(0, units("60000"))
    total = 0
    for number in range(100):
        price, qty = units("60000") + number * 37 * pair.tick, (1 + number % 9) * pair.lot
        bar.record(price, qty, number, buys=True)
        total += contracts(pair, price, qty)
    assert volumes(pair, bar)[0] == plain(total)


def test_volumes_are_counted_base_and_quote():
    bar = flat(0, units("50000"))
    bar.record(units("50000"), units("0.02"), 1, buys=True)
    assert volumes(PAIRS["BTC-USDT"], bar) == ("0.02", "1000", "1000")
    assert volumes(PAIRS["BTC-USDT-SWAP"], bar) == ("2", "0.02", "1000")
    assert volumes(PAIRS["BTC-USD-SWAP"], bar) == ("10", "0.02", "1000")


def test_level_that_is_gone_has_no_orders():
    pair = PAIRS["BTC-USDT"]
    assert orders(pair, units("60000"), 0) == 0
    assert orders(pair, units("60000"), pair.lot) >= 1


def test_first_instruments_are_of_every_kind():
    kinds = [pair.kind for pair in listings(5)]
    assert kinds == ["spot", "linear", "spot", "linear", "inverse"]
    assert len(PAIRS) == 60
    assert "SIM022-USDT-SWAP" in PAIRS
    with pytest.raises(ValueError, match="0 symbols"):
        listings(0)


def test_instrument_of_a_swap_has_no_base_and_names_its_contract():
    row = instrument(PAIRS["BTC-USD-SWAP"])
    assert (row["baseCcy"], row["quoteCcy"]) == ("", "")
    assert (row["ctVal"], row["ctValCcy"], row["ctType"]) == ("100", "USD", "inverse")
    assert (row["settleCcy"], row["uly"]) == ("BTC", family(PAIRS["BTC-USD-SWAP"]))
    linear = instrument(PAIRS["BTC-USDT-SWAP"])
    assert (linear["ctVal"], linear["ctValCcy"], linear["settleCcy"]) == ("0.01", "BTC", "USDT")
    assert (linear["lotSz"], linear["tickSz"]) == ("0.01", "0.1")


def test_instrument_of_a_spot_pair_has_no_contract():
    row = instrument(PAIRS["BTC-USDT"])
    assert (row["baseCcy"], row["quoteCcy"], row["instType"]) == ("BTC", "USDT", "SPOT")
    assert (row["ctVal"], row["settleCcy"], row["uly"]) == ("", "", "")
