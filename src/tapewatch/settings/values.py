"""Turn a tree of texts into typed settings and find every fault on the way, not the first only.

msgspec's own conversion stops at the first fault and cannot say where a value was written, so the
descent is ours; msgspec tells what the types ask for. A section of a plug-in is read by that
plug-in's own type, which `config_of(kind, name)` gives: nothing here lists plug-ins.

A field that a person left empty (`email:` with all lines below it commented out) was not given.
"""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.settings.document import parse_inline
from tapewatch.settings.node import Items, Node, Path, Section, Text, key_place
from tapewatch.settings.planned import not_yet, planned_names
from tapewatch.settings.problems import Place, Problem
from tapewatch.settings.scalars import (
    ABSENT,
    MANY,
    outside,
    quoted,
    scalar,
    strictness,
    truth,
    untyped,
    words,
)

_TYPED = frozenset({"notify"})  # several sections may be of one plug-in
ConfigOf = Callable[[str, str], type]

# Durations, sizes and limits. A name with its unit promises that it is not negative.
_MEASURE = re.compile(r"(_(secs|ms|minutes|hours|days|gb|mb|bytes|bps|ids)|_delay)$|^max_")


def nearest(text: str, known: Iterable[str]) -> str:
    """A hint: the nearest of what exists, else all of it if that is not much."""
    names = sorted(known)
    lowered = {name.lower(): name for name in names}
    near = get_close_matches(text.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{lowered[near[0]]}`?"
    return f"there is: {', '.join(names)}" if 0 < len(names) <= 16 else ""


class Values:
    """One reading. `problems` and `notices` grow; what could not be read keeps its default."""

    def __init__(self, config_of: ConfigOf) -> None:
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []
        self._config_of = config_of
        self._root = Section({}, Place(""))

    def read(self, node: Section, struct: type) -> Any:
        """Give an instance, or None if the faults leave none."""
        self._root = node
        made = self._struct(node, inspect.type_info(struct), ())
        return None if made is ABSENT else made

    def _any_of(self, node: Node, kind: inspect.Type, path: Path) -> Any:
        extra: dict[str, Any] = {}
        while isinstance(kind, inspect.Metadata):
            extra |= kind.extra or {}
            kind = kind.type
        if isinstance(kind, inspect.UnionType):
            return self._union(node, kind, path)
        if "sections" in extra:
            return self._sections(node, extra["sections"], path)
        if "plugin" in extra and isinstance(kind, inspect.StrType):
            return self._plugin_name(node, kind, extra["plugin"], path)
        if isinstance(node, Text):
            return self._text(node, kind, path)
        return self._composite(node, kind, path)

    # --- sections ---

    def _struct(self, node: Node, kind: Any, path: Path) -> Any:
        if not isinstance(node, Section):
            return self._wrong(node, "a section with keys", path)
        fields = {field.encode_name: field for field in kind.fields}
        rest = next((field for field in kind.fields if _extra(field.type).get("rest")), None)
        given: dict[str, Any] = {}
        before = len(self.problems)
        for key in [key for key in node.fields if key not in fields or fields[key] is rest]:
            self._stranger(node, key, fields, rest, (*path, key), given)
        for name, field in fields.items():
            below = node.fields.get(name)
            if field is rest:
                continue
            if below is None or _not_given(below, field.type):
                if field.required:
                    place = key_place(self._root, path) or node.place
                    self._fault("CFG005", f"`{name}` must be given", place, (*path, name))
                continue
            value = self._any_of(below, field.type, (*path, name))
            if value is ABSENT:
                continue
            if self._sane_measure(name, value, below.place, (*path, name)):
                given[field.name] = value
        return self._make(kind, given, node, path, sound=len(self.problems) == before)

    def _make(
        self, kind: Any, given: dict[str, Any], node: Section, path: Path, *, sound: bool
    ) -> Any:
        if any(field.required and field.name not in given for field in kind.fields):
            return ABSENT  # it is missing or bad, which was told
        try:
            return kind.cls(**given)
        except ValueError as error:
            if sound:  # else it may follow from what was told
                self._contradiction(str(error), node, path)
            return ABSENT

    def _contradiction(self, message: str, node: Section, path: Path) -> None:
        """`__post_init__` says `field: sentence` where one field is to blame."""
        name, colon, sentence = message.partition(": ")
        if colon and name in node.fields:
            self._fault("CFG006", sentence, node.fields[name].place, (*path, name))
        else:
            self._fault("CFG006", sentence if colon else message, node.place, path)

    def _stranger(
        self,
        node: Section,
        key: str,
        fields: dict[str, Any],
        rest: Any,
        path: Path,
        given: dict[str, Any],
    ) -> None:
        if rest is None:
            place = node.keys.get(key)
            self._fault("CFG002", f"unknown field `{key}`", place, path, nearest(key, fields))
            return
        names = [name for name in fields if fields[name] is not rest]
        value = self._section(node, key, _extra(rest.type)["sections"], path, names)
        if value is not ABSENT:
            given.setdefault(rest.name, {})[key] = value

    def _sections(self, node: Node, kind: str, path: Path) -> Any:
        if not isinstance(node, Section):
            return self._wrong(node, "sections with names", path)
        found = {key: self._section(node, key, kind, (*path, key)) for key in node.fields}
        return {key: value for key, value in found.items() if value is not ABSENT}

    def _section(
        self, node: Section, key: str, kind: str, path: Path, also: Iterable[str] = ()
    ) -> Any:
        below = node.fields[key]
        if not_yet(kind, key) and _is_off(below):
            return ABSENT
        name, place = _plugin_of(kind, below, key, node.keys.get(key))
        config = self._look_up(kind, name, place, path, also)
        if config is None:
            return ABSENT
        if isinstance(below, Text) and below.empty:
            below = Section({}, node.keys.get(key, below.place))
        return self._struct(below, inspect.type_info(config), path)

    def _plugin_name(self, node: Node, kind: inspect.Type, plugins: str, path: Path) -> Any:
        name = self._text(node, kind, path) if isinstance(node, Text) else ABSENT
        if name is ABSENT:
            return self._wrong(node, "a name", path)
        found = self._look_up(plugins, name, node.place, path, ())
        return ABSENT if found is None else name

    def _look_up(
        self, kind: str, name: str, place: Place | None, path: Path, also: Iterable[str]
    ) -> type | None:
        try:
            return self._config_of(kind, name)
        except NotFound as error:
            self._unknown(kind, error, place, path, also)
        except ConfigError as error:
            self._fault("CFG001", str(error), place, path)
        return None

    def _unknown(
        self, kind: str, error: NotFound, place: Place | None, path: Path, also: Iterable[str]
    ) -> None:
        later = not_yet(kind, error.name)
        if later:
            self.notices.append(Problem("CFG101", later, place, ".".join(path)))
            return
        hint = nearest(error.name, {*error.suggestions, *also, *planned_names(kind)})
        self._fault("CFG001", f"unknown {error.what} `{error.name}`", place, path, hint)

    # --- lists, mappings, unions ---

    def _composite(self, node: Node, kind: inspect.Type, path: Path) -> Any:
        if isinstance(kind, inspect.StructType):
            return self._struct(node, kind, path)
        if isinstance(kind, inspect.AnyType):
            return untyped(node)
        if isinstance(kind, inspect.DictType):
            if not isinstance(node, Section):
                return self._wrong(node, words(kind), path)
            found = {
                key: self._any_of(below, kind.value_type, (*path, key))
                for key, below in node.fields.items()
            }
            return {key: value for key, value in found.items() if value is not ABSENT}
        many = MANY.get(type(kind))
        if many is None or not isinstance(node, Items):
            return self._wrong(node, words(kind), path)
        return many(self._items(node, kind, path))

    def _items(self, node: Items, kind: Any, path: Path) -> list[Any]:
        types = kind.item_types if isinstance(kind, inspect.TupleType) else None
        if types is not None and len(types) != len(node.items):
            self._fault("CFG004", f"{len(types)} items are needed", node.place, path)
            return []
        values = [
            self._any_of(item, types[index] if types else kind.item_type, (*path, str(index)))
            for index, item in enumerate(node.items)
        ]
        return [value for value in values if value is not ABSENT]

    def _union(self, node: Node, kind: inspect.UnionType, path: Path) -> Any:
        members = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        if kind.includes_none and isinstance(node, Text) and node.empty:
            return None
        if len(members) == 1:
            return self._any_of(node, members[0], path)
        before = len(self.problems)
        for member in sorted(members, key=strictness):
            value = self._any_of(node, member, path)
            if len(self.problems) == before:
                return value
            del self.problems[before:]
        return self._wrong(node, " or ".join(words(member) for member in members), path)

    # --- one text ---

    def _text(self, node: Text, kind: inspect.Type, path: Path) -> Any:
        if type(kind) in MANY or isinstance(kind, inspect.DictType | inspect.StructType):
            return self._inline(node, kind, path)
        if isinstance(kind, inspect.LiteralType):
            return self._choice(node, {str(value): value for value in kind.values}, path)
        if isinstance(kind, inspect.EnumType):
            return self._choice(node, {str(one.value): one for one in kind.cls}, path)
        value = scalar(node, kind)
        if value is ABSENT:
            return self._wrong(node, words(kind), path)
        fault = outside(value, kind)
        if fault:
            self._fault("CFG004", f"{fault}, not {quoted(node)}", node.place, path)
            return ABSENT
        return value

    def _choice(self, node: Text, choices: dict[str, Any], path: Path) -> Any:
        lowered = {name.lower(): value for name, value in choices.items()}
        if node.text.lower() in lowered:
            return lowered[node.text.lower()]
        hint = nearest(node.text, choices)
        self._fault("CFG001", f"unknown value {quoted(node)}", node.place, path, hint)
        return ABSENT

    def _inline(self, node: Text, kind: inspect.Type, path: Path) -> Any:
        """A list or section in one text: `a,b` or YAML in brackets, as variables give it."""
        text = node.text.strip()
        if text.startswith(("[", "{")):
            try:
                return self._composite(parse_inline(text, node.place), kind, path)
            except (yaml.YAMLError, RecursionError):
                return self._wrong(node, words(kind), path)
        if type(kind) not in MANY:
            return self._wrong(node, words(kind), path)
        parts = [part.strip() for part in text.split(",")]
        items: list[Node] = [Text(part, _part(node.place, part)) for part in parts if part]
        return self._composite(Items(items, node.place), kind, path)

    # --- faults ---

    def _sane_measure(self, name: str, value: Any, place: Place, path: Path) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and value < 0 and _MEASURE.search(name):
            self._fault("CFG004", f"must not be negative, but is {value:g}", place, path)
            return False
        return True

    def _wrong(self, node: Node, wanted: str, path: Path) -> Any:
        self._fault("CFG003", f"expected {wanted}, got {quoted(node)}", node.place, path)
        return ABSENT

    def _fault(
        self, code: str, message: str, place: Place | None, path: Path, hint: str = ""
    ) -> None:
        self.problems.append(Problem(code, message, place, ".".join(path), hint))


def _plugin_of(kind: str, node: Node, key: str, place: Place | None) -> tuple[str, Place | None]:
    """Give the plug-in of a section: its own name, or what it says as `type`."""
    said = node.fields.get("type") if kind in _TYPED and isinstance(node, Section) else None
    if isinstance(said, Text) and not said.empty:
        return said.text, said.place
    return key, place


def _extra(kind: inspect.Type) -> dict[str, Any]:
    return (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}


def _not_given(node: Node, kind: inspect.Type) -> bool:
    """Nothing was written, or a `null` that means nothing there."""
    if not isinstance(node, Text) or not node.empty:
        return False
    return not node.text or not _may_be_none(kind)


def _may_be_none(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.UnionType) and kind.includes_none


def _is_off(node: Node) -> bool:
    """Whether somebody wrote `enabled: false` there. Then it does not matter whether we have it."""
    enabled = node.fields.get("enabled") if isinstance(node, Section) else None
    return isinstance(enabled, Text) and truth(enabled.text) is False


def _part(place: Place, part: str) -> Place:
    """The place of one part of a list that stands in one text."""
    at = place.text.find(part, max(0, place.column - 1))
    return place if at < 0 else msgspec.structs.replace(place, column=at + 1, width=len(part))
