import errno
import os
import shutil

import pytest

from tapewatch.model.codec import decode_msgpack_batch
from tapewatch.model.errors import ConfigError, Rejected, Unavailable
from tapewatch.model.events import Micros
from tapewatch.ports import Subscription
from tapewatch.stores import _journal, parquet
from tapewatch.stores._journal import Scan
from tapewatch.stores._stored import Stored
from tapewatch.stores.parquet import Parquet, ParquetConfig
from tests.rows import HOUR0, INST, T0, at, candle, gap, quote, trade


class NoChild:
    """Stands for the compactor: remembers what it should convert."""

    def __init__(self, *_) -> None:
        self.jobs = []
        self.waiting = 0

    def add(self, kind, hour, path) -> None:
        self.jobs.append((kind, hour - HOUR0, path.name))

    def run(self) -> bool:
        return True

    def stop(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_child(monkeypatch):
    monkeypatch.setattr(parquet, "Compactor", NoChild)


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


def make(data, now=T0, **more) -> Parquet:
    return Parquet(data, clock=lambda: now, **more)


@pytest.fixture
async def store(data):
    store = make(data)
    await store.open()
    yield store
    await store.close()


def rows(data, kind) -> list:
    return [
        event
        for path in sorted((data / kind).glob("*.journal"))
        for block in Scan(path)
        for event in decode_msgpack_batch(block.payload)
    ]


async def test_rows_are_on_disk_when_write_returns(store, data):
    await store.write([trade(1), quote(1), trade(2, 3600), candle(0)])
    assert rows(data, "trades") == [trade(1), trade(2, 3600)]
    assert rows(data, "quotes") == [quote(1)]
    assert rows(data, "candles") == [candle(0)]
    assert sorted(path.name for path in (data / "trades").iterdir()) == [
        "trades_20250825_00.journal",
        "trades_20250825_01.journal",
    ]
    assert store.counters.received == 4


async def test_opening_twice_is_opening_once(store, data):
    await store.open()
    await store.write([trade(1)])
    assert rows(data, "trades") == [trade(1)]


async def test_a_folder_in_use_is_refused(store, data):
    with pytest.raises(ConfigError, match="in use by another tapewatch"):
        await make(data).open()


async def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        await make(tmp_path / "file").open()


async def test_a_batch_is_written_whole_or_not_at_all(store, data, monkeypatch):
    await store.write([trade(1), quote(1)])
    real = os.write

    def full_at_the_second(fd, block):
        if b"quote" in bytes(block):
            real(fd, block[:20])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, block)

    for _ in range(2):  # kinds come in no order: the full one may be the first
        with monkeypatch.context() as patch:
            patch.setattr(_journal.os, "write", full_at_the_second)
            with pytest.raises(Unavailable, match="disk is full"):
                await store.write([trade(2), quote(2), candle(0)])
    assert rows(data, "trades") == [trade(1)]
    assert rows(data, "candles") == []
    await store.write([trade(2), quote(2)])
    assert rows(data, "trades") == [trade(1), trade(2)]
    assert rows(data, "quotes") == [quote(1), quote(2)]
    assert store.counters.errors == {"write failed": 2}


