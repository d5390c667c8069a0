"""What the processors know, saved every few seconds by rename, and given back at start.

The file is `crc32, format, mark, snapshot`. `mark` is the receive time of the last event that the
snapshot has seen: what was stored after it is played to the processors again at start. A file
that cannot be read is moved aside and told; the processors then start fresh.
"""

import asyncio
import logging
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from tapewatch.model.events import Micros
from tapewatch.model.times import iso
from tapewatch.ports import Counters
from tapewatch.stream.pipeline import Pipeline

log = logging.getLogger("tapewatch.runtime.checkpoint")

_FORMAT = 1


class Saved(msgspec.Struct, array_like=True, frozen=True):
    form: int
    mark: Micros
    snapshot: bytes


class Checkpoint:
    """A worker that saves; `load` is called once before it runs."""

    def __init__(
        self, path: Path, pipeline: Pipeline, mark: Callable[[], Micros], every_secs: float = 10.0
    ) -> None:
        self.name = "checkpoint"
        self.counters = Counters()
        self._path = path
        self._pipeline = pipeline
        self._mark = mark
        self._every_secs = every_secs

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._every_secs)
            body = self._body()
            await asyncio.to_thread(self._write, body)

    def save(self) -> None:
        """Save now; for the end of the stream, when nothing else runs any more."""
        self._write(self._body())

    # A disk that takes nothing costs no more than a longer way back at the next start: what is
    # stored since the last checkpoint is played again. It must neither end the product nor its drain.

    def load(self, oldest: Micros) -> Micros | None:
        """Restore the processors. Give the mark, or None when there is nothing to go on from.

        A checkpoint from before `oldest` says nothing about the candles of now: it is left alone.
        """
        try:
            blob = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            saved = _read(blob)
            if saved.mark < oldest:
                log.info("checkpoint_too_old", extra={"fields": {"of": iso(saved.mark)}})
                return None
            fresh = self._pipeline.restore(saved.snapshot)
        except (ValueError, msgspec.DecodeError) as error:
            aside = self._path.with_suffix(".damaged")
            self._path.replace(aside)
            log.warning("checkpoint_unreadable", extra={"fields": {"why": error, "kept": aside}})
            return None
        if fresh:
            log.warning("processors_started_fresh", extra={"fields": {"names": ",".join(fresh)}})
        return saved.mark

    def _body(self) -> bytes:
        saved = Saved(_FORMAT, self._mark(), self._pipeline.snapshot())
        body = msgspec.msgpack.encode(saved)
        return zlib.crc32(body).to_bytes(4, "big") + body

    def _write(self, body: bytes) -> None:
        temporary = self._path.with_suffix(".new")
        try:
            with temporary.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)  # it may be what the disk has no room for
            self.counters.error("not written")
            reason = f"cannot write {self._path}: {error.strerror}"
            if not self.counters.trouble:
                log.warning("checkpoint_not_written", extra={"fields": {"reason": reason}})
            self.counters.trouble = reason
        else:
            self.counters.sent += 1
            self.counters.trouble = ""


def _read(blob: bytes) -> Saved:
    body = blob[4:]
    if zlib.crc32(body).to_bytes(4, "big") != blob[:4]:
        raise ValueError("its checksum does not fit")
    saved = msgspec.msgpack.decode(body, type=Saved)
    if saved.form != _FORMAT:
        raise ValueError(f"its format is {saved.form}, this version reads {_FORMAT}")
    return saved
