r"""A recording of every call into the conversations of one feed, in order: enough to do it again.

A tape is JSON lines. The first is the header: what the conversations knew at the start. Then one
line a call:

    {"link":1,"kind":"link","at":...,"route":{...}}      a conversation is made for this route
    {"link":1,"kind":"open","at":...}
    {"link":1,"kind":"in","at":...,"text":"{\"stream\\":..."}   a frame, verbatim
    {"link":1,"kind":"answer","at":...,"fetch":{...},"status":200,"text":"..."}
    {"link":1,"kind":"tick","at":...}                     all of them: a conversation may count
    {"link":1,"kind":"want","at":...,"subscriptions":[...]}
    {"link":1,"kind":"resync","at":...,"subscriptions":[...],"text":"crossed"}
    {"link":1,"kind":"lost","at":...,"text":"the venue closed the connection"}
    {"kind":"know","instruments":[...]}                   instruments that a later `want` needs
    {"link":N,"kind":"out","at":...}    what was said since the last of these was handed over, as
                                        the Nth batch of all feeds of this process: so that tapes
                                        of several venues can be played together, in that order

`at` is the time that the conversation was told, in microseconds. Text that is not UTF-8 is base64
and says so. A name that ends in `.gz` is compressed. A last line that is torn (the machine lost
power) is reported, and all before it is good.
"""

import base64
import gzip
import logging
import zlib
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self, cast

import msgspec
from msgspec import Struct, field

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Batch, Micros
from tapewatch.model.instrument import Catalogue, Instrument
from tapewatch.ports import (
    Answer,
    Asks,
    Conversation,
    Dialect,
    FeedConfig,
    Fetch,
    Route,
    Streams,
    Subscription,
)

VERSION = 1
_MAX_BUFFERED_BYTES = 1024 * 1024
_BATCHES = count()  # of all feeds: microseconds alone do not tell which of two was first

log = logging.getLogger("tapewatch.wire.tape")


class Header(Struct, frozen=True, kw_only=True):
    """`tape` is the version of the format."""

    tape: int = VERSION
    venue: str
    at: Micros
    config: dict[str, object] = field(default_factory=dict)  # what the dialect is built from
    hold_secs: float
    repair_max_ids: int
    lenient: bool = False
    marked: bool = False  # has lines of the kind "out"
    instruments: list[Instrument] = field(default_factory=list)
    resume: list[tuple[Subscription, int]] = field(default_factory=list)


class Line(Struct, frozen=True, omit_defaults=True):
    link: int = 0
    kind: str = ""
    at: Micros = Micros(0)
    text: str = ""
    base64: bool = False
    status: int = 0
    fetch: Fetch | None = None
    route: Route | None = None
    subscriptions: tuple[Subscription, ...] = ()
    instruments: tuple[Instrument, ...] = ()

    def payload(self) -> bytes:
        return base64.b64decode(self.text) if self.base64 else self.text.encode()


_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(Line).decode
_decode_header = msgspec.json.Decoder(Header).decode


