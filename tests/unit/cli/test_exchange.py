"""The simulated exchanges beside the product: stopped with it, whatever state they are in."""

import subprocess
import sys

from tapewatch.cli import _exchange
from tapewatch.cli._exchange import SimulatedWorld

DEAF = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); sys.stdin.read()"
)


def test_one_that_does_not_end_by_itself_is_ended(monkeypatch):
    monkeypatch.setattr(_exchange, "_GOODBYE_SECS", 0.01)
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-c", DEAF], stdin=pipe, stdout=pipe, text=True)
    assert child.stdout.readline() == "\n"  # it is deaf from now on
    stdin = child.stdin
    child.stdin = None  # else `communicate` would close it, which ends this child
    world = SimulatedWorld(("binance",), seed=1, rate=1.0, symbols=1, scenario=None)
    world._process = child
    world.__exit__(None, None, None)
    stdin.close()
    assert child.returncode not in {None, 0}
