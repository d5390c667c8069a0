"""What OKX remembers of one connection."""

from zlib import crc32

from tapewatch.sim.limits import Window
from tapewatch.sim.link import Link

REQUESTS, REQUESTS_SECS = 480, 3_600.0  # subscribe and unsubscribe, each request once


class Client:
    """Kept in `link.state`."""

    def __init__(self, link: Link) -> None:
        self.conn_id = f"{crc32(f'connection {link.number}'.encode()):08x}"
        self.requests = Window(REQUESTS, REQUESTS_SECS)
        self.fresh: set[str] = set()  # book streams of which no snapshot was sent yet
        self.subscribed = False  # ever
        self.noticed = False


def client_of(link: Link) -> Client:
    """What was put into `link.state` when it was opened."""
    found = link.state
    if not isinstance(found, Client):
        raise TypeError(f"connection {link.number} was not opened by OKX")
    return found
