"""The commands: the files of this folder, found by name. Nothing is imported to list them.

A command's one line of help is the first sentence of its file. Adding a command is one new file
with a function `command`, or with an `app` of sub-commands; there is no list to edit.
"""

import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from tapewatch import cli

_DOCSTRING = re.compile(r'\A\s*r?"""(?P<sentence>.+?)(?:\n\s*\n|\.\s|\.?"""|\Z)', re.DOTALL)
_OWN_NAME = re.compile(r"\A`tapewatch [^`]*`:\s*")


def names() -> list[str]:
    """All commands, sorted. A name with a dash is a file with an underscore."""
    return sorted(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(cli.__path__)
        if not module.name.startswith("_") and module.name != "main"
    )


def summary(name: str) -> str:
    """The first sentence of the command's file, without its own name."""
    spec = importlib.util.find_spec(_module(name))
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return ""
    with Path(spec.origin).open(encoding="utf-8") as file:
        found = _DOCSTRING.match(file.read(600))
    if found is None:
        return ""
    sentence = _OWN_NAME.sub("", " ".join(found["sentence"].split()))
    return sentence[:1].upper() + sentence[1:]


def load(name: str) -> ModuleType:
    """Import one command's file, and so what it needs."""
    return importlib.import_module(_module(name))


def _module(name: str) -> str:
    return f"{cli.__name__}.{name.replace('-', '_')}"
