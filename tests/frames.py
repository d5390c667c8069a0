"""Where the recorded frames are, if they are here: `../shared/frames` beside the project.

They are not part of the project. A test that needs them is skipped, visibly, where they are not.
"""

import gzip
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def folder() -> Path | None:
    """Walk up from the project: the first `../shared/frames` there is."""
    for above in _ROOT.parents:
        found = above / "shared" / "frames"
        if found.is_dir():
            return found
    return None


def recording(path: str) -> list[bytes]:
    """Lines of one recording, or a skip that says what is missing."""
    found = folder()
    if found is None:
        pytest.skip("the recorded frames (../shared/frames) are not on this machine")
    file = found / path
    if not file.is_file():
        pytest.skip(f"this copy of the recorded frames has no {path}")
    body = file.read_bytes()
    if path.endswith(".gz"):
        body = gzip.decompress(body)
    return body.splitlines()
