import msgspec
import pytest

from tapewatch.settings.problems import (
    CODES,
    InvalidSettings,
    Place,
    Problem,
    mask,
    to_github,
    to_json,
)

PLACE = Place("a.yaml", 4, 23, 5, "    streams: [trades, depht]")
PROBLEM = Problem("CFG001", "unknown value 'depht'", PLACE, "x.streams.1", "did you mean `depth`?")


def test_a_problem_shows_its_line_and_marks_the_value():
    assert str(PROBLEM) == (
        "error[CFG001]: unknown value 'depht'\n"
        "  --> a.yaml:4:23  (at x.streams.1)\n"
        "   |\n"
        " 4 |     streams: [trades, depht]\n"
        "   |                       ^^^^^ did you mean `depth`?"
    )


def test_a_long_line_is_cut_around_the_mark():
    text = "a: [" + "x, " * 1000 + "HERE]"
    shown = str(Problem("CFG001", "m", Place("f", 1, text.index("HERE") + 1, 4, text)))
    line, marks = shown.splitlines()[-2:]
    assert len(line) < 140
    assert line[marks.index("^") : marks.rindex("^") + 1] == "HERE"


def test_a_problem_without_a_line_still_gives_its_hint():
    shown = str(Problem("CFG010", "cannot read f", Place("f"), hint="write one"))
    assert shown == "error[CFG010]: cannot read f\n  --> f\n   = write one"


def test_problems_as_json_carry_file_line_and_column():
    [one] = msgspec.json.decode(to_json([PROBLEM]))
    assert (one["source"], one["line"], one["column"]) == ("a.yaml", 4, 23)
    assert (one["severity"], one["code"], one["path"]) == ("error", "CFG001", "x.streams.1")


def test_problems_for_github_are_annotations():
    assert to_github([PROBLEM]) == (
        "::error file=a.yaml,line=4,col=23,title=CFG001::"
        "x.streams.1: unknown value 'depht'; did you mean `depth`?"
    )
    notice = Problem("CFG101", "50% of\nit", Place("environment variable X"))
    assert to_github([notice]) == "::warning title=CFG101::50%25 of%0Ait"


def test_the_count_of_problems_is_told():
    assert str(InvalidSettings([PROBLEM])).endswith("\n\n1 problem found. Nothing was started.")
    assert "2 problems found" in str(InvalidSettings([PROBLEM, PROBLEM]))


def test_every_code_is_known():
    assert PROBLEM.code in CODES


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password: hunter2 # x", "password: ******* # x"),
        ("  'smtp_password': 'a b', x: 1", "  'smtp_password': *****, x: 1"),
        ("INFLUXDB_TOKEN=abc", "INFLUXDB_TOKEN=***"),
        ("url: redis://u:pw@host/0", "url: redis://u:**@host/0"),
        (
            "TAPEWATCH__NOTIFY__SLACK__WEBHOOK_URL=http://x",
            "TAPEWATCH__NOTIFY__SLACK__WEBHOOK_URL=********",
        ),
        ("symbols: [BTC/USDT]", "symbols: [BTC/USDT]"),
        ("    pasword: hunter2", "    pasword: *******"),
        ("    secrt: hunter2", "    secrt: *******"),
    ],
)
def test_secrets_become_stars_and_nothing_moves(text, shown):
    assert mask(text) == shown
    assert len(mask(text)) == len(text)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("uri: https://hooks.example/T0/B0/key", "uri: https://hooks.example/*********"),
        ("- [tgram://BOT/CHAT]", "- [tgram://********]"),
        ('url: ["wss://a.example:9/key?x=1"]', 'url: ["wss://a.example:9/*******"]'),
        ("rest_url: https://api.example", "rest_url: https://api.example"),
    ],
)
def test_a_line_is_shown_without_the_part_of_an_address_that_may_be_a_key(line, shown):
    assert f"| {shown}\n" in str(Problem("CFG002", "unknown field", Place("x.yaml", 4, 1, 3, line)))
