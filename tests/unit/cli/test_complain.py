import pytest

from tapewatch.cli import _complain
from tapewatch.model.errors import ConfigError
from tapewatch.settings.problems import InvalidSettings, Problem


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_an_error_is_a_sentence_on_stderr(capsys):
    assert _complain.say(ConfigError("port is taken")) == 2
    assert capsys.readouterr().err == "error: port is taken\n"


def test_settings_are_told_with_their_notices(capsys):
    error = InvalidSettings([Problem("CFG001", "bad")], [Problem("CFG101", "later")])
    assert _complain.say(error) == 2
    assert capsys.readouterr().err == (
        "warning[CFG101]: later\n\nerror[CFG001]: bad\n\n1 problem found. Nothing was started.\n"
    )


def test_colour_is_for_terminals_and_for_those_who_ask(monkeypatch, capsys):
    _complain.tell("error: x")
    assert "\x1b" not in capsys.readouterr().err
    monkeypatch.setenv("FORCE_COLOR", "1")
    _complain.tell("error: x")
    assert capsys.readouterr().err == "\x1b[1;31merror\x1b[0m: x\n"
    monkeypatch.setenv("NO_COLOR", "1")
    _complain.tell("error: x")
    assert "\x1b" not in capsys.readouterr().err


def test_an_exit_code_survives_when_nobody_reads_the_words(monkeypatch):
    class Closed:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Closed())
    assert _complain.say(ConfigError("port is taken")) == 2


def test_a_bug_is_told_in_the_terminal_when_no_report_can_be_written(monkeypatch, capsys):
    def full(**_):
        raise OSError("disk full")

    monkeypatch.setattr("tempfile.mkstemp", full)
    assert _complain.bug(ValueError("x"), []) == 70
    assert "ValueError: x" in capsys.readouterr().err
