from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Micros
from tapewatch.model.times import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    WEEK,
    Interval,
    from_epoch,
    hour_stamp,
    interval_name,
    iso,
    parse_time,
)

NOW = Micros(1_795_000_000_000_000)
MOMENTS = st.integers(0, 4_000_000_000_000_000).map(Micros)


@pytest.mark.parametrize(
    ("text", "name"),
    [("1m", "1m"), ("60s", "1m"), ("7m", "7m"), ("24h", "1d"), ("14d", "2w"), ("90m", "90m")],
)
def test_an_interval_has_one_canonical_name(text, name):
    assert Interval.parse(text).name == name


@pytest.mark.parametrize("text", ["", "m", "0m", "-5m", "1.5h", "7x", "1M", "m7", "9999999s"])
def test_what_is_no_interval_is_refused_in_words(text):
    with pytest.raises(ValueError, match="is no interval"):
        Interval.parse(text)


@given(MOMENTS, st.sampled_from(["1s", "1m", "7m", "1h", "4h", "1d", "3d", "1w", "2w"]))
def test_a_moment_lies_in_the_candle_it_is_floored_to(ts, text):
    interval = Interval.parse(text)
    start = interval.floor(ts)
    assert start <= ts < start + interval.micros
    assert interval.floor(start) == start


def test_weeks_begin_on_monday():
    start = Interval.parse("1w").floor(NOW)
    assert datetime.fromtimestamp(start // SECOND, UTC).isoweekday() == 1


@pytest.mark.parametrize(
    ("base", "larger", "fits"),
    [
        ("1m", "7m", True), ("5m", "7m", False), ("1d", "3d", True), ("1d", "1w", True),
        ("1w", "2w", True), ("1w", "1w", True), ("1h", "1m", False),
    ],
)  # fmt: skip
def test_divides(base, larger, fits):
    assert Interval.parse(base).divides(Interval.parse(larger)) is fits


@pytest.mark.parametrize(
    "text", ["2026-11-18T12:00Z", "2026-11-18T12:00:00+00:00", "2026-11-18T13:00+01:00",
             "2026-11-18 12:00", "1795003200", "1795003200000", "1795003200000000",
             "1795003200000000000"],
)  # fmt: skip
def test_times_are_read_in_every_usual_spelling(text):
    assert parse_time(text, NOW) == 1_795_003_200 * SECOND


def test_relative_times_count_back_from_now():
    assert parse_time("-24h", NOW) == NOW - DAY
    assert parse_time("now", NOW) == NOW


@pytest.mark.parametrize("text", ["", "yesterday", "-", "-x", "2026-13-01"])
def test_what_is_no_time_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"is no (time|interval)"):
        parse_time(text, NOW)


@given(MOMENTS)
def test_iso_text_reads_back_exactly(ts):
    assert parse_time(iso(ts), NOW) == ts


@given(st.integers(200_000_000, 90_000_000_000))
def test_epoch_units_are_told_apart(seconds):
    assert {from_epoch(seconds * 1000**n) for n in range(4)} == {seconds * SECOND}


def test_hours_are_named_as_the_files_are():
    assert hour_stamp(parse_time("2025-08-25T00:59:59Z", NOW)) == "20250825_00"


@given(st.integers(1, 10**6 - 1))
def test_interval_names_parse_back(seconds):
    micros = seconds * SECOND
    assert Interval.parse(interval_name(micros)).micros == micros


def test_units():
    assert (MINUTE, HOUR, DAY, WEEK) == (60 * SECOND, 3600 * SECOND, 86400 * SECOND, 7 * DAY)
