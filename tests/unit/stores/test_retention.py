import pytest

from tapewatch.model.events import Micros
from tapewatch.model.times import DAY, HOUR
from tapewatch.stores._folder import journal_path, parquet_path
from tapewatch.stores._retention import expired, sweep
from tests.rows import HOUR0


@pytest.fixture
def data(tmp_path):
    (tmp_path / "trades").mkdir()
    for hour in range(5):
        parquet_path(tmp_path, "trades", HOUR0 + hour).touch()
    return tmp_path


def now(hours: int) -> Micros:
    return Micros((HOUR0 + hours) * HOUR + DAY)


def test_a_file_goes_when_its_whole_hour_is_too_old(data):
    assert [path.name for path in expired(data, {"trades": 1.0}, now(2))] == [
        "trades_20250825_00.parquet",
        "trades_20250825_01.parquet",
    ]


def test_an_hour_with_a_journal_is_not_touched(data):
    journal_path(data, "trades", HOUR0, 0).touch()
    assert sweep(data, {"trades": 1.0}, now(2)) == 1
    assert parquet_path(data, "trades", HOUR0).exists()
    assert journal_path(data, "trades", HOUR0, 0).exists()
    assert not parquet_path(data, "trades", HOUR0 + 1).exists()


def test_nothing_goes_that_nobody_named(data):
    assert sweep(data, {}, now(1000)) == 0
    assert sweep(data, {"quotes": 1.0}, now(1000)) == 0
