"""The whole pipeline as a contestant: the installed `tapewatch run`, watched from outside.

Nothing of it is opened up or left out: gate, bus, all processors, hot window, ledger, files on
disk, and live clients that read. Its processor clock is read from outside, so that measuring costs
it nothing; it has done the work when it has come to rest, and then its own metrics must show that
exactly all messages went through the gate.
"""

import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.children import NotMeasured, cores, pin
from benchmarks.frames import CASES, native_names
from benchmarks.product import running, tapewatch, until_answer, write_settings

CLIENTS = 10
_STREAMS = {"depth@100ms": "depth"}  # ours by the venue's name, where the settings' word differs
_SAMPLE_SECS = 0.05
_REST_SECS = 1.5  # so long with next to no work means that the work is done
_REST_SHARE = 0.1  # of a core: timers and heartbeats
_LIMIT_SECS = 240.0
_COUNTED = re.compile(r'events_processed_total\{source="binance",type="(\w+)"\} ([\d.e+]+)')
_DROPPED = re.compile(r'tapewatch_events_dropped_total\{reason="buffer full"[^}]*\} ([\d.e+]+)')
_ONE_A_FRAME = ("trade", "quote", "book_delta", "candle")


def whole(port: int, case: str, symbols: int, count: int) -> dict[str, Any]:
    """A Contestant, see duel.py."""
    streams = [_STREAMS.get(channel, channel) for channel in CASES[case].channels]
    with tempfile.TemporaryDirectory(prefix="tapewatch-bench-") as name:
        folder = Path(name)
        settings, served = write_settings(
            folder, f"127.0.0.1:{port}", native_names(symbols), streams
        )
        with running(tapewatch("run", "-c", str(settings)), folder, "run") as child:
            pin(child.pid, cores()[1])
            url = f"http://127.0.0.1:{served}"
            until_answer(child, f"{url}/health/live", folder / "run.log")
            before = _warm(url, case, symbols)
            watchers = [sys.executable, "-m", "benchmarks.watchers", str(served), str(CLIENTS)]
            with running(watchers, folder, "watchers", home=True) as audience:
                pin(audience.pid, cores()[0])
                reading = _flood(child, port)
            told = _told(_counted(url)) - before
            return {**reading, "messages": told, "asked": count, "dropped": _dropped(url)}


def processor_secs(pid: int) -> float:
    """User and system time of another process, all its threads: clock_getcpuclockid(3)."""
    if not sys.platform.startswith("linux"):
        raise NotMeasured("another process's processor clock is read on Linux only")
    return time.clock_gettime((~pid << 3) | 2)


def _warm(url: str, case: str, symbols: int) -> int:
    """Wait until the warm-up is through; gives the messages counted so far."""
    books = symbols if "depth@100ms" in CASES[case].channels else 0
    others = symbols * len(CASES[case].channels) - books
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        counted = _counted(url)
        ready = _told(counted) - counted.get("book_delta", 0) >= others
        if ready and counted.get("book_snapshot", 0) >= books:
            time.sleep(1.0)  # what started late, such as a checkpoint, is not ours to measure
            return _told(_counted(url))
        time.sleep(0.2)
    raise NotMeasured(f"the warm-up did not end: {_counted(url)}")


def _flood(child: subprocess.Popen[bytes], port: int) -> dict[str, Any]:
    """Start the flood and wait for rest; the figures end where the rest began."""
    cpu, wall = processor_secs(child.pid), time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/bench/go", timeout=10) as answer:
        answer.read()
    last = busy = (wall, cpu)  # the sample before, and the last one that ended a stretch of work
    while last[0] - busy[0] < _REST_SECS:
        time.sleep(_SAMPLE_SECS)
        if child.poll() is not None:
            raise NotMeasured("tapewatch ended during the flood")
        now = (time.perf_counter(), processor_secs(child.pid))
        if now[1] - last[1] > _REST_SHARE * (now[0] - last[0]):
            busy = now
        last = now
        if now[0] - wall > _LIMIT_SECS:
            raise NotMeasured(f"still at work after {_LIMIT_SECS:.0f} s")
    return {"cpu_secs": busy[1] - cpu, "wall_secs": busy[0] - wall}


def _counted(url: str) -> dict[str, int]:
    """Messages by type that passed the gate."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {kind: int(float(value)) for kind, value in _COUNTED.findall(text)}


def _dropped(url: str) -> int:
    """Events that no worker saw because a buffer was full: work that was not done."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        return sum(int(float(value)) for value in _DROPPED.findall(answer.read().decode()))


def _told(counted: dict[str, int]) -> int:
    return sum(counted.get(kind, 0) for kind in _ONE_A_FRAME)
