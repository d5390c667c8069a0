"""Which Parquet files are too old to keep. Off unless somebody asked for it; never a journal."""

from collections.abc import Mapping
from pathlib import Path

from tapewatch.model.events import Micros
from tapewatch.model.times import DAY, HOUR
from tapewatch.stores._folder import list_files


def expired(data_dir: Path, keep_days: Mapping[str, float], now: Micros) -> list[Path]:
    """Files whose whole hour is older than their kind is kept for."""
    found = []
    for kind, days in keep_days.items():
        oldest = now - int(days * DAY)
        files = list_files(data_dir, kind)
        found += [
            path
            for hour, path in sorted(files.parquet.items())
            if (hour + 1) * HOUR <= oldest and hour not in files.journals
        ]
    return found


def sweep(data_dir: Path, keep_days: Mapping[str, float], now: Micros) -> int:
    """Delete what has expired and say how many files that were. Raise OSError."""
    files = expired(data_dir, keep_days, now)
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)
