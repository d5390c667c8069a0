import os

import pyarrow.parquet as pq
import pytest

from tapewatch.model.codec import encode_msgpack
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Origin, Quality
from tapewatch.stores._compact import Job, compact
from tapewatch.stores._engine import Engine
from tapewatch.stores._folder import journal_path, parquet_path
from tapewatch.stores._journal import Journal
from tapewatch.stores._live import Live
from tapewatch.stores.duckdb import DuckDb, DuckDbConfig
from tests.rows import HOUR0, INST, at, candle, quote, snapshot, trade


def put(data, kind, events, hour=0, number=0) -> Journal:
    """Write a journal; give it open, to be written on."""
    (data / kind).mkdir(parents=True, exist_ok=True)
    journal = Journal.create(journal_path(data, kind, HOUR0 + hour, number))
    journal.append(encode_msgpack(events))
    return journal


def put_parquet(data, kind, events, hour=0):
    journal = put(data, kind, events, hour, number=90)
    journal.close()
    target = parquet_path(data, kind, HOUR0 + hour)
    compact(Job(kind, str(target), (str(journal.path),)))


@pytest.fixture
def data(tmp_path):
    return tmp_path / "it's data"


@pytest.fixture
def store(data):
    data.mkdir()
    store = DuckDb(data)
    yield store
    store.close()


async def ids(store, **more) -> list[str]:
    return [t.id for t in await store.trades(INST, at(0), at(86_400), 1000, **more)]


async def sql(store, statement) -> list[tuple]:
    return (await store.sql(statement))[1]


async def test_files_and_open_journals_are_one_table(store, data):
    put_parquet(data, "trades", [trade(1), trade(2)])
    journal = put(data, "trades", [trade(3, 3600)], hour=1)
    assert await ids(store) == ["1", "2", "3"]
    journal.append(encode_msgpack([trade(4, 3601)]))
    assert await ids(store) == ["1", "2", "3", "4"]
    journal.close()


async def test_rows_that_are_in_the_file_and_still_in_the_journal_are_there_once(store, data):
    put(data, "trades", [trade(1), trade(2), trade(2)]).close()
    put_parquet(data, "trades", [trade(1), trade(2)])
    assert await ids(store) == ["1", "2"]
    assert await sql(store, "SELECT count(*) FROM trades") == [(2,)]


async def test_a_journal_that_became_a_file_and_opened_anew_is_read_anew(store, data):
    first = put(data, "trades", [trade(1)])
    assert await ids(store) == ["1"]
    first.close()
    compact(Job("trades", str(parquet_path(data, "trades", HOUR0)), (str(first.path),)))
    assert await ids(store) == ["1"]
    put(data, "trades", [trade(2)]).close()
    assert await ids(store) == ["1", "2"]


async def test_nothing_stored_is_an_empty_answer(store):
    assert await ids(store) == []
    assert await store.candles(INST, "7m", at(0), at(10), 5) == []
    assert await sql(store, "SELECT count(*) FROM orderbook") == [(0,)]


async def test_echoes_are_not_told_twice(store, data):
    put(data, "trades", [trade(1), trade(7, channel="trade", echo=True)]).close()
    assert await ids(store) == ["1"]


async def test_a_file_that_is_replaced_or_deleted_under_a_query_is_asked_again(data, monkeypatch):
    put_parquet(data, "trades", [trade(1)])
    put_parquet(data, "trades", [trade(2, 3600)], hour=1)
    engine = Engine(data, 256, 1, 30.0)
    show = engine._show

    def vanish(cursor, kind, *times):
        show(cursor, kind, *times)
        parquet_path(data, "trades", HOUR0).unlink(missing_ok=True)

    monkeypatch.setattr(engine, "_show", vanish)
    assert engine.ask("SELECT id FROM trades", ["trades"]).to_pylist() == [{"id": "2"}]
    engine.close()


async def test_a_damaged_file_is_named(store, data):
    put_parquet(data, "trades", [trade(1)])
    path = parquet_path(data, "trades", HOUR0)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises((Unavailable, ValueError), match="trades_20250825_00"):
        await ids(store)


