"""`python -m benchmarks.testday`: the day with planted events and the day without, and the table.

Nothing is timed. Two processes of some minutes each.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks import machine
from benchmarks.testday.day import run
from benchmarks.testday.judge import Tally, judge
from benchmarks.testday.page import insert, markdown, particulars
from benchmarks.testday.truth import usual_volume

DOCS = Path(__file__).resolve().parents[2] / "docs" / "detectors.md"


def main() -> int:
    options = _parse()
    with ProcessPoolExecutor(2) as pool:
        days = [
            pool.submit(run, options.seed, options.rate, options.hours, planted=planted)
            for planted in (True, False)
        ]
        planted, quiet = (day.result() for day in days)
    usual = usual_volume(quiet.truths)
    found, calm = judge(planted, usual), judge(quiet, usual)
    _tell(found, "the day with planted events")
    _tell(calm, "the day without")
    if planted.left_out:
        print(f"not measured by anybody: {', '.join(planted.left_out)}", file=sys.stderr)
    text = markdown(found, calm, _facts(options))
    print(text)
    if options.write_docs:
        DOCS.write_text(insert(DOCS.read_text(), text))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.testday", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument(
        "--rate", type=float, default=0.15, help="of the simulator's usual activity"
    )
    parser.add_argument("--write-docs", action="store_true", help="put the table into the docs")
    return parser.parse_args()


def _facts(options: argparse.Namespace) -> str:
    where = f"{machine.processor()}, Python {sys.version.split()[0]}"
    which = f"{options.hours:g} hours, seed {options.seed}, {options.rate:g} of the usual activity"
    return f"{machine.today()} on {where}; {which}"


def _tell(tallies: dict[str, Tally], title: str) -> None:
    """What was missed and what was wrong, one by one: to be looked at, not for the page."""
    print(f"--- {title}", file=sys.stderr)
    for line in particulars(tallies):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
