import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.events import Micros
from tapewatch.stream.window import Samples, Sums


def test_before_anything_there_is_no_value():
    assert Samples(10, 5).at(100) is None


def test_value_at_a_moment_is_the_one_that_held_then():
    samples = Samples(10, 5)
    samples.reach(12, 1.0)
    samples.reach(25, 2.0)
    samples.reach(31, 3.0)
    assert [samples.at(ts) for ts in (15, 20, 29, 30, 35)] == [1.0, 2.0, 2.0, 3.0, 3.0]


def test_silence_carries_the_value_on():
    samples = Samples(10, 5)
    samples.reach(10, 1.0)
    samples.reach(45, 2.0)
    assert [samples.at(ts) for ts in (20, 30, 40)] == [2.0, 2.0, 2.0]


def test_asking_before_the_beginning_gives_the_oldest():
    samples = Samples(10, 5)
    samples.reach(100, 1.0)
    samples.reach(110, 2.0)
    assert samples.at(5) == 1.0


def test_what_is_too_old_is_overwritten():
    samples = Samples(10, 3)
    for moment in range(10):
        samples.reach(moment * 10, float(moment))
    assert [samples.at(ts) for ts in (0, 70, 80, 90)] == [7.0, 7.0, 8.0, 9.0]
    assert len(samples.slots) == 3


def test_a_long_silence_fills_the_ring_once():
    samples = Samples(1, 4)
    samples.reach(0, 1.0)
    samples.reach(10**15, 2.0)
    assert samples.slots == [2.0] * 4


def test_time_that_goes_back_changes_nothing():
    samples = Samples(10, 3)
    samples.reach(50, 1.0)
    samples.reach(20, 2.0)
    assert samples.at(50) == 1.0
    assert samples.at(20) == 1.0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=40))
def test_ring_equals_a_list_of_everything(steps):
    samples, history, now = Samples(10, 8), [], 0
    for step, value in steps:
        now += step
        samples.reach(now, value)
        history += [value] * (now // 10 - len(history) + 1) if now // 10 >= len(history) else []
    first = steps[0][0] // 10
    for moment in range(max(first, len(history) - 8), len(history)):
        assert samples.at(moment * 10) == history[moment]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(samples), type=Samples) == samples


def test_a_sum_in_which_nothing_is_left_is_exactly_nothing():
    sums = Sums(1_000_000, 60)
    for second in range(55):
        sums.add(Micros(second * 1_000_000), 0.1 + second / 3)
    for second in range(55, 114):
        sums.reach(Micros(second * 1_000_000))
    assert sums.total > 0
    sums.reach(Micros(114 * 1_000_000))
    assert sums.total == 0.0
