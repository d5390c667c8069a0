import asyncio

import pytest

from tapewatch.bus.local import LocalBus
from tapewatch.model.events import Gap, Micros, Quote, Side, Trade
from tapewatch.ports import Buffer, WhenFull

ALL = frozenset({Trade, Quote, Gap})


def trade(number: int, inst: str = "v:A/B") -> Trade:
    return Trade(Micros(number), Micros(number), inst, str(number), Side.BUY, 1.0, 1.0)


def quote(number: int, inst: str = "v:A/B") -> Quote:
    return Quote(Micros(number), Micros(number), inst, 1.0, 1.0, 2.0, 1.0, number)


async def drain(reader) -> list:
    return [event async for batch in reader for event in batch]


async def test_every_reader_gets_what_it_wants_in_order():
    bus = LocalBus()
    trades = bus.subscribe("trades", frozenset({Trade}), Buffer())
    both = bus.subscribe("both", ALL, Buffer())
    gaps = bus.subscribe("gaps", frozenset({Gap}), Buffer())
    assert bus.offer([trade(1), quote(2), trade(3)])
    assert bus.offer([quote(4)])
    await bus.close()
    assert [e.ts for e in await drain(trades)] == [1, 3]
    assert [e.ts for e in await drain(both)] == [1, 2, 3, 4]
    assert await drain(gaps) == []


async def test_a_batch_that_is_wanted_whole_is_not_copied():
    bus = LocalBus()
    reader = bus.subscribe("all", ALL, Buffer())
    batch = [trade(1), trade(2)]
    bus.offer(batch)
    await bus.close()
    async for got in reader:
        assert got is batch


async def test_a_full_blocking_reader_refuses_for_all_and_nobody_gets_half():
    bus = LocalBus()
    slow = bus.subscribe("slow", ALL, Buffer(2, WhenFull.BLOCK))
    other = bus.subscribe("other", ALL, Buffer())
    assert bus.offer([trade(1), trade(2)])
    assert not bus.offer([trade(3)])
    assert other.counters.received == 2
    waiting = asyncio.ensure_future(bus.publish([trade(3)]))
    await asyncio.sleep(0)
    assert not waiting.done()
    async for _ in slow:
        break
    await waiting
    await bus.close()
    assert [e.ts for e in await drain(other)] == [1, 2, 3]


async def test_a_batch_larger_than_the_buffer_passes_when_it_is_empty():
    bus = LocalBus()
    reader = bus.subscribe("small", ALL, Buffer(2, WhenFull.BLOCK))
    assert bus.offer([trade(n) for n in range(5)])
    await bus.close()
    assert len(await drain(reader)) == 5


async def test_drop_oldest_keeps_the_newest_and_counts_the_rest():
    bus = LocalBus()
    reader = bus.subscribe("browser", ALL, Buffer(3, WhenFull.DROP_OLDEST))
    for number in range(10):
        assert bus.offer([trade(number)])
    await bus.close()
    assert [e.ts for e in await drain(reader)] == [7, 8, 9]
    assert reader.counters.dropped == {"buffer full": 7}


async def test_conflate_keeps_the_newest_of_each_type_and_instrument():
    bus = LocalBus()
    reader = bus.subscribe("prices", ALL, Buffer(4, WhenFull.CONFLATE))
    for number in range(3):
        bus.offer([trade(number, "v:A/B"), quote(number, "v:A/B"), trade(number, "v:C/D")])
    await bus.close()
    got = await drain(reader)
    assert {(type(e), e.inst): e.ts for e in got} == {
        (Trade, "v:A/B"): 2,
        (Quote, "v:A/B"): 2,
        (Trade, "v:C/D"): 2,
    }
    assert len(got) + sum(reader.counters.dropped.values()) == 9


async def test_what_comes_after_the_end_is_counted_not_swallowed():
    bus = LocalBus()
    reader = bus.subscribe("gone", ALL, Buffer())
    await reader.close()
    bus.offer([trade(1), trade(2)])
    assert reader.counters.dropped == {"reader closed": 2}
    assert await drain(reader) == []


async def test_the_maker_of_a_batch_does_not_get_it_back():
    bus = LocalBus()
    maker = bus.subscribe("maker", ALL, Buffer(1, WhenFull.BLOCK))
    other = bus.subscribe("other", ALL, Buffer())
    await bus.publish([trade(1)], skip=maker)
    await bus.close()
    assert await drain(maker) == []
    assert [e.ts for e in await drain(other)] == [1]


async def test_a_reader_wakes_once_for_all_that_waits():
    bus = LocalBus()
    reader = bus.subscribe("r", ALL, Buffer())
    seen = []

    async def read() -> None:
        async for batch in reader:
            seen.extend([*(event.ts for event in batch), "batch"])

    task = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    bus.offer([trade(1)])
    bus.offer([trade(2), trade(3)])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == [1, "batch", 2, 3, "batch"]
    await bus.close()
    await task


@pytest.mark.parametrize("policy", list(WhenFull))
async def test_nothing_is_ever_lost_without_a_count(policy):
    bus = LocalBus()
    reader = bus.subscribe("r", ALL, Buffer(16, policy))
    offered = 0
    for number in range(100):
        batch = [trade(number, f"v:{number % 5}"), quote(number, f"v:{number % 3}")]
        if bus.offer(batch):
            offered += len(batch)
    await bus.close()
    got = await drain(reader)
    assert len(got) + sum(reader.counters.dropped.values()) == offered
    assert len(got) <= 16
