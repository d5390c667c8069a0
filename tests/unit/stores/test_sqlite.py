import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.errors import ConfigError, Rejected, Unavailable
from tapewatch.model.events import Holding, Micros
from tapewatch.ports import Subscription
from tapewatch.stores import sqlite
from tapewatch.stores._ledger import Span, overlay
from tapewatch.stores._stored import Stored
from tapewatch.stores.sqlite import Sqlite
from tests.rows import INST, coverage

HAVE, REPAIRED, MISSING, LOST = Holding.HAVE, Holding.REPAIRED, Holding.MISSING, Holding.LOST
STREAM = Subscription(INST, "aggTrade")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tapewatch.sqlite"


@pytest.fixture
async def store(path):
    store = Sqlite(path, clock=lambda: Micros(7))
    await store.open()
    yield store
    await store.close()


async def known(store) -> list[tuple]:
    return [(c.first, c.last, c.holding, c.reason) for c in await store.coverage()]


async def test_neighbouring_entries_become_one(store):
    await store.write([coverage(1, 5), coverage(6, 9)])
    await store.write([coverage(10, 12)])
    assert await known(store) == [(1, 12, HAVE, "")]


async def test_an_outage_and_its_repair(store):
    await store.write([coverage(1, 5), coverage(6, 9, MISSING), coverage(10, 12)])
    assert await store.resume() == {STREAM: 12}
    await store.write([coverage(6, 8, REPAIRED), coverage(9, 9, LOST, "404")])
    assert await known(store) == [
        (1, 5, HAVE, ""),
        (6, 8, REPAIRED, ""),
        (9, 9, LOST, "404"),
        (10, 12, HAVE, ""),
    ]


async def test_what_is_repaired_becomes_one_with_both_of_its_neighbours(store):
    await store.write([coverage(1, 5), coverage(6, 9, MISSING), coverage(10, 12)])
    await store.write([coverage(6, 9)])
    assert await known(store) == [(1, 12, HAVE, "")]


async def test_the_last_id_in_hand_is_where_a_stream_resumes(store):
    await store.write([coverage(1, 5), coverage(6, 9, LOST, "404")])
    assert await store.resume() == {STREAM: 5}


async def test_coverage_can_be_asked_by_instrument_and_channel(store):
    await store.write([coverage(1, 5)])
    assert len(await store.coverage(INST)) == 1
    assert len(await store.coverage(INST, "aggTrade")) == 1
    assert await store.coverage("binance:ETH/USDT") == []
    assert await store.coverage(INST, "trade") == []


async def test_everything_is_there_after_opening_again(store, path):
    await store.write([coverage(1, 5)])
    await store.save([STREAM], wanted=True)
    await store.close()
    again = Sqlite(path, clock=lambda: Micros(8))
    await again.open()
    assert await known(again) == [(1, 5, HAVE, "")]
    assert await again.load() == [(STREAM, True)]
    await again.close()


async def test_a_subscription_can_be_taken_back(store):
    other = Subscription(INST, "depth")
    await store.save([STREAM, other], wanted=True)
    await store.save([other], wanted=False)
    assert await store.load() == [(STREAM, True), (other, False)]


async def test_trimming_forgets_what_the_disk_does_not_have(store):
    await store.write([coverage(1, 90), coverage(91, 95, MISSING), coverage(96, 100)])
    await store.trim({STREAM: Stored([(40, 88)], live=True)})
    assert await known(store) == [(1, 88, HAVE, ""), (91, 95, MISSING, "")]
    assert await store.resume() == {STREAM: 88}


async def test_trimming_puts_down_what_the_disk_has_and_nobody_claimed(store):
    await store.write([coverage(1, 50)])
    await store.trim({STREAM: Stored([(40, 55), (58, 60)], live=True)})
    assert await known(store) == [(1, 55, HAVE, ""), (58, 60, HAVE, "")]


async def test_late_repairs_alone_say_nothing_about_the_newest_id(store):
    await store.write([coverage(1, 500)])
    await store.trim({STREAM: Stored([(100, 110)], live=False)})
    assert await known(store) == [(1, 500, HAVE, "")]


async def test_a_range_that_is_none_is_rejected_and_the_rest_is_kept(store):
    with pytest.raises(Rejected) as caught:
        await store.write([coverage(1, 5), coverage(9, 7), coverage(1, 2**63)])
    assert caught.value.rows == {1, 2}
    assert await known(store) == [(1, 5, HAVE, "")]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 9), st.sampled_from(Holding)), max_size=12
    )
)
async def test_the_file_holds_what_the_rules_say(tmp_path_factory, entries):
    store = Sqlite(tmp_path_factory.mktemp("ledger") / "x.sqlite", clock=lambda: Micros(7))
    await store.open()
    expected: list[Span] = []
    for first, length, holding in entries:
        await store.write([coverage(first, first + length, holding)])
        expected = overlay(expected, Span(first, first + length, holding))
    assert await known(store) == [(s.first, s.last, s.holding, s.reason) for s in expected]
    await store.close()


async def test_a_damaged_file_is_moved_aside_and_said_so(path, caplog):
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    store = Sqlite(path, clock=lambda: Micros(7))
    await store.open()
    assert await known(store) == []
    assert "ledger_damaged" in caplog.messages
    assert path.with_name("tapewatch.sqlite.damaged-7").read_bytes().startswith(b"this is no")
    await store.close()


async def test_a_file_of_a_newer_version_is_left_alone(path):
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    store = Sqlite(path, clock=lambda: Micros(7))
    with pytest.raises(ConfigError, match="newer tapewatch"):
        await store.open()
    await store.close()


async def test_a_file_of_an_older_version_is_brought_up_to_date(path, monkeypatch):
    store = Sqlite(path, clock=lambda: Micros(7))
    await store.open()
    await store.write([coverage(1, 5)])
    await store.close()
    more = (*sqlite.MIGRATIONS, "ALTER TABLE spans ADD COLUMN later INTEGER;")
    monkeypatch.setattr(sqlite, "MIGRATIONS", more)
    again = Sqlite(path, clock=lambda: Micros(7))
    await again.open()
    assert await known(again) == [(1, 5, HAVE, "")]
    await again.close()
    with sqlite3.connect(path) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (2,)
    base.close()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = Sqlite(tmp_path / "file" / "x.sqlite", clock=lambda: Micros(7))
    with pytest.raises(Unavailable, match=r"x\.sqlite"):
        await store.open()
    await store.close()
