"""An ordered, bounded queue of batches on disk, for a store that cannot take them now.

    append ──> youngest segment ... oldest segment ──> head, pop

A segment is a file in the journal's block format, so what a killed process left half written is
nobody's data and everything else is found again. The place of reading is not written down: after
a crash the oldest segment is read again from its beginning, because stores write by natural key.
Nothing here retries or waits.
"""

from collections import deque
from pathlib import Path

from tapewatch.model.codec import decode_msgpack_batch, encode_msgpack
from tapewatch.model.errors import Unavailable
from tapewatch.model.events import Batch
from tapewatch.stores._folder import words
from tapewatch.stores._journal import Journal, Scan

SEGMENT_BYTES = 8 * 1024 * 1024
_SUFFIX = ".spill"


class Spill:
    """Batches of one pump. Not thread-safe: one caller at a time."""

    def __init__(self, folder: Path, *, max_bytes: int = 1 << 30) -> None:
        self.damaged = 0  # blocks that were not what had been written: their events are lost
        self._folder = folder
        self._max_bytes = max_bytes
        self._segments: deque[tuple[Path, int]] = deque()  # closed ones with their size
        self._youngest: Journal | None = None
        self._next = 0  # number of the next segment
        self._offset = 0  # where the head begins in the oldest segment
        self._head_end = 0
        self._bytes = 0

    def open(self) -> None:
        """Find what a former process left. Raise Unavailable if the folder cannot be used."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
            self._segments = deque((path, path.stat().st_size) for path in paths)
        except OSError as error:
            raise words(error, self._folder) from error
        self._bytes = sum(size for _, size in self._segments)
        self._next = int(paths[-1].stem) + 1 if paths else 0
        self._offset = self._head_end = 0
        self._youngest = None

    @property
    def empty(self) -> bool:
        return not self._segments and self._youngest is None

    @property
    def bytes(self) -> int:
        """Size on disk, of which a part of the oldest segment may be dealt with already."""
        return self._bytes

    def append(self, batch: Batch) -> None:
        """Keep one batch. Raise Unavailable if it is full or the disk is."""
        payload = encode_msgpack(batch)
        if self._bytes + len(payload) > self._max_bytes:
            raise Unavailable(f"spill {self._folder} is full: {self._bytes:,} bytes wait there")
        path = self._folder / f"{self._next:010d}{_SUFFIX}"
        try:
            if self._youngest is None:
                self._youngest = Journal.create(path)
                self._next += 1
            before = self._youngest.size
            self._youngest.append(payload)
        except OSError as error:
            raise words(error, path) from error
        self._bytes += self._youngest.size - before
        if self._youngest.size >= SEGMENT_BYTES:
            self._end_segment()

    def head(self) -> Batch | None:
        """Give the oldest batch; it stays until `pop`. None if there is none that can be read."""
        while not self.empty:
            if not self._segments:
                self._end_segment()
            path, _ = self._segments[0]
            try:
                scan = Scan(path, self._offset)
                for block in scan:
                    self.damaged += scan.damaged
                    self._head_end = block.end
                    return decode_msgpack_batch(block.payload)
                self._remove_oldest()
            except FileNotFoundError:
                self._remove_oldest()  # somebody emptied the folder by hand
            except OSError as error:
                raise words(error, path) from error
        return None

    def pop(self) -> None:
        """The head is dealt with."""
        self._offset = self._head_end

    def close(self) -> None:
        if self._youngest is not None:
            self._end_segment()

    def _end_segment(self) -> None:
        segment, self._youngest = self._youngest, None
        assert segment is not None
        segment.close()
        self._segments.append((segment.path, segment.size))

    def _remove_oldest(self) -> None:
        path, size = self._segments[0]
        path.unlink(missing_ok=True)
        self._segments.popleft()
        self._bytes -= size
        self._offset = self._head_end = 0
