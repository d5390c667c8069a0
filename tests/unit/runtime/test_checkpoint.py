import pytest

from tapewatch.model.events import Micros
from tapewatch.runtime.checkpoint import Checkpoint


class Notebook:
    """A pipeline that remembers one text."""

    def __init__(self, text: bytes = b"") -> None:
        self.text = text

    def snapshot(self) -> bytes:
        return self.text

    def restore(self, blob: bytes) -> list[str]:
        self.text = blob
        return []


def checkpoint(path, text=b"") -> tuple[Checkpoint, Notebook]:
    notebook = Notebook(text)
    return Checkpoint(path / "checkpoint", notebook, lambda: Micros(42)), notebook


def test_what_was_saved_comes_back_with_its_mark(tmp_path):
    checkpoint(tmp_path, b"candles")[0].save()
    again, notebook = checkpoint(tmp_path)
    assert again.load(Micros(1)) == 42
    assert notebook.text == b"candles"


def test_without_a_file_processors_start_fresh(tmp_path):
    again, notebook = checkpoint(tmp_path)
    assert again.load(Micros(1)) is None
    assert notebook.text == b""


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"xxxx" + b[4:], lambda b: b""])
def test_a_damaged_file_is_moved_aside_not_believed(tmp_path, damage):
    checkpoint(tmp_path, b"candles")[0].save()
    path = tmp_path / "checkpoint"
    path.write_bytes(damage(path.read_bytes()))
    again, notebook = checkpoint(tmp_path)
    assert again.load(Micros(1)) is None
    assert notebook.text == b""
    assert (tmp_path / "checkpoint.damaged").exists()
    assert not path.exists()


def test_a_disk_that_takes_nothing_is_told_and_stops_nothing(tmp_path, caplog):
    saving = Checkpoint(tmp_path / "no" / "x", Notebook(), lambda: Micros(1))
    saving.save()
    saving.save()
    assert saving.counters.trouble.startswith("cannot write")
    assert saving.counters.errors == {"not written": 2}
    assert [record.message for record in caplog.records] == ["checkpoint_not_written"]
    (tmp_path / "no").mkdir()
    saving.save()
    assert (saving.counters.sent, saving.counters.trouble) == (1, "")


def test_a_checkpoint_of_another_day_is_left_alone(tmp_path):
    checkpoint(tmp_path, b"candles")[0].save()
    again, notebook = checkpoint(tmp_path)
    assert again.load(Micros(43)) is None
    assert notebook.text == b""
