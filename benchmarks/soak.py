"""Memory over time: the product against the simulated exchange, sampled, and the slope of it.

A leak shows as a slope that stays when the run is longer. What fills windows that are meant to be
filled is no leak, so they are full when the run begins (`history.py`); the first minutes still bring
books, connections and what is loaded on first use, so the slope is taken from the second half.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import history
from benchmarks.children import NotMeasured
from benchmarks.product import (
    last_words,
    prices_at,
    resident_mb,
    running,
    simulator,
    stored_bytes,
    tapewatch,
    until_answer,
    write_settings,
)
from benchmarks.table import Figure, Row

_SYMBOLS = 50
_EVERY_SECS = 5.0


def rows(minutes: float) -> list[Row]:
    title = f"resident memory, {_SYMBOLS} symbols"
    try:
        samples, stored = _watch(minutes)
    except NotMeasured as why:
        return [Row(title, "MB", 150.0, note=str(why))]
    settled = samples[len(samples) // 2 :]
    early = [mb for secs, mb in samples if secs <= 60.0][-1]
    highest = max(mb for _, mb in samples)
    return [
        Row(f"{title}, after a minute", "MB", 150.0, Figure.of([early])),
        Row(
            f"{title}, highest in {minutes:g} minutes", "MB", 150.0, Figure.of([highest]),
            target="under 150 MB", met=highest < 150,
            note=f"{stored / 2**20:.1f} MB of trades stored meanwhile",
        ),
        Row(
            f"slope of it over the second half of {minutes:g} minutes", "MB/h",
            ours=Figure.of([slope(settled)]),
            target="flat",
            note=f"{len(settled)} samples, least squares"
            + ("" if minutes >= 10 else "; too short a run to mean anything"),
        ),
    ]  # fmt: skip


def slope(samples: list[tuple[float, float]]) -> float:
    """MB an hour, by least squares over (seconds, MB)."""
    if len(samples) < 2:
        return 0.0
    fit = statistics.linear_regression(*zip(*samples, strict=True))
    return fit.slope * 3600


def _watch(minutes: float) -> tuple[list[tuple[float, float]], int]:
    with tempfile.TemporaryDirectory(prefix="tapewatch-soak-") as name:
        folder = Path(name)
        with simulator(folder, _SYMBOLS) as (address, symbols):
            settings, port = write_settings(folder, address, symbols)
            history.leave(
                settings, prices_at(address), {"binance": "aggTrade"}, time.time_ns() // 1000
            )
            with running(tapewatch("run", "-c", str(settings)), folder, "run") as child:
                log = folder / "run.log"
                until_answer(child, f"http://127.0.0.1:{port}/health/live", log)
                samples = []
                began = time.monotonic()
                while (secs := time.monotonic() - began) < minutes * 60:
                    if child.poll() is not None:
                        raise NotMeasured(f"it ended after {secs:.0f} s: {last_words(log)}")
                    samples.append((secs, resident_mb(child.pid)))
                    if len(samples) % 60 == 1:
                        print(
                            f"soak: {secs / 60:.0f} min, {samples[-1][1]:.1f} MB", file=sys.stderr
                        )
                    time.sleep(_EVERY_SECS)
                return samples, stored_bytes(folder)
