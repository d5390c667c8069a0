from datetime import UTC, datetime

import pytest

from tapewatch.sim.bars import (
    DAY,
    HOUR,
    INTERVALS,
    MINUTE,
    Row,
    flat,
    following,
    merged,
    opened,
)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("interval", "opens", "closes"),
    [
        ("1m", "2024-08-08T23:59", "2024-08-09T00:00"),
        ("4h", "2024-08-08T20:00", "2024-08-09T00:00"),
        ("1d", "2024-08-08T00:00", "2024-08-09T00:00"),
        ("1w", "2024-08-05T00:00", "2024-08-12T00:00"),
        ("1M", "2024-08-01T00:00", "2024-09-01T00:00"),
    ],
)
def test_bars_open_and_end_where_the_calendar_says(interval, opens, closes):
    ts = at("2024-08-08T23:59:59")
    assert opened(ts, interval) == at(opens)
    assert following(at(opens), interval) == at(closes)


@pytest.mark.parametrize("interval", INTERVALS)
def test_bars_follow_without_overlap(interval):
    open_ts = opened(at("2024-12-31T23:59:59"), interval)
    after = following(open_ts, interval)
    assert opened(after, interval) == after
    assert opened(after - 1, interval) == open_ts


def test_a_bar_counts_its_fills():
    bar = flat(0, 50)
    bar.record(100, 2, 7, buys=True)
    bar.record(90, 1, 8, buys=False)
    bar.record(120, 1, 9, buys=True)
    assert (bar.open, bar.high, bar.low, bar.close) == (100, 120, 90, 120)
    assert (bar.first, bar.last, bar.trades, bar.volume, bar.buy_volume) == (7, 9, 3, 4, 3)
    assert bar.quote_e16 == 410


def test_merging_ignores_bars_without_trades():
    quiet, busy = flat(0, 50), flat(MINUTE, 50)
    busy.record(80, 1, 1, buys=True)
    whole = merged(0, [quiet, busy, flat(2 * MINUTE, 80)], 50)
    assert (whole.open, whole.high, whole.low, whole.close) == (80, 80, 80, 80)
    assert merged(0, [quiet], 50) == flat(0, 50)


def test_a_row_has_no_holes():
    row = Row(MINUTE, 0, 10, keep=100)
    row.current(10).record(12, 1, 1, buys=True)
    row.current(5 * MINUTE + 1)
    bars = row.between(0, HOUR)
    assert [bar.open_ts for bar in bars] == [n * MINUTE for n in range(6)]
    assert [bar.close for bar in bars] == [12] * 6


def test_a_row_is_bounded_also_after_a_long_sleep():
    row = Row(MINUTE, 0, 10, keep=5)
    row.current(30 * DAY)
    assert [bar.open_ts for bar in row.between(0, 31 * DAY)] == [
        30 * DAY - n * MINUTE for n in (4, 3, 2, 1, 0)
    ]
