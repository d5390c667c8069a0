import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.stores import _journal
from tapewatch.stores._journal import IDENTITY_BYTES, Journal, Scan, cut_torn_end, identity


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trades_20250825_00.journal"


@pytest.fixture
def journal(path):
    journal = Journal.create(path)
    yield journal
    journal.close()


def payloads(path, offset=0) -> list[bytes]:
    return [block.payload for block in Scan(path, offset)]


def test_blocks_come_back_in_order(journal, path):
    for payload in (b"one", b"two", b"three" * 1000):
        journal.append(payload)
    assert payloads(path) == [b"one", b"two", b"three" * 1000]


def test_reading_goes_on_where_it_ended(journal, path):
    journal.append(b"one")
    scan = Scan(path)
    assert len(list(scan)) == 1
    journal.append(b"two")
    assert payloads(path, scan.end) == [b"two"]


def test_a_journal_is_made_once(journal, path):
    with pytest.raises(FileExistsError):
        Journal.create(path)


def test_a_journal_of_the_same_name_has_another_identity(tmp_path):
    seen = set()
    for _ in range(2):
        journal = Journal.create(tmp_path / "x.journal")
        journal.append(b"row")
        journal.close()
        seen.add(identity(tmp_path / "x.journal"))
        (tmp_path / "x.journal").unlink()
    assert len(seen) == 2


def test_what_is_no_journal_has_no_rows_and_no_identity(tmp_path):
    for name, content in (("a", b""), ("b", b"TWJ1"), ("c", b"PAR1" * 40)):
        (tmp_path / name).write_bytes(content)
        assert payloads(tmp_path / name) == []
        assert identity(tmp_path / name) is None


@given(cut=st.integers(1, 200))
def test_a_torn_end_is_nobodys_data_wherever_it_tears(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "x.journal"
    journal = Journal.create(path)
    ends = []
    for payload in (b"a" * 40, b"b" * 50, b"c" * 60):
        journal.append(payload)
        ends.append(journal.size)
    journal.close()
    size = max(0, ends[-1] - cut)
    os.truncate(path, size)
    whole = [end for end in ends if end <= size]
    assert len(payloads(path)) == len(whole)
    torn = cut_torn_end(path)
    assert torn == size - (whole[-1] if whole else min(size, IDENTITY_BYTES) if size >= 16 else 0)
    assert len(payloads(path)) == len(whole)


def test_a_damaged_block_in_the_middle_costs_only_itself(journal, path):
    journal.append(b"first")
    start = journal.size
    journal.append(b"second")
    journal.append(b"third")
    with path.open("r+b") as file:
        file.seek(start + 10)
        file.write(b"XX")
    scan = Scan(path)
    assert [block.payload for block in scan] == [b"first", b"third"]
    assert scan.damaged == 1
    assert cut_torn_end(path) == 0


def test_zeros_behind_the_last_block_are_no_blocks(journal, path):
    journal.append(b"row")
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert payloads(path) == [b"row"]
    assert cut_torn_end(path) == 4096


def test_a_write_that_fails_half_way_leaves_the_journal_as_it_was(journal, path, monkeypatch):
    journal.append(b"before")
    real = os.write

    def full_disk(fd, data):
        if len(data) < 60:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[:50])

    monkeypatch.setattr(_journal.os, "write", full_disk)
    with pytest.raises(OSError, match="No space"):
        journal.append(b"x" * 100)
    monkeypatch.setattr(_journal.os, "write", real)
    assert payloads(path) == [b"before"]
    journal.append(b"after")
    assert payloads(path) == [b"before", b"after"]


def test_a_part_that_cannot_even_be_cut_off_is_overwritten(journal, path, monkeypatch):
    journal.append(b"before")
    real = os.write

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    def half(fd, data):
        if len(data) < 60:
            fail()
        return real(fd, data[:50])

    with monkeypatch.context() as patch:
        patch.setattr(_journal.os, "write", half)
        patch.setattr(_journal.os, "ftruncate", fail)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(b"x" * 100)
    assert payloads(path) == [b"before"]
    journal.append(b"short")
    assert payloads(path) == [b"before", b"short"]


def test_cutting_back_takes_whole_blocks_away(journal, path):
    journal.append(b"keep")
    size = journal.size
    journal.append(b"drop")
    journal.cut(size)
    journal.append(b"next")
    assert payloads(path) == [b"keep", b"next"]


def test_a_journal_cut_to_nothing_begins_anew(journal, path):
    journal.append(b"drop")
    journal.cut(0)
    journal.append(b"next")
    assert payloads(path) == [b"next"]


def test_a_deleted_journal_is_brought_home_whole(journal, path):
    journal.append(b"one")
    assert journal.at_home()
    path.unlink()
    assert not journal.at_home()
    journal.bring_home()
    assert journal.at_home()
    journal.append(b"two")
    assert payloads(path) == [b"one", b"two"]
