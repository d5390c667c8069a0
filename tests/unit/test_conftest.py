"""The rules that `tests/conftest.py` enforces, tried on a suite of their own."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"


# In one process, and with workers: their reports come to the process that started them.
EACH_WAY = pytest.mark.parametrize("way", ["-n0", "-n2"])


def session(folder, way, **environ):
    clean = {k: v for k, v in os.environ.items() if k not in {"CI", "TAPEWATCH_CI"}}
    # Nothing but xdist is loaded: the rules are of pytest's own reports, and starting is all it costs.
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = ["-p", "xdist", "-p", "no:cacheprovider", "-q", way]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        env=clean | alone | environ, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def suite(tmp_path):
    def suite(reason):
        (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
        body = f"import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip({reason!r})\n"
        (tmp_path / "test_it.py").write_text(body)
        return tmp_path

    return suite


@EACH_WAY
def test_a_skip_fails_in_ci_and_only_there(suite, way):
    folder = suite("no server")
    assert session(folder, way).returncode == 0
    done = session(folder, way, TAPEWATCH_CI="1")
    assert done.returncode == 1
    assert "test_it.py::test_b" in done.stdout
    assert "1 passed, 1 skipped" in done.stdout


@EACH_WAY
def test_a_file_that_is_skipped_as_a_whole_fails_in_ci(suite, way):
    folder = suite("recorded frames are not here")
    (folder / "test_more.py").write_text("import pytest\npytest.importorskip('no_such_library')\n")
    done = session(folder, way, TAPEWATCH_CI="1")
    assert done.returncode == 1
    assert "no_such_library" in done.stdout.partition("CI must run them")[2]


@EACH_WAY
def test_a_skip_for_a_listed_reason_is_allowed_in_ci(suite, way):
    assert session(suite("recorded frames are not here"), way, CI="true").returncode == 0


def test_unit_tests_cannot_reach_a_network():
    with socket.socket() as sock, pytest.raises(AssertionError, match="without network"):
        sock.connect(("127.0.0.1", 1))
