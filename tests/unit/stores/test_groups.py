import pytest

from tapewatch.model.events import Coverage, DeadLetter, Micros, Tick
from tapewatch.stores._groups import groups, storable
from tests.rows import HOUR0, T0, at, candle, coverage, delta, letter, quote, snapshot, trade


def shares(batch) -> dict[tuple[str, int], list]:
    return {(group.kind, group.hour): group.rows for group in groups(batch)}


def test_rows_go_by_kind_and_hour_in_the_order_in_which_they_came():
    batch = [trade(1), quote(1), trade(2, 3600), snapshot(1), trade(3, 3599.9), delta(2)]
    assert shares(batch) == {
        ("trades", HOUR0): [trade(1), trade(3, 3599.9)],
        ("trades", HOUR0 + 1): [trade(2, 3600)],
        ("quotes", HOUR0): [quote(1)],
        ("orderbook", HOUR0): [snapshot(1), delta(2)],
    }


def test_only_closed_candles_are_stored():
    assert shares([candle(1, closed=False), candle(2)]) == {("candles", HOUR0): [candle(2)]}
    assert shares([candle(1, closed=False)]) == {}


def test_what_is_not_stored_is_left_out():
    batch = [Tick(T0, T0, "binance"), coverage(1, 2), letter(1)]
    assert {type(event) for event in batch} == {Tick, Coverage, DeadLetter}
    assert groups(batch) == []


@pytest.mark.parametrize("ts", [Micros(-1), Micros(2**60)])
def test_a_time_that_no_file_can_be_named_after_is_refused(ts):
    with pytest.raises(ValueError, match="years 1970 to 9999"):
        groups([trade(1), trade(2, ts=ts)])
    assert not storable(trade(2, ts=ts))
    assert storable(trade(1))


def test_text_that_is_no_unicode_cannot_be_stored():
    assert not storable(trade(1, id="\ud800"))


def test_the_last_moment_of_an_hour_belongs_to_it():
    assert set(shares([trade(1, ts=Micros(at(3600) - 1))])) == {("trades", HOUR0)}
