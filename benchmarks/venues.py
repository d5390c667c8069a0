"""Decoding by venue, beside cryptofeed and CCXT, on the same frames: us of processor time a frame.

No socket is in it: each client's own handler gets text after text, in a process of its own, on one
core, the best of some rounds, so that what a venue's messages cost shows, and nothing else. Frames
are the simulated venues'. All must end with the same last trades and the same best prices.

What each does is not the same, and the notes say so: we prove every id, or the venue's rule of the
book; cryptofeed makes Decimals and keeps the raw message; CCXT makes dicts of its unified fields.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, NotMeasured, client
from benchmarks.peer_env import peer_python
from benchmarks.table import Figure, Row
from benchmarks.venue_frames import CASES, Case, dump, take

_TRADES, _BOOKS = 20_000, 4_000


def rows(*, quick: bool) -> list[Row]:
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tapewatch-venues-") as name:
        for case in CASES:
            print(f"{case.venue} {case.stream}", file=sys.stderr, flush=True)
            path = Path(name) / f"{case.venue}-{case.kind}.json"
            count = _TRADES if case.kind == "trades" else _BOOKS
            path.write_bytes(dump(case, take(case, count // 10 if quick else count)))
            found += _rows(case, path, "2" if quick else "5")
    return found


def _rows(case: Case, path: Path, rounds: str) -> list[Row]:
    """One against cryptofeed and one against CCXT."""
    ours = _read([sys.executable, "-m", "benchmarks.client_venues", str(path), rounds])
    title = f"{case.venue} {case.stream}"
    if "costs" not in ours:
        return [Row(title, note=ours["not_measured"])]
    return [
        _row(title, "cryptofeed", ours, _cryptofeed(path, rounds)),
        _row(
            title, "CCXT", ours,
            _read([sys.executable, "-m", "benchmarks.peer_venues_ccxt", str(path), rounds]),
        ),
    ]  # fmt: skip


def _cryptofeed(path: Path, rounds: str) -> dict[str, Any]:
    script = str(ROOT / "benchmarks" / "peer_venues_cryptofeed.py")
    try:
        return _read([str(peer_python()), "-P", script, str(path), rounds])
    except NotMeasured as why:
        return {"not_measured": str(why)}


def _read(command: list[str]) -> dict[str, Any]:
    try:
        return client(command)
    except NotMeasured as why:
        return {"not_measured": str(why)}


def _row(title: str, peer: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Row:
    name = f"{title}, beside {peer}"
    mine = Figure.of(ours["costs"])
    if "costs" not in theirs:
        return Row(name, ours=mine, note=theirs["not_measured"])
    if theirs["state"] != ours["state"]:
        return Row(name, ours=mine, note=f"not compared: {_unlike(ours, theirs)}")
    other = Figure.of(theirs["costs"])
    return Row(name, ours=mine, peer=other, ratio=other.low / mine.low)


def _unlike(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Name what differs at the end."""
    for native, told in ours["state"].items():
        other = theirs["state"].get(native)
        if other != told:
            return f"{native} ends with {told} here and with {other} there"
    return "it has more instruments"
