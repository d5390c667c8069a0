from tapewatch.model.times import DAY
from tapewatch.venues._pulse import MARGIN, STALLED, Pulse, Watermark

SECOND = 1_000_000
NOW = 1_700_000_000 * SECOND


def pulse(ts, recv=NOW):
    made = Pulse()
    made.ts, made.recv = ts, recv
    return made


def mark(*pulses):
    made = Watermark("x")
    made.pulses.update(pulses)
    return made


def test_nothing_is_told_before_there_was_an_event():
    assert mark().tick((), NOW) is None
    assert mark(Pulse()).tick((NOW,), NOW) is None


def test_while_events_come_time_is_theirs():
    tick = mark(pulse(NOW - 300)).tick((), NOW + MARGIN)
    assert (tick.ts, tick.recv, tick.source) == (NOW - 301, NOW + MARGIN, "x")


def test_a_quiet_connection_goes_on_with_the_difference_of_the_clocks():
    ahead = pulse(NOW + 5 * SECOND)
    assert mark(ahead).tick((), NOW + 10 * SECOND).ts == NOW + 15 * SECOND - MARGIN - 1


def test_silence_of_what_never_rests_is_a_stall_and_stops_time():
    stalled = pulse(NOW)
    stalled.never_rests = True
    assert mark(stalled).tick((), NOW + 60 * SECOND).ts == NOW + STALLED - 1


def test_the_slowest_connection_counts_and_a_silent_new_one_does_not():
    assert mark(pulse(NOW), pulse(NOW - 9), Pulse()).tick((), NOW).ts == NOW - 10


def test_time_stays_before_trades_that_wait():
    assert mark(pulse(NOW)).tick((NOW - 50, NOW - 7), NOW).ts == NOW - 51


def test_time_never_goes_back_and_nothing_is_told_twice():
    slow = pulse(NOW)
    watermark = mark(slow)
    assert watermark.tick((), NOW) is not None
    assert watermark.tick((), NOW) is None
    slow.ts = NOW - SECOND
    assert watermark.tick((), NOW) is None


def test_a_time_of_another_day_is_nonsense():
    assert mark(pulse(NOW + 2 * DAY)).tick((), NOW) is None


def test_ticks_are_due_once_a_second_also_when_the_clock_jumps_back():
    watermark = mark(pulse(NOW))
    watermark.tick((), NOW)
    assert not watermark.due(NOW + SECOND - 1)
    assert watermark.due(NOW + SECOND)
    assert watermark.due(NOW - 3600 * SECOND)
