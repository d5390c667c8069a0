"""Child processes of a measurement: started on a core of their own, heard, always ended."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class NotMeasured(Exception):
    """A row that cannot be had here and now; the words stand in the table."""


def cores() -> tuple[int, int]:
    """A core for the server and one for the client; the same one if there is only one."""
    if not hasattr(os, "sched_getaffinity"):
        return 0, 0
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(pid: int, core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, {core})


@contextlib.contextmanager
def flood(case: str, symbols: int, count: int) -> Iterator[int]:
    """A flood server with its frames ready; gives its port."""
    command = [sys.executable, "-m", "benchmarks.flood", case, str(symbols), str(count)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pin(server.pid, cores()[0])
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            raise NotMeasured("the flood server did not start; its words are above")
        yield json.loads(line)["port"]
    finally:
        assert server.stdin is not None
        server.stdin.close()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


def client(command: list[str], limit_secs: float = 300) -> dict[str, Any]:
    """Run a measuring client to its end; its last line is a JSON object."""
    with tempfile.TemporaryDirectory(prefix="tapewatch-bench-") as scratch:
        environment = {**os.environ, "XDG_CACHE_HOME": scratch, "TAPEWATCH_BENCH_DIR": scratch}
        child = subprocess.Popen(
            command,
            cwd=scratch,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        pin(child.pid, cores()[1])
        try:
            out, err = child.communicate(timeout=limit_secs)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise NotMeasured(f"no end after {limit_secs:.0f} s: {_last(err)}") from None
    if child.returncode or not out.strip():
        raise NotMeasured(_last(err))
    reading: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    if "not_measured" in reading:
        raise NotMeasured(reading["not_measured"])
    return reading


def _last(err: str) -> str:
    return (err.strip().splitlines() or ["the client ended without a word"])[-1]
