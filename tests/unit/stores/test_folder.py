import os
import subprocess
import sys

import pytest

from tapewatch.model.errors import ConfigError, Unavailable
from tapewatch.stores._folder import (
    FolderLock,
    hour_of,
    journal_path,
    list_files,
    parquet_path,
    words,
)
from tests.rows import HOUR0


def test_files_have_the_names_that_were_promised(tmp_path):
    assert parquet_path(tmp_path, "trades", HOUR0) == (
        tmp_path / "trades" / "trades_20250825_00.parquet"
    )
    assert journal_path(tmp_path, "mark_prices", HOUR0 + 23, 0).name == (
        "mark_prices_20250825_23.journal"
    )
    assert journal_path(tmp_path, "trades", HOUR0, 2).name == "trades_20250825_00.2.journal"


def test_an_hour_is_read_back_from_its_stamp():
    assert hour_of("20250825_00") == HOUR0


def test_only_our_own_files_are_listed_and_journals_in_order(tmp_path):
    folder = tmp_path / "trades"
    folder.mkdir()
    for name in (
        "trades_20250825_00.parquet",
        "trades_20250825_00.10.journal",
        "trades_20250825_00.2.journal",
        "trades_20250825_00.journal",
        "trades_20250825_01.journal",
        "trades_20259999_99.parquet",
        "quotes_20250825_00.parquet",
        ".trades_20250825_00.parquet.tmp",
        "trades_20250825_00.journal.kept",
        "notes.txt",
    ):
        (folder / name).touch()
    files = list_files(tmp_path, "trades")
    assert {hour: path.name for hour, path in files.parquet.items()} == {
        HOUR0: "trades_20250825_00.parquet"
    }
    assert [path.name for path in files.journals[HOUR0]] == [
        "trades_20250825_00.journal",
        "trades_20250825_00.2.journal",
        "trades_20250825_00.10.journal",
    ]
    assert set(files.journals) == {HOUR0, HOUR0 + 1}


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert list_files(tmp_path, "trades").parquet == {}


def test_a_second_writer_is_told_who_has_the_folder(tmp_path):
    lock = FolderLock(tmp_path / "tapewatch.lock")
    lock.take()
    with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path / "tapewatch.lock").take()
    lock.free()
    again = FolderLock(tmp_path / "tapewatch.lock")
    again.take()
    again.free()


def test_the_lock_dies_with_its_process(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from tapewatch.stores._folder import FolderLock;"
        f"FolderLock(Path({str(tmp_path / 'tapewatch.lock')!r})).take(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    lock = FolderLock(tmp_path / "tapewatch.lock")
    lock.take()
    lock.free()


@pytest.mark.parametrize(
    ("number", "text"),
    [(28, "disk is full"), (13, "no permission"), (30, "read-only"), (2, "gone")],
)
def test_a_person_is_told_what_is_wrong_with_the_disk(tmp_path, number, text):
    error = words(OSError(number, os.strerror(number)), tmp_path / "x")
    assert isinstance(error, Unavailable)
    assert text in str(error)
    assert str(tmp_path / "x") in str(error)
