import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sizes():
    spec = importlib.util.spec_from_file_location("sizes", ROOT / "tools" / "sizes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_file_is_over_budget(sizes):
    assert sizes.over_budget(sizes.files(ROOT)) == []


def test_long_files_need_a_reason_and_very_long_ones_have_none(sizes):
    measured = [
        sizes.Size(700, "src/a.py"),
        sizes.Size(500, "src/b.py"),
        sizes.Size(500, "tests/c.py"),
        *(sizes.Size(401, argued) for argued in sizes.REASONS),
    ]
    assert [fault.split()[0] for fault in sizes.over_budget(measured)] == ["src/a.py", "src/b.py"]


def test_a_reason_that_nobody_needs_is_told(sizes):
    assert "no more" in sizes.over_budget([])[0]


def test_the_tables_are_printed(sizes, tmp_path, capsys):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("def f():\n    pass\n")
    sizes.main(tmp_path)
    out = capsys.readouterr().out
    assert "     2  src/a.py" in out
    assert "src/a.py:1 f" in out