class TapeWriter:
    """Opens on `begin`; whoever owns it calls `flush` once a second and `close` at the end.

    A disk that is full must not stop the feed: the tape ends there, `error` says so, and what was
    not written is counted in `lost`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error = ""
        self.lines = 0
        self.lost = 0
        self._file: BinaryIO | None = None
        self._buffer = bytearray()
        self._links = 0
        self._venue = ""
        self._catalogue: Catalogue | None = None
        self._known: set[str] = set()

    def begin(
        self,
        dialect: Dialect,
        config: FeedConfig,
        streams: Streams,
        wanted: Iterable[Subscription],
        at: Micros,
    ) -> None:
        """Write the header. Raises OSError if the file cannot be made, or is there already."""
        if self._file is not None:  # a feed that was restarted goes on with its tape
            return
        self._venue, self._catalogue = dialect.name, streams.catalogue
        header = Header(
            venue=dialect.name,
            at=at,
            config=_plain(config),
            hold_secs=streams.hold_secs,
            repair_max_ids=streams.repair_max_ids,
            lenient=streams.lenient,
            marked=True,
            instruments=self._news(wanted),
            resume=sorted(streams.resume.items()),
        )
        file = gzip.open if self.path.suffix == ".gz" else open
        self._file = cast("BinaryIO", file(self.path, "xb"))
        self._put(header)
        self.flush()

    def link(self) -> int:
        """Give the number of a new conversation."""
        self._links += 1
        return self._links

    def write(self, line: Line) -> None:
        if line.subscriptions or line.route is not None:
            asked = line.route.subscriptions if line.route else line.subscriptions
            if news := self._news(asked):
                self._put(Line(kind="know", at=line.at, instruments=tuple(news)))
        self._put(line)
        self.lines += 1

    def handed(self, at: Micros) -> None:
        """Note that all that was said is handed over."""
        self._put(Line(next(_BATCHES), "out", at))

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        if self._file is None or self.error or not self._buffer:
            return
        try:
            self._file.write(self._buffer)
            self._file.flush()
        except OSError as error:
            self.error = f"{self.path}: {error.strerror or error}"
            log.error("tape_ended", extra={"fields": {"reason": self.error}})  # noqa: TRY400
        self._buffer.clear()

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self.error = self.error or f"{self.path}: {error.strerror or error}"
            self._file = None

    def _put(self, line: Header | Line) -> None:
        if self.error:
            self.lost += 1
            return
        self._buffer += _encode(line)
        self._buffer += b"\n"
        if len(self._buffer) > _MAX_BUFFERED_BYTES:
            self.flush()

    def _news(self, subscriptions: Iterable[Subscription]) -> list[Instrument]:
        """Instruments that the tape does not know yet. A subscription to all needs all."""
        catalogue = self._catalogue
        assert catalogue is not None
        asked = {subscription.inst for subscription in subscriptions}
        found = [catalogue.get(inst) for inst in sorted(asked - self._known)]
        if None in found:
            found = [*catalogue.all(self._venue)]
        news = [each for each in found if each is not None and each.id not in self._known]
        self._known.update(asked, (each.id for each in news))
        return news


class Taped:
    """A Conversation that writes each call down before it is made."""

    def __init__(self, tape: TapeWriter, conversation: Conversation, link: int) -> None:
        self._tape = tape
        self._conversation = conversation
        self._link = link

    def open(self, now: Micros) -> Asks:
        self._tape.write(Line(self._link, "open", now))
        return self._conversation.open(now)

    def want(self, subscriptions: frozenset[Subscription], now: Micros, out: Batch) -> Asks:
        wanted = tuple(sorted(subscriptions))
        self._tape.write(Line(self._link, "want", now, subscriptions=wanted))
        return self._conversation.want(subscriptions, now, out)

    def decode(self, frame: bytes, recv: Micros, out: Batch) -> Asks:
        text, coded = _as_text(frame)
        self._tape.write(Line(self._link, "in", recv, text, coded))
        return self._conversation.decode(frame, recv, out)

    def answer(self, fetch: Fetch, answer: Answer, recv: Micros, out: Batch) -> Asks:
        text, coded = _as_text(answer.body)
        self._tape.write(Line(self._link, "answer", recv, text, coded, answer.status, fetch))
        return self._conversation.answer(fetch, answer, recv, out)

    def tick(self, now: Micros, out: Batch) -> Asks:
        self._tape.write(Line(self._link, "tick", now))
        return self._conversation.tick(now, out)

    def resync(self, subscription: Subscription, reason: str, now: Micros, out: Batch) -> Asks:
        line = Line(self._link, "resync", now, reason, subscriptions=(subscription,))
        self._tape.write(line)
        return self._conversation.resync(subscription, reason, now, out)

    def lost(self, reason: str, now: Micros, out: Batch) -> None:
        self._tape.write(Line(self._link, "lost", now, reason))
        self._conversation.lost(reason, now, out)


def taped(tape: TapeWriter, conversation: Conversation, route: Route, at: Micros) -> Conversation:
    """Wrap a conversation that was just made."""
    link = tape.link()
    tape.write(Line(link, "link", at, route=route))
    return Taped(tape, conversation, link)


class TapeReader:
    """A context manager; `header` is there inside it. Iterate for the lines.

    Afterwards `torn` says what was wrong with the end, if anything.
    """

    header: Header

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = ""
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Raises ConfigError with a sentence if the file is no tape of ours."""
        file = gzip.open if self.path.suffix == ".gz" else open
        try:
            self._file = cast("BinaryIO", file(self.path, "rb"))
            self.header = _header(self.path, self._file.readline())
        except (OSError, EOFError, zlib.error) as error:
            self.close()
            raise ConfigError(f"cannot read the tape {self.path}: {error}") from error
        except ConfigError:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Line]:
        assert self._file is not None
        number = 1
        try:
            for raw in self._file:
                number += 1
                yield _decode_line(raw)
        except (EOFError, zlib.error, OSError) as error:
            self.torn = f"the file ends in the middle of line {number + 1}: {error}"
        except msgspec.MsgspecError as error:
            self.torn = f"line {number} cannot be read ({error}); what follows it is left out"

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _header(path: Path, raw: bytes) -> Header:
    try:
        header = _decode_header(raw)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path} is no tape: its first line is no header ({error})") from error
    if header.tape > VERSION:
        raise ConfigError(
            f"{path} was made by a newer tapewatch (format {header.tape}, this one reads up to "
            f"{VERSION}): upgrade"
        )
    return header


def _plain(config: FeedConfig) -> dict[str, object]:
    """Give numbers and text only: what hides (a Secret) must not come onto a tape."""
    values = {name: getattr(config, name) for name in config.__struct_fields__}
    return {k: v for k, v in values.items() if isinstance(v, str | int | float)}


def _as_text(raw: bytes) -> tuple[str, bool]:
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode(), True
