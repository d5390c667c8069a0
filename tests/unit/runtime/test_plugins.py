import pytest

from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.ports import Plugin
from tapewatch.runtime import plugins


def test_a_venue_is_found_by_its_file_name():
    assert "binance" in plugins.names("venues")
    assert isinstance(plugins.load("venues", "binance"), Plugin)


def test_shared_parts_are_no_plugins():
    assert not [name for name in plugins.names("venues") if name.startswith("_")]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match="unknown venue 'binanse'; did you mean binance"):
        plugins.load("venues", "binanse")


def test_a_file_without_plugin_says_so(monkeypatch):
    monkeypatch.setattr(plugins, "_import", lambda kind, name, outside: plugins)
    with pytest.raises(ConfigError, match="declares no PLUGIN"):
        plugins.load("venues", "binance")


def test_an_absent_library_names_the_extra(monkeypatch):
    def fail(path):
        raise ModuleNotFoundError("No module named 'redis'", name="redis")

    monkeypatch.setattr(plugins, "names", lambda kind: ["redis"])
    monkeypatch.setattr(plugins.importlib, "import_module", fail)
    with pytest.raises(ConfigError, match=r"pip install 'tapewatch\[redis\]'"):
        plugins.load("stores", "redis")
