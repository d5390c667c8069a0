"""How the command line speaks of errors: a sentence on stderr, an exit code, never a traceback.

| code | meaning |
|---|---|
| 1 | it ran and found problems |
| 2 | usage or settings; nothing was started |
| 3 | something that is needed cannot be reached |
| 70 | a bug: a report was written |
| 130 | Ctrl-C |
"""

import contextlib
import os
import sys
import tempfile
import traceback

from tapewatch.model.errors import (
    ConfigError,
    Disconnected,
    NotFound,
    TapewatchError,
    Unavailable,
)

BAD_USAGE = 2
BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended
_PROBLEMS, _UNREACHABLE = 1, 3
_CODES: tuple[tuple[type[TapewatchError], int], ...] = (
    (ConfigError, BAD_USAGE),
    (NotFound, BAD_USAGE),
    (Unavailable, _UNREACHABLE),
    (Disconnected, _UNREACHABLE),
)


def say(error: TapewatchError) -> int:
    """Print it and give the exit code."""
    for notice in getattr(error, "notices", ()):
        tell(f"{notice}\n")
    text = str(error)
    tell(text if text.startswith("error[") else f"error: {text}")
    return next((code for kind, code in _CODES if isinstance(error, kind)), _PROBLEMS)


def refuse(sentence: str) -> int:
    """Nothing was started, because of how it was called."""
    tell(f"error: {sentence}")
    return BAD_USAGE


def bug(error: BaseException, arguments: list[str]) -> int:
    """Write a report that can be attached to an issue, and name it."""
    from tapewatch import __version__

    report = (
        f"tapewatch {__version__}, Python {sys.version}, {sys.platform}\n"
        f"arguments: {_discreet(arguments)}\n\n{''.join(traceback.format_exception(error))}"
    )
    head = f"{type(error).__name__}: {error}".partition("\n")[0]
    try:
        handle, path = tempfile.mkstemp(prefix="tapewatch-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(report)
    except OSError:  # no room for a report: then it goes to the terminal after all
        tell(report)
        path = "(it could not be written; it stands above)"
    tell(f"error: tapewatch met a bug: {head}\nThe report, to send with an issue: {path}")
    return BUG


def tell(text: str) -> None:
    """Talk goes to stderr, and colour only to those who see it."""
    if _wants_colour():
        for word, colour in (("error", "31"), ("warning", "33")):
            if text.startswith(word):
                head, colon, rest = text.partition(":")
                text = f"\x1b[1;{colour}m{head}\x1b[0m{colon}{rest}"
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more; the exit code speaks
        print(text, file=sys.stderr, flush=True)


def _discreet(arguments: list[str]) -> list[str]:
    """What stands behind an equals sign may be a secret."""
    return [
        argument.partition("=")[0] + "=..." if "=" in argument else argument
        for argument in arguments
    ]


def _wants_colour() -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
