"""Runs the compacting child, one at a time, for the journals of hours that are over.

    add(kind, hour, path) ──> waiting ──run──> child ──done──> gone
                                 ^                |failed
                                 +---- retry -----+

It never imports pyarrow or DuckDB: the child does, and takes them with it when it ends. A child
that fails or is killed costs nothing; its journals stay, are read by queries as they are, and are
tried again. It does not decide which hour is over.
"""

import logging
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from tapewatch.ports import Counters
from tapewatch.stores._folder import Hour, parquet_path

log = logging.getLogger("tapewatch.stores.parquet")


class Compactor:
    """Thread-safe: `add` comes from the writing thread, `run` works in another."""

    def __init__(self, data_dir: Path, counters: Counters, memory_mb: int = 512) -> None:
        self._data_dir = data_dir
        self._counters = counters
        self._memory_mb = memory_mb
        self._waiting: dict[tuple[str, Hour], list[Path]] = {}
        self._guard = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def add(self, kind: str, hour: Hour, journal: Path) -> None:
        with self._guard:
            self._waiting.setdefault((kind, hour), []).append(journal)

    def run(self) -> bool:
        """Convert all that waits, and wait for it. Say whether nothing is left to be retried."""
        with self._guard:
            taken, self._waiting = self._waiting, {}
        if not taken or self._stopped:
            self._put_back(taken)
            return not taken
        done = self._run_child(self._jobs(taken))
        failed = {
            key: journals
            for key, journals in taken.items()
            if not done.get(str(parquet_path(self._data_dir, *key)))
        }
        self._put_back(failed)
        return not failed

    def stop(self) -> None:
        """End a child that works: what it did not finish is done at the next start."""
        with self._guard:
            self._stopped = True
            if self._child is not None:
                self._child.terminate()

    def _jobs(self, taken: dict[tuple[str, Hour], list[Path]]) -> bytes:
        jobs = [
            {
                "kind": kind,
                "target": str(parquet_path(self._data_dir, kind, hour)),
                "journals": list(map(str, journals)),
                "memory_mb": self._memory_mb,
            }
            for (kind, hour), journals in sorted(taken.items())
        ]
        return b"".join(msgspec.json.encode(job) + b"\n" for job in jobs)

    def _run_child(self, jobs: bytes) -> dict[str, bool]:
        """Give for each target whether it is done."""
        with self._guard:
            if self._stopped:
                return {}
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "tapewatch.stores._compact"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            child = self._child
        out, err = child.communicate(jobs)
        self._child = None
        if child.returncode and not self._stopped:
            self._counters.error("compaction")
            words = err.decode(errors="replace").strip()[-1000:]
            log.error(
                "compaction_failed",
                extra={"fields": {"code": child.returncode, "error": words, "lost": 0}},
            )
        return {target: self._report(line) for line in out.splitlines() for target in _target(line)}

    def _report(self, line: bytes) -> bool:
        done = msgspec.json.decode(line)
        error = done.pop("error")
        if error:
            self._counters.error("compaction")
            log.error("compaction_failed", extra={"fields": {**done, "error": error, "lost": 0}})
            return False
        for what in ("damaged", "misfits"):
            if done[what]:
                self._counters.drop(f"journal {what}", done[what])
                log.error("journal_damage_found", extra={"fields": {**done, "what": what}})
        log.info("hour_compacted", extra={"fields": done})
        return True

    def _put_back(self, failed: dict[tuple[str, Hour], list[Path]]) -> None:
        with self._guard:
            for key, journals in failed.items():
                self._waiting[key] = journals + self._waiting.get(key, [])


def _target(line: bytes) -> list[str]:
    """Nothing for a line that a killed child left unfinished."""
    try:
        return [str(msgspec.json.decode(line)["target"])]
    except (msgspec.DecodeError, KeyError, TypeError):
        return []
