import io

import pytest

from tapewatch.cli import main


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    from tapewatch.settings.environment import LISTED

    for listed in LISTED:
        monkeypatch.delenv(listed.name, raising=False)


@pytest.mark.parametrize(
    "venue",
    [
        "binance",
        "binance_futures",
        "okx",
        "bybit",
        "bybit_linear",
        "coinbase",
        "coinbase_advanced",
    ],
)
def test_every_venue_has_the_streams_that_are_written(tmp_path, monkeypatch, venue):
    assert main.main(["init", str(tmp_path / "new"), "--exchange", venue, "--yes"]) == 0
    monkeypatch.chdir(tmp_path / "new")
    assert main.main(["check"]) == 0


def test_what_is_written_passes_the_check(tmp_path, monkeypatch):
    folder = tmp_path / "new"
    arguments = ["--exchange", "binance", "--symbol", "btc-usdt", "--symbol", "SOLUSDT", "--yes"]
    assert main.main(["init", str(folder), *arguments]) == 0

    assert "symbols: [BTC/USDT, SOL/USDT]" in (folder / "tapewatch.yaml").read_text()
    assert "#SYMBOLS=" in (folder / ".env.example").read_text()
    monkeypatch.chdir(folder)
    assert main.main(["check", "--strict"]) == 0


def test_the_commented_settings_are_settings_too(tmp_path, monkeypatch):
    """Whoever takes the `# ` away in front of a block gets what it says."""
    main.main(["init", str(tmp_path), "--yes"])
    file = tmp_path / "tapewatch.yaml"
    text = file.read_text()
    head, _, rest = text.partition("# detectors:")
    block, _, tail = rest.partition("\nlog:")
    file.write_text(f"{head}detectors:{block.replace(chr(10) + '# ', chr(10))}\nlog:{tail}")
    monkeypatch.chdir(tmp_path)
    assert main.main(["check", "--strict"]) == 0


def test_nothing_is_overwritten(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("precious")
    assert main.main(["init", str(file), "--yes"]) == 2
    assert file.read_text() == "precious"

    (tmp_path / ".env.example").write_text("precious")
    assert main.main(["init", str(tmp_path), "--yes"]) == 0
    assert (tmp_path / ".env.example").read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--exchange", "binanse"], "did you mean binance"),
        (["--symbol", "??"], "BTC/USDT"),
        (["--symbol", "X"], "BTC/USDT"),
    ],
)
def test_what_does_not_exist_is_refused_and_nothing_written(tmp_path, capsys, arguments, words):
    assert main.main(["init", str(tmp_path / "new"), "--yes", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("answer", "code"), [("n\n", 2), ("\n", 0), ("y\n", 0)])
def test_a_person_is_asked(tmp_path, monkeypatch, answer, code):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main.main(["init", str(tmp_path / "new")]) == code
    assert (tmp_path / "new" / "tapewatch.yaml").exists() == (code == 0)


def test_a_folder_that_cannot_be_made_is_told(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main.main(["init", str(tmp_path / "file" / "x"), "--yes"]) == 2
    assert "cannot write" in capsys.readouterr().err
