"""cryptofeed's own environment, made on first use. Nothing of it is imported by tapewatch.

It is AGPL: installed for the measurement, never a dependency, nothing of it copied. Version 3
needs Python 3.13; with an older one pip finds the newest that installs, which may be too old for
the measuring script: that shows as a row that says why it was not measured.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.children import NotMeasured

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".benchenv-cryptofeed"
REQUIREMENT = "cryptofeed>=3,<4"


def peer_python() -> Path:
    """Give the interpreter of the environment, making it if need be."""
    python = ENVIRONMENT / "bin" / "python"
    if not _imports(python):
        _make(python)
    return python


def _imports(python: Path) -> bool:
    if not python.exists():
        return False
    found = subprocess.run([python, "-c", "import cryptofeed"], check=False, capture_output=True)
    return found.returncode == 0


def _make(python: Path) -> None:
    base = _newest_python()
    print(f"making {ENVIRONMENT.name} with {base} (once)", file=sys.stderr)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    _call(base, "-m", "venv", ENVIRONMENT)
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    try:
        _call(*pip, REQUIREMENT)
    except NotMeasured:
        _call(*pip, "cryptofeed")  # an older Python gets an older version


def _newest_python() -> str:
    """Python 3.13 or newer if it can be found, else the one that runs this."""
    for version in ("3.13", "3.14"):
        candidates = [
            shutil.which(f"python{version}"),
            *sorted(
                map(str, Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}")),
                reverse=True,
            ),
        ]
        for candidate in candidates:
            if candidate and _runs(candidate):
                return candidate
    return sys.executable


def _runs(python: str) -> bool:
    """A pyenv shim exists for versions that are not selected, and fails when called."""
    return subprocess.run([python, "-V"], check=False, capture_output=True).returncode == 0


def _call(*command: str | os.PathLike[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no words"])[-1]
        raise NotMeasured(f"cryptofeed could not be installed: {last}")
