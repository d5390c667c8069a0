import pytest

from tapewatch.model.events import Micros
from tapewatch.model.times import SECOND
from tapewatch.runtime.clock import ClockWatch, wall_clock


class Done(Exception):
    pass


async def watch(walls: list[float], monotonics: list[float]) -> dict[str, int]:
    async def sleep(secs: float) -> None:
        if not walls:
            raise Done

    clock = ClockWatch(lambda: Micros(int(walls.pop(0) * SECOND)), lambda: monotonics.pop(0), sleep)
    with pytest.raises(Done):
        await clock.run()
    return clock.counters.errors


async def test_a_clock_that_goes_on_is_no_news():
    assert await watch([100.0, 101.1, 102.0], [1.0, 2.0, 3.0]) == {}


async def test_a_step_is_told_with_its_way():
    assert await watch([100.0, 90.0, 91.0], [1.0, 2.0, 3.0]) == {"clock stepped back": 1}
    assert await watch([100.0, 3700.0], [1.0, 2.0]) == {"clock stepped forward": 1}


def test_the_wall_clock_counts_microseconds():
    assert wall_clock() > 1_700_000_000 * SECOND
