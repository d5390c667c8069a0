"""Five simulated venues at once, at a load, on one core: what is dropped, how late, how much memory.

Twenty instruments a venue, trades, quotes and books, about 10,000 messages a second together. The
senders (`gale.py`) share one core, the product (`client_five.py`) has another to itself, with all
that it does: gate, bus, processors, ledger, files. The figure of lateness is from the moment a
frame was written to the socket until the bus has taken what it says, for each frame; so it has the
kernel in it, and the wait while the loop was busy. Of a write of several frames the last counts.

On a machine that does other things the client waits for its core, and that is most of the figure:
the row of the processor says how long it waited. `own_core` asks the kernel to let it go first.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.children import ROOT, NotMeasured, cores, pin
from benchmarks.client_five import HEARD, PRICES
from benchmarks.fleet import LOADS
from benchmarks.gale import START, WARM, WARM_SECS, WRITE
from benchmarks.product import resident_mb
from benchmarks.soak import slope
from benchmarks.table import Figure, Row

SYMBOLS = 20
LATE_MS = 20.0
_EVERY_SECS = 1.0
_LEAD = 500_000  # microseconds: all have heard when they are to begin
_APART = 17_000  # microseconds: venues do not send at one moment
_BINS = 200_000  # of 0.1 ms
_LONGEST_START_SECS = 1_800


class Talker:
    """A child that answers lines with lines of JSON."""

    def __init__(self, name: str, *arguments: str, core: int) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        pin(self.process.pid, core)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise NotMeasured(f"{self.name} ended; its words are above")
        heard: dict[str, Any] = json.loads(line)
        if "failed" in heard:
            raise NotMeasured(f"{self.name}: {heard['failed']}")
        return heard

    def end(self) -> None:
        self.say("end")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def talkers() -> Iterator[list[Talker]]:
    found: list[Talker] = []
    try:
        yield found
    finally:
        for each in found:
            each.end()


def rows(minutes: float, *, own_core: bool = False) -> list[Row]:
    title = f"five venues, {SYMBOLS} symbols each, {minutes:g} min"
    try:
        with tempfile.TemporaryDirectory(prefix="tapewatch-five-") as name:
            return _rows(title, Run(Path(name), minutes * 60, own_core=own_core).run())
    except NotMeasured as why:
        return [Row(title, note=str(why))]


class Run:
    def __init__(self, folder: Path, secs: float, *, own_core: bool) -> None:
        self.folder = folder
        self.secs = secs
        self.own_core = own_core
        self.samples: list[tuple[float, float]] = []
        self.waited = 0.0

    def run(self) -> dict[str, Any]:
        sending, measured = cores()
        with talkers() as all_talkers:
            venues = {}
            for name, load in LOADS.items():  # all record at once; a core each while there is time
                more = (
                    name,
                    str(SYMBOLS),
                    str(load.rate),
                    str(self.secs + WARM_SECS),
                    str(self._log(name)),
                )
                venues[name] = Talker(name, "benchmarks.gale", *more, core=sending)
                all_talkers.append(venues[name])
            _say(f"five: recording {self.secs:.0f} s of five markets")
            served = {name: venue.hear() for name, venue in venues.items()}
            settings = self._settings(served)
            client = Talker(
                "client", "benchmarks.client_five", str(settings), str(self.folder), str(START), str(WARM),
                core=measured,
            )  # fmt: skip
            all_talkers.append(client)
            links = client.hear()["links"]
            for name, venue in venues.items():
                venue.say("links")
                theirs = venue.hear()["links"]
                if sorted(map(int, links[name])) != theirs:
                    raise NotMeasured(f"{name}: links are {links[name]}, and {theirs} there")
            _say(f"five: sending {sum(each['frames'] for each in served.values()):,} frames")
            sent = self._let_go(venues, client)
            heard = client.hear()
        return {
            **heard, "secs": self.secs, "sent": sent, "late": self._lateness(), "memory": self.samples, "waited": self.waited,
            "own_core": self.own_core,
        }  # fmt: skip

    def _let_go(self, venues: dict[str, Talker], client: Talker) -> dict[str, Any]:
        self._at_once("warm", venues, client)
        for venue in venues.values():
            venue.hear()
        if self.own_core:
            for each in (client, *venues.values()):
                _go_first(each.process.pid)
        self._at_once("go", venues, client)
        start, waited = time.monotonic(), waited_secs(client.process.pid)
        while (secs := time.monotonic() - start) < self.secs + 1:
            self.samples.append((secs, resident_mb(client.process.pid)))
            time.sleep(_EVERY_SECS)
        self.waited = waited_secs(client.process.pid) - waited
        sent = {name: venue.hear() for name, venue in venues.items()}
        client.say("end " + json.dumps({name: each["total"] for name, each in sent.items()}))
        return sent

    def _at_once(self, word: str, venues: dict[str, Talker], client: Talker) -> None:
        began = time.time_ns() // 1_000 + _LEAD
        client.say(f"{word} {began}")
        for number, venue in enumerate(venues.values()):
            venue.say(f"{word} {began + number * _APART}")

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _settings(self, served: dict[str, dict[str, Any]]) -> Path:
        sections = {
            name: {
                "ws_url": f"ws://127.0.0.1:{each['port']}",
                "rest_url": f"http://127.0.0.1:{each['port']}",
                "symbols": list(each["prices"]),
                "streams": list(LOADS[name].streams),
            }
            for name, each in served.items()
        }
        storage = {"data_dir": str(self.folder / "data")}
        settings = {"exchanges": sections, "storage": storage, "server": {"port": 0}}
        prices = {name: each["prices"] for name, each in served.items()}
        (self.folder / PRICES).write_text(json.dumps(prices))
        path = self.folder / "tapewatch.yaml"
        path.write_text(json.dumps(settings))
        return path

    def _lateness(self) -> list[int]:
        """How many frames were on their way for so many tenths of a millisecond."""
        late = [0] * _BINS
        heard: dict[int, list[tuple[int, int]]] = {}
        for port, at, frames in HEARD.iter_unpack((self.folder / "heard.log").read_bytes()):
            heard.setdefault(port, []).append((frames, at))
        for name in LOADS:
            place: dict[int, int] = {}  # where we are in `heard`
            for port, at, count, frames in WRITE.iter_unpack(self._log(name).read_bytes()):
                row, rows = place.get(port, 0), heard[port]
                while row < len(rows) and rows[row][0] < frames:
                    row += 1
                if row < len(rows):
                    tenths = max(0, rows[row][1] - at) // 100
                    late[min(tenths, _BINS - 1)] += count
                place[port] = row
        return late


def waited_secs(pid: int) -> float:
    """How long the process could have run, but its core was taken by another."""
    status = Path(f"/proc/{pid}/schedstat")
    return int(status.read_text().split()[1]) / 1e9 if status.exists() else 0.0


def _go_first(pid: int) -> None:
    """Before all ordinary processes. It sleeps most of the time, so nobody starves."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except (AttributeError, PermissionError) as error:
        raise NotMeasured(f"a core of its own cannot be had here: {error}") from error


