import errno
from pathlib import Path

import msgspec
import pytest

from tapewatch.model.codec import dead_letter
from tapewatch.model.errors import Unavailable
from tapewatch.stores.dead_letters import DeadLetters, DeadLettersConfig
from tests.rows import at, letter, trade


@pytest.fixture
async def store(tmp_path):
    store = DeadLetters(tmp_path)
    await store.open()
    yield store
    await store.close()


def lines(folder, hour="00") -> list[dict]:
    path = folder / "dlq" / f"dlq_20250825_{hour}.jsonl"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


async def test_a_letter_is_a_line_with_the_promised_names(store, tmp_path):
    await store.write([letter(1), trade(1)])
    assert lines(tmp_path) == [
        {
            "raw_payload": '{"n":1}',
            "error": "bad 1",
            "ingestion_time_ms": at(0) // 1000,
            "source": "binance",
            "stage": "decode",
            "encoding": "utf-8",
        }
    ]


async def test_bytes_that_are_no_text_are_kept_as_base64(store, tmp_path):
    await store.write([dead_letter("okx", "decode", "bad", b"\xff\x00", at(0))])
    assert (lines(tmp_path)[0]["raw_payload"], lines(tmp_path)[0]["encoding"]) == ("/wA=", "base64")


async def test_each_hour_has_its_file(store, tmp_path):
    await store.write([letter(1), letter(2, 3600)])
    assert [line["error"] for line in lines(tmp_path, "01")] == ["bad 2"]


async def test_an_hour_is_bounded_and_says_what_it_did_not_keep(tmp_path, caplog):
    store = DeadLetters(tmp_path, config=DeadLettersConfig(max_bytes=300))
    await store.open()
    await store.write([letter(n) for n in range(10)])
    await store.write([letter(n) for n in range(10)])
    assert caplog.messages == ["dead_letters_full"]
    kept = store.counters.received
    assert store.counters.dropped == {"hour is full": 20 - kept}
    await store.write([letter(1, 3600)])
    assert len(lines(tmp_path)) == kept + 1
    assert lines(tmp_path)[-1]["not_kept"] == 20 - kept
    await store.close()


async def test_what_was_not_kept_is_told_at_the_end(tmp_path):
    store = DeadLetters(tmp_path, config=DeadLettersConfig(max_bytes=10))
    await store.open()
    await store.write([letter(1)])
    await store.close()
    assert [line["not_kept"] for line in lines(tmp_path)] == [1]


async def test_a_torn_line_stays_on_a_line_of_its_own(store, tmp_path):
    path = tmp_path / "dlq" / "dlq_20250825_00.jsonl"
    path.write_bytes(b'{"raw_pay')
    await store.write([letter(1)])
    assert path.read_bytes().startswith(b'{"raw_pay\n{"raw_payload"')


async def test_a_write_that_fails_half_way_leaves_no_half(store, tmp_path, monkeypatch):
    await store.write([letter(1)])
    real = Path.open

    class Full:
        def __init__(self, file) -> None:
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self.file.close()

        def write(self, data):
            self.file.write(data[:10])
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda path, mode: Full(real(path, mode)) if "a" in mode else real(path, mode),
        )
        with pytest.raises(Unavailable, match="disk is full"):
            await store.write([letter(2)])
    assert [line["error"] for line in lines(tmp_path)] == ["bad 1"]
    await store.write([letter(2)])
    assert [line["error"] for line in lines(tmp_path)] == ["bad 1", "bad 2"]


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "dlq").write_text("no folder")
    with pytest.raises(Unavailable, match="dlq"):
        await DeadLetters(tmp_path).open()
