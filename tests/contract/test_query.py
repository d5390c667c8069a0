"""What every store that is read promises. A new store joins by a line in STORES.

A store is given rows and then asked; where the rows lie is its own business.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tapewatch.model.codec import encode_msgpack
from tapewatch.model.events import Batch, Micros
from tapewatch.stores._compact import Job, compact
from tapewatch.stores._folder import journal_path, parquet_path
from tapewatch.stores._groups import groups
from tapewatch.stores._journal import Journal
from tapewatch.stores.duckdb import DuckDb
from tests.rows import INST, at, candle, trade

ETH = "binance:ETH/USDT"


def in_journals(folder: Path, rows: Batch) -> DuckDb:
    for group in groups(rows):
        (folder / group.kind).mkdir(exist_ok=True)
        journal = Journal.create(journal_path(folder, group.kind, group.hour, 0))
        journal.append(encode_msgpack(group.rows))
        journal.close()
    return DuckDb(folder)


def in_parquet(folder: Path, rows: Batch) -> DuckDb:
    store = in_journals(folder, rows)
    for group in groups(rows):
        path = journal_path(folder, group.kind, group.hour, 0)
        target = parquet_path(folder, group.kind, group.hour)
        compact(Job(group.kind, str(target), (str(path),)))
    return store


def in_both(folder: Path, rows: Batch) -> DuckDb:
    """Every second row is in a file, all are in journals: as when a child dies before its end."""
    in_parquet(folder, rows[::2]).close()
    return in_journals(folder, rows)


STORES: dict[str, Callable[[Path, Batch], DuckDb]] = {
    "duckdb, journals": in_journals,
    "duckdb, parquet": in_parquet,
    "duckdb, both": in_both,
}

TRADES = [trade(n, 600 * n) for n in range(30)]
CANDLES = [candle(n) for n in range(200) if n % 7]
ROWS = [*TRADES, *CANDLES, trade(7, 5, inst=ETH), candle(3, inst=ETH), candle(5, interval="5m")]


@pytest.fixture(params=STORES, scope="module")
def store(request, tmp_path_factory):
    store = STORES[request.param](tmp_path_factory.mktemp("data"), ROWS)
    yield store
    store.close()


def page(rows, since, until, limit, offset, newest):
    found = [row for row in rows if since <= row.ts < until]
    if newest:
        end = max(0, len(found) - offset)
        return found[max(0, end - limit) : end]
    return found[offset : offset + limit]


PAGES = [
    (at(0), at(10**6), 1000, 0, False),
    (at(600), at(1800), 1000, 0, False),
    (at(601), at(1801), 1000, 0, False),
    (at(0), at(10**6), 3, 0, False),
    (at(0), at(10**6), 3, 4, False),
    (at(0), at(10**6), 3, 0, True),
    (at(0), at(10**6), 3, 4, True),
    (at(0), at(10**6), 0, 0, False),
    (at(0), at(10**6), 10, 10_000, False),
    (at(0), at(10**6), 10, 10_000, True),
    (at(50), at(50), 10, 0, False),
    (at(60), at(50), 10, 0, False),
    (Micros(0), Micros(2**53), 5, 0, True),
]


@pytest.mark.parametrize(("since", "until", "limit", "offset", "newest"), PAGES)
async def test_trades_are_the_asked_part_in_ascending_order(
    store, since, until, limit, offset, newest
):
    found = await store.trades(INST, since, until, limit, offset=offset, newest=newest)
    assert found == page(TRADES, since, until, limit, offset, newest)


@pytest.mark.parametrize(("since", "until", "limit", "offset", "newest"), PAGES)
async def test_candles_are_the_asked_part_in_ascending_order(
    store, since, until, limit, offset, newest
):
    found = await store.candles(INST, "1m", since, until, limit, offset=offset, newest=newest)
    assert found == page(CANDLES, since, until, limit, offset, newest)


async def test_an_interval_has_several_spellings(store):
    assert await store.candles(INST, "60s", at(0), at(600), 3) == CANDLES[:3]


async def test_a_stored_interval_is_given_as_it_is_stored(store):
    assert [c.interval for c in await store.candles(INST, "5m", at(0), at(10**6), 9)] == ["5m"]


async def test_a_custom_interval_is_made_of_stored_ones(store):
    found = await store.candles(INST, "10m", at(0), at(600), 9)
    assert [(c.interval, c.ts) for c in found] == [("10m", at(0))]


async def test_an_unknown_instrument_has_nothing(store):
    assert await store.trades("binance:NO/NO", at(0), at(600), 9) == []
    assert await store.candles("binance:NO/NO", "1m", at(0), at(600), 9) == []


async def test_instruments_are_kept_apart(store):
    assert [t.id for t in await store.trades(ETH, at(0), at(600), 9)] == ["7"]


async def test_sql_gives_names_and_rows(store):
    columns, rows = await store.sql("SELECT inst, count(*) AS n FROM trades GROUP BY 1 ORDER BY 1")
    assert columns == ["inst", "n"]
    assert rows == [(INST, 30), (ETH, 1)]


async def test_sql_that_writes_is_refused(store):
    with pytest.raises(ValueError, match="read-only"):
        await store.sql("DELETE FROM trades")


async def test_a_name_with_a_quote_is_only_a_name(store):
    assert await store.trades("x' OR '1'='1", at(0), at(600), 9) == []
