"""What every store that is written to promises. A new store joins by a line in STORES."""

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Micros
from tapewatch.ports import Sink
from tapewatch.runtime.behind import Behind
from tapewatch.stores.dead_letters import DeadLetters
from tapewatch.stores.duckdb import DuckDb
from tapewatch.stores.parquet import Parquet
from tapewatch.stores.sqlite import Sqlite
from tests.rows import INST, T0, at, coverage, gap, letter, quote, trade


class Case(NamedTuple):
    """`rows` reads back what is stored, sorted; `batch` makes the n-th batch of wanted events."""

    make: Callable[[Path], Sink]
    rows: Callable[[Path], Awaitable[list[Any]]]
    batch: Callable[[int], list[Any]]
    unwanted: list[Any]
    keyed: bool = True  # told twice is stored once


def parquet(folder: Path) -> Parquet:
    return Parquet(folder, clock=lambda: T0)


async def trade_ids(folder: Path) -> list[str]:
    query = DuckDb(folder)
    try:
        return [t.id for t in await query.trades(INST, Micros(0), at(10**6), 10**6)]
    finally:
        query.close()


def sqlite(folder: Path) -> Sqlite:
    return Sqlite(folder / "tapewatch.sqlite", clock=lambda: T0)


async def spans(folder: Path) -> list[tuple[int, int]]:
    store = sqlite(folder)
    await store.open()
    try:
        return [(entry.first, entry.last) for entry in await store.coverage()]
    finally:
        await store.close()


async def letters(folder: Path) -> list[str]:
    return sorted(
        msgspec.json.decode(line)["error"]
        for path in (folder / "dlq").glob("*.jsonl")
        for line in path.read_bytes().splitlines()
    )


STORES = {
    "parquet": Case(
        parquet,
        trade_ids,
        lambda n: [trade(10 * n), trade(10 * n + 1), quote(n), gap(n)],
        [letter(1), coverage(1, 2)],
    ),
    "sqlite": Case(
        sqlite, spans, lambda n: [coverage(10 * n, 10 * n + 5)], [letter(1), trade(1), quote(1)]
    ),
    "dead_letters": Case(
        DeadLetters, letters, lambda n: [letter(n)], [trade(1), coverage(1, 2)], keyed=False
    ),
    "behind": Case(
        lambda folder: Behind(parquet(folder), sqlite(folder)),
        trade_ids,
        lambda n: [trade(10 * n), trade(10 * n + 1), coverage(10 * n, 10 * n + 1)],
        [letter(1)],
    ),
}


@pytest.fixture(params=STORES)
def case(request) -> Case:
    return STORES[request.param]


@pytest.fixture
async def sink(case, tmp_path):
    sink = case.make(tmp_path)
    await sink.open()
    yield sink
    await sink.close()


async def expected(case, batches, folder) -> list[Any]:
    """What another store of the same kind holds that got these without any trouble."""
    other = case.make(folder)
    await other.open()
    for batch in batches:
        await other.write(batch)
    await other.close()
    return await case.rows(folder)


@contextlib.contextmanager
def full_disk():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_was_written_is_there_when_write_returns(case, sink, tmp_path):
    await sink.write(case.batch(1))
    assert await case.rows(tmp_path) == await expected(case, [case.batch(1)], tmp_path / "other")
    assert await case.rows(tmp_path)


async def test_what_was_written_is_there_after_opening_again(case, sink, tmp_path):
    await sink.write(case.batch(1))
    await sink.close()
    await sink.open()
    await sink.write(case.batch(2))
    both = [case.batch(1), case.batch(2)]
    assert await case.rows(tmp_path) == await expected(case, both, tmp_path / "other")


async def test_a_batch_that_comes_twice_is_stored_once(case, sink, tmp_path):
    if not case.keyed:
        return  # a dead letter has no key: told twice is two lines
    await sink.write(case.batch(1))
    await sink.write(case.batch(1))
    assert await case.rows(tmp_path) == await expected(case, [case.batch(1)], tmp_path / "other")


async def test_opening_an_open_store_and_empty_batches_do_no_harm(case, sink, tmp_path):
    await sink.open()
    await sink.write([])
    assert await case.rows(tmp_path) == []


async def test_what_is_not_wanted_is_left_out(case, sink, tmp_path):
    assert not {type(event) for event in case.unwanted} & sink.wants
    assert {type(event) for event in case.batch(1)} <= sink.wants
    await sink.write(case.unwanted)
    assert await case.rows(tmp_path) == []


async def test_a_full_disk_is_unavailable_in_words_and_the_batch_can_come_again(
    case, sink, tmp_path
):
    await sink.write(case.batch(1))
    with full_disk(), pytest.raises(Unavailable, match=str(tmp_path)):
        await sink.write(case.batch(2))
    await sink.write(case.batch(2))
    both = [case.batch(1), case.batch(2)]
    assert await case.rows(tmp_path) == await expected(case, both, tmp_path / "other")


def test_a_store_has_a_name(case, tmp_path):
    assert case.make(tmp_path).name