async def test_own_candles_that_saw_everything_go_before_the_venues(store, data):
    rows = [
        candle(0, quality=Quality.PARTIAL, close=1.0),
        candle(0, origin=Origin.VENUE, close=2.0),
        candle(1, quality=Quality.COMPLETE, close=3.0),
        candle(1, origin=Origin.VENUE, close=4.0),
        candle(2, quality=Quality.PARTIAL, close=5.0),
    ]
    put(data, "candles", rows).close()
    found = await store.candles(INST, "1m", at(0), at(600), 10)
    assert [c.close for c in found] == [2.0, 3.0, 5.0]


async def test_a_custom_interval_is_made_of_the_largest_that_divides_it(store, data):
    minutes = [candle(minute, close=float(minute)) for minute in range(28)]
    sevens_are_not_made_of = [candle(0, interval="5m")]
    put(data, "candles", minutes + sevens_are_not_made_of).close()
    start = at(0) // (7 * 60_000_000) * 7 * 60_000_000
    found = await store.candles(INST, "7m", start, at(28 * 60), 10)
    assert {c.interval for c in found} == {"7m"}
    assert [c.ts - start for c in found] == [7 * 60_000_000 * n for n in range(len(found))]
    assert sum(c.trades for c in found) == 3 * 28


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize(("limit", "offset"), [(2, 0), (2, 1), (3, 2), (100, 0), (1, 50)])
async def test_pages_of_a_custom_interval_are_parts_of_the_whole(
    store, data, newest, limit, offset
):
    put(data, "candles", [candle(n) for n in range(90) if n % 20 < 12]).close()
    whole = await store.candles(INST, "7m", at(0), at(5400), 1000)
    page = await store.candles(INST, "7m", at(0), at(5400), limit, offset=offset, newest=newest)
    end = len(whole) - offset
    expected = (
        whole[max(0, end - limit) : max(0, end)] if newest else whole[offset : offset + limit]
    )
    assert page == expected


async def test_an_interval_that_cannot_be_made_is_refused_with_what_there_is(store, data):
    put(data, "candles", [candle(0, interval="1h")]).close()
    with pytest.raises(ValueError, match="1h"):
        await store.candles(INST, "7m", at(0), at(600), 10)
    with pytest.raises(ValueError, match="no interval"):
        await store.candles(INST, "soon", at(0), at(600), 10)


async def test_sql_sees_all_kinds_with_their_types(store, data):
    put(data, "trades", [trade(1)]).close()
    put(data, "orderbook", [snapshot(1)]).close()
    columns, rows = await store.sql("SELECT inst, bids[1].price AS best FROM orderbook")
    assert (columns, rows) == (["inst", "best"], [(INST, 99.0)])
    rows = await sql(store, "SELECT hour(ts), epoch_us(ts) FROM trades")
    assert rows == [(0, at(0))]


async def test_the_catalogue_shows_all_views(store):
    names = {row[0] for row in await sql(store, "SHOW TABLES")}
    assert {"trades", "quotes", "orderbook", "candles", "gaps"} <= names


@pytest.mark.parametrize(
    "statement",
    [
        "COPY trades TO '{dir}/trades/out.csv'",
        "EXPLAIN ANALYZE COPY trades TO '{dir}/trades/out.csv'",
        "EXPORT DATABASE '{dir}/trades/out'",
        "CREATE TABLE mine AS SELECT 1",
        "ATTACH '{dir}/trades/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '9GB'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('{dir}/tapewatch.sqlite')",
        "SELECT * FROM read_text('{dir}/trades/../secret')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM sqlite_scan('{dir}/tapewatch.sqlite', 'spans')",
        "SELECT * FROM statement",
        "WITH gone AS (DELETE FROM trades RETURNING *) SELECT * FROM gone",
        "SELEC 1",
        "SELECT nothing FROM trades",
        "SELECT * FROM nothing",
        "",
    ],
)
async def test_a_statement_that_is_wrong_or_reaches_out_is_refused(store, data, statement):
    put(data, "trades", [trade(1)]).close()
    (data / "secret").write_text("secret")
    before = sorted(path.name for path in data.rglob("*"))
    with pytest.raises(ValueError, match=r"\w"):
        await store.sql(statement.format(dir=data.parent / "data"))
    with pytest.raises(ValueError, match=r"\w"):
        await store.sql(statement.format(dir=str(data).replace("'", "''")))
    assert sorted(path.name for path in data.rglob("*")) == before


