"""The door: which command, and what becomes of its errors.

The list of commands and the version are printed without importing anything of weight; only the
command that was asked for is imported, and cyclopts reads its options. A command gives an exit
code, or None for 0.
"""

import os
import sys
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from tapewatch import __version__
from tapewatch.cli import _commands, _complain
from tapewatch.model.errors import TapewatchError

_EXAMPLES = """\
  tapewatch demo                                       all of it on simulated data, no internet
  tapewatch init --exchange binance --symbol BTC-USDT  write settings to start from
  tapewatch check --show                               the settings, and where each comes from
  tapewatch run -c tapewatch.yaml                      collect, store and serve, until Ctrl-C
  tapewatch tail trades BTC-USDT                       trades of a running tapewatch, as they come
  tapewatch query candles BTC-USDT 7m --from -24h      what is stored, as a table
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and give its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = _dispatch(given)
        sys.stdout.flush()  # here, where a closed pipe can still be met
    except TapewatchError as error:
        return _complain.say(error)
    except KeyboardInterrupt:
        return _complain.INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more on its way out, which must find an open file.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _complain.PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the last door: a report instead of a traceback
        return _complain.bug(error, given)
    return code


def _dispatch(given: list[str]) -> int:
    if not given:
        print(f"tapewatch {__version__}: live crypto market data that people can trust.\n")
        print(f"{_EXAMPLES}\nAll commands: tapewatch --help")
        return 0
    name, rest = given[0], given[1:]
    if name in {"--version", "-V"}:
        print(f"tapewatch {__version__}")
        return 0
    if name in {"--help", "-h", "help"}:
        if rest and name == "help":
            return _dispatch([*rest, "--help"])
        _overview()
        return 0
    known = _commands.names()
    if name not in known:
        return _complain.refuse(_unknown(name, known))
    return _run(name, rest)


def _overview() -> None:
    known = _commands.names()
    width = max(len(name) for name in known) + 2
    print("Usage: tapewatch COMMAND [OPTIONS]\n\nCommands:")
    for name in known:
        print(f"  {name:<{width}}{_commands.summary(name)}")
    print(f"\nExamples:\n{_EXAMPLES}\nMore on a command: tapewatch COMMAND --help")


def _unknown(name: str, known: list[str]) -> str:
    if name.startswith("-"):
        return f"unknown option {name}; the command comes first, as in `tapewatch run {name}`"
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there is: {', '.join(known)}"
    return f"unknown command {name!r}; {hint}"


def _run(name: str, rest: list[str]) -> int:
    from cyclopts import CycloptsError, UnusedCliTokensError

    app = _app(name, _commands.load(name))
    try:
        code = app(
            [name, *rest],
            exit_on_error=False,
            print_error=False,
            help_on_error=False,
            result_action="return_value",
        )
    except UnusedCliTokensError as error:
        words = " ".join(error.unused_tokens or ())
        return _complain.refuse(f"Nobody expects {words!r}. See `tapewatch {name} --help`.")
    except CycloptsError as error:
        sentence = " ".join(str(error).split())
        return _complain.refuse(f"{sentence} See `tapewatch {name} --help`.")
    return code if isinstance(code, int) else 0


def _app(name: str, module: ModuleType) -> Any:
    """The one command that is wanted, below the name that people typed."""
    from cyclopts import App

    app = App(
        name="tapewatch",
        help_flags=["--help", "-h"],
        version_flags=[],
        suppress_keyboard_interrupt=False,  # `main` decides what Ctrl-C means
    )
    below = getattr(module, "app", None)
    if below is None:
        app.command(module.command, name=name)
    else:
        below.version_flags = []
        app.command(below, name=name)
    return app


if __name__ == "__main__":
    sys.exit(main())
