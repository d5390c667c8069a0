import uuid

import pytest

from tapewatch.sim import coinbase_texts as texts
from tapewatch.sim.decimals import units

TS = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z, a whole second


@pytest.mark.parametrize(
    ("value", "plain", "padded"),
    [
        ("83425.97", "83425.97", "83425.97"),
        ("2670.5", "2670.5", "2670.50"),
        ("31888", "31888", "31888.00"),
        ("0", "0", "0.00"),
        ("0.04", "0.04", "0.04"),
    ],
)
def test_numbers_are_trimmed_or_padded_to_the_tick(value, plain, padded):
    assert texts.plain(units(value)) == plain
    assert texts.padded(units(value), 2) == padded


def test_a_change_can_be_below_zero():
    assert texts.plain(-units("1.5")) == "-1.5"


@pytest.mark.parametrize(("tick", "places"), [("1", 0), ("0.01", 2), ("0.00000001", 8), ("5", 0)])
def test_decimals_of_a_tick(tick, places):
    assert texts.places(units(tick)) == places
    assert texts.padded(units("7"), places).partition(".")[2] == "0" * places


def test_times_have_six_digits_or_as_many_as_they_need():
    assert texts.micros(TS) == "2026-09-21T14:13:20.000000Z"
    assert texts.micros(TS + 974_500) == "2026-09-21T14:13:20.974500Z"
    assert texts.trimmed(TS) == "2026-09-21T14:13:20Z"
    assert texts.trimmed(TS + 410_400) == "2026-09-21T14:13:20.4104Z"
    assert texts.trimmed(TS + 410_400, 120) == "2026-09-21T14:13:20.41040012Z"


def test_the_time_of_sending_is_within_its_microsecond():
    for salt in range(50):
        whole, part = texts.sent(TS + 7, salt).rstrip("Z").split(".")
        assert whole == "2026-09-21T14:13:20"
        assert part.startswith("000007")
        assert len(part) <= 9


def test_batches_of_two_products_are_not_in_order_of_time_but_those_of_one_are():
    grid = [TS + 50_000 * n for n in range(1, 100)]
    one = [texts.batch_ts("BTC-USD", now) for now in grid]
    two = [texts.batch_ts("ETH-USD", now) for now in grid]
    assert one == sorted(one)
    assert all(0 <= now - ts < 9_000 for ts, now in zip(one, grid, strict=True))
    assert len({a < b for a, b in zip(one, two, strict=True)}) == 2


def test_order_ids_are_uuids_that_do_not_change():
    ids = {texts.order_id("maker", "BTC-USD", n) for n in range(100)}
    assert len(ids) == 100
    assert all(uuid.UUID(found).version == 4 and str(uuid.UUID(found)) == found for found in ids)
    assert texts.order_id("a", 1) == texts.order_id("a", 1)


@pytest.mark.parametrize(
    ("text", "ts"),
    [
        ("1790000000", TS),
        ("1790000000.25", TS + 250_000),
        ("2026-09-21T14:13:20Z", TS),
        ("2026-09-21T14:13:20.500Z", TS + 500_000),
        ("2026-09-21T16:13:20+02:00", TS),
        ("2026-09-21T14:13:20", TS),
        ("yesterday", None),
        ("2026-13-01", None),
        ("1" * 40 + ".5", int("1" * 40) * 1_000_000 + 500_000),
    ],
)
def test_times_in_queries_are_seconds_or_iso(text, ts):
    assert texts.parsed(text) == ts


def test_go_prints_a_time_with_its_monotonic_reading():
    told = texts.go_text(TS + 5, 3_000_002)
    assert told == "2026-09-21 14:13:20.000005000 +0000 UTC m=+3.000002000"
