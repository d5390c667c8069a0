# ruff: noqa: INP001, T201 - a script, not a package; it talks to whoever runs it
"""Golden tapes of the simulated exchange, and the events that they give.

    python tools/golden.py record    new tapes (their frames differ: look at the whole diff)
    python tools/golden.py update    the events of the tapes that there are, after a wanted change
    python tools/golden.py world     new tapes of several venues only

Every frame is made up by `tapewatch simulate`; nothing here was recorded from a venue.
"""

import asyncio
import gzip
import json
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import Request, urlopen

from tapewatch.cli._exchange import SimulatedWorld

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "binance"
WORLD = ROOT / "tests" / "golden" / "world"  # several venues at once, with an alert
_ALL = ("aggTrade", "trade", "depth", "depth5", "bookTicker", "ticker", "miniTicker", "kline_1m")
# name: streams, seconds, faults that are asked for after a second
CASES: dict[str, tuple[tuple[str, ...], float, list[dict[str, object]]]] = {
    "every_channel": (_ALL, 4.0, []),
    "holes_repaired": (
        ("aggTrade",),
        6.0,
        [
            {"kind": "drop", "target": "*@aggTrade", "count": 3},
            {"kind": "duplicate", "target": "*@aggTrade", "count": 2},
            {"kind": "reorder", "target": "*@aggTrade", "count": 2},
        ],
    ),
    "book_broken": (
        ("depth",),
        5.0,
        [
            {"kind": "drop", "target": "*@depth*", "count": 1},
            {"kind": "garbage", "target": "*@depth*", "count": 1},
        ],
    ),
    "connection_lost": (
        ("aggTrade", "depth"),
        7.0,
        [{"kind": "close", "target": "*", "count": 1}],
    ),
}


def replayed(tape: Path) -> bytes:
    """The events of a tape, as `tapewatch replay` gives them."""
    command = [str(Path(sys.executable).with_name("tapewatch")), "replay", str(tape)]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - our own
    return done.stdout


def record(name: str) -> None:
    streams, secs, faults = CASES[name]
    tape = GOLDEN / f"{name}.tape.gz"
    tape.unlink(missing_ok=True)
    with SimulatedWorld(("binance",), seed=11, rate=0.6, symbols=1, scenario=None) as world:
        ws_url, rest_url = world.addresses["binance"]
        asking = threading.Timer(1.5, _ask, (rest_url, faults))
        asking.start()
        command = [
            str(Path(sys.executable).with_name("tapewatch")), "record", "binance", "BTCUSDT",
            "--output", str(tape), "--seconds", str(secs), "--ws-url", ws_url,
            "--rest-url", rest_url,
        ]  # fmt: skip
        for stream in streams:
            command += ["--streams", stream]
        subprocess.run(command, check=True)  # noqa: S603 - our own command
        asking.join()
    tape.with_name(f"{tape.name}.sha256").unlink(missing_ok=True)


def _ask(url: str, faults: list[dict[str, object]]) -> None:
    if faults:
        request = Request(f"{url}/sim/faults", json.dumps(faults).encode(), method="POST")  # noqa: S310
        with urlopen(request, timeout=5):  # noqa: S310 - the simulator on loopback
            pass


def update(name: str) -> None:
    events = replayed(GOLDEN / f"{name}.tape.gz")
    path = GOLDEN / f"{name}.events.jsonl.gz"
    path.write_bytes(gzip.compress(events, mtime=0))
    print(f"{name}: {len(events.splitlines())} events")


def record_world() -> None:
    """Three venues, of which one goes astray: enough for candles, metrics and an alert."""
    sys.path.insert(0, str(ROOT))
    from tests.integration.test_together import has_fired_and_ended
    from tests.integration.together import collect

    WORLD.mkdir(exist_ok=True)
    for old in WORLD.glob("*.tape.gz"):
        old.unlink()
    asyncio.run(collect(WORLD, seed=5, rate=0.3, astray_secs=40.0, until=has_fired_and_ended))


def seal_world() -> None:
    """The hash of all that comes of it: events, candles, metrics, alerts."""
    command = [str(Path(sys.executable).with_name("tapewatch")), "replay", str(WORLD), "--seal"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own


def main(arguments: list[str]) -> int:
    if arguments not in (["record"], ["update"], ["world"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments == ["world"]:
        record_world()
        seal_world()
        return 0
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        if arguments == ["record"]:
            record(name)
        update(name)
    if arguments == ["record"]:
        record_world()
    seal_world()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
