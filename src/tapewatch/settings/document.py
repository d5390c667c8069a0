"""Read YAML into a tree of texts with places. Knows no setting and no type.

PyYAML's own conversion is not used, only its syntax tree: YAML 1.1 reads `NO` as false and
`12:30` as 750, and a double key keeps the last value without a word.
"""

import re
from collections.abc import Mapping

import yaml

from tapewatch.settings.node import Items, Node, Section, Text
from tapewatch.settings.problems import Place, Problem

MAX_BYTES = 1 << 20
_MAX_NODES = 50_000  # aliases of aliases grow without end
_MAX_DEPTH = 40
_PREFIX = "tag:yaml.org,2002:"
_TAGS = {"null", "bool", "int", "float", "str", "seq", "map", "timestamp", "merge", "value"}
_VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def parse(source: str, data: bytes, variables: Mapping[str, str]) -> tuple[Section, list[Problem]]:
    """Give the tree and all faults. `${NAME}` in values is replaced from `variables`."""
    reader = _Reader(source, variables)
    root = reader.read(data)
    if isinstance(root, Section):
        return root, reader.problems
    if root is not None and not (isinstance(root, Text) and root.empty):
        message = "settings are sections with keys, like `exchanges:`; this is something else"
        reader.problems.append(Problem("CFG007", message, root.place))
    return Section({}, Place(source)), reader.problems


def parse_inline(text: str, place: Place) -> Node:
    """Read `[a, b]` or `{a: 1}` as it stands in a variable or option. Raises yaml.YAMLError."""
    reader = _Reader(place.source, {}, within=place)
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        node = Text("", place) if root is None else reader.convert(root, 0)
    finally:
        loader.dispose()
    if reader.problems:
        raise yaml.YAMLError(reader.problems[0].message)
    return node


class _Reader:
    def __init__(
        self, source: str, variables: Mapping[str, str], within: Place | None = None
    ) -> None:
        self.problems: list[Problem] = []
        self._source = source
        self._variables = variables
        self._within = within
        self._lines: list[str] = []
        self._nodes = 0

    def read(self, data: bytes) -> Node | None:
        if len(data) > MAX_BYTES:
            self._fault(
                "CFG010", f"the file has {len(data)} bytes; settings have at most {MAX_BYTES}"
            )
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._bad_bytes(data, error)
            return None
        self._lines = text.splitlines()
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            return None if root is None else self.convert(root, 0)
        except yaml.MarkedYAMLError as error:
            self._bad_syntax(error)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position)
            column = error.position - (text.rfind("\n", 0, error.position) + 1)
            message = f"the character U+{ord(text[error.position]):04X} cannot stand in YAML"
            self._fault("CFG007", message, self._place(line, column, 1))
        except RecursionError:
            self._fault("CFG007", "this is nested too deeply to be settings")
        return None

    def convert(self, node: yaml.Node, depth: int) -> Node:
        place = self._place_of(node)
        self._nodes += 1
        if depth > _MAX_DEPTH or self._nodes > _MAX_NODES:
            if self._nodes <= 2 * _MAX_NODES:
                self._nodes = 2 * _MAX_NODES + 1  # told once, and from here on nothing is read
                self._fault("CFG007", "this is nested too deeply, or grows by aliases", place)
            return Text("", place)
        if node.tag.removeprefix(_PREFIX) not in _TAGS:
            self._fault("CFG007", f"the tag {node.tag} means nothing here", place, "leave it out")
        if isinstance(node, yaml.ScalarNode):
            return self._text(node, place)
        if isinstance(node, yaml.SequenceNode):
            return Items([self.convert(below, depth + 1) for below in node.value], place)
        return self._section(node, depth, place)

    def _section(self, node: yaml.Node, depth: int, place: Place) -> Section:
        section = Section({}, place)
        merged: list[Section] = []
        for key, value in node.value:
            spot = self._place_of(key)
            if key.tag == f"{_PREFIX}merge":
                below = self.convert(value, depth + 1)
                found = below.items if isinstance(below, Items) else [below]
                merged += [one for one in found if isinstance(one, Section)]
            elif not isinstance(key, yaml.ScalarNode):
                self._fault("CFG007", "a key must be a name", spot)
            elif key.value in section.fields:
                first = section.keys[key.value].line
                hint = f"it stands in line {first} already; keep one of them"
                self._fault("CFG008", f"the key {key.value!r} twice", spot, hint)
            else:
                section.fields[key.value] = self.convert(value, depth + 1)
                section.keys[key.value] = spot
        for other in merged:
            for name, value in other.fields.items():
                if name not in section.fields:
                    section.fields[name] = value
                    section.keys[name] = other.keys[name]
        return section

    def _text(self, node: yaml.ScalarNode, place: Place) -> Text:
        text = str(node.value)
        if "${" not in text:
            return Text(text, place, plain=node.style is None)
        missing: list[str] = []

        def fill(found: re.Match[str]) -> str:
            if found[1]:
                return "${"
            value = self._variables.get(found[2], "")
            if value or found[3] is not None:
                return value or str(found[3])
            missing.append(found[2])
            return ""

        filled = _VARIABLE.sub(fill, text)
        for name in missing:
            hint = f"set it, or give a value to fall back on: ${{{name}:-value}}"
            self._fault("CFG009", f"the variable {name} is not set", place, hint)
        return Text(filled, place, plain=node.style is None)

    def _place_of(self, node: yaml.Node) -> Place:
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 1
        return self._place(start.line, start.column, max(1, width))

    def _place(self, line: int, column: int, width: int) -> Place:
        if self._within is not None:
            return self._within
        text = self._lines[line] if line < len(self._lines) else ""
        return Place(self._source, line + 1, column + 1, width, text)

    def _fault(self, code: str, message: str, place: Place | None = None, hint: str = "") -> None:
        self.problems.append(Problem(code, message, place or Place(self._source), hint=hint))

    def _bad_syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        place = self._place(mark.line, mark.column, 1) if mark else None
        problem = error.problem or error.context or "this is not YAML"
        hint = ""
        if "\\t" in problem:
            problem, hint = "a tab where only spaces may stand", "indent with spaces"
        elif "mapping values are not allowed" in problem:
            hint = "is the line above complete, and a text with a colon in quotes?"
        elif "block end" in problem or "block mapping" in problem:
            hint = "is this indented like its neighbours?"
        self._fault("CFG007", f"this is not YAML: {problem}", place, hint)

    def _bad_bytes(self, data: bytes, error: UnicodeDecodeError) -> None:
        before = data[: error.start]
        line, column = before.count(b"\n"), error.start - (before.rfind(b"\n") + 1)
        place = Place(self._source, line + 1, column + 1)
        self._fault("CFG010", "the file is not UTF-8 text", place, "save it as UTF-8")
