import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tapewatch.wire.limiter import Window


def test_budget_is_free_until_it_is_spent_and_comes_back_with_time():
    window = Window(3, 10)
    for now in (0, 1, 2):
        assert window.delay(now) == 0
        window.spend(now)
    assert window.delay(2) == 8
    assert window.delay(9.5) == 0.5
    assert window.delay(10) == 0


def test_a_large_amount_waits_until_enough_small_ones_are_forgotten():
    window = Window(10, 60)
    for now in range(10):
        window.spend(now, 1)
    assert window.delay(9, 4) == 60 + 3 - 9


def test_more_than_the_limit_counts_as_the_limit_and_is_not_refused_for_ever():
    window = Window(10, 60)
    assert window.delay(0, 25) == 0
    window.spend(0, 25)
    assert window.delay(0, 1) == 60


def test_hold_off_stops_everybody_and_a_shorter_one_does_not_shorten_it():
    window = Window(10, 1)
    window.hold_off(0, 30)
    window.hold_off(0, 5)
    assert window.delay(1) == 29
    assert window.held(1) == 29
    assert window.delay(30) == window.held(30) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 7)), max_size=60))
def test_no_window_of_time_ever_holds_more_than_the_limit(asks):
    window, now, spent = Window(7, 10), 0.0, []
    for pause, amount in asks:
        now += pause
        while (delay := window.delay(now, amount)) > 0:
            now += max(delay, 1e-9)
        window.spend(now, amount)
        spent.append((now, amount))
    for begin, _ in spent:
        assert sum(amount for at, amount in spent if begin <= at < begin + 10 - 1e-6) <= 7


async def test_waiters_are_served_in_the_order_in_which_they_came():
    window, served = Window(1, 0.001), []

    async def work(number):
        await window.take()
        served.append(number)

    await asyncio.gather(*(work(number) for number in range(10)))
    assert served == list(range(10))
