"""The pure packages import with msgspec alone, as a worker elsewhere will import them."""

import subprocess
import sys

_PROGRAM = """
import importlib, pkgutil, sys

class OnlyMsgspec:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names | {"msgspec", "tapewatch"}:
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, OnlyMsgspec())
import tapewatch
count = 0
for package in ("model", "stream", "venues", "process", "news", "analysis", "rules"):
    folder = importlib.import_module(f"tapewatch.{package}")
    for module in pkgutil.iter_modules(folder.__path__):
        importlib.import_module(f"tapewatch.{package}.{module.name}")
        count += 1
importlib.import_module("tapewatch.ports")
print(count, *sorted({"asyncio", "socket", "logging", "random"} & set(sys.modules)))
"""


def test_the_core_needs_msgspec_and_nothing_else():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, *impure = done.stdout.split()
    assert int(count) > 20
    assert impure == []
