"""What nobody understood, kept as lines of JSON: `data/dlq/dlq_20250825_00.jsonl` (by hour).

    {"raw_payload", "error", "ingestion_time_ms", "source", "stage", "encoding"}

`raw_payload` is the text as it came, or base64 if it was no UTF-8 (`encoding` says which). A
venue that goes mad must not fill the disk: an hour holds `max_bytes`; what comes after that is
counted, in `counters` and in a last line `{"not_kept": 123, ...}` of the file.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import msgspec

from tapewatch.model.events import Batch, DeadLetter, Event, Micros
from tapewatch.model.times import HOUR, hour_stamp
from tapewatch.ports import Counters, Plugin
from tapewatch.stores._folder import words

log = logging.getLogger("tapewatch.stores.dead_letters")

FOLDER = "dlq"


class Line(msgspec.Struct):
    """One line of a file."""

    raw_payload: str
    error: str
    ingestion_time_ms: int
    source: str = ""
    stage: str = ""
    encoding: str = "utf-8"


class DeadLettersConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section `storage: dead_letters:`."""

    max_bytes: int = 64 * 1024 * 1024  # of one hour


class DeadLetters:
    """A `Sink`."""

    wants: frozenset[type[Event]] = frozenset({DeadLetter})

    def __init__(
        self,
        data_dir: Path,
        *,
        config: DeadLettersConfig | None = None,
        name: str = "dead_letters",
    ) -> None:
        self.name = name
        self.counters = Counters()
        self._folder = data_dir / FOLDER
        self._max_bytes = (config or DeadLettersConfig()).max_bytes
        self._not_kept: dict[Path, int] = {}

    async def open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise words(error, self._folder) from error

    async def write(self, batch: Batch) -> None:
        await asyncio.to_thread(self._write, batch)

    async def close(self) -> None:
        await asyncio.to_thread(self._tell_not_kept, None)

    def _write(self, batch: Batch) -> None:
        shares: dict[Path, list[DeadLetter]] = {}
        for event in batch:
            if type(event) is DeadLetter:
                shares.setdefault(self._path(event.recv), []).append(event)
        done: list[tuple[Path, int]] = []
        try:
            for path, letters in shares.items():
                size = path.stat().st_size if path.exists() else 0
                done.append((path, size))
                self._append(path, size, letters)
                self._tell_not_kept(path)
        except OSError as error:
            for path, size in done:
                _cut(path, size)
            raise words(error, self._folder) from error

    def _append(self, path: Path, size: int, letters: list[DeadLetter]) -> None:
        data = b"\n" if size and not _ends_with_line(path, size) else b""
        kept = 0
        for letter in letters:
            line = _line(letter)
            if size + len(data) + len(line) > self._max_bytes:
                break
            data += line
            kept += 1
        if data:
            with path.open("ab") as file:
                file.write(data)
        self.counters.received += kept
        if kept < len(letters):
            self._miss(path, len(letters) - kept)

    def _miss(self, path: Path, count: int) -> None:
        if path not in self._not_kept:
            fields = {"file": str(path), "max_bytes": self._max_bytes}
            log.error("dead_letters_full", extra={"fields": fields})
        self._not_kept[path] = self._not_kept.get(path, 0) + count
        self.counters.drop("hour is full", count)

    def _tell_not_kept(self, current: Path | None) -> None:
        """Write the last line of files that are not written into any more."""
        for path in [path for path in self._not_kept if path != current]:
            count = self._not_kept.pop(path)
            note = {
                "not_kept": count,
                "error": f"{count} more dead letters came in this hour and were not kept",
            }
            with path.open("ab") as file:
                file.write(msgspec.json.encode(note) + b"\n")

    def _path(self, recv: Micros) -> Path:
        return self._folder / f"dlq_{hour_stamp(Micros(recv // HOUR * HOUR))}.jsonl"


def _line(letter: DeadLetter) -> bytes:
    line = Line(
        letter.raw, letter.error, letter.recv // 1000, letter.source, letter.stage, letter.encoding
    )
    return msgspec.json.encode(line) + b"\n"


def _ends_with_line(path: Path, size: int) -> bool:
    """A killed process may have left half a line; it stays, on a line of its own."""
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _cut(path: Path, size: int) -> None:
    try:
        os.truncate(path, size)
    except OSError as error:
        log.warning("file_not_cut", extra={"fields": {"file": str(path), "error": str(error)}})


def build(name: str, config: DeadLettersConfig, **runtime: Any) -> DeadLetters:
    return DeadLetters(config=config, name=name, **runtime)


PLUGIN = Plugin(config=DeadLettersConfig, build=build)
