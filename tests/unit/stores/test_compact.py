import pyarrow.parquet as pq
import pytest

from tapewatch.model.codec import encode_msgpack
from tapewatch.model.events import Origin
from tapewatch.stores import _compact
from tapewatch.stores._arrow import schema
from tapewatch.stores._compact import Job, compact
from tapewatch.stores._folder import journal_path, parquet_path
from tapewatch.stores._journal import Journal
from tapewatch.stores._kinds import KINDS
from tests.rows import HOUR0, candle, one_of_each, quote, trade


class Hour:
    """One hour of one kind in a folder."""

    def __init__(self, data_dir, kind) -> None:
        self.dir = data_dir
        self.kind = kind
        (data_dir / kind).mkdir()
        self.target = parquet_path(data_dir, kind, HOUR0)
        self.journals = []

    def write(self, *batches):
        path = journal_path(self.dir, self.kind, HOUR0, len(self.journals))
        journal = Journal.create(path)
        for batch in batches:
            journal.append(encode_msgpack(batch))
        journal.close()
        self.journals.append(path)
        return path

    def compact(self):
        return compact(Job(self.kind, str(self.target), tuple(map(str, self.journals))))

    def rows(self):
        return pq.read_table(self.target).to_pylist()

    def names(self):
        return sorted(path.name for path in (self.dir / self.kind).iterdir())


@pytest.fixture
def trades(tmp_path):
    return Hour(tmp_path, "trades")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_becomes_a_file_of_its_columns(tmp_path, kind):
    hour = Hour(tmp_path, kind)
    hour.write(one_of_each()[kind])
    done = hour.compact()
    assert (done.rows, done.doubled, done.error) == (2, 0, "")
    assert pq.read_schema(hour.target).equals(schema(kind))
    assert hour.names() == [f"{kind}_20250825_00.parquet"]


def test_rows_lie_by_instrument_time_and_number(trades):
    eth = "binance:ETH/USDT"
    trades.write([trade(10, 2), trade(9, 2)], [trade(5, 1, eth), trade(100, 1), trade(99, 1)])
    trades.compact()
    assert [(row["inst"][8:11], row["id"]) for row in trades.rows()] == [
        ("BTC", "99"),
        ("BTC", "100"),
        ("BTC", "9"),
        ("BTC", "10"),
        ("ETH", "5"),
    ]


def test_a_trade_told_twice_is_one_row_and_the_live_one_stays(trades):
    trades.write([trade(1, recv=900, repaired=True), trade(2)])
    trades.write([trade(1, recv=100), trade(2)])
    done = trades.compact()
    assert (done.rows, done.doubled) == (2, 2)
    assert [row["repaired"] for row in trades.rows()] == [False, False]


def test_the_same_number_in_another_channel_is_another_trade(trades):
    trades.write([trade(1), trade(1, channel="trade", echo=True)])
    assert trades.compact().rows == 2


def test_of_a_candle_the_highest_revision_stays_and_each_origin_has_its_own(tmp_path):
    hour = Hour(tmp_path, "candles")
    hour.write([candle(0), candle(0, revision=2, close=7.0), candle(0, revision=1)])
    hour.write([candle(0, origin=Origin.VENUE)])
    assert hour.compact().rows == 2
    assert {(row["origin"], row["revision"]) for row in hour.rows()} == {("own", 2), ("venue", 0)}


def test_late_rows_join_the_file_that_is_there(trades):
    trades.write([trade(1), trade(3)])
    trades.compact()
    trades.journals.clear()
    trades.write([trade(2), trade(3)])
    done = trades.compact()
    assert (done.rows, done.doubled) == (3, 1)
    assert [row["id"] for row in trades.rows()] == ["1", "2", "3"]


def test_doing_it_again_after_a_crash_before_the_journal_was_removed_changes_nothing(
    trades, monkeypatch
):
    path = trades.write([trade(1), trade(2)])
    content = path.read_bytes()
    trades.compact()
    first = trades.rows()
    path.write_bytes(content)
    trades.compact()
    assert trades.rows() == first


def test_a_job_that_another_child_did_is_done(trades):
    trades.write([trade(1)])
    trades.compact()
    assert trades.compact().error == ""
    assert len(trades.rows()) == 1


def test_journals_without_rows_leave_no_file(trades):
    trades.write()
    assert trades.compact().rows == 0
    assert trades.names() == []


def test_if_the_file_cannot_be_written_the_journal_stays(trades, monkeypatch):
    trades.write([trade(1)])

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_compact.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        trades.compact()
    assert trades.names() == ["trades_20250825_00.journal"]


def test_a_row_that_fits_no_column_is_counted_and_its_journal_kept(trades):
    trades.write([trade(1), trade(2, count=2**63)])
    done = trades.compact()
    assert (done.rows, done.misfits) == (1, 1)
    assert trades.names() == ["trades_20250825_00.journal.kept", "trades_20250825_00.parquet"]


def test_a_file_of_an_older_version_gets_the_new_column(trades):
    trades.write([trade(1)])
    trades.compact()
    old = pq.read_table(trades.target).drop_columns(["echo"])
    pq.write_table(old, trades.target)
    trades.journals.clear()
    trades.write([trade(2)])
    trades.compact()
    assert [row["echo"] for row in trades.rows()] == [None, False]


def test_quotes_without_numbers_are_told_apart_by_their_values(tmp_path):
    hour = Hour(tmp_path, "quotes")
    hour.write([quote(1), quote(1), quote(2)])
    assert hour.compact().rows == 2
