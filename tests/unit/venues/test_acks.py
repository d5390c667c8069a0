from tapewatch.ports import Subscription
from tapewatch.venues._acks import ANSWER_SECS, SPEAK_SECS, Acks

A, B = Subscription("x:A/B", "trade"), Subscription("x:A/B", "depth")
SECOND = 1_000_000


def test_a_request_is_answered_once():
    acks = Acks()
    number = acks.ask((A, B), 0)
    assert acks.answered(number) == (A, B)
    assert acks.answered(number) == ()


def test_numbers_of_others_answer_nothing():
    acks = Acks()
    acks.ask((A,), 0)
    assert [acks.answered(n) for n in (7, None, "1", True, 1.0)] == [()] * 5


def test_an_answer_without_number_is_for_the_only_request():
    acks = Acks()
    assert acks.only() is None
    first = acks.ask((A,), 0)
    assert acks.only() == first
    acks.ask((B,), 0)
    assert acks.only() is None


def test_requests_are_overdue_once():
    acks = Acks()
    acks.ask((A,), 0)
    acks.ask((B,), SECOND)
    assert acks.overdue(ANSWER_SECS * SECOND - 1) == []
    assert acks.overdue(ANSWER_SECS * SECOND) == [(A,)]
    assert acks.overdue(100 * SECOND) == [(B,)]
    assert acks.overdue(200 * SECOND) == []


def test_requests_that_wait_in_line_to_be_sent_have_time_for_it():
    acks = Acks()
    asked = [Subscription(f"x:{number}/B", "trade") for number in range(60)]
    for sub in asked:
        acks.ask((sub,), 0)
    last_sent_secs = 15  # at four a second
    late = acks.overdue((last_sent_secs + ANSWER_SECS) * SECOND - 1)
    assert (asked[-1],) not in late


def test_only_what_never_spoke_is_silent_and_is_told_once():
    acks = Acks()
    acks.expect((A, B), 0)
    acks.heard(A)
    assert acks.silent(SPEAK_SECS * SECOND - 1) == ()
    assert acks.silent(SPEAK_SECS * SECOND) == (B,)
    assert acks.silent(SPEAK_SECS * SECOND) == ()
