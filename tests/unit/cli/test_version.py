import msgspec

from tapewatch import __version__
from tapewatch.cli import main


def test_the_version_comes_with_what_it_runs_on(capsys):
    assert main.main(["version"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["tapewatch", __version__]


def test_the_version_as_json_is_one_object(capsys):
    assert main.main(["version", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out)["tapewatch"] == __version__
