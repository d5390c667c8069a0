"""What the C library keeps of the memory that is given back to it.

glibc asks the system for a block of its own when something large is wanted, and gives it back at
once; but each such block that is freed raises the size from which it does so, up to 32 MB. The
processors' checkpoint is some megabytes, several times over while it is encoded, every ten seconds:
soon it lies on the heap, between things that stay, and the process is ten megabytes larger or
smaller, by chance. With sizes that are fixed it has what it uses.
"""

import ctypes
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD = -1  # malloc.h
_M_MMAP_THRESHOLD = -3

# Above the lists of a busy loop, which would cost page faults each time; below a checkpoint.
_LARGE_BYTES = 1 << 20


def keep_little() -> None:
    """Fix the sizes. Other C libraries (musl, macOS, Windows) have no such thing and need none."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