async def test_a_limit_on_file_size_is_met_like_a_full_disk(store, data):
    resource = pytest.importorskip("resource")
    await store.write([trade(1)])
    size = (data / "trades" / "trades_20250825_00.journal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
    try:
        with pytest.raises(Unavailable, match="larger than this system"):
            await store.write([trade(2)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (data / "trades" / "trades_20250825_00.journal").stat().st_size == size
    await store.write([trade(2)])
    assert rows(data, "trades") == [trade(1), trade(2)]


async def test_a_deleted_kind_folder_comes_back_with_all_that_was_in_the_journal(store, data):
    await store.write([trade(1)])
    shutil.rmtree(data / "trades")
    await store.write([trade(2)])
    assert rows(data, "trades") == [trade(1), trade(2)]
    assert store.counters.errors == {"journal removed": 1}


async def test_a_data_folder_that_is_gone_is_not_made_anew(store, data):
    await store.write([trade(1)])
    data.rename(data.with_name("moved"))
    with pytest.raises(Unavailable, match="folder is gone"):
        await store.write([trade(2)])
    assert not data.exists()
    data.with_name("moved").rename(data)
    await store.write([trade(2)])
    assert rows(data, "trades") == [trade(1), trade(2)]


async def test_rows_that_can_never_be_written_are_named_and_the_others_kept(store, data):
    with pytest.raises(Rejected) as caught:
        await store.write([trade(1), trade(2, ts=Micros(-5)), trade(3), trade(4, id="\ud800")])
    assert caught.value.rows == {1, 3}
    assert rows(data, "trades") == [trade(1), trade(3)]


async def test_an_hour_ends_when_rows_are_received_past_its_end_and_the_grace(store):
    await store.write([trade(1), quote(1)])
    await store.write([trade(2, 3600 + 59)])
    assert store._compactor.jobs == []
    await store.write([trade(3, 3600 + 130)])
    assert sorted(store._compactor.jobs) == [
        ("quotes", 0, "quotes_20250825_00.journal"),
        ("trades", 0, "trades_20250825_00.journal"),
    ]


async def test_a_venue_with_a_wrong_clock_ends_no_hour(store):
    await store.write([trade(1)])
    await store.write([trade(2, 7200, recv=at(10)), trade(3, recv=at(11))])
    assert store._compactor.jobs == []


async def test_late_rows_open_a_new_journal_and_it_rests_for_the_grace(store, data):
    await store.write([trade(1)])
    await store.write([trade(2, 3600 + 130)])
    await store.write([trade(3, 5, recv=at(3600 + 200))])
    assert rows(data, "trades")[:2] == [trade(3, 5, recv=at(3600 + 200)), trade(1)]
    assert [job[2] for job in store._compactor.jobs] == ["trades_20250825_00.journal"]
    await store.write([trade(4, 3600 + 400)])
    assert [job[2] for job in store._compactor.jobs] == [
        "trades_20250825_00.journal",
        "trades_20250825_00.1.journal",
    ]


async def test_a_backfill_over_many_hours_keeps_few_files_open(store):
    await store.write([trade(n, 3600 * n, recv=at(0)) for n in range(100)])
    assert len(store._open) == parquet._MAX_OPEN
    assert len(store._compactor.jobs) == 100 - parquet._MAX_OPEN


async def test_what_a_former_process_left_is_converted_with_the_first_write(data):
    store = make(data)
    await store.open()
    await store.write([trade(1), trade(2, 7200)])
    await store.close()
    later = make(data, now=at(7210))
    await later.open()
    assert later._compactor.jobs == []
    await later.write([trade(3, 7211)])
    assert later._compactor.jobs == [("trades", 0, "trades_20250825_00.journal")]
    await later.write([trade(4, 10_900)])
    assert [(hour, name) for _, hour, name in later._compactor.jobs[1:]] == [
        (2, "trades_20250825_02.1.journal"),
        (2, "trades_20250825_02.journal"),
    ]
    await later.close()


async def test_a_torn_end_is_cut_off_and_reported(data, caplog):
    store = make(data)
    await store.open()
    await store.write([trade(1)])
    await store.write([trade(2)])
    await store.close()
    path = data / "trades" / "trades_20250825_00.journal"
    os.truncate(path, path.stat().st_size - 3)
    again = make(data)
    await again.open()
    assert rows(data, "trades") == [trade(1)]
    assert "torn_end_cut" in caplog.messages
    assert again.counters.errors == {"torn journal": 1}
    await again.close()


async def test_the_ids_on_disk_are_told_exactly(data):
    store = make(data)
    await store.open()
    await store.write([trade(n) for n in (5, 6, 7, 9)] + [trade(1, channel="trade", repaired=True)])
    await store.write([trade(10, 3600), trade(6), trade(3, id="x-1")])
    assert await store.stored() == {
        Subscription(INST, "aggTrade"): Stored([(5, 7), (9, 10)], live=True),
        Subscription(INST, "trade"): Stored([(1, 1)], live=False),
    }
    assert await store.last_ids() == {
        Subscription(INST, "aggTrade"): 10,
        Subscription(INST, "trade"): 1,
    }
    await store.close()


async def test_what_came_after_a_mark_is_given_in_order_of_receipt(store):
    await store.write([trade(1, 1), trade(2, 2)])
    await store.write([trade(3, 3600), gap(9, 2.5), quote(1, 5)])
    batches = await store.received_since(trade(1, 1).recv)
    assert [event for batch in batches for event in batch] == [
        trade(2, 2),
        gap(9, 2.5),
        trade(3, 3600),
    ]


async def test_old_files_are_deleted_only_where_somebody_asked_for_it(data):
    for kind in ("trades", "quotes"):
        (data / kind).mkdir(parents=True)
        (data / kind / f"{kind}_20250801_00.parquet").touch()
    store = make(data, keep_days={"trades": 7.0})
    await store.open()
    await store.write([trade(1)])
    assert not (data / "trades" / "trades_20250801_00.parquet").exists()
    assert (data / "quotes" / "quotes_20250801_00.parquet").exists()
    await store.close()


async def test_without_grace_an_hour_ends_at_once(data):
    store = make(data, config=ParquetConfig(grace_secs=0.0))
    await store.open()
    await store.write([trade(1)])
    await store.write([trade(2, 3600)])
    assert [job[1] for job in store._compactor.jobs] == [0]
    await store.close()
