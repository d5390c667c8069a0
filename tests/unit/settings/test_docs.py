"""A setting, name or code that is not in docs/settings.md fails here."""

from pathlib import Path

import pytest
from msgspec import inspect

from tapewatch.model.channel import ChannelConfig
from tapewatch.ports import FeedConfig
from tapewatch.runtime import plugins
from tapewatch.settings.environment import LISTED
from tapewatch.settings.problems import CODES
from tapewatch.settings.schema import Settings

DOCS = (Path(__file__).parents[3] / "docs" / "settings.md").read_text(encoding="utf-8")
# Documented once for all venues, and once for all channels.
COMMON = {"venues": FeedConfig.__struct_fields__, "notify": ChannelConfig.__struct_fields__}
NOBODY = {"venues": "VENUE", "notify": "CHANNEL"}
HOLDERS = {"venues": "exchanges", "process": "detectors", "stores": "storage", "notify": "notify"}


def bare(kind):
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        kind = next(bare(one) for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


def keys(struct, path):
    for field in inspect.type_info(struct).fields:
        kind = bare(field.type)
        if isinstance(kind, inspect.StructType):
            yield from keys(kind.cls, f"{path}{field.name}.")
        elif not ((isinstance(field.type, inspect.Metadata) and field.type.extra) or {}).get(
            "sections"
        ):
            yield f"{path}{field.name}"


def all_keys():
    yield from keys(Settings, "")
    for kind, holder in HOLDERS.items():
        for name, plugin in plugins.loadable(kind).items():
            for key in keys(plugin.config, f"{holder}.{name}."):
                head, _, field = key.rpartition(".")
                is_common = field in COMMON.get(kind, ()) and head.count(".") == 1
                yield f"{holder}.{NOBODY[kind]}.{field}" if is_common else key


def test_every_setting_is_documented():
    missing = [key for key in all_keys() if f"`{key}`" not in DOCS]
    assert missing == []


def test_nothing_is_documented_that_does_not_exist():
    known = set(all_keys())
    rows = [line.split("|")[1].strip() for line in DOCS.splitlines() if line.startswith("| `")]
    stray = [row for row in rows if "." in row and row.strip("`") not in known]
    assert stray == []


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: listed.name)
def test_every_name_in_the_environment_is_documented(listed):
    assert f"| `{listed.name}` |" in DOCS
    assert listed.about in DOCS


def test_every_code_is_documented():
    assert [code for code, says in CODES.items() if f"| {code} | {says} |" not in DOCS] == []
