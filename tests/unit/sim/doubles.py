"""A socket that remembers what was written, and how to read it."""

import asyncio
import json

from tapewatch.sim.limits import Rules
from tapewatch.sim.link import Link


class Transport:
    def __init__(self):
        self.written = b""
        self.backlog = 0
        self.closing = False
        self.aborted = asyncio.Event()

    def write(self, data):
        self.written += data

    def get_write_buffer_size(self):
        return self.backlog

    def is_closing(self):
        return self.closing

    def close(self):
        self.closing = True

    def abort(self):
        self.closing = True
        self.aborted.set()

    def frames(self):
        """(opcode, payload) of everything written since the last call."""
        data, found = self.written, []
        self.written = b""
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4]), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10]), 10
            found.append((data[0] & 0x0F, data[start : start + size]))
            data = data[start + size :]
        return found

    def texts(self):
        return [json.loads(payload) for opcode, payload in self.frames() if opcode == 1]


def link(number=1, *, combined=True, unit=1_000, rules=None, clock=lambda: 0.0):
    made = Link(number, Transport(), rules or Rules(), clock)
    made.combined, made.unit = combined, unit
    return made
