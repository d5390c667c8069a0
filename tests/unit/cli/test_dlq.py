import msgspec
import pytest

from tapewatch.cli.dlq import drop, ls, show
from tapewatch.model.codec import dead_letter
from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.stores.dead_letters import DeadLetters
from tests.rows import at, letter


@pytest.fixture
async def data(tmp_path):
    store = DeadLetters(tmp_path)
    await store.open()
    await store.write([letter(1, 5), letter(2, 10), letter(3, 3600)])
    await store.write([dead_letter("okx", "decode", "bad bytes", b"\xff\x00", at(7200))])
    await store.close()
    return tmp_path


def test_letters_are_listed_newest_first(data, capsys):
    assert ls(data_dir=data) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == [
        "20250825_02:1",
        "20250825_01:1",
        "20250825_00:2",
        "20250825_00:1",
    ]
    for words in ("2025-08-25 00:00:05", "binance/decode", "bad 1", '{"n":1}'):
        assert words in rows[3]


def test_a_list_is_bounded_and_says_so(data, capsys):
    assert ls(limit=2, data_dir=data) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert "--limit" in captured.err


def test_a_list_can_be_json(data, capsys):
    ls(json=True, data_dir=data)
    rows = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[2] == {
        "id": "20250825_00:2",
        "raw_payload": '{"n":2}',
        "error": "bad 2",
        "ingestion_time_ms": at(10) // 1000,
        "source": "binance",
        "stage": "decode",
        "encoding": "utf-8",
    }


def test_none_can_be_told_by_the_exit_code(tmp_path, capsys):
    assert ls(data_dir=tmp_path) == 0
    assert ls(fail_empty=True, data_dir=tmp_path) == 5
    assert capsys.readouterr().out == ""


def test_a_letter_is_shown_whole(data, capsys):
    show("20250825_00:1", data_dir=data)
    assert msgspec.json.decode(capsys.readouterr().out)["raw_payload"] == '{"n":1}'


def test_a_raw_letter_is_what_came_over_the_wire(data, capsysbinary):
    show("20250825_02:1", raw=True, data_dir=data)
    show("20250825_00:1", raw=True, data_dir=data)
    assert capsysbinary.readouterr().out == b'\xff\x00\n{"n":1}\n'


def test_an_unknown_letter_is_answered_with_some_that_exist(data):
    with pytest.raises(NotFound, match="20250825_02:1"):
        show("20250825_00:99", data_dir=data)


def test_an_hour_can_be_dropped(data, capsys):
    drop("20250825_00", data_dir=data)
    ls(data_dir=data)
    assert len(capsys.readouterr().out.splitlines()) == 2
    drop(everything=True, data_dir=data)
    assert ls(fail_empty=True, data_dir=data) == 5


def test_dropping_needs_to_be_told_what(data):
    with pytest.raises(ConfigError, match="--all"):
        drop(data_dir=data)
    with pytest.raises(NotFound, match="20250825_02"):
        drop("20250101_00", data_dir=data)


def test_a_torn_line_is_shown_as_it_is(data, capsys):
    path = data / "dlq" / "dlq_20250825_02.jsonl"
    path.write_bytes(path.read_bytes() + b'{"raw_pay')
    ls(limit=1, data_dir=data)
    assert "torn line" in capsys.readouterr().out
