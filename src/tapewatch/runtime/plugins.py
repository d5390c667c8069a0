"""Find plug-ins by file name. Only what the settings name is ever imported.

The folders `venues`, `process`, `stores`, `notify` are scanned; entry points of the groups
`tapewatch.venues` and so on add plug-ins from outside. A built-in has no privilege that an
outside plug-in lacks: both declare `PLUGIN`. Built-ins win over an outside plug-in of the same
name, so that an installed package cannot silently replace a part of the product.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.ports import Plugin, Proof

# An absent optional library is an error that names the extra: module name to extra.
_EXTRAS = {
    "ccxt": "ccxt",
    "redis": "redis",
    "asyncpg": "postgres",
    "aiokafka": "kafka",
    "aiosmtplib": "email",
    "apprise": "apprise",
    "feedparser": "news",
}


def names(kind: str) -> list[str]:
    """All plug-ins of a kind (`venues`, `process`, `stores`, `notify`), sorted."""
    return _names(kind, _outside(kind))


def _names(kind: str, outside: Mapping[str, str]) -> list[str]:
    found = set(outside)
    folder = importlib.import_module(f"tapewatch.{kind}")
    found.update(
        module.name
        for module in pkgutil.iter_modules(folder.__path__)
        if not module.name.startswith("_")
    )
    return sorted(found)


def load(kind: str, name: str) -> Plugin[Any]:
    """Import one plug-in. Raises NotFound with the nearest names, ConfigError if it is broken."""
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or known
        raise NotFound(_WORDS.get(kind, kind), name, tuple(near))
    module = _import(kind, name, _outside(kind))
    plugin = getattr(module, "PLUGIN", None)
    if not isinstance(plugin, Plugin):
        raise ConfigError(f"{kind}/{name} declares no PLUGIN, so it cannot be named in settings")
    return plugin


def loadable(kind: str) -> dict[str, Plugin[Any]]:
    """Every plug-in of a kind that declares PLUGIN; files that are not plug-ins are left out."""
    return {
        name: module.PLUGIN
        for name, module in _modules(kind).items()
        if isinstance(getattr(module, "PLUGIN", None), Plugin)
    }


def proofs() -> dict[str, Proof]:
    """How each detector that judges shows that it can; see `analysis.selftest`."""
    return {
        name: module.PROOF
        for name, module in _modules("process").items()
        if isinstance(getattr(module, "PROOF", None), Proof)
    }


_WORDS = {
    "venues": "venue", "process": "detector", "stores": "store", "notify": "type of channel",
}  # fmt: skip


def _modules(kind: str) -> dict[str, ModuleType]:
    outside = _outside(kind)
    return {name: _import(kind, name, outside) for name in _names(kind, outside)}


def _outside(kind: str) -> dict[str, str]:
    """Where other packages have plug-ins. Slow: every installed package is asked."""
    return {entry.name: entry.value for entry in entry_points(group=f"tapewatch.{kind}")}


def _import(kind: str, name: str, outside: Mapping[str, str]) -> ModuleType:
    path = f"tapewatch.{kind}.{name}"
    try:
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path or name not in outside:
                raise
            return importlib.import_module(outside[name].partition(":")[0])
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise ConfigError(
            f"{name} needs the library {error.name}: pip install 'tapewatch[{extra}]'"
        ) from error
