"""Ports of this machine for tests, also for tests that run beside each other."""

import contextlib
import random
import socket

# Systems give ports from above here to who asks for any (Linux from 32768, others from 49152).
_NOBODY_IS_GIVEN = range(20_000, 30_000)


def free_port() -> int:
    """A port that can be bound by number; nobody is given it by chance meanwhile."""
    for port in random.SystemRandom().sample(_NOBODY_IS_GIVEN, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@contextlib.contextmanager
def nobody():
    """A port on which nobody listens and nobody can, as long as the block lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
