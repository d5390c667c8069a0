"""The data folder: how its files are called, which there are, and who may write in it.

    data/trades/trades_20250825_00.parquet      an hour (UTC, by event time) that is over
    data/trades/trades_20250825_00.journal      the same hour while it is open
    data/trades/trades_20250825_00.1.journal    rows that came when the first was being converted,
                                                or after a restart; and so on
    data/tapewatch.lock                         one writer for one folder

Nothing here reads or writes rows.
"""

import errno
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from tapewatch.model.errors import ConfigError, Unavailable
from tapewatch.model.events import Micros
from tapewatch.model.times import HOUR, SECOND, hour_stamp

Hour: TypeAlias = int  # whole hours since the epoch, UTC

_NAME = re.compile(r"([a-z_]+)_(\d{8}_\d{2})(?:\.(\d+))?\.(journal|parquet)")


class Files(Struct, frozen=True):
    """What there is of one kind. Journals of an hour are in the order in which they were made."""

    journals: dict[Hour, list[Path]]
    parquet: dict[Hour, Path]


def hour_of(stamp: str) -> Hour:
    """`20250825_00` to its hour. Raises ValueError on `20259999_99`."""
    moment = datetime.strptime(stamp, "%Y%m%d_%H").replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND // HOUR


def parquet_path(data_dir: Path, kind: str, hour: Hour) -> Path:
    return data_dir / kind / f"{kind}_{hour_stamp(Micros(hour * HOUR))}.parquet"


def journal_path(data_dir: Path, kind: str, hour: Hour, number: int) -> Path:
    suffix = f".{number}.journal" if number else ".journal"
    return data_dir / kind / f"{kind}_{hour_stamp(Micros(hour * HOUR))}{suffix}"


def list_files(data_dir: Path, kind: str) -> Files:
    """List journals before Parquet: an hour that is converted meanwhile is seen twice, never not.

    That takes two passes over the folder, because the order within one pass is anybody's guess.
    """
    journals: dict[Hour, list[tuple[int, Path]]] = {}
    for hour, number, path in _entries(data_dir / kind, kind, "journal"):
        journals.setdefault(hour, []).append((number, path))
    parquet = {hour: path for hour, _, path in _entries(data_dir / kind, kind, "parquet")}
    ordered = {hour: [path for _, path in sorted(found)] for hour, found in journals.items()}
    return Files(ordered, parquet)


def _entries(folder: Path, kind: str, suffix: str) -> list[tuple[Hour, int, Path]]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - thousands of names, no Path for each
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match is None or match[1] != kind or match[4] != suffix:
            continue
        try:
            found.append((hour_of(match[2]), int(match[3] or 0), folder / name))
        except ValueError:
            continue  # somebody's own file that looks like ours
    return found


def words(error: OSError, path: Path) -> Unavailable:
    """Say what is wrong with the disk, and what helps."""
    return Unavailable(
        f"cannot write {path}: {_REASONS.get(error.errno or 0, error.strerror or str(error))}"
        "; nothing accepted is lost, writing goes on by itself when this is put right"
    )


_REASONS: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full, make room",
    errno.EDQUOT: "the disk quota is used up, make room",
    errno.EFBIG: "the file would be larger than this system or user may have",
    errno.EACCES: "no permission to write there",
    errno.EPERM: "no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "the folder is gone: it was deleted, moved, or its disk is not mounted",
    errno.EMFILE: "too many open files, raise the limit (ulimit -n)",
}


class FolderLock:
    """One writer a folder. The system frees it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self, *, wait: bool = False) -> None:
        """Raise ConfigError if another process has it (unless `wait`), OSError if we may not."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(fd, wait=wait)
        except BlockingIOError:
            owner = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise ConfigError(
                f"the data folder {self._path.parent} is in use by another tapewatch"
                f" (process {owner}): stop that one, or give this one its own data_dir"
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd

    def free(self) -> None:
        if self._fd is not None:
            os.close(self._fd)  # the file stays: removing it would race with who waits for it
            self._fd = None


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(fd: int, *, wait: bool) -> None:
        """Lock one byte far behind the text, so that the text can be read."""
        os.lseek(fd, 1 << 20, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError as error:
                if wait:
                    continue  # LK_LOCK gives up after ten seconds
                raise BlockingIOError from error
            finally:
                os.lseek(fd, 0, os.SEEK_SET)
            return

else:
    import fcntl

    def _lock(fd: int, *, wait: bool) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
