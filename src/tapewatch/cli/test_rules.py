"""Run rules against written examples: series of metrics in, alerts out.

Without a file the shipped examples of the ready-made rules are run. Exit codes: 0 all passed, 1 some
did not, 2 a file that cannot be read.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tapewatch.model.errors import ConfigError

if TYPE_CHECKING:
    from tapewatch.runtime.trials import Tried

__test__ = False  # its name looks like a test's
_FAILED = 1


def command(
    files: Annotated[tuple[Path, ...], Parameter(negative="")] = (),
    /,
    *,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative="")] = False,
) -> int:
    """Run rules against written examples: series of metrics in, alerts out.

    Parameters
    ----------
    files
        Files with `trials:`; without one the shipped examples of the ready-made rules.
    config
        Settings whose rules are meant by files that have no rules of their own; without it
        `tapewatch.yaml` here, or the defaults.
    verbose
        Show what came of those that passed as well.
    """
    from tapewatch.runtime import launch, trials

    loaded = launch.load(config)
    plan = launch.plan_of(loaded)
    ready = [
        trials.read(name, text, plan.rules.rules, plan.rules.measures)
        for name, text in _texts(files)
    ]  # all are read before one is run
    passed = failed = 0
    for tried in (each for file in ready for each in file.run()):
        if tried.outcome.passed:
            passed += 1
        else:
            failed += 1
        if verbose or not tried.outcome.passed:
            _show(tried)
    print(f"{passed} passed, {failed} failed", file=sys.stderr)
    return _FAILED if failed else 0


def _texts(files: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    if not files:
        from importlib.resources import files as resources

        for entry in resources("tapewatch.rules").joinpath("examples").iterdir():
            if entry.name.endswith(".yaml"):
                yield entry.name, entry.read_bytes()
    for path in files:
        try:
            yield str(path), path.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _show(tried: "Tried") -> None:
    """What came; `-` is missing, `+` is too much, `!` is otherwise than expected."""
    print(f"{'ok' if tried.outcome.passed else 'FAILED'}  {tried.name}  ({tried.place})")
    for line in tried.outcome.lines or ("  nothing, as expected",):
        print(f"    {line}")
