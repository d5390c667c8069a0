"""run.py without installing anything: pip and venv are played by the test."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run.py"


@pytest.fixture
def run(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("run_under_test", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path / "clone"
    (root / "src" / "tapewatch" / "cli").mkdir(parents=True)
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-build.lock"):
        (root / name).write_text(name)
    (root / "pyproject.toml").write_text("")
    monkeypatch.setattr(module, "_ROOT", root)
    monkeypatch.delenv("TAPEWATCH_VENV", raising=False)
    monkeypatch.setattr(module, "_WINDOWS", False)
    return module


class Recorder:
    """What was installed and started; `fail_at` plays an interruption."""

    def __init__(self, module, monkeypatch):
        self.made = 0
        self.installed = []
        self.started = []
        self.fail_at = ""
        self._module = module
        monkeypatch.setattr(module, "_make", self._make)
        monkeypatch.setattr(module, "_pip", self._pip)
        monkeypatch.setattr(module, "_hand_over", self._hand_over)
        monkeypatch.setattr(module, "_works", lambda python, statement: Path(python).exists())

    def _make(self, folder):
        self.made += 1
        self._module._write_mark(folder, {})
        python = self._module._python(folder)
        python.parent.mkdir(parents=True)
        python.touch()

    def _pip(self, python, what, *arguments):
        if self.fail_at and self.fail_at in what:
            raise KeyboardInterrupt
        self.installed.append(arguments[-1].rpartition(os.sep)[2])

    def _hand_over(self, command):
        self.started.append([Path(command[0]).name, *command[1:]])
        return 0


@pytest.fixture
def machine(run, monkeypatch):
    return Recorder(run, monkeypatch)


def test_the_first_start_installs_what_is_pinned_and_the_second_nothing(run, machine):
    assert run.main(["demo", "--port", "0"]) == 0
    assert machine.made == 1
    assert machine.installed == ["requirements-build.lock", "clone", "requirements.lock"]
    assert machine.started == [["tapewatch", "demo", "--port", "0"]]

    run.main([])
    assert (machine.made, len(machine.installed)) == (1, 3)
    assert machine.started[-1] == ["tapewatch", "run"]


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["--basic"], ["run"]),
        (["--enhanced", "--set", "server.port=1"], ["run", "--set", "server.port=1"]),
        (["-c", "my.yaml"], ["run", "-c", "my.yaml"]),
        (["--version"], ["--version"]),
        (["help"], ["help"]),
        (["query", "sql", "select 1"], ["query", "sql", "select 1"]),
    ],
)
def test_old_options_and_commands_reach_the_product(run, machine, arguments, command):
    assert run.main(arguments) == 0
    assert machine.started == [["tapewatch", *command]]


@pytest.mark.parametrize(
    ("option", "name", "command"),
    [
        ("--status", "doctor", ["doctor"]),
        ("--test-db", "doctor", ["doctor", "--only", "stores"]),
        ("--analyze", "analyze", ["analyze"]),
    ],
)
def test_a_command_of_another_version_is_told_until_it_is_there(
    run, machine, capsys, option, name, command
):
    assert run.main([option]) == 2
    assert f"`{name}` is not in this version" in capsys.readouterr().err
    assert machine.started == []

    (run._ROOT / "src" / "tapewatch" / "cli" / f"{name}.py").touch()
    assert run.main([option]) == 0
    assert machine.started == [["tapewatch", *command]]


def test_tests_get_the_tools_and_their_options(run, machine, monkeypatch):
    monkeypatch.chdir(run._ROOT)
    assert run.main(["test", "-x", "--color=yes"]) == 0
    assert "requirements-dev.lock" in machine.installed
    side_by_side = ["-n", "auto", "--dist", "worksteal"]
    assert machine.started == [["python", "-m", "pytest", *side_by_side, "-x", "--color=yes"]]

    run.main(["--install"])  # the tools hold all that the product needs
    assert len(machine.installed) == 3


@pytest.mark.parametrize(
    "arguments",
    [["-n0"], ["-n", "4"], ["tests/test_a.py"], ["tests/test_a.py::test_b", "-x"], ["-k", "word"],
     ["--lf"], ["--version"], ["--numprocesses=4"]],
)  # fmt: skip
def test_a_part_of_the_tests_runs_in_one_process(run, machine, monkeypatch, arguments):
    monkeypatch.chdir(run._ROOT)
    (run._ROOT / "tests").mkdir()
    (run._ROOT / "tests" / "test_a.py").touch()
    assert run.main(["test", *arguments]) == 0
    assert machine.started == [["python", "-m", "pytest", *arguments]]


def test_an_interrupted_installation_is_made_anew(run, machine):
    machine.fail_at = "libraries"
    with pytest.raises(KeyboardInterrupt):
        run.main(["--install"])
    half = run._python(run._ROOT / ".venv")
    assert half.exists()

    machine.fail_at = ""
    assert run.main(["--install"]) == 0
    assert machine.made == 2
    assert machine.installed[-1] == "requirements.lock"


def test_an_interrupted_upgrade_is_made_anew(run, machine):
    run.main(["--install"])
    (run._ROOT / "requirements.lock").write_text("newer")
    machine.fail_at = "libraries"
    with pytest.raises(KeyboardInterrupt):
        run.main(["--install"])
    machine.fail_at = ""
    run.main(["--install"])
    assert machine.made == 2


def test_other_requirements_are_installed_into_the_same_folder(run, machine):
    run.main(["--install"])
    (run._ROOT / "requirements.lock").write_text("newer")
    run.main(["--install"])
    assert (machine.made, len(machine.installed)) == (1, 6)


def test_a_folder_that_lost_its_python_is_made_anew(run, machine):
    run.main(["--install"])
    run._python(run._ROOT / ".venv").unlink()
    run.main(["--install"])
    assert machine.made == 2


def test_a_torn_stamp_is_no_stamp(run, machine):
    run.main(["--install"])
    run._mark(run._ROOT / ".venv").write_text('{"runt')
    run.main(["--install"])
    assert machine.made == 2


def test_somebody_elses_folder_is_never_deleted(run, machine):
    folder = run._ROOT / ".venv"
    folder.mkdir()
    (folder / "precious").write_text("x")
    with pytest.raises(SystemExit, match="TAPEWATCH_VENV"):
        run.main(["--install"])
    assert (folder / "precious").read_text() == "x"
    assert machine.installed == []


def test_somebody_elses_folder_with_pip_is_used(run, machine):
    python = run._python(run._ROOT / ".venv")
    python.parent.mkdir(parents=True)
    python.touch()
    assert run.main(["--install"]) == 0
    assert (machine.made, len(machine.installed)) == (0, 3)


def test_the_folder_can_be_elsewhere(run, machine, monkeypatch, tmp_path):
    monkeypatch.setenv("TAPEWATCH_VENV", str(tmp_path / "elsewhere"))
    run.main(["--install"])
    assert json.loads((tmp_path / "elsewhere" / "tapewatch-installed.json").read_text())


def test_a_python_that_is_too_old_is_told_what_to_install(run, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 8, 1))
    monkeypatch.setattr(run.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer and this is 3\.8\.1"):
        run.main([])


def test_a_newer_python_at_hand_takes_over(run, machine, monkeypatch):
    monkeypatch.setattr(run.sys, "version_info", (3, 8, 1))
    monkeypatch.setattr(run.shutil, "which", lambda name: sys.executable)
    with pytest.raises(SystemExit) as caught:
        run.main(["demo"])
    assert caught.value.code == 0
    assert machine.started[0][1:] == [str(RUN), "demo"]


def test_a_python_without_venv_is_told_what_to_install(run, monkeypatch):
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="venv or pip is missing"):
        run.main(["--install"])


def test_help_needs_no_installation():
    done = subprocess.run(
        [sys.executable, str(RUN), "--help"], capture_output=True, text=True, check=True
    )
    assert "run.py demo" in done.stdout
