"""The installed command as a child process, and patience without sleeping blindly."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

T = TypeVar("T")
PATIENCE_SECS = 60.0


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("tapewatch")), *arguments]


def until(question: Callable[[], T], what: str) -> T:
    """Ask again and again until the answer is true. A deadline for the test, not a measure."""
    deadline = time.monotonic() + PATIENCE_SECS
    pause = threading.Event()
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        pause.wait(0.05)
    raise AssertionError(f"{what}: not within {PATIENCE_SECS:g} s")


def fetch(url: str):
    try:
        with urlopen(url, timeout=PATIENCE_SECS) as answer:
            return json.load(answer)
    except HTTPError as error:  # 503 of /health has a body that says why
        with error:
            return json.load(error)


class Product:
    """`tapewatch run` or `demo`; `url` is known once it serves."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWATCH")}
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command(*arguments), cwd=cwd, env=clean, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        self.lines.extend(iter(self._process.stderr.readline, ""))

    @property
    def url(self) -> str:
        def found() -> str:
            assert self._process.poll() is None, "".join(self.lines)
            marks = [line.split()[1] for line in self.lines if line.startswith("→ ")]
            return marks[0] if marks else ""

        return until(found, "the address")

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def get(self, path: str):
        return fetch(self.url + path)

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._end()

    def _end(self) -> int:
        code = self._process.wait(timeout=PATIENCE_SECS)
        self._reading.join(timeout=PATIENCE_SECS)
        self._process.stderr.close()
        return code
