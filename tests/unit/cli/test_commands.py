from tapewatch.cli import _commands


def test_every_file_is_a_command_but_not_the_door_and_not_what_is_shared():
    names = _commands.names()
    assert {"check", "init", "version"} <= set(names)
    assert "main" not in names
    assert not [name for name in names if name.startswith("_")]


def test_every_command_has_a_function_or_sub_commands():
    for name in _commands.names():
        module = _commands.load(name)
        assert hasattr(module, "command") or hasattr(module, "app"), name


def test_the_summary_is_the_first_sentence_without_the_name(tmp_path, monkeypatch):
    (tmp_path / "act.py").write_text('"""`tapewatch act X`: does\nthis.\n\nMore.\n"""\n')
    monkeypatch.setattr(_commands.cli, "__path__", [str(tmp_path)])
    monkeypatch.setattr(_commands, "_module", lambda name: name)
    monkeypatch.syspath_prepend(tmp_path)
    assert _commands.names() == ["act"]
    assert _commands.summary("act") == "Does this"
