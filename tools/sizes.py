# ruff: noqa: INP001 - a script, not a package
"""Print the largest files and functions; fail over budget. `python tools/sizes.py [FOLDER]`.

A file may have 400 lines, more only if it is argued below, and never more than 600 (tests: 800).
Functions are only shown: a `match` over messages may be long, a table is no function.
"""

import ast
import sys
from pathlib import Path
from typing import NamedTuple

ARGUED = 400
NEVER = {"src": 600, "tests": 800, "benchmarks": 600, "tools": 600}
# Files above 400 lines, and why they are one idea.
REASONS = {
    "src/tapewatch/ports.py": "every contract in one place: the first thing that people read",
    "src/tapewatch/venues/_talk.py": "one conversation: its parts share all of its state",
    "src/tapewatch/venues/_trades.py": "one state machine: live, repair and ledger move together",
}
_SHOWN = 10


class Size(NamedTuple):
    lines: int
    name: str


def files(root: Path) -> list[Size]:
    """Every Python file with its lines, the largest first."""
    found = [
        Size(len(path.read_text(encoding="utf-8").splitlines()), path.relative_to(root).as_posix())
        for folder in NEVER
        for path in (root / folder).rglob("*.py")
    ]
    return sorted(found, reverse=True)


def functions(root: Path) -> list[Size]:
    """Every function of the product with its lines, docstring included, the largest first."""
    found = []
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                where = f"{path.relative_to(root).as_posix()}:{node.lineno} {node.name}"
                found.append(Size(lines, where))
    return sorted(found, reverse=True)


def over_budget(sizes: list[Size]) -> list[str]:
    """Sentences about files that are too long, and about reasons that nobody needs any more."""
    faults = []
    for lines, name in sizes:
        folder = name.split("/", maxsplit=1)[0]
        if lines > NEVER[folder]:
            faults.append(f"{name} has {lines} lines; never more than {NEVER[folder]}")
        elif lines > ARGUED and folder == "src" and name not in REASONS:
            faults.append(f"{name} has {lines} lines; more than {ARGUED} needs a reason here")
    long = {name for lines, name in sizes if lines > ARGUED}
    return faults + [f"{name} needs its reason no more" for name in REASONS if name not in long]


def main(root: Path) -> int:
    measured = files(root)
    faults = over_budget(measured)
    lengths = sorted(size.lines for size in functions(root))
    lines = ["largest files"]
    lines += [f"{size.lines:6}  {size.name}" for size in measured[:_SHOWN]]
    lines += ["largest functions"]
    lines += [f"{size.lines:6}  {size.name}" for size in functions(root)[:_SHOWN]]
    if lengths:
        middle, tenth = lengths[len(lengths) // 2], lengths[len(lengths) * 9 // 10]
        lines += [f"{len(lengths)} functions: half up to {middle} lines, nine tenths up to {tenth}"]
    sys.stdout.write("\n".join([*lines, *faults, ""]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent.parent))
