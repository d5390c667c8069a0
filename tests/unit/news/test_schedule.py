from zoneinfo import ZoneInfo

import pytest

from tapewatch.model.times import parse_time
from tapewatch.news.schedule import BLOCKED_SECS, Hours, Outcome, delay, outcome_of


def at(text: str) -> int:
    return parse_time(text, 0)


HOURS = Hours(day_secs=30, night_secs=7_200, day_from=7, day_until=23)


@pytest.mark.parametrize(
    ("when", "secs"),
    [
        ("2026-11-20T07:00:00Z", 30),
        ("2026-11-20T22:59:59Z", 30),
        ("2026-11-20T23:00:00Z", 7_200),
        ("2026-11-20T03:00:00Z", 7_200),
        ("2026-11-20T06:30:00Z", 1_800),
        ("2026-11-20T06:59:50Z", 30),
    ],
)
def test_a_wait_of_the_night_ends_with_the_night(when, secs):
    assert HOURS.delay(at(when)) == secs


def test_the_hours_are_those_of_the_zone():
    tokyo = Hours(day_secs=30, night_secs=90, zone=ZoneInfo("Asia/Tokyo"))
    assert tokyo.delay(at("2026-11-20T23:00:00Z")) == 30
    assert tokyo.delay(at("2026-11-20T15:00:00Z")) == 90


def test_a_day_may_last_over_midnight():
    owl = Hours(day_secs=30, night_secs=90, day_from=18, day_until=4)
    assert [owl.delay(at(f"2026-11-20T{hour}:00:00Z")) for hour in ("19", "03", "12")] == [
        30,
        30,
        90,
    ]


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome"),
    [
        (200, None, Outcome.OK),
        (304, None, Outcome.SAME),
        (403, None, Outcome.BLOCKED),
        (451, 5, Outcome.BLOCKED),
        (429, None, Outcome.LIMITED),
        (503, 20, Outcome.LIMITED),
        (503, None, Outcome.FAILED),
        (404, None, Outcome.FAILED),
        (0, None, Outcome.UNREACHABLE),
    ],
)
def test_an_answer_is_judged_by_its_status(status, retry_after, outcome):
    assert outcome_of(status, retry_after) is outcome


def test_who_blocks_us_is_asked_again_after_half_an_hour():
    assert delay(Outcome.BLOCKED, 30, 1) == BLOCKED_SECS == 1_800


def test_who_asks_for_patience_gets_it_and_never_less_than_usual():
    assert delay(Outcome.LIMITED, 30, 1, 900) == 900
    assert delay(Outcome.LIMITED, 30, 1, 0) == 30
    assert delay(Outcome.LIMITED, 30, 1) == 300


def test_failures_wait_longer_each_time_up_to_half_an_hour():
    assert [delay(Outcome.FAILED, 30, failures) for failures in (1, 2, 3, 20)] == [
        30,
        60,
        120,
        1_800,
    ]
    assert delay(Outcome.UNREACHABLE, 7_200, 3) == 7_200
