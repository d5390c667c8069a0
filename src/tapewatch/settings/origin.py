"""The effective settings as a list for people: path, value, where it came from.

Secrets are `***`, and so are passwords inside addresses.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from tapewatch.model.address import shown
from tapewatch.model.secret import Secret
from tapewatch.settings.problems import mask


class Shown(Struct, frozen=True):
    path: str
    value: str
    origin: str


def list_values(settings: Any, origin: Callable[[str], str]) -> list[Shown]:
    """Walk the typed settings."""
    return [Shown(path, _text(value), origin(path)) for path, value in _walk(settings, "")]


def view(settings: Any) -> Any:
    """Settings as plain data for `/config`: no secret in it."""
    if isinstance(settings, Struct):
        return {name: view(getattr(settings, name)) for name in settings.__struct_fields__}
    if isinstance(settings, Mapping):
        return {str(name): view(value) for name, value in settings.items()}
    if isinstance(settings, list | tuple | set | frozenset):
        return [view(value) for value in settings]
    if isinstance(settings, str):
        return mask(shown(settings))
    if isinstance(settings, Enum):
        return settings.value
    return (
        settings if settings is None or isinstance(settings, bool | int | float) else str(settings)
    )


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Struct):
        below = [(name, getattr(value, name)) for name in value.__struct_fields__]
    elif isinstance(value, Mapping) and value:
        below = [(str(name), one) for name, one in value.items()]
    else:
        yield path, value
        return
    for name, one in below:
        inline = name == "sections" and path in {
            "storage",
            "notify",
        }  # they stand beside the other keys
        if inline and not one:
            continue
        yield from _walk(one, path if inline else f"{path}.{name}" if path else name)


def _text(value: Any) -> str:
    if isinstance(value, Secret):
        return str(value) if value else ""
    return msgspec.json.encode(view(value)).decode()