async def test_an_answer_that_is_too_long_is_refused_not_shortened(data):
    data.mkdir()
    store = DuckDb(data, config=DuckDbConfig(max_rows=100))
    assert len(await sql(store, "SELECT * FROM range(100)")) == 100
    with pytest.raises(ValueError, match="more than 100 rows"):
        await store.sql("SELECT * FROM range(101)")
    store.close()


async def test_a_query_that_takes_too_long_is_stopped(data):
    data.mkdir()
    store = DuckDb(data, config=DuckDbConfig(timeout_secs=0.05))
    with pytest.raises(Unavailable, match=r"longer than 0\.05 s"):
        await store.sql(
            "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11"
        )
    assert await sql(store, "SELECT 1") == [(1,)]
    store.close()


async def test_a_query_whose_time_is_up_before_it_begins_is_stopped_too(data):
    data.mkdir()
    store = DuckDb(data, config=DuckDbConfig(timeout_secs=0.000_001))
    with pytest.raises(Unavailable, match="took longer"):
        await store.sql("SELECT count(*) FROM range(100000000000) a, range(1000) b")
    store.close()


async def test_a_query_that_needs_too_much_memory_is_stopped(data):
    data.mkdir()
    store = DuckDb(data, config=DuckDbConfig(memory_mb=64))
    with pytest.raises(Unavailable, match="more memory"):
        await store.sql(
            "SELECT count(*) FROM (SELECT * FROM range(30000000) t(a) ORDER BY hash(a))"
        )
    store.close()


async def test_instruments_with_stored_rows_are_known(store, data):
    put(data, "trades", [trade(1), trade(2, inst="okx:ETH/USDT")]).close()
    put(data, "candles", [candle(1, inst="okx:SOL/USDT")]).close()
    assert await store.instruments() == [INST, "okx:ETH/USDT", "okx:SOL/USDT"]


def test_a_block_is_decoded_once_and_memory_is_bounded(data):
    data.mkdir()
    one = put(data, "quotes", [quote(n) for n in range(1000)])
    two = put(data, "quotes", [quote(n, 3600) for n in range(1000)], hour=1)
    live = Live(max_bytes=100_000)
    assert live.table("quotes", [one.path]).num_rows == 1000
    offset = next(iter(live._decoded.values())).offset
    assert offset == one.size
    for _ in range(200):
        one.append(encode_msgpack([quote(1)]))
        live.table("quotes", [one.path])
    assert live.table("quotes", [one.path]).num_rows == 1200
    assert len(next(iter(live._decoded.values())).batches) < 100
    assert live.table("quotes", [one.path, two.path]).num_rows == 2200
    assert len(live._decoded) == 1
    assert live.table("quotes", [one.path, two.path]).num_rows == 2200
    one.close()
    two.close()


def test_a_file_of_an_older_version_has_the_column_as_null(data):
    data.mkdir()
    put_parquet(data, "trades", [trade(1)])
    path = parquet_path(data, "trades", HOUR0)
    pq.write_table(pq.read_table(path).drop_columns(["echo"]), path)
    put(data, "trades", [trade(2, 3600)], hour=1).close()
    engine = Engine(data, 256, 1, 30.0)
    rows = engine.ask("SELECT id, echo FROM trades ORDER BY id", ["trades"]).to_pylist()
    assert rows == [{"id": "1", "echo": None}, {"id": "2", "echo": False}]
    engine.close()
