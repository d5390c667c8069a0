"""`python -m benchmarks`: measure, print the table, keep it. See README.md beside this file."""

import argparse
import sys
from pathlib import Path

import msgspec

from benchmarks import machine, table
from benchmarks.table import Report, Section

RESULTS = Path(__file__).resolve().parent / "results"
README = Path(__file__).resolve().parent.parent / "README.md"
NAMES = ("duel", "symbols", "stages", "start", "alerts", "venues", "past", "five", "soak")
USUAL = NAMES[:6]  # the others take long: ask for them


def main() -> int:
    options = _parse()
    if options.write_readme and not options.names:
        return _write_readme()
    facts = machine.facts()
    sections = [_measure(name, options) for name in options.names or USUAL]
    report = Report(machine.today(), facts, sections)
    if not options.quick:  # a quick run is for looking, not for keeping
        _keep(report, "-".join(options.names) or "full")
    print(table.markdown(report))
    return _write_readme() if options.write_readme else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="what to measure")
    parser.add_argument("--quick", action="store_true", help="small counts, few rounds")
    parser.add_argument("--minutes", type=float, help="length of `five` (10) or the soak (30)")
    parser.add_argument("--own-core", action="store_true", help="`five`: first on its core")
    parser.add_argument("--write-readme", action="store_true", help="put the table into README.md")
    return parser.parse_args()


def _measure(name: str, options: argparse.Namespace) -> Section:
    quick: bool = options.quick
    if name == "duel":
        from benchmarks import pipeline

        return Section(
            "The same frames, us of processor time a message", pipeline.duel(quick=quick)
        )
    if name == "symbols":
        from benchmarks import pipeline

        return Section("1,000 symbols against 10", pipeline.symbols(quick=quick))
    if name == "stages":
        from benchmarks import stages

        return Section("Where the time goes, us a message", stages.rows(quick=quick))
    if name == "start":
        from benchmarks import start

        return Section("Start", start.rows(quick=quick))
    if name == "alerts":
        from benchmarks import alerts

        return Section("Alerts, at 5,000 trades a second", alerts.rows(quick=quick))
    return _long(name, options)


def _long(name: str, options: argparse.Namespace) -> Section:
    if name == "venues":
        from benchmarks import venues

        rows = venues.rows(quick=options.quick)
        return Section("By venue, us of processor time a frame", rows, peer="peer")
    if name == "past":
        from benchmarks import past

        return Section("Would it have fired? By the clock", past.rows(quick=options.quick))
    if name == "five":
        from benchmarks import five

        minutes = options.minutes or (0.5 if options.quick else 10.0)
        return Section("Five venues at once", five.rows(minutes, own_core=options.own_core))
    from benchmarks import soak

    return Section("Memory", soak.rows(options.minutes or 30.0))


def _keep(report: Report, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report.date}-{name}"
    path.with_suffix(".md").write_text(table.markdown(report))
    path.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    print(f"kept in {path}.md and .json", file=sys.stderr)


def _write_readme() -> int:
    """The newest full run, and the newest soak if there is one, as one table."""
    full = sorted(RESULTS.glob("*-full.json"))
    if not full:
        print("no full run is kept: run `python -m benchmarks` first", file=sys.stderr)
        return 2
    report = _read(full[-1])
    soaks = sorted(RESULTS.glob("*-soak.json"))
    if soaks and not any(section.title == "Memory" for section in report.sections):
        report.sections.extend(_read(soaks[-1]).sections)
    try:
        text = table.insert(README.read_text(), table.markdown(report))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    README.write_text(text)
    print(f"{README.name} has the table of {report.date}", file=sys.stderr)
    return 0


def _read(path: Path) -> Report:
    return msgspec.json.decode(path.read_bytes(), type=Report)


if __name__ == "__main__":
    raise SystemExit(main())
