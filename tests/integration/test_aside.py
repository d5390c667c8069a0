"""Queries in a process of their own: asked, killed, left alone."""

import asyncio
import os
import signal
from functools import partial

import pytest

from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Micros
from tapewatch.runtime.aside import Aside
from tapewatch.stores.duckdb import DuckDb, DuckDbConfig
from tapewatch.stores.parquet import Parquet
from tests.rows import trade


@pytest.fixture
async def stored(tmp_path):
    store = Parquet(tmp_path, clock=lambda: Micros(10**15))
    await store.open()
    rows = [trade(number) for number in range(5)]
    await store.write(rows)
    await store.close()
    return tmp_path, rows


@pytest.fixture
async def aside(stored):
    made = Aside(partial(DuckDb, stored[0]))
    yield made
    made.close()


def everything(rows) -> tuple:
    return rows[0].inst, Micros(0), Micros(max(row.ts for row in rows) + 1), 100


async def test_the_answers_are_those_of_the_query_itself(stored, aside):
    folder, rows = stored
    assert await aside.trades(*everything(rows)) == rows
    columns, counted = await aside.sql("SELECT count(*) AS n FROM trades")
    assert (columns, counted) == (["n"], [(5,)])
    inst, since, until, limit = everything(rows)
    direct = DuckDb(folder)
    assert await aside.candles(inst, "1m", since, until, limit) == await direct.candles(
        inst, "1m", since, until, limit
    )
    direct.close()


async def test_what_it_refuses_is_refused_in_its_own_words(aside):
    with pytest.raises(ValueError, match="SELECT"):
        await aside.sql("DROP TABLE trades")


async def test_a_killed_child_is_replaced_and_the_question_answered(stored, aside):
    _, rows = stored
    await aside.trades(*everything(rows))
    first = aside.pid
    os.kill(first, signal.SIGKILL)
    assert await aside.trades(*everything(rows)) == rows
    assert aside.pid not in {None, first}


async def test_an_idle_child_is_let_go(stored):
    folder, rows = stored
    aside = Aside(partial(DuckDb, folder), idle_secs=0.0)
    assert await aside.trades(*everything(rows)) == rows
    for _ in range(1000):  # the idle time, which is none, is over within a few turns of the loop
        await asyncio.sleep(0)
    assert aside.pid is None
    assert await aside.trades(*everything(rows)) == rows
    aside.close()


async def test_a_limit_crosses_the_border_as_what_it_is(stored):
    folder, _ = stored
    aside = Aside(partial(DuckDb, folder, config=DuckDbConfig(timeout_secs=0.01)))
    with pytest.raises(Unavailable):
        await aside.sql("SELECT count(*) FROM range(100000000000) a, range(1000) b")
    aside.close()


async def count_twice(query, kind) -> int:
    _, ((count,),) = await query.sql(f"SELECT count(*) FROM {kind}")
    _, ((again,),) = await query.sql(f"SELECT count(*) FROM {kind}")
    return count + again


async def test_work_of_several_questions_is_done_there_at_once(stored, aside):
    assert await aside.run(count_twice, "trades") == 10
    assert aside.pid != os.getpid()
