import pytest

from tapewatch.sim.bybit_listing import listings
from tapewatch.sim.bybit_numbers import Numbers, fraction, padded, places, trimmed
from tapewatch.sim.decimals import units

LISTED = {pair.symbol: pair for pair in listings(24)}


@pytest.mark.parametrize(
    ("text", "told"), [("77140", "77140"), ("77140.50", "77140.5"), ("0.00389", "0.00389")]
)
def test_spot_texts_have_no_zeros_at_their_end(text, told):
    assert trimmed(units(text)) == told


@pytest.mark.parametrize(
    ("text", "count", "told"),
    [("3.39", 3, "3.390"), ("13248", 0, "13248"), ("1", 8, "1.00000000"), ("-1.5", 1, "-1.5")],
)
def test_linear_texts_have_a_fixed_number_of_decimals(text, count, told):
    assert padded(units(text), count) == told


@pytest.mark.parametrize(("step", "count"), [("0.01", 2), ("1", 0), ("10", 0), ("0.00000001", 8)])
def test_decimals_of_a_step(step, count):
    assert places(units(step)) == count


@pytest.mark.parametrize(
    ("value", "told"), [(-0.01229, "-0.01229"), (0.0001, "0.0001"), (0.0, "0"), (-1e-9, "0")]
)
def test_rates_are_plain_decimals(value, told):
    assert fraction(value, 8) == told


def test_the_same_name_is_written_otherwise_on_spot_and_on_linear():
    spot, linear = Numbers(LISTED["spot/BTCUSDT"]), Numbers(LISTED["linear/BTCUSDT"])
    assert (spot.price(units("77140")), linear.price(units("77140"))) == ("77140", "77140.00")
    assert (spot.size(units("0.2")), linear.size(units("0.2"))) == ("0.2", "0.200")
    assert (spot.size(0), linear.size(0)) == ("0", "0")
