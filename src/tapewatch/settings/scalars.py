"""Read one text by its type, and the words for what was expected.

Texts come from YAML, from variables and from options alike; what a type accepts does not depend
on where it was written.
"""

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from msgspec import inspect

from tapewatch.settings.node import Items, Node, Section, Text

ABSENT: Any = object()  # nothing usable was written: the default stands, or it was told
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_WHOLE = re.compile(r"[+-]?\d+(_\d+)*")
_LONGEST = 40  # digits; int() of a whole file takes minutes


MANY: dict[type, Callable[[list[Any]], Any]] = {
    inspect.ListType: list,
    inspect.VarTupleType: tuple,
    inspect.TupleType: tuple,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
}
_WORDS: dict[type, str] = {
    inspect.BoolType: "true or false",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.DictType: "a section with keys",
    inspect.StructType: "a section with keys",
    inspect.CustomType: "text",
}


def words(kind: inspect.Type) -> str:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return "a list" if type(kind) in MANY else _WORDS.get(type(kind), "another value")


def strictness(kind: inspect.Type) -> int:
    """Try what accepts least first: `5` is a number before it is text."""
    order = (inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType)
    return order.index(type(kind)) if type(kind) in order else -1


def scalar(node: Text, kind: inspect.Type) -> Any:
    """Give the value, or ABSENT if this text is none of that type."""
    read = _READ.get(type(kind))
    if read is not None:
        return read(node.text)
    if isinstance(kind, inspect.CustomType):
        return kind.cls(node.text)
    return untyped(node) if isinstance(kind, inspect.AnyType) else ABSENT


def truth(text: str) -> Any:
    """True, False, or ABSENT for what is neither."""
    lowered = text.strip().lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else ABSENT


def _whole(text: str) -> Any:
    return int(text) if len(text) < _LONGEST and _WHOLE.fullmatch(text.strip()) else ABSENT


def _finite(text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return ABSENT
    return number if math.isfinite(number) else ABSENT


_READ: dict[type, Callable[[str], Any]] = {
    inspect.StrType: str,
    inspect.BoolType: truth,
    inspect.IntType: _whole,
    inspect.FloatType: _finite,
}


def outside(value: Any, kind: Any) -> str:
    """Say which bound a number or text breaks."""
    if isinstance(kind, inspect.StrType):
        if kind.pattern is not None and not re.search(kind.pattern, value):
            return f"must look like {kind.pattern}"
        short = kind.min_length is not None and len(value) < kind.min_length
        return f"must have at least {kind.min_length} characters" if short else ""
    if not isinstance(kind, inspect.IntType | inspect.FloatType):
        return ""
    bounds = [
        (word, bound, holds)
        for word, bound, holds in (
            ("at least", kind.ge, operator.ge),
            ("more than", kind.gt, operator.gt),
            ("at most", kind.le, operator.le),
            ("less than", kind.lt, operator.lt),
        )
        if bound is not None
    ]
    if all(holds(value, bound) for _, bound, holds in bounds):
        return ""
    return "must be " + " and ".join(f"{word} {bound}" for word, bound, _ in bounds)


def untyped(node: Node) -> Any:
    """Read without a type, as YAML would: for what only a plug-in understands."""
    if isinstance(node, Items):
        return [untyped(item) for item in node.items]
    if isinstance(node, Section):
        return {key: untyped(below) for key, below in node.fields.items()}
    if not node.plain or node.empty:
        return None if node.empty else node.text
    if node.text.lower() in {"true", "false"}:
        return truth(node.text)
    numbers = (_whole(node.text), _finite(node.text), node.text)
    return next(value for value in numbers if value is not ABSENT)


def quoted(node: Node) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Section):
        return "a section"
    if node.empty:
        return "nothing"
    return f"'{node.text}'" if len(node.text) <= 60 else f"'{node.text[:57]}...'"
