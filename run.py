"""Start tapewatch from a fresh clone: `python3 run.py demo`, `python3 run.py test`.

Makes `.venv` with exactly the pinned libraries, puts the package into it, and hands over to the
command `tapewatch`. The standard library only: this file runs before anything is installed, and
must be readable by a Python that is too old, to say so. A stamp in the folder says what was
installed; while it fits, starting costs a few milliseconds.

    no folder, or half made ──> make it, marked unfinished ──> install ──> stamp
    stamp of other requirements ──> mark unfinished ──> install ──> stamp
    stamp fits ──> hand over

A folder that carries our mark and is unfinished is deleted and made anew. A folder without our
mark is somebody's: it is used if it can be, and never deleted.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_NEEDED = (3, 11)
_ROOT = Path(__file__).absolute().parent
_LOCK = "tapewatch-installing.lock"
_WINDOWS = os.name == "nt"
_HELP = """\
python3 run.py                 the live product: `tapewatch run`
python3 run.py demo            all of it on simulated data, without internet
python3 run.py test [...]      every test, on all cores; what follows goes to pytest
python3 run.py COMMAND [...]   any command of tapewatch, see `python3 run.py help`

--install     only install          --status      what works here and what does not
--test-db     try the stores        --analyze     a report on what is stored
--basic, --enhanced                 the live product: there is one edition, with everything
"""
_MEANS = {
    "--status": ["doctor"],
    "--test-db": ["doctor", "--only", "stores"],
    "--analyze": ["analyze"],
    "--basic": ["run"],
    "--enhanced": ["run"],
}
# With one of these pytest is asked for a part, to look into one, or told how to run.
_ALONE = {
    "-n", "-k", "-m", "-s", "-h", "--numprocesses", "--lf", "--last-failed", "--pdb", "--co",
    "--collect-only", "--version", "--help", "--fixtures", "--markers",
}  # fmt: skip
_INSTEAD = {
    "analyze": "`python3 run.py query candles BTC-USDT 1h --from -24h` shows what is stored.",
    "doctor": "`python3 run.py check --show` shows the settings.",
}


def main(arguments: list) -> int:
    _be_new_enough(arguments)
    if arguments[:1] in (["--help"], ["-h"]):
        print(_HELP)
        return 0
    if arguments[:1] == ["test"]:
        python = _environment("dev")
        os.chdir(str(_ROOT))
        return _hand_over([str(python), "-m", "pytest", *_side_by_side(arguments[1:])])
    command = _command_of(arguments)
    if command[0] in _INSTEAD and not _exists(command[0]):
        print(f"`{command[0]}` is not in this version. {_INSTEAD[command[0]]}", file=sys.stderr)
        return 2
    python = _environment("runtime")
    script = python.with_name("tapewatch.exe" if _WINDOWS else "tapewatch")
    if command[0] == "--install":
        print(f"tapewatch is installed: {script}")
        return 0
    return _hand_over([str(script), *command])


def _command_of(arguments: list) -> list:
    """`--status` and its like by their names; options without a command belong to `run`."""
    if not arguments:
        return ["run"]
    if arguments[0] in _MEANS:
        return _MEANS[arguments[0]] + arguments[1:]
    if arguments[0].startswith("-") and arguments[0] not in ("--install", "--version", "-V"):
        return ["run", *arguments]
    return list(arguments)


def _side_by_side(arguments: list) -> list:
    """Everything on all cores; a part that is named begins sooner in one process."""
    for each in arguments:
        option = each.partition("=")[0] if each.startswith("--") else each[:2]  # -n0, -sv
        if option in _ALONE or Path(each.partition("::")[0]).exists():
            return list(arguments)
    return ["-n", "auto", "--dist", "worksteal", *arguments]


def _exists(command: str) -> bool:
    return (_ROOT / "src" / "tapewatch" / "cli" / f"{command}.py").exists()


def _hand_over(command: list) -> int:
    """Become that program, so that signals and the exit code are its own."""
    if not _WINDOWS:
        os.execv(command[0], command)  # noqa: S606 - it is our own command
    child = subprocess.Popen(command)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # it got the same Ctrl-C and is draining
            return child.wait()


# --- the right Python -----------------------------------------------------------------------------


def _be_new_enough(arguments: list) -> None:
    """Go on in a newer Python if this one is too old and another is at hand."""
    if sys.version_info >= _NEEDED:
        return
    for minor in (13, 12, 11):
        other = shutil.which(f"python3.{minor}")
        if other and _works(other, "import sys; sys.exit(sys.version_info < (3, 11))"):
            sys.exit(_hand_over([other, str(Path(__file__).absolute()), *arguments]))
    have = ".".join(str(part) for part in sys.version_info[:3])
    sys.exit(
        f"tapewatch needs Python 3.11 or newer and this is {have}: install a newer one"
        f" ({_advice('python3.11 python3.11-venv', 'python@3.13')}) and start run.py with it."
    )


def _works(python: str, statement: str) -> bool:
    return subprocess.call([python, "-c", statement], stderr=subprocess.DEVNULL) == 0


def _advice(debian: str, brew: str) -> str:
    if _WINDOWS:
        return "from python.org or the Microsoft Store"
    if sys.platform == "darwin":
        return f"brew install {brew}"
    return f"on Debian or Ubuntu: sudo apt install {debian}"


# --- the environment ------------------------------------------------------------------------------


def _environment(kind: str) -> Path:
    """Give the Python of a folder in which `kind` (runtime or dev) is installed."""
    folder = Path(os.environ.get("TAPEWATCH_VENV") or _ROOT / ".venv").absolute()
    wanted = _stamp(kind)
    if _installed(folder).get(kind) != wanted:
        with _alone(folder):
            if _installed(folder).get(kind) != wanted:  # another start may have done it
                _install(folder, kind)
    return _python(folder)


def _python(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if _WINDOWS else folder / "bin" / "python"


def _mark(folder: Path) -> Path:
    return folder / "tapewatch-installed.json"


def _installed(folder: Path) -> dict:
    """What the stamp says, if the folder is finished and its Python is still there."""
    if not _python(folder).exists():
        return {}
    try:
        stamps = json.loads(_mark(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _locks(kind: str) -> list:
    """What builds the package, and what it is pinned to."""
    pinned = "requirements-dev.lock" if kind == "dev" else "requirements.lock"
    return [_ROOT / "requirements-build.lock", _ROOT / pinned]


def _stamp(kind: str) -> str:
    """Another lock, project, Python or place of the clone gives another stamp."""
    digest = hashlib.sha256(f"{sys.version} {sys.base_prefix} {_ROOT}".encode())
    for path in [*_locks(kind), _ROOT / "pyproject.toml"]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _install(folder: Path, kind: str) -> None:
    began = time.monotonic()
    ours = _mark(folder).exists()
    stamps = _installed(folder)
    if ours and not stamps:
        _empty(folder)  # it was never finished
    if not _has_content(folder):
        _say(f"making {folder} (once; later starts are immediate)")
        _make(folder)
    elif not _works(str(_python(folder)), "import pip"):
        sys.exit(
            f"{folder} is not of run.py's making and has no pip, so nothing can be installed in"
            " it: remove it, or name another folder in TAPEWATCH_VENV."
        )
    if ours:
        _write_mark(folder, {})  # until it is finished again
    build, pinned = _locks(kind)
    python = _python(folder)
    _pip(python, "what builds the package", "--require-hashes", "-r", str(build))
    _pip(python, "tapewatch", "--no-deps", "--no-build-isolation", "-e", str(_ROOT))
    _pip(python, "the pinned libraries", "--require-hashes", "-r", str(pinned))
    stamps = {kind: _stamp(kind)}
    if kind == "dev":
        stamps["runtime"] = _stamp("runtime")  # which is a part of it
    _write_mark(folder, stamps)
    _say(f"installed in {time.monotonic() - began:.0f} s")


def _make(folder: Path) -> None:
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        version = f"python3.{sys.version_info[1]}"
        sys.exit(
            "This Python cannot make environments (venv or pip is missing): install it"
            f" ({_advice(f'{version}-venv python3-pip', 'python')}) and start again."
        )
    _write_mark(folder, {})
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{folder} could not be made:\n{done.stdout.decode(errors='replace')}")


def _has_content(folder: Path) -> bool:
    return any(path.name != _LOCK for path in folder.iterdir())


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(str(path))
        elif path.name != _LOCK:
            path.unlink()


def _write_mark(folder: Path, stamps: dict) -> None:
    """Whole or not at all. An empty one says: unfinished."""
    path = _mark(folder)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(stamps), encoding="utf-8")
    new.replace(path)


def _pip(python: Path, what: str, *arguments: str) -> None:
    """Install, and show how it goes. Prints all of pip's words if it fails."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    child = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    words = []
    told = time.monotonic()
    for line in child.stdout:
        words.append(line.decode(errors="replace").strip())
        if sys.stderr.isatty():
            _say(f"{what}: {words[-1][:60]:<60}", end="\r")
        elif time.monotonic() - told > 10:
            told = time.monotonic()
            _say(f"{what}: {words[-1]}")
    child.stdout.close()
    if child.wait():
        print("\n".join(words), file=sys.stderr)
        sys.exit(f"\n{what} could not be installed; pip says why above. Start again to retry.")
    _say(f"{what}: done{'':<60}" if sys.stderr.isatty() else f"{what}: done")


def _say(text: str, end: str = "\n") -> None:
    print(f"run.py: {text}", end=end, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone(folder: Path):  # noqa: ANN202 - typing.Iterator[None] is of no use to an old Python
    """One installation at a time; the operating system opens the lock if we die."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a", encoding="utf-8") as file:
        _lock(file)
        yield  # the file stays: who removes a lock takes it from somebody who waits for it


def _lock(file: object) -> None:
    if not _WINDOWS:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
        return
    import msvcrt

    while True:  # it gives up after ten seconds
        with contextlib.suppress(OSError):
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            return


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)  # whatever is half made is marked so, and made anew by the next start
