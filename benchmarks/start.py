"""How long until it works: importing, and from the start of the process to a trade on disk."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.children import NotMeasured
from benchmarks.product import (
    last_words,
    running,
    simulator,
    stored_bytes,
    tapewatch,
    write_settings,
)
from benchmarks.table import Figure, Row

_SYMBOLS = 50


def rows(*, quick: bool) -> list[Row]:
    rounds = 2 if quick else 5
    return [_imports(rounds), _version(rounds), _first_trade(rounds)]


def _imports(rounds: int) -> Row:
    code = "import tapewatch.ports, tapewatch.runtime.supervisor"
    times = [_run([sys.executable, "-c", code]) for _ in range(rounds)]
    empty = [_run([sys.executable, "-c", "pass"]) for _ in range(rounds)]
    costs = [after - before for after, before in zip(times, empty, strict=True)]
    return Row("import of model, ports and supervisor", "s", ours=Figure.of(costs))


def _version(rounds: int) -> Row:
    try:
        times = [_run(tapewatch("--version")) for _ in range(rounds)]
    except (OSError, subprocess.CalledProcessError) as error:
        return Row("tapewatch --version", "s", note=str(error))
    return Row("tapewatch --version", "s", ours=Figure.of(times))


def _run(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def _first_trade(rounds: int) -> Row:
    title = "start of `tapewatch run` to the first stored trade"
    try:
        times = [_start_once() for _ in range(rounds)]
    except NotMeasured as why:
        return Row(title, "s", budget=1.0, note=str(why))
    figure = Figure.of(times)
    return Row(
        title, "s", 1.0, figure, target="under 1 s", met=figure.median < 1.0,
        note=f"{_SYMBOLS} symbols of the simulated exchange, a new process and folder each time",
    )  # fmt: skip


def _start_once() -> float:
    with tempfile.TemporaryDirectory(prefix="tapewatch-start-") as name:
        folder = Path(name)
        with simulator(folder, _SYMBOLS) as (address, symbols):
            settings, _ = write_settings(folder, address, symbols)
            began = time.perf_counter()
            with running(tapewatch("run", "-c", str(settings)), folder, "run") as child:
                while not stored_bytes(folder):
                    waited = time.perf_counter() - began
                    if child.poll() is not None or waited > 30:
                        raise NotMeasured(f"no trade after {waited:.1f} s: {_words(folder)}")
                    time.sleep(0.002)
                return time.perf_counter() - began


def _words(folder: Path) -> str:
    return last_words(folder / "run.log")
