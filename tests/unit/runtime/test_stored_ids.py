"""Which ids are on disk, so that nothing is written twice."""

from tapewatch.ports import Subscription
from tapewatch.runtime.stored_ids import StoredIds
from tapewatch.stores.parquet import Parquet
from tests.rows import INST, at, trade

STREAM = Subscription(INST, "aggTrade")


async def lay(folder, rows):
    parquet = Parquet(folder, clock=lambda: at(0))
    await parquet.open()
    await parquet.write(rows)
    await parquet.close()


async def left(folder, rows, *, spans=False):
    ids = StoredIds(folder, STREAM, spans=spans)
    try:
        return [int(row.id) for row in await ids.without(rows)]
    finally:
        ids.close()


async def test_what_is_stored_is_left_out_in_each_hour(tmp_path):
    await lay(tmp_path, [trade(n, 3500 + 20 * n) for n in (1, 2, 3, 7, 8, 9)])
    asked = [trade(n, 3500 + 20 * n) for n in range(12)]
    assert await left(tmp_path, asked) == [0, 4, 5, 6, 10, 11]


async def test_rows_of_another_stream_are_no_rows_of_ours(tmp_path):
    await lay(tmp_path, [trade(1, channel="trade"), trade(2, inst="binance:ETH/USDT"), trade(3)])
    assert await left(tmp_path, [trade(n) for n in (1, 2, 3)]) == [1, 2]


async def test_a_row_of_several_fills_holds_their_ids_where_ids_count_fills(tmp_path):
    await lay(tmp_path, [trade(10, count=4), trade(20, count=2)])
    asked = [trade(n) for n in (6, 7, 9, 10, 18, 19, 20)]
    assert await left(tmp_path, asked, spans=True) == [6, 18]
    assert await left(tmp_path, asked) == [6, 7, 9, 18, 19]


async def test_an_empty_folder_holds_nothing(tmp_path):
    await lay(tmp_path, [])
    assert await left(tmp_path, [trade(1)]) == [1]
