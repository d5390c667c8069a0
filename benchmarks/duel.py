"""Two clients on the same frames in the same run, in turn: A B A B, median and spread.

The figure is processor time of the client process for each message, from the first frame to the
last; starting up, listing symbols and fetching books are over by then. Server and client have a
core each where there are two.
"""

import statistics
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.children import ROOT, NotMeasured, client, flood
from benchmarks.frames import CASES, native_names
from benchmarks.peer_env import peer_python
from benchmarks.table import Figure, Row

Contestant = Callable[[int, str, int, int], dict[str, Any]]  # port, case, symbols, count


def ours(module: str) -> Contestant:
    """One of our clients, by the name of its module."""

    def run(port: int, case: str, symbols: int, count: int) -> dict[str, Any]:
        arguments = (str(port), case, str(symbols), str(count))
        return client([sys.executable, "-m", f"benchmarks.{module}", *arguments])

    return run


def cryptofeed(port: int, case: str, symbols: int, count: int) -> dict[str, Any]:
    channels = CASES[case].channels
    arguments = (
        str(port),
        ",".join(channels),
        ",".join(native_names(symbols)),
        str(symbols * len(channels)),
        str(count),
    )
    script = str(ROOT / "benchmarks" / "peer_cryptofeed.py")
    return client([str(peer_python()), "-P", script, *arguments])


class Outcome:
    """What the rounds of one load gave, by contestant; a failure ends that contestant."""

    def __init__(self, names: list[str]) -> None:
        self.costs: dict[str, list[float]] = {name: [] for name in names}  # us a message
        self.rates: dict[str, list[float]] = {name: [] for name in names}  # messages/s by the wall
        self.readings: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, str] = {}

    def note(self, name: str, count: int, reading: dict[str, Any]) -> None:
        if reading["messages"] != count:
            self.failures[name] = f"{reading['messages']} of {count} messages were received"
            return
        self.readings[name] = reading
        self.costs[name].append(reading["cpu_secs"] / count * 1e6)
        self.rates[name].append(count / reading["wall_secs"])

    def figure(self, name: str) -> Figure | None:
        return Figure.of(self.costs[name]) if self.costs.get(name) else None

    def ratio(self, peer: str, name: str) -> float | None:
        """The median over the pairs of one round each."""
        pairs = list(zip(self.costs.get(peer, ()), self.costs.get(name, ()), strict=False))
        return statistics.median(theirs / mine for theirs, mine in pairs) if pairs else None


def fight(
    contestants: dict[str, Contestant], case: str, symbols: int, count: int, rounds: int
) -> Outcome:
    outcome = Outcome(list(contestants))
    with flood(case, symbols, count) as port:
        for number in range(rounds):
            for name, run in contestants.items():
                if name in outcome.failures:
                    continue
                _say(f"{case}, {symbols} symbols, round {number + 1}/{rounds}: {name}")
                try:
                    outcome.note(name, count, run(port, case, symbols, count))
                except NotMeasured as why:
                    outcome.failures[name] = str(why)
    return outcome


def row(
    outcome: Outcome,
    title: str,
    name: str,
    *,
    peer: str = "cryptofeed",
    target: float | None = None,
) -> Row:
    """A line of the table: us a message, and how many times quicker than the peer."""
    ratio = outcome.ratio(peer, name)
    failures = [f"{who} {why}" for who, why in outcome.failures.items() if who in (name, peer)]
    rates = outcome.rates.get(name)
    if rates:
        failures.append(f"{max(rates):,.0f} messages/s at best by the clock")
    dropped = outcome.readings.get(name, {}).get("dropped", 0)
    if dropped:
        failures.append(f"{dropped:,} events did not reach the live hub, whose buffer was full")
    return Row(
        title,
        ours=outcome.figure(name),
        peer=outcome.figure(peer),
        ratio=ratio,
        target="" if target is None else f"ratio at least {target:g}",
        met=None if target is None or ratio is None else ratio >= target,
        note="; ".join(failures),
    )


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
