# ruff: noqa: INP001, T201 - a script, not a package; it talks to whoever runs it
"""Take the README's picture: the status page of a running demo. `python tools/picture.py`.

Needs Chromium. The demo runs for a little more than a minute first, so that candles have closed.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "status.png"
_WARM_UP_SECS = 75
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1180,1180", "--virtual-time-budget=4000",
)  # fmt: skip


def main() -> int:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        print("Chromium is needed: sudo apt install chromium", file=sys.stderr)
        return 2
    tapewatch = Path(sys.executable).with_name("tapewatch")
    demo = subprocess.Popen(  # noqa: S603 - our own command
        [tapewatch, "demo", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert demo.stderr is not None
    try:
        url = next(line.split()[1] for line in demo.stderr if line.startswith("→ "))
        print(f"{url}: taking the picture in {_WARM_UP_SECS} s", file=sys.stderr)
        time.sleep(_WARM_UP_SECS)
        _TARGET.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run(  # noqa: S603 - found on the path above
                [browser, *_FLAGS, f"--user-data-dir={profile}", f"--screenshot={_TARGET}", url],
                check=True,
                stderr=subprocess.DEVNULL,
            )
    finally:
        demo.terminate()
        demo.wait(30)
    print(_TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
