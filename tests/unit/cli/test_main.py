import sys
from types import ModuleType

import pytest

from tapewatch import __version__
from tapewatch.cli import _commands, main
from tapewatch.model.errors import (
    ConfigError,
    Disconnected,
    NotFound,
    Rejected,
    Unavailable,
)


@pytest.fixture
def door(monkeypatch, tmp_path):
    """`main` over one command that does what the test says."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def door(does, *arguments):
        module = ModuleType("tapewatch.cli.act")

        def command(word: str = "", *, count: int = 1) -> int | None:
            """Act."""
            return does(word, count)

        module.command = command
        monkeypatch.setattr(_commands, "names", lambda: ["act", "check", "run"])
        monkeypatch.setattr(_commands, "load", lambda name: module)
        return main.main(["act", *arguments])

    return door


def raises(error):
    def act(word, count):
        raise error

    return act


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_told(option, capsys):
    assert main.main([option]) == 0
    assert capsys.readouterr().out == f"tapewatch {__version__}\n"


def test_no_command_shows_six_examples(capsys):
    assert main.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("  tapewatch ")]) == 6


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_lists_every_command_with_a_sentence(word, capsys):
    assert main.main([word]) == 0
    out = capsys.readouterr().out
    for name in _commands.names():
        assert f"\n  {name} " in out
        assert _commands.summary(name)


def test_listing_the_commands_imports_none_of_them(capsys):
    before = set(sys.modules)
    main.main(["--help"])
    assert not [name for name in set(sys.modules) - before if name.startswith("tapewatch.cli.")]


def test_an_unknown_command_gets_the_nearest(capsys):
    assert main.main(["chekc"]) == 2
    assert "did you mean `check`?" in capsys.readouterr().err


def test_an_option_before_the_command_is_told_where_it_goes(capsys):
    assert main.main(["--config"]) == 2
    assert "the command comes first" in capsys.readouterr().err


def test_arguments_reach_the_command_and_its_code_comes_back(door):
    seen = []
    assert door(lambda word, count: seen.append((word, count)), "hello", "--count", "3") == 0
    assert seen == [("hello", 3)]
    assert door(lambda word, count: 5) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cuont", "1"], "Did you mean --count?"),
        (["--count", "x"], "--count"),
        (["a", "b"], "Nobody expects 'b'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_nothing_runs(door, capsys, arguments, words):
    assert door(raises(AssertionError), *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("bad"), 2),
        (NotFound("symbol", "X", ("Y",)), 2),
        (Unavailable("away"), 3),
        (Disconnected("away"), 3),
        (Rejected("no", frozenset()), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(door, capsys, error, code):
    assert door(raises(error)) == code
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert str(error) in shown


def test_a_bug_leaves_a_report_without_what_may_be_secret(door, capsys, tmp_path):
    assert door(raises(ZeroDivisionError("oops")), "x=hunter2") == 70

    [report] = tmp_path.glob("tapewatch-crash-*.txt")
    shown = capsys.readouterr().err
    assert str(report) in shown
    assert "ZeroDivisionError: oops" in shown
    assert "Traceback" not in shown
    text = report.read_text()
    assert "Traceback" in text
    assert "hunter2" not in text


def test_help_of_one_command_comes_from_its_docstring(door, capsys):
    assert door(raises(AssertionError), "--help") == 0
    assert "Usage: tapewatch act" in capsys.readouterr().out
