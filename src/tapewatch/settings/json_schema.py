"""The settings as JSON Schema, for the completion of editors. Plug-ins' sections included."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tapewatch.model.secret import Secret
from tapewatch.settings.schema import Settings

PlugIns = Mapping[str, Mapping[str, type]]  # kind, name: type of its section
_HOLDERS = {"exchanges": "venues", "detectors": "process"}


def json_schema(plugins: PlugIns) -> dict[str, Any]:
    """Give the schema of a whole file."""
    types = {(kind, name): one for kind, found in plugins.items() for name, one in found.items()}
    roots, components = msgspec.json.schema_components(
        [Settings, *types.values()], schema_hook=_secret, ref_template="#/$defs/{name}"
    )
    sections = dict(zip(types, roots[1:], strict=True))
    properties = components["Settings"]["properties"]
    for holder, kind in _HOLDERS.items():
        properties[holder] = _named(kind, sections) | {"additionalProperties": False}
    storage = components["Storage"]["properties"]
    storage.pop("sections")
    storage.update(_named("stores", sections)["properties"])
    notify = components["Notify"]
    notify["properties"].pop("sections")
    notify["additionalProperties"] = {"anyOf": [*_named("notify", sections)["properties"].values()]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tapewatch.yaml",
        **roots[0],
        "$defs": components,
    }


def _named(kind: str, sections: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    found = {name: schema for (one, name), schema in sections.items() if one == kind}
    return {"type": "object", "properties": found}


def _secret(kind: type) -> dict[str, Any]:
    if kind is Secret:
        return {"type": "string", "format": "password"}
    raise NotImplementedError(kind)
