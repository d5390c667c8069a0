import asyncio

import pytest

from tapewatch.wire.crew import Crew


async def test_first_failure_is_raised_as_it_is():
    crew = Crew()

    async def fail():
        raise KeyError("first")

    crew.spawn(fail())
    with pytest.raises(KeyError, match="first"):
        await crew.wait()
    crew.fail(ValueError("second"))
    await crew.disband()


async def test_disband_waits_until_all_have_put_their_things_away():
    crew, tidied = Crew(), []

    async def work(number):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied.append(number)

    for number in range(3):
        crew.spawn(work(number))
    await asyncio.sleep(0)
    await crew.disband()
    assert sorted(tidied) == [0, 1, 2]


async def test_a_task_that_ends_or_is_cancelled_is_no_failure():
    crew = Crew()

    async def nothing():
        return None

    crew.spawn(nothing())
    crew.spawn(asyncio.sleep(100)).cancel()
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await crew.wait()
    await crew.disband()


async def test_a_task_begun_while_disbanding_is_ended_too():
    crew, ended = Crew(), []

    async def late():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("late")

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            crew.spawn(late())
            await asyncio.sleep(0)

    crew.spawn(work())
    await asyncio.sleep(0)
    await crew.disband()
    assert ended == ["late"]
