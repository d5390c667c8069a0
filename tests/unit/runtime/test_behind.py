import pytest

from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.model.events import Coverage, Trade
from tapewatch.runtime import behind as module
from tapewatch.runtime.behind import Behind
from tests.rows import coverage, trade


class Store:
    def __init__(self, name, wants, told) -> None:
        self.name = name
        self.wants = frozenset({wants})
        self.told = told
        self.failing: Exception | None = None

    async def open(self) -> None:
        self.told.append((self.name, "open"))

    async def write(self, batch) -> None:
        if self.failing is not None:
            raise self.failing
        self.told.append((self.name, list(batch)))

    async def close(self) -> None:
        self.told.append((self.name, "close"))


class Pair:
    def __init__(self) -> None:
        self.told: list = []
        self.first = Store("files", Trade, self.told)
        self.second = Store("ledger", Coverage, self.told)
        self.sink = Behind(self.first, self.second)


@pytest.fixture
def pair():
    return Pair()


async def test_the_second_hears_of_a_batch_after_the_first_has_it(pair):
    await pair.sink.open()
    await pair.sink.write([coverage(1, 1), trade(1), trade(2)])
    await pair.sink.close()
    assert pair.told == [
        ("files", "open"),
        ("ledger", "open"),
        ("files", [trade(1), trade(2)]),
        ("ledger", [coverage(1, 1)]),
        ("files", "close"),
        ("ledger", "close"),
    ]
    assert pair.sink.wants == {Trade, Coverage}
    assert pair.sink.name == "files"


async def test_if_the_first_is_away_the_second_hears_nothing(pair):
    pair.first.failing = Unavailable("down")
    with pytest.raises(Unavailable):
        await pair.sink.write([trade(1), coverage(1, 1)])
    assert pair.told == []


async def test_if_the_second_is_away_the_batch_is_in_and_its_events_wait(pair, caplog):
    pair.second.failing = Unavailable("locked")
    await pair.sink.write([trade(1), coverage(1, 1)])
    await pair.sink.write([trade(2), coverage(2, 2)])
    assert pair.told == [("files", [trade(1)]), ("files", [trade(2)])]
    assert caplog.messages == ["ledger_behind"]
    pair.second.failing = None
    await pair.sink.write([trade(3)])
    assert pair.told[-1] == ("ledger", [coverage(1, 1), coverage(2, 2)])
    await pair.sink.write([trade(4)])
    assert pair.told[-1] == ("files", [trade(4)])


async def test_what_waits_for_the_second_goes_before_it_is_closed(pair):
    pair.second.failing = Unavailable("locked")
    await pair.sink.write([coverage(1, 1)])
    pair.second.failing = None
    await pair.sink.close()
    assert ("ledger", [coverage(1, 1)]) in pair.told


async def test_what_waits_for_the_second_is_bounded_and_counted(pair, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    pair.second.failing = Unavailable("locked")
    for number in range(5):
        await pair.sink.write([coverage(number, number)])
    assert pair.sink.counters.dropped == {"second sink away": 2}
    pair.second.failing = None
    await pair.sink.write([coverage(9, 9)])
    assert [entry.first for entry in pair.told[-1][1]] == [2, 3, 4, 9]


async def test_rejected_rows_are_numbered_as_in_the_whole_batch(pair):
    pair.first.failing = Rejected("bad", frozenset({1}))
    with pytest.raises(Rejected) as caught:
        await pair.sink.write([trade(1), coverage(1, 1), trade(2)])
    assert caught.value.rows == {2}
    assert pair.told == [("ledger", [coverage(1, 1)])]
