import msgspec
import pytest

from tapewatch.cli import main

GOOD = "exchanges:\n  binance:\n    symbols: [BTC/USDT]\n    streams: [ticker, depth]\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from tapewatch.settings.environment import LISTED

    for listed in LISTED:
        monkeypatch.delenv(listed.name, raising=False)

    def write(text):
        path = tmp_path / "tapewatch.yaml"
        path.write_text(text)
        return path

    return write


def test_good_settings_pass(file, capsys):
    file(GOOD)
    assert main.main(["check", "--strict"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, "valid" in shown.err) == ("", True)


def test_defaults_alone_pass(file, capsys):
    assert main.main(["check", "--strict"]) == 0


def test_bad_settings_are_told_and_the_code_is_two(file, capsys):
    file(GOOD.replace("symbols", "symbol"))
    assert main.main(["check"]) == 2
    shown = capsys.readouterr().err
    assert ":3:5  (at exchanges.binance.symbol)" in shown
    assert "did you mean `symbols`?" in shown


def test_a_stream_that_the_venue_does_not_have_is_told_at_its_line(file, capsys):
    file(GOOD.replace("depth", "depht"))
    assert main.main(["check"]) == 2
    shown = capsys.readouterr().err
    assert ":4:23  (at exchanges.binance.streams.1)" in shown
    assert "depth" in shown.split("did you mean")[1]


def test_strict_is_not_content_with_notices(file, capsys):
    file(GOOD + "storage: {backend: redis}\n")
    assert main.main(["check"]) == 0
    assert main.main(["check", "--strict"]) == 1
    assert "memory is used" in capsys.readouterr().err


def test_faults_as_json_go_to_stdout(file, capsys):
    path = file(GOOD + "server: {port: x}\n")
    assert main.main(["check", "--format", "json"]) == 2
    [fault] = msgspec.json.decode(capsys.readouterr().out)
    assert (fault["source"], fault["line"], fault["path"]) == (path.name, 5, "server.port")


def test_faults_for_github_are_annotations(file, capsys):
    file(GOOD + "server: {port: x}\n")
    assert main.main(["check", "--format", "github"]) == 2
    assert capsys.readouterr().out.startswith("::error file=tapewatch.yaml,line=5,col=16,")


def test_show_names_the_origin_of_each_value(file, capsys, monkeypatch):
    file(GOOD)
    monkeypatch.setenv("PORT", "9000")
    assert main.main(["check", "--show", "--set", "log.level=debug"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "server.port = 9000 # environment variable PORT" in lines
    assert 'log.level = "DEBUG" # --set' in lines
    assert 'exchanges.binance.symbols = ["BTC/USDT"] # tapewatch.yaml:3' in lines


def test_the_schema_is_json_and_knows_the_venues(file, capsys):
    assert main.main(["check", "--schema"]) == 0
    schema = msgspec.json.decode(capsys.readouterr().out)
    exchanges = schema["$defs"]["Settings"]["properties"]["exchanges"]
    assert "binance" in exchanges["properties"]
