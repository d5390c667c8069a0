"""`python -m benchmarks.testday`: the day with planted events and the day without, and the table.

Nothing is timed. Two processes of some minutes each. Half a day or more is kept in `benchmarks/results`.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks import machine
from benchmarks.testday.day import Scene, run
from benchmarks.testday.judge import Tally, judge
from benchmarks.testday.page import insert, markdown, particulars
from benchmarks.testday.truth import usual_volume

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "detectors.md"
RESULTS = ROOT / "benchmarks" / "results"
_WHOLE, _KEPT, _LEAST = 24.0, 12.0, 0.5


class Kept(Struct):
    facts: str
    found: dict[str, Tally]
    calm: dict[str, Tally]


def main() -> int:
    options = _parse()
    kept = _newest() if options.kept else _measure(options)
    _tell(kept.found, "the day with planted events")
    _tell(kept.calm, "the day without")
    text = markdown(kept.found, kept.calm, kept.facts)
    print(text)
    if options.write_docs:
        DOCS.write_text(insert(DOCS.read_text(), text))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.testday", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=_WHOLE)
    parser.add_argument(
        "--rate", type=float, default=0.15, help="of the simulator's usual activity"
    )
    parser.add_argument("--kept", action="store_true", help="do not measure: the newest kept day")
    parser.add_argument("--write-docs", action="store_true", help="put the table into the docs")
    options = parser.parse_args()
    if options.hours < _LEAST:
        parser.error(f"a day of {options.hours:g} hours is too short: give {_LEAST:g} or more")
    return options


def _measure(options: argparse.Namespace) -> Kept:
    scene = Scene(seed=options.seed, rate=options.rate, hours=options.hours)
    with ProcessPoolExecutor(2) as pool:
        days = [pool.submit(run, scene, planted=planted) for planted in (True, False)]
        planted, quiet = (day.result() for day in days)
    if planted.left_out:
        print(f"not measured by anybody: {', '.join(planted.left_out)}", file=sys.stderr)
    usual = usual_volume(quiet.truths)
    kept = Kept(_facts(scene), judge(planted, usual), judge(quiet, usual))
    if scene.hours >= _KEPT:
        path = RESULTS / f"{machine.today()}-testday.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
        print(f"kept in {path}", file=sys.stderr)
    return kept


def _newest() -> Kept:
    *_, newest = sorted(RESULTS.glob("*-testday.json"))
    return msgspec.json.decode(newest.read_bytes(), type=Kept)


def _facts(scene: Scene) -> str:
    where = f"{machine.processor()}, Python {sys.version.split()[0]}"
    which = f"{scene.hours:g} hours, seed {scene.seed}, {scene.rate:g} of the usual activity"
    return f"{machine.today()} on {where}; {which}"


def _tell(tallies: dict[str, Tally], title: str) -> None:
    """What was missed and what was wrong, one by one: to be looked at, not for the page."""
    print(f"--- {title}", file=sys.stderr)
    for line in particulars(tallies):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
