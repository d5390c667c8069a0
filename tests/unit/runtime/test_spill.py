import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.errors import Unavailable
from tapewatch.runtime import spill as module
from tapewatch.runtime.spill import Spill
from tests.rows import trade


@pytest.fixture
def spill(tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.open()
    yield spill
    spill.close()


def take(spill) -> list[str]:
    """Empty it; give the ids."""
    ids = []
    while (batch := spill.head()) is not None:
        ids += [event.id for event in batch]
        spill.pop()
    return ids


def test_batches_come_out_in_the_order_in_which_they_went_in(spill):
    for number in range(5):
        spill.append([trade(number), trade(number + 100)])
    assert take(spill) == ["0", "100", "1", "101", "2", "102", "3", "103", "4", "104"]
    assert spill.empty
    assert spill.bytes == 0


def test_the_head_stays_until_it_is_dealt_with(spill):
    spill.append([trade(1)])
    assert spill.head() == spill.head() == [trade(1)]
    assert not spill.empty
    spill.pop()
    assert spill.head() is None


def test_what_comes_while_it_is_emptied_comes_last(spill):
    spill.append([trade(1)])
    assert spill.head() == [trade(1)]
    spill.append([trade(2)])
    spill.pop()
    assert take(spill) == ["2"]


@settings(max_examples=30)
@given(st.lists(st.booleans(), max_size=60))
def test_any_mixture_of_putting_in_and_taking_out_keeps_the_order(tmp_path_factory, steps):
    spill = Spill(tmp_path_factory.mktemp("spill"))
    spill.open()
    waiting, number = [], 0
    for putting in steps:
        if putting:
            spill.append([trade(number)])
            waiting.append(str(number))
            number += 1
        elif waiting:
            assert [event.id for event in spill.head()] == [waiting.pop(0)]
            spill.pop()
        else:
            assert spill.head() is None
    assert take(spill) == waiting
    spill.close()


def test_nothing_is_left_on_disk_when_it_is_empty(spill, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 200)
    for number in range(20):
        spill.append([trade(number)])
    assert len(list((tmp_path / "spill").iterdir())) > 5
    take(spill)
    assert list((tmp_path / "spill").iterdir()) == []


def test_another_process_goes_on_with_what_was_left(spill, tmp_path):
    for number in range(3):
        spill.append([trade(number)])
    spill.close()
    again = Spill(tmp_path / "spill")
    again.open()
    again.append([trade(3)])
    assert take(again) == ["0", "1", "2", "3"]


def test_after_a_crash_at_most_one_segment_comes_again(spill, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SEGMENT_BYTES", 400)
    for number in range(12):
        spill.append([trade(number)])
    for _ in range(7):
        spill.head()
        spill.pop()
    again = Spill(tmp_path / "spill")
    again.open()
    left = take(again)
    assert left[-5:] == ["7", "8", "9", "10", "11"]
    assert len(left) <= 5 + 3


def test_a_torn_end_is_nobodys_data(spill, tmp_path):
    spill.append([trade(1)])
    spill.append([trade(2)])
    spill.close()
    (path,) = (tmp_path / "spill").iterdir()
    os.truncate(path, path.stat().st_size - 2)
    again = Spill(tmp_path / "spill")
    again.open()
    assert take(again) == ["1"]


def test_a_damaged_block_is_counted(spill, tmp_path):
    for number in range(3):
        spill.append([trade(number)])
    spill.close()
    (path,) = (tmp_path / "spill").iterdir()
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    again = Spill(tmp_path / "spill")
    again.open()
    assert take(again) == ["0", "2"]
    assert again.damaged == 1


def test_it_is_bounded_and_says_so(tmp_path):
    spill = Spill(tmp_path, max_bytes=1000)
    spill.open()
    for number in range(6):
        spill.append([trade(number)])
    with pytest.raises(Unavailable, match="full"):
        spill.append([trade(6)])
    assert spill.bytes <= 1000
    assert take(spill)[0] == "0"
    spill.append([trade(1)])
    spill.close()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="file"):
        Spill(tmp_path / "file").open()


def test_segments_deleted_by_hand_are_skipped(spill, tmp_path):
    spill.append([trade(1)])
    spill.close()
    for path in (tmp_path / "spill").iterdir():
        path.unlink()
    assert spill.head() is None
    assert spill.empty
