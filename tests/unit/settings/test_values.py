from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from tapewatch.model.errors import ConfigError
from tapewatch.model.secret import Secret
from tapewatch.settings.document import parse
from tapewatch.settings.values import Values, nearest


class Colour(Enum):
    RED = "red"


class Inner(Struct, frozen=True, kw_only=True):
    must: int
    may: int = 0


class All(Struct, frozen=True, kw_only=True):
    flag: bool = False
    whole: Annotated[int, Meta(ge=1, le=10)] = 1
    number: float = 0.0
    text: str = ""
    code: Annotated[str, Meta(pattern=r"^[a-z]+$", min_length=2)] = "ab"
    maybe: int | None = 7
    either: int | str = 0
    secret: Secret | None = None
    colour: Colour = Colour.RED
    word: Literal["one", "two"] = "one"
    many: tuple[int, ...] = ()
    pair: tuple[int, str] = (0, "")
    bag: frozenset[str] = frozenset()
    table: dict[str, float] = {}
    anything: Any = None
    inner: Inner | None = None
    wait_secs: float = 1.0

    def __post_init__(self):
        if self.whole == 9:
            raise ValueError("whole: must not be nine")
        if self.whole == 8:
            raise ValueError("nothing goes with eight")


def read(text, config_of=None):
    root, faults = parse("f", text.encode(), {})
    assert faults == []
    values = Values(config_of or (lambda kind, name: Inner))
    return values.read(root, All), values.problems


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("flag: yes", "flag", True),
        ("flag: 'off'", "flag", False),
        ("whole: 1_0", "whole", 10),
        ("whole: '3'", "whole", 3),
        ("number: 1e3", "number", 1000.0),
        ("number: 5", "number", 5.0),
        ("text: 0123", "text", "0123"),
        ("text: NO", "text", "NO"),
        ("maybe: null", "maybe", None),
        ("maybe:", "maybe", 7),
        ("either: 5", "either", 5),
        ("either: five", "either", "five"),
        ("secret: 0123", "secret", Secret("0123")),
        ("colour: RED", "colour", Colour.RED),
        ("word: Two", "word", "two"),
        ("many: [1, 2]", "many", (1, 2)),
        ("many: 1, 2", "many", (1, 2)),
        ("many: '[1, 2]'", "many", (1, 2)),
        ("many: 1", "many", (1,)),
        ("pair: [1, a]", "pair", (1, "a")),
        ("bag: [a, a]", "bag", frozenset({"a"})),
        ("table: {a: 1}", "table", {"a": 1.0}),
        ("table: '{a: 1}'", "table", {"a": 1.0}),
        ("inner: {must: 1}", "inner", Inner(must=1)),
        (
            "anything: [1, 2.5, yes, 'no', true, null, {a: '1'}]",
            "anything",
            [1, 2.5, "yes", "no", True, None, {"a": "1"}],
        ),
    ],
)
def test_a_text_is_read_by_the_type_that_asks_for_it(text, field, value):
    made, problems = read(text)
    assert problems == []
    assert getattr(made, field) == value


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("flag: maybe", "CFG003", "flag"),
        ("whole: 2.5", "CFG003", "whole"),
        ("whole: 11", "CFG004", "whole"),
        ("whole: " + "9" * 100_000, "CFG003", "whole"),
        ("whole: [1]", "CFG003", "whole"),
        ("number: .nan", "CFG003", "number"),
        ("number: nan", "CFG003", "number"),
        ("number: inf", "CFG003", "number"),
        ("number: 1e999", "CFG003", "number"),
        ("code: AB", "CFG004", "code"),
        ("code: a", "CFG004", "code"),
        ("colour: blue", "CFG001", "colour"),
        ("word: three", "CFG001", "word"),
        ("many: {a: 1}", "CFG003", "many"),
        ("many: [1, x]", "CFG003", "many.1"),
        ("many: '[1,'", "CFG003", "many"),
        ("pair: [1]", "CFG004", "pair"),
        ("table: [a]", "CFG003", "table"),
        ("table: {a: x}", "CFG003", "table.a"),
        ("either: [1]", "CFG003", "either"),
        ("inner: 5", "CFG003", "inner"),
        ("inner: {}", "CFG005", "inner.must"),
        ("inner: {must: 1, most: 2}", "CFG002", "inner.most"),
        ("wait_secs: -1", "CFG004", "wait_secs"),
        ("whole: 9", "CFG006", "whole"),
        ("whole: 8", "CFG006", ""),
    ],
)
def test_a_text_of_no_use_is_one_fault_at_its_path(text, code, path):
    made, problems = read(text)
    assert [(p.code, p.path) for p in problems] == [(code, path)]
    assert problems[0].place.line == 1
    assert made is None or isinstance(made, All)


def test_a_fault_in_a_list_given_as_one_text_points_at_the_part():
    _, problems = read("many: 1,x,3")
    assert (problems[0].place.column, problems[0].place.width) == (9, 1)


def test_a_contradiction_is_not_told_of_values_that_are_faulty_anyway():
    _, problems = read("whole: 9\nnumber: x\n")
    assert [p.path for p in problems] == ["number"]


def test_a_plug_in_that_lacks_its_library_says_so_at_its_name():
    class Holder(Struct):
        stores: Annotated[dict[str, Any], Meta(extra={"sections": "stores"})] = {}

    def config_of(kind, name):
        raise ConfigError("redis needs the library redis: pip install 'tapewatch[redis]'")

    root, _ = parse("f", b"stores:\n  redis: {}\n", {})
    values = Values(config_of)
    values.read(root, Holder)
    assert [(p.place.line, "pip install" in p.message) for p in values.problems] == [(2, True)]


def test_the_nearest_name_is_found_in_any_case_and_a_short_list_is_given_whole():
    assert nearest("BinanSe", ["binance", "okx"]) == "did you mean `binance`?"
    assert nearest("qqq", ["b", "a"]) == "there is: a, b"
    assert nearest("qqq", [f"name{n}" for n in range(50)]) == ""
