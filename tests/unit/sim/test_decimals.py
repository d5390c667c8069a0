from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.sim.decimals import fixed, product, units


@settings(max_examples=50)
@given(st.integers(-(10**18), 10**18))
def test_text_and_number_are_the_same_value(value):
    assert units(fixed(value)) == value


def test_text_has_eight_decimals_and_a_sign_only_when_negative():
    assert fixed(units("61837.63")) == "61837.63000000"
    assert fixed(-1) == "-0.00000001"


def test_product_is_rounded_down():
    exact = Decimal("0.00001013") * Decimal("7.3")
    assert product(units("0.00001013"), units("7.3")) == int(exact * 10**8)
