"""The file of an hour that is still open: appended in blocks, readable while it grows.

    file   = identity block*         identity: magic and 12 random bytes
    block  = length crc32 payload    two little-endian u32; payload: a msgpack list of events

A block is there or it is not: what a killed process left half written has a wrong length or
checksum and is nobody's data, because it was never acknowledged. A journal belongs to the one
process that made it; nobody appends to another's. The identity tells a reader that a file of the
same name is another file now. Nothing here decides what is written or when a journal is over.

It survives the death of the process, not a power cut: it is not synced. What Parquet takes over is.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

MAGIC = b"TWJ1"
IDENTITY_BYTES = 16
MAX_BLOCK_BYTES = 256 * 1024 * 1024  # a longer length is not a length

_HEAD = struct.Struct("<II")
_BINARY = getattr(os, "O_BINARY", 0)  # Windows


class Block(Struct, frozen=True):
    payload: bytes
    end: int  # offset behind it: where to read on


class Journal:
    """One journal that is being written. `size` is what counts: bytes behind it are nothing."""

    def __init__(self, path: Path, fd: int, identity: bytes) -> None:
        self.path = path
        self.identity = identity
        self.size = 0
        self._fd = fd

    @classmethod
    def create(cls, path: Path) -> "Journal":
        """Raise OSError; FileExistsError if somebody has it already."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o644)
        return cls(path, fd, MAGIC + os.urandom(IDENTITY_BYTES - len(MAGIC)))

    def append(self, payload: bytes) -> None:
        """Write one block whole, or leave the journal as it was and raise OSError."""
        block = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        if not self.size:
            block = self.identity + block
        before = self.size
        try:
            self._write(block)
        except OSError:
            self.cut(before)
            raise
        self.size = before + len(block)

    def cut(self, size: int) -> None:
        """Forget what was appended after `size`. Readers ignore what cannot be cut off now."""
        self.size = size
        with suppress(OSError):  # then the next block overwrites it
            os.ftruncate(self._fd, size)

    def at_home(self) -> bool:
        """Say whether the path still leads to this file: people move and delete folders."""
        try:
            return os.path.samestat(os.fstat(self._fd), self.path.stat())
        except OSError:
            return False

    def bring_home(self) -> None:
        """Write all that was accepted to the path again. Raise OSError."""
        self.path.parent.mkdir(exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o644)
        old, self._fd = self._fd, fd
        try:
            os.lseek(old, 0, os.SEEK_SET)
            left = self.size
            while left and (chunk := os.read(old, min(left, 1 << 20))):
                _write_all(fd, chunk)
                left -= len(chunk)
        except OSError:
            self._fd = old
            os.close(fd)
            self.path.unlink(missing_ok=True)
            raise
        os.close(old)

    def close(self) -> None:
        os.close(self._fd)

    def _write(self, block: bytes) -> None:
        os.lseek(self._fd, self.size, os.SEEK_SET)
        _write_all(self._fd, block)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a full disk takes a part first and fails with the next
        rest = rest[os.write(fd, rest) :]


def identity(path: Path) -> bytes | None:
    """Give what tells this file from another of the same name; None if it is no journal yet."""
    with path.open("rb") as file:
        head = file.read(IDENTITY_BYTES)
    return head if len(head) == IDENTITY_BYTES and head.startswith(MAGIC) else None


class Scan:
    """Iterate over the good blocks of a file from an offset on.

    Afterwards `end` is where the good part ends and `damaged` counts blocks in the middle that
    are not what was written (a torn end is not counted: it is normal after a kill).
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.end = offset
        self.damaged = 0

    def __iter__(self) -> Iterator[Block]:
        with self.path.open("rb") as file:
            if not self.end:
                head = file.read(IDENTITY_BYTES)
                if len(head) < IDENTITY_BYTES or not head.startswith(MAGIC):
                    return
                self.end = IDENTITY_BYTES
            size = os.fstat(file.fileno()).st_size
            file.seek(self.end)
            skipped = 0
            position = self.end
            while (length := _length(file.read(_HEAD.size), size - position)) is not None:
                wanted, count = length
                payload = file.read(count)
                position += _HEAD.size + count
                if zlib.crc32(payload) != wanted:
                    skipped += 1
                    continue
                self.damaged += skipped  # something good follows: it was no torn end
                skipped = 0
                self.end = position
                yield Block(payload, position)


def _length(head: bytes, left: int) -> tuple[int, int] | None:
    """Give checksum and length of the block that begins here, None if none can."""
    if len(head) < _HEAD.size:
        return None
    length, crc = _HEAD.unpack(head)
    if not 0 < length <= min(left - _HEAD.size, MAX_BLOCK_BYTES):
        return None
    return crc, length


def cut_torn_end(path: Path) -> int:
    """Cut off what no block claims. Give the number of bytes; damaged blocks inside stay."""
    scan = Scan(path)
    for _ in scan:
        pass
    torn = path.stat().st_size - scan.end
    if torn:
        os.truncate(path, scan.end)
    return torn
