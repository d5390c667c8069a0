import asyncio
import random

import pytest

from tapewatch.bus.local import LocalBus
from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.model.events import Micros, Trade
from tapewatch.ports import Buffer, WhenFull
from tapewatch.runtime.delivery import Outside, Pace
from tapewatch.runtime.pump import Pump
from tapewatch.runtime.spill import Spill
from tests.rows import trade

WANTS = frozenset({Trade})


class Time:
    """Sleeping that only `pass_secs` ends."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleepers: list[tuple[float, asyncio.Future]] = []

    async def sleep(self, secs: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + secs, future))
        await future

    async def pass_secs(self, secs: float) -> None:
        """Wake who is due, one after the other, and let everything run until it waits."""
        end = self.now + secs
        await settle()
        while due := [s for s in self.sleepers if s[0] <= end and not s[1].done()]:
            sleeper = min(due, key=lambda s: s[0])
            self.now = max(self.now, sleeper[0])
            sleeper[1].set_result(None)
            self.sleepers = [s for s in self.sleepers if not s[1].done()]
            await settle()
        self.now = end
        await settle(400)


async def settle(turns: int = 60) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


class Store:
    """A sink that fails when it is told to."""

    name = "store"
    wants = WANTS

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failing: Exception | None = None
        self.hanging = False
        self.attempts = 0
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1

    async def write(self, batch) -> None:
        self.attempts += 1
        if self.hanging:
            await asyncio.get_running_loop().create_future()
        if self.failing is not None:
            raise self.failing
        self.batches.append([event.id for event in batch])

    async def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        return [one for batch in self.batches for one in batch]


class Case:
    """A pump between a bus and a store, with time and disk in hand."""

    def __init__(self, folder, pace=None, max_bytes=1 << 20) -> None:
        self.folder = folder
        self.time = Time()
        self.store = Store()
        self.bus = LocalBus()
        self.letters: list = []
        self.reader = self.bus.subscribe("store", WANTS, Buffer(100))
        self.spill = Spill(folder, max_bytes=max_bytes)
        outside = Outside(lambda: Micros(5), self._letter, self.time.sleep, random.Random(1))
        self.pump = Pump(self.store, self.reader, self.spill, outside, pace)
        self.running = asyncio.create_task(self.pump.run())

    async def _letter(self, batch) -> None:
        self.letters += batch

    async def say(self, *numbers: int) -> bool:
        await settle()
        taken = self.bus.offer([trade(number) for number in numbers])
        await settle()
        return taken

    async def end(self) -> None:
        await self.bus.close()
        await settle()


@pytest.fixture
async def case(tmp_path):
    case = Case(tmp_path / "spill")
    yield case
    case.running.cancel()
    await asyncio.wait({case.running})


def numbers(first: int, end: int) -> list[str]:
    return [str(number) for number in range(first, end)]


async def test_what_comes_after_a_pause_is_written_at_once_and_the_rest_together(case):
    await case.say(0)
    assert case.store.batches == [["0"]]
    await case.say(1)
    await case.say(2)
    assert case.store.batches == [["0"]]
    await case.time.pass_secs(0.6)
    assert case.store.batches == [["0"], ["1", "2"]]
    assert case.pump.counters.received == case.pump.counters.sent == 3
    assert case.pump.counters.buffered == 0


async def test_nothing_is_written_when_nothing_comes(case):
    await case.time.pass_secs(100)
    assert case.store.attempts == 0


async def test_many_events_do_not_wait_for_their_age(tmp_path):
    case = Case(tmp_path, Pace(max_events=10))
    await case.say(*range(10))
    assert case.store.ids == numbers(0, 10)
    await case.end()


async def test_many_bytes_do_not_wait_for_their_age(tmp_path):
    case = Case(tmp_path, Pace(max_bytes=1000))
    await case.say(*range(10))
    assert case.store.ids == numbers(0, 10)
    await case.end()


async def test_at_the_end_of_the_stream_everything_held_is_written_and_the_sink_closed(case):
    await case.say(1, 2)
    await case.end()
    assert case.running.done()
    assert case.running.result() is None
    assert case.store.batches == [["1", "2"]]
    assert (case.store.opened, case.store.closed) == (1, 1)


async def test_while_the_sink_is_away_everything_goes_to_disk_and_follows_in_order(case, caplog):
    case.store.failing = Unavailable("down")
    await case.say(1, 2)
    await case.time.pass_secs(0.6)
    assert case.pump.spilling
    for number in range(3, 60):
        await case.say(number)
        await case.time.pass_secs(1)
    assert case.store.ids == []
    assert case.pump.counters.buffered == 0
    assert case.pump.counters.trouble == "down"
    case.store.failing = None
    await case.time.pass_secs(40)
    assert case.pump.counters.trouble == ""
    assert case.store.ids == numbers(1, 60)
    assert not case.pump.spilling
    await case.say(60)
    await case.time.pass_secs(1)
    assert case.store.ids == numbers(1, 61)
    assert case.pump.counters.dropped == {}
    assert caplog.messages == ["sink_unavailable", "sink_caught_up"]


async def test_the_sink_is_asked_less_and_less_often(case):
    case.store.failing = Unavailable("down")
    await case.say(1)
    await case.time.pass_secs(60)
    early = case.store.attempts
    await case.time.pass_secs(600)
    assert 3 <= early <= 30
    assert 600 / 30 <= case.store.attempts - early <= 120


async def test_the_sink_may_say_when_to_come_again(case):
    case.store.failing = Unavailable("busy", retry_after=100.0)
    await case.say(1)
    await case.time.pass_secs(1)
    before = case.store.attempts
    await case.time.pass_secs(98)
    assert case.store.attempts == before
    case.store.failing = None
    await case.time.pass_secs(5)
    assert case.store.ids == ["1"]


async def test_a_sink_that_does_not_answer_is_away(case):
    case.store.hanging = True
    await case.say(1)
    await case.time.pass_secs(11)
    assert case.pump.spilling
    assert case.pump.counters.errors == {"timeout": 1}
    await case.say(2)
    await case.time.pass_secs(1)
    case.store.hanging = False
    await case.time.pass_secs(200)
    assert case.store.ids == ["1", "2"]


async def test_a_sink_that_cannot_be_opened_is_away(case):
    async def refuse() -> None:
        raise Unavailable("refused")

    opening, case.store.open = case.store.open, refuse
    await case.say(1)
    await case.time.pass_secs(1)
    assert case.pump.spilling
    case.store.open = opening
    await case.time.pass_secs(60)
    assert case.store.ids == ["1"]


async def test_rejected_rows_become_dead_letters(case):
    case.store.failing = Rejected("too long", frozenset({1}))
    await case.say(1, 2, 3)
    await case.time.pass_secs(1)
    assert [(letter.stage, letter.error) for letter in case.letters] == [("store", "too long")]
    assert '"id":"2"' in case.letters[0].raw
    assert case.pump.counters.sent == 2
    assert case.pump.counters.dropped == {"rejected": 1}
    assert not case.pump.spilling


async def test_a_row_that_is_not_even_json_becomes_a_dead_letter(case):
    case.store.failing = Rejected("no text", frozenset({0}))
    await settle()
    case.bus.offer([trade(1, id="\ud800")])
    await case.time.pass_secs(1)
    assert "ud800" in case.letters[0].raw
    assert not case.running.done()


async def test_what_a_former_process_left_on_disk_goes_first(tmp_path):
    left = Spill(tmp_path)
    left.open()
    left.append([trade(1)])
    left.close()
    case = Case(tmp_path)
    await case.say(2)
    await case.time.pass_secs(1)
    assert case.store.ids == ["1", "2"]
    await case.end()


async def test_at_the_end_what_the_sink_will_not_take_stays_on_disk(case, caplog):
    case.store.failing = Unavailable("down")
    await case.say(1)
    await case.time.pass_secs(1)
    await case.say(2)
    await case.end()
    await case.time.pass_secs(1)
    assert case.running.done()
    assert "spill_left" in caplog.messages
    next_run = Case(case.folder)
    await next_run.time.pass_secs(1)
    assert next_run.store.ids == ["1", "2"]
    await next_run.end()


async def test_at_the_end_a_sink_that_is_back_gets_everything(case):
    case.store.failing = Unavailable("down")
    await case.say(1)
    await case.time.pass_secs(1)
    case.store.failing = None
    await case.say(2)
    await case.end()
    assert case.running.done()
    assert case.store.ids == ["1", "2"]


async def test_a_full_disk_queue_blocks_and_loses_nothing(tmp_path, caplog):
    case = Case(tmp_path, Pace(max_events=10), max_bytes=2000)
    case.store.failing = Unavailable("down")
    said = []
    for number in range(400):
        if not await case.say(number):
            break
        said.append(str(number))
        await case.time.pass_secs(1)
    assert len(said) < 400
    assert caplog.messages.count("pump_blocked") == 1
    assert case.pump.counters.trouble
    case.store.failing = None
    await case.time.pass_secs(120)
    await case.end()
    await case.time.pass_secs(120)
    assert case.store.ids == said
    assert "pump_unblocked" in caplog.messages
    assert case.pump.counters.dropped == {}
    assert case.pump.counters.trouble == ""


async def test_a_full_disk_queue_may_let_go_what_it_counts(tmp_path):
    case = Case(tmp_path, Pace(when_full=WhenFull.DROP_OLDEST), max_bytes=2000)
    case.store.failing = Unavailable("down")
    for number in range(200):
        assert await case.say(number)
        await case.time.pass_secs(1)
    case.store.failing = None
    await case.time.pass_secs(60)
    await case.end()
    dropped = case.pump.counters.dropped["spill full"]
    assert dropped > 100
    assert len(case.store.ids) + dropped == 200
    assert case.store.ids == sorted(case.store.ids, key=int)


async def test_a_bug_of_the_sink_ends_the_worker_and_forgets_nothing(case):
    case.store.failing = ZeroDivisionError("bug")
    await case.say(1)
    await case.time.pass_secs(1)
    with pytest.raises(ZeroDivisionError):
        await case.running
    case.store.failing = None
    case.running = asyncio.create_task(case.pump.run())
    await case.say(2)
    await case.time.pass_secs(1)
    assert case.store.ids == ["1", "2"]


async def test_a_bug_while_catching_up_ends_the_worker_too(case):
    case.store.failing = Unavailable("down")
    await case.say(1)
    await case.time.pass_secs(1)
    case.store.failing = ZeroDivisionError("bug")
    await case.time.pass_secs(30)
    with pytest.raises(ZeroDivisionError):
        await case.running
    case.store.failing = None
    case.running = asyncio.create_task(case.pump.run())
    await case.time.pass_secs(1)
    assert case.store.ids == ["1"]


async def test_cancelled_while_the_sink_hangs_what_is_held_goes_to_disk(case):
    case.store.hanging = True
    await case.say(1)
    await case.time.pass_secs(1)
    await case.say(2)
    case.running.cancel()
    await asyncio.wait({case.running})
    next_run = Case(case.folder)
    await next_run.time.pass_secs(1)
    assert next_run.store.ids == ["1", "2"]
    await next_run.end()


async def test_cancelled_with_a_full_disk_everything_that_is_lost_is_counted(tmp_path, caplog):
    case = Case(tmp_path, Pace(max_events=10), max_bytes=2000)
    case.store.failing = Unavailable("down")
    said = 0
    while said < 400 and await case.say(said):
        said += 1
        await case.time.pass_secs(1)
    waiting = case.reader.counters.buffered
    case.running.cancel()
    await asyncio.wait({case.running})
    assert waiting
    lost = case.pump.counters.dropped["not written at stop"]
    next_run = Case(case.folder)
    await next_run.time.pass_secs(1)
    await next_run.end()
    on_disk = len(next_run.store.ids)
    assert (lost > waiting, lost + on_disk) == (True, said)
    assert "events_lost" in caplog.messages


async def test_what_was_read_is_committed_when_nothing_is_held(case, monkeypatch):
    commits = []

    async def commit() -> None:
        commits.append(list(case.store.ids))

    monkeypatch.setattr(case.reader, "commit", commit)
    await case.say(1)
    assert commits == [["1"]]
    await case.say(2)
    assert commits == [["1"]]
    await case.time.pass_secs(1)
    assert commits == [["1"], ["1", "2"]]
