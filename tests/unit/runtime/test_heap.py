"""What glibc does with large blocks. Its own count of them is asked, not the system's memory."""

import platform
import subprocess
import sys

import pytest

from tapewatch.runtime import heap

# In a process of its own: one that ran long has room on its heap, which is always used first.
LIFE = """
import ctypes
from tapewatch.runtime import heap

class Figures(ctypes.Structure):  # mallinfo; `hblks`: blocks that the system gave by themselves
    _fields_ = [(name, ctypes.c_int) for name in ("arena", "ordblks", "smblks", "hblks")]
    _fields_ += [("rest", ctypes.c_int * 6)]

mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Figures
if {kept}:
    heap.keep_little()
before = mallinfo().hblks
larger = bytearray(8 << 20)
del larger
large = bytearray(2 << 20)
print(mallinfo().hblks - before)
"""
glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc",
    reason="the sizes are glibc's: not on Linux is where it is not",
)


@glibc
@pytest.mark.parametrize(("kept", "by_itself"), [(True, "1"), (False, "0")])
def test_a_large_block_comes_by_itself_also_after_a_larger_one_was_given_back(kept, by_itself):
    life = [sys.executable, "-c", LIFE.format(kept=kept)]
    assert subprocess.check_output(life, text=True).strip() == by_itself


def test_where_there_are_no_such_sizes_nothing_happens(monkeypatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    heap.keep_little()