def share(late: list[int], part: float) -> float:
    """Milliseconds within which so large a part of the frames was there."""
    wanted, seen = sum(late) * part, 0
    for tenths, count in enumerate(late):
        seen += count
        if seen >= wanted:
            return (tenths + 1) / 10
    return len(late) / 10


def _rows(title: str, found: dict[str, Any]) -> list[Row]:
    sent = sum(each["frames"] for each in found["sent"].values())
    lost = _lost(found)
    late, memory = found["late"], found["memory"]
    rate = sent / found["secs"]
    settled = memory[len(memory) // 2 :]
    busy = found["cpu_secs"] / found["wall_secs"] * 100
    sender = max(each["late_p99_ms"] for each in found["sent"].values())
    senders = sum(each["cpu_secs"] for each in found["sent"].values()) / found["wall_secs"] * 100
    p99 = share(late, 0.99)
    return [
        Row(
            f"{title}: sent", "messages/s", 10_000, Figure.of([rate]),
            target="10,000", met=rate >= 10_000,
            note=f"{sent:,} frames; each sender wrote 99 % within {sender:.1f} ms of when it was "
            f"due; the senders needed {senders:.0f} % of their core",
        ),
        Row(
            f"{title}: dropped", "messages", 0, Figure.of([float(len(lost))]),
            target="nothing", met=not lost,
            note="; ".join(lost) or f"events on the bus: {_in_words(found['events'])}",
        ),
        Row(
            f"{title}: socket to bus, half of them", "ms", ours=Figure.of([share(late, 0.5)]),
        ),
        Row(
            f"{title}: socket to bus, 99 %", "ms", LATE_MS, Figure.of([p99]),
            target=f"under {LATE_MS:g} ms", met=p99 < LATE_MS,
            note=f"99.9 %: {share(late, 0.999):.1f} ms; the latest: {share(late, 1.0):.1f} ms",
        ),
        Row(
            f"{title}: processor", "% of a core", ours=Figure.of([busy]),
            note=f"it waited {found['waited']:.1f} s for a core that another process had"
            + (", though it went first" if found["own_core"] else ""),
        ),
        Row(
            f"{title}: memory at the end", "MB", ours=Figure.of([memory[-1][1]]),
            note=f"highest {max(mb for _, mb in memory):.1f} MB",
        ),
        Row(
            f"{title}: slope of it over the second half", "MB/h", ours=Figure.of([slope(settled)]),
            target="flat",
            note="" if found["secs"] >= 600 else "too short a run to mean anything",
        ),
    ]  # fmt: skip


def _lost(found: dict[str, Any]) -> list[str]:
    """Everything that would mean a message that did not come through, in words."""
    said = []
    for name, links in found["frames"].items():
        missing = found["sent"][name]["total"] - sum(links.values())
        if missing > 0:
            said.append(f"{name}: {missing} frames were not heard")
        live, books = found["books"][name]
        if live < books:
            said.append(f"{name}: {books - live} of {books} books are not in step")
    said += [f"{name}: {what}" for name, what in found["dropped"].items()]
    said += [f"{name}: {what}" for name, what in found["errors"].items()]
    said += [f"{count} gaps: {why}" for why, count in found["gaps"].items()]
    if letters := found["events"].get("DeadLetter"):
        said.append(f"{letters} dead letters")
    unproven = {name: n for name, n in found["holdings"].items() if name != "have"}
    said += [f"{count} ledger entries say {name}" for name, count in unproven.items()]
    if found["reconnects"]:
        said.append(f"{found['reconnects']} reconnects")
    timed, sent = sum(found["late"]), sum(each["frames"] for each in found["sent"].values())
    if timed != sent:
        said.append(f"{timed:,} frames were timed, and {sent:,} sent")
    return said


def _in_words(events: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(events.items()))


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
