"""Settings as they were written: a tree of texts, each with its place.

Scalars stay text until a type asks for something (`values.py`). So a password `0123` keeps its
zero, `NO` can be a coin, and what comes from YAML, from the environment and from `--set` is read
by one rule.
"""

from collections.abc import Iterator

from msgspec import Struct, field

from tapewatch.settings.problems import Place

Path = tuple[str, ...]


class Text(Struct):
    """A scalar. `plain`: written without quotes, so that `null` and nothing mean no value."""

    text: str
    place: Place
    plain: bool = True

    @property
    def empty(self) -> bool:
        return self.plain and self.text in {"", "~", "null", "Null", "NULL"}


class Items(Struct):
    items: "list[Node]"
    place: Place


class Section(Struct):
    """A mapping. `keys` are the places of the keys, for faults of the key itself."""

    fields: "dict[str, Node]"
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)


Node = Text | Items | Section


def find(node: "Node | None", path: Path) -> "Node | None":
    """Give what stands at a path; None if nothing was written there."""
    for step in path:
        if isinstance(node, Section):
            node = node.fields.get(step)
        elif isinstance(node, Items) and step.isdigit() and int(step) < len(node.items):
            node = node.items[int(step)]
        else:
            return None
    return node


def place_of(root: Section, path: Path) -> Place | None:
    """Give the place of the value at a path, else of the nearest section above it."""
    while path:
        found = find(root, path)
        if found is not None:
            return key_place(root, path) if isinstance(found, Section) else found.place
        path = path[:-1]
    return None


def key_place(root: Section, path: Path) -> Place | None:
    """Give the place of the key at a path."""
    above = find(root, path[:-1])
    if isinstance(above, Section) and path:
        return above.keys.get(path[-1], above.place)
    return None


def put(root: Section, path: Path, node: "Node", key: Place) -> bool:
    """Write a value over what stands there. False: something above it is not a section."""
    section = root
    for step in path[:-1]:
        below = section.fields.get(step)
        if below is None or (isinstance(below, Text) and below.empty):
            below = section.fields[step] = Section({}, key)
            section.keys[step] = key
        if not isinstance(below, Section):
            return False
        section = below
    section.fields[path[-1]] = node
    section.keys[path[-1]] = key
    return True


def texts(node: "Node") -> "Iterator[tuple[Path, Text]]":
    """Every scalar with its path."""
    if isinstance(node, Text):
        yield (), node
    elif isinstance(node, Items):
        for index, item in enumerate(node.items):
            for path, text in texts(item):
                yield (str(index), *path), text
    else:
        for key, below in node.fields.items():
            for path, text in texts(below):
                yield (key, *path), text
