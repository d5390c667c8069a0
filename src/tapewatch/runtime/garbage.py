"""The garbage collector, told what kind of process this is.

Events are not tracked and nearly everything else goes by reference count, so a full collection
finds next to nothing. But it visits all that is tracked, 80,000 containers after a start, and the
loop stood still for 30 to 60 ms every quarter of a minute. So what is there when the work begins is
taken out of its sight, and it looks at the rest rarely: cycles of errors and closed connections are
all it can find, and of those some thousands may wait.
"""

import contextlib
import gc
from collections.abc import Iterator

# Containers made, less those gone, until the youngest are looked at; then every how many looks the
# middle ones; then every how many of those all. Python's own are 700, 10, 10.
_THRESHOLDS = (2_000, 10, 250)


@contextlib.contextmanager
def seldom_collected() -> Iterator[None]:
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
