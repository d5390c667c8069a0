"""`tapewatch decode VENUE [FILE|-]`: frames in, one a line; normalised events out, as JSON lines.

For anybody who debugs a feed. A line may have a receive time and a tab before the frame: integer
nanoseconds, or decimal seconds; 0 or nothing means that it is not known. Lines that begin with
`SENT` are what the client said and are skipped. Snapshots and listings that a recorder put
between the frames are taken as the answers they are. Nobody stands behind a recording, so
missing trades stay missing and are said to be.

Everything that cannot be read becomes a dead letter among the events. The summary goes to stderr.
"""

import gzip
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Annotated, BinaryIO, cast

from cyclopts import Parameter

from tapewatch.model.codec import dead_letter, json_lines
from tapewatch.model.errors import ConfigError, TapewatchError
from tapewatch.model.events import AnyEvent, Batch, BookDelta, BookSnapshot, DeadLetter, Gap, Micros
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.model.times import SECOND
from tapewatch.ports import Conversation, Dialect, Route, Streams

_TICK_EVERY = SECOND // 4
_WRITE_EVENTS = 2_000
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class Decoding:
    """One recording on its way through a conversation."""

    def __init__(self, dialect: Dialect, streams: Streams, conversation: Conversation) -> None:
        self.frames = 0
        self.counts: Counter[str] = Counter()
        self._snapshots: set[str] = set()
        self._changes: set[str] = set()
        self._quiet = 0  # frames that gave no event at once
        self._dialect = dialect
        self._streams = streams
        self._conversation = conversation
        self._listings = dialect.catalogue()
        self._now = Micros(0)
        self._ticked = Micros(0)

    def events(self, lines: Iterable[bytes]) -> Iterator[Batch]:
        """Give the events of all lines, in batches."""
        out: Batch = []
        self._conversation.open(self._now)
        for line in lines:
            text = line.strip()
            if not text or text.startswith(b"SENT"):
                continue
            self.frames += 1
            recv, frame = split_line(text)
            self._pass_time(recv, out)
            before = len(out)
            self._decode(frame, recv, out)
            self._quiet += len(out) == before
            if len(out) >= _WRITE_EVENTS:
                yield self._counted(out)
                out = []
        self._conversation.lost("the recording ends", self._now, out)
        yield self._counted(out)

    def _pass_time(self, recv: Micros, out: Batch) -> None:
        if not recv:
            return
        self._now = recv
        if not 0 <= recv - self._ticked < _TICK_EVERY:
            self._ticked = recv
            self._conversation.tick(recv, out)

    def _decode(self, frame: bytes, recv: Micros, out: Batch) -> None:
        try:
            if self._dialect.recognise(frame, self._listings, self._streams) is not None:
                add_all(self._streams.catalogue, self._dialect.instruments(frame))
            else:
                self._conversation.decode(frame, recv, out)
        except Exception as error:  # noqa: BLE001 - whatever a frame does, the next one is read
            words = str(error) or type(error).__name__
            out.append(dead_letter(self._dialect.name, "decode", words, frame, recv))

    def _counted(self, batch: Batch) -> Batch:
        self.counts.update(_kind(event) for event in batch)
        self._snapshots.update(e.inst for e in batch if isinstance(e, BookSnapshot))
        self._changes.update(e.inst for e in batch if isinstance(e, BookDelta))
        return batch

    def summary(self) -> str:
        numbers = {
            "frames": self.frames,
            "frames without an event at once": self._quiet,  # held, repeated, or acknowledgements
            "gaps": self.counts[_tag(Gap)],
            "dead letters": self.counts[_tag(DeadLetter)],
            "books proven": len(self._snapshots & self._changes),
        }
        lines = [f"{name} {number}" for name, number in numbers.items()]
        lines.extend(f"events {kind} {count}" for kind, count in sorted(self.counts.items()))
        return "\n".join(lines)


def command(
    venue: str,
    file: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-",
    *,
    catalogue: str | None = None,
) -> int:
    """Read recorded frames of a venue and print the events they mean.

    Parameters
    ----------
    venue
        Whose frames they are, such as binance.
    file
        Lines of `[receive time TAB] frame`, plain or gzip; `-` reads standard input.
    catalogue
        The venue's own listing of symbols. Without it, pairs are split by known quotes.
    """
    try:
        decoding = _begin(venue, catalogue)
        with _open(file) as lines:
            _write(decoding.events(_read(lines, file)))
    except TapewatchError as error:
        print(f"tapewatch decode: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    print(decoding.summary(), file=sys.stderr)
    return 0


def split_line(line: bytes) -> tuple[Micros, bytes]:
    """Part the receive time from the frame. Without one, or with 0: it is not known."""
    head, tab, frame = line.partition(b"\t")
    if not tab:
        return Micros(0), line
    whole, point, fraction = head.strip().partition(b".")
    if not whole.isdigit() or (point and not fraction.isdigit()):
        return Micros(0), line
    if not point:
        return Micros(int(whole) // 1000), frame.strip()
    return Micros(int(whole) * SECOND + int(fraction[:6].ljust(6, b"0"))), frame.strip()


def add_all(catalogue: Catalogue, instruments: Iterable[Instrument]) -> None:
    for instrument in instruments:
        catalogue.add(instrument)


def _begin(venue: str, catalogue: str | None) -> Decoding:
    from tapewatch.runtime import plugins

    plugin = plugins.load("venues", venue)
    dialect: Dialect = plugin.build(venue, plugin.config())
    streams = Streams(Catalogue(), lenient=True)
    if catalogue is not None:
        add_all(streams.catalogue, _listed(dialect, catalogue))
    return Decoding(dialect, streams, dialect.converse(Route("recording", "", ()), streams))


def _listed(dialect: Dialect, path: str) -> list[Instrument]:
    with _open(path) as file:
        body = b"".join(_read(file, path))
    try:
        return dialect.instruments(body)
    except ValueError as error:
        raise ConfigError(
            f"{path} is no symbol listing of {dialect.name}: {error}; save the answer of "
            f"{dialect.catalogue()[0].url} there"
        ) from error


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open for reading, unpacked if it is gzip whatever its name. Standard input stays open."""
    with ExitStack() as closing:
        try:
            if path == "-":
                raw = cast("BufferedReader", sys.stdin.buffer)
            else:
                raw = closing.enter_context(Path(path).open("rb"))
            is_packed = raw.peek(2)[:2] == _GZIP
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
        yield cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if is_packed else raw


def _read(file: BinaryIO, path: str) -> Iterator[bytes]:
    """Give the lines; what is wrong with the file is said as a sentence."""
    is_first = True
    try:
        for line in file:
            yield line.removeprefix(_BOM) if is_first else line
            is_first = False
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read to its end: {error}") from error


def _write(batches: Iterable[Batch]) -> None:
    output = sys.stdout.buffer
    for batch in batches:
        output.write(json_lines(batch))
    output.flush()


def _kind(event: AnyEvent) -> str:
    return _tag(type(event))


def _tag(kind: type[AnyEvent]) -> str:
    return str(kind.__struct_config__.tag)
