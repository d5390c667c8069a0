import pytest

from tapewatch.settings.document import MAX_BYTES, parse
from tapewatch.settings.node import Items, Section, Text, find


def fault(data, variables=None):
    data = data if isinstance(data, bytes) else data.encode()
    _, problems = parse("f.yaml", data, variables or {})
    assert problems
    return problems[0]


def test_every_value_knows_where_it_stands():
    root, problems = parse("f.yaml", b"a:\n  b: [x, 'yz']\n", {})

    assert problems == []
    second = find(root, ("a", "b", "1"))
    assert isinstance(second, Text)
    assert (second.text, second.plain) == ("yz", False)
    assert str(second.place) == "f.yaml:2:10"
    assert str(root.fields["a"].keys["b"]) == "f.yaml:2:3"


def test_text_stays_as_it_was_written():
    root, _ = parse("f.yaml", b"a: NO\nb: 0123\nc: 12:30\nd: 1e6\n", {})
    assert [root.fields[key].text for key in "abcd"] == ["NO", "0123", "12:30", "1e6"]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: [1, 2\nb: 3\n", "CFG007", 2, 2),
        ("a:\n\tb: 1\n", "CFG007", 2, 1),
        ("a: 1\na: 2\n", "CFG008", 2, 1),
        ("a: b: c\n", "CFG007", 1, 5),
        ("a: !!python/object:os.system x\n", "CFG007", 1, 4),
        ("a: !mine x\n", "CFG007", 1, 4),
        ("a: \x00\n", "CFG007", 1, 4),
        (b"a: 1\nb: \xff\n", "CFG010", 2, 4),
        ("a: 1\n---\nb: 2\n", "CFG007", 2, 1),
        ("- a\n", "CFG007", 1, 1),
        ("just text\n", "CFG007", 1, 1),
        ("? [a]\n: 1\n", "CFG007", 1, 3),
        ("a: *nobody\n", "CFG007", 1, 4),
        ("a: ${NO_SUCH}\n", "CFG009", 1, 4),
    ],
)
def test_a_broken_file_is_told_with_line_and_column(text, code, line, column):
    problem = fault(text)
    assert (problem.code, problem.place.line, problem.place.column) == (code, line, column)


def test_a_tab_is_called_a_tab():
    assert "tab" in fault("a:\n\tb: 1\n").message


def test_a_double_key_names_the_line_of_the_first():
    assert "line 1" in fault("a: 1\n\na: 2\n").hint


def test_aliases_that_grow_without_end_are_refused():
    lines = ["a0: &a0 [x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)
    ]
    assert "grows by aliases" in fault("\n".join(lines)).message


def test_an_alias_of_itself_is_refused():
    assert "nested too deeply" in fault("a: &x [*x]\n").message


def test_deep_nesting_is_a_fault_and_no_crash():
    assert fault("a: " + "[" * 5000).code == "CFG007"


def test_a_huge_file_is_not_read():
    assert fault(b"#" * (MAX_BYTES + 1)).code == "CFG010"


@pytest.mark.parametrize("text", ["", "# only a comment\n", "~\n", "---\n"])
def test_an_empty_file_says_nothing(text):
    root, problems = parse("f.yaml", text.encode(), {})
    assert (root.fields, problems) == ({}, [])


def test_variables_are_filled_in_and_fall_back():
    text = b"a: ${HOST}\nb: 'x-${PORT:-80}'\nc: ${HOST:-no}\nd: $${HOST}\ne: ${EMPTY:-}\n"
    root, problems = parse("f.yaml", text, {"HOST": "h", "EMPTY": ""})

    assert problems == []
    assert [root.fields[key].text for key in "abcde"] == ["h", "x-80", "h", "${HOST}", ""]


def test_merged_keys_are_overruled_by_written_ones():
    root, problems = parse("f.yaml", b"base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\n", {})

    assert problems == []
    mine = root.fields["mine"]
    assert isinstance(mine, Section)
    assert {key: node.text for key, node in mine.fields.items()} == {"x": "1", "y": "3"}


def test_a_byte_order_mark_does_no_harm():
    root, problems = parse("f.yaml", b"\xef\xbb\xbfa: [b]\n", {})
    assert problems == []
    assert isinstance(root.fields["a"], Items)
