from random import Random

import pytest

from tapewatch.wire.backoff import Backoff, retry_after


class Highest(Random):
    def uniform(self, a, b):
        return b


def test_ceiling_doubles_up_to_the_cap_and_stays():
    backoff = Backoff(5.0, 60.0, Highest())
    assert [backoff.next() for _ in range(6)] == [5, 10, 20, 40, 60, 60]


def test_delay_lies_anywhere_below_the_ceiling():
    backoff = Backoff(4.0, 4.0, Random(1))
    delays = [backoff.next() for _ in range(200)]
    assert all(0 <= delay <= 4 for delay in delays)
    assert min(delays) < 0.5
    assert max(delays) > 3.5


def test_reset_begins_again_at_the_first_delay():
    backoff = Backoff(1.0, 60.0, Highest())
    for _ in range(4):
        backoff.next()
    backoff.reset()
    assert backoff.next() == 1


def test_what_the_venue_asks_for_is_never_undercut():
    backoff = Backoff(1.0, 60.0, Highest())
    assert backoff.next(at_least=90.0) == 90
    assert backoff.next(at_least=0.5) == 2


def test_failures_without_end_do_not_overflow():
    backoff = Backoff(1.0, 60.0, Highest())
    assert {backoff.next() for _ in range(5000)} == {1, 2, 4, 8, 16, 32, 60}


@pytest.mark.parametrize(
    ("text", "date", "secs"),
    [
        ("7", "", 7),
        ("0.5", "", 0.5),
        ("-3", "", 0),
        ("99999999", "", 3 * 86_400),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 30),
        ("Wed, 21 Oct 2026 07:28:30", "Wed, 21 Oct 2026 07:28:00 GMT", 30),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "", None),
        ("", "", None),
        ("soon", "", None),
        ("nan", "", None),
        ("inf", "", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text, date, secs):
    assert retry_after(text, date) == secs
