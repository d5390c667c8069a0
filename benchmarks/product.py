"""The installed product as a user starts it: `tapewatch simulate` and `tapewatch run`.

Both are child processes with a settings file and a data folder of their own, ended in any case.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, NotMeasured

STREAMS = ("aggTrade", "bookTicker", "depth", "kline_1m")
_SETTINGS = """\
exchanges:
  binance:
    ws_url: {ws_url}
    rest_url: {rest_url}
    symbols: [{symbols}]
    streams: [{streams}]
storage:
  data_dir: {data_dir}
server:
  port: {port}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tapewatch(*arguments: str) -> list[str]:
    """The command of this interpreter's environment, as its console script runs it."""
    return [str(Path(sys.executable).with_name("tapewatch")), *arguments]


@contextlib.contextmanager
def running(
    command: list[str], folder: Path, name: str, *, home: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A child with its output in a file; interrupted, then killed if it does not end.

    It works in the folder, or at `home`, from where this package can be imported.
    """
    with (folder / f"{name}.log").open("wb") as log:
        where = ROOT if home else folder
        child = subprocess.Popen(command, cwd=where, stdout=log, stderr=log)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(25)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def simulator(folder: Path, symbols: int) -> Iterator[tuple[str, list[str]]]:
    """A simulated Binance spot; gives its address without scheme, and its symbols."""
    port = free_port()
    command = tapewatch("simulate", "binance", "--port", str(port), "--symbols", str(symbols))
    with running(command, folder, "simulate") as child:
        address = f"127.0.0.1:{port}"
        until_answer(child, f"http://{address}/api/v3/ping", folder / "simulate.log")
        yield address, [row["symbol"] for row in _asked(address, "exchangeInfo")["symbols"]]


def prices_at(address: str) -> dict[str, float]:
    """What each instrument of a simulated Binance spot costs now."""
    cost = {row["symbol"]: float(row["price"]) for row in _asked(address, "ticker/price")}
    listing = _asked(address, "exchangeInfo")["symbols"]
    return {
        f"binance:{row['baseAsset']}/{row['quoteAsset']}": cost[row["symbol"]] for row in listing
    }


def _asked(address: str, what: str) -> Any:
    with urllib.request.urlopen(f"http://{address}/api/v3/{what}", timeout=10) as answer:
        return json.load(answer)


def write_settings(
    folder: Path, address: str, symbols: list[str], streams: Sequence[str] = STREAMS
) -> tuple[Path, int]:
    """A settings file for `tapewatch run` against that address; also the port of the server."""
    port = free_port()
    text = _SETTINGS.format(
        ws_url=f"ws://{address}",
        rest_url=f"http://{address}",
        symbols=", ".join(symbols),
        streams=", ".join(streams),
        data_dir=folder / "data",
        port=port,
    )
    path = folder / "tapewatch.yaml"
    path.write_text(text)
    return path, port


def until_answer(child: subprocess.Popen[bytes], url: str, log: Path, secs: float = 20) -> bytes:
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            return bytes(answer.read())
        time.sleep(0.02)
    raise NotMeasured(f"no answer from {url}: {last_words(log)}")


def last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def stored_bytes(folder: Path, kind: str = "trades") -> int:
    """What is on disk of one kind, journal or Parquet."""
    found = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder / "data" / kind) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found += entry.stat().st_size
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of one process, in units of 2**20 bytes."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        raise NotMeasured("resident memory is read from /proc, which this system does not have")
    for line in status.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise NotMeasured(f"process {pid} has no memory any more: it ended")
