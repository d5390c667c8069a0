"""Plays a tape: the same calls into fresh conversations, so the same events, byte for byte.

Nothing is asked of anybody: what was sent and fetched stands on the tape, so asks are dropped.
The dialect is an argument: a tape names its venue, and finding a venue by name is not done here.
"""

import asyncio
from collections.abc import Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from tapewatch.model.errors import ConfigError
from tapewatch.model.events import Batch, InstrumentId, Micros
from tapewatch.model.instrument import Catalogue
from tapewatch.model.times import SECOND
from tapewatch.ports import (
    Answer,
    Conversation,
    Counters,
    Dialect,
    LinkState,
    LinkStatus,
    Outlet,
    Streams,
    Subscription,
)
from tapewatch.wire.life import unreadable
from tapewatch.wire.tape import Header, Line, TapeReader

_MAX_LINES = 500  # a batch ends here, or where time moves on
_BREATH_BATCHES = 50  # others get a turn after so many, however fast the outlet takes them


class Player:
    """Does to fresh conversations what a line says was done to the recorded ones."""

    def __init__(self, header: Header, dialect: Dialect) -> None:
        self._dialect = dialect
        self._streams = Streams(
            Catalogue(header.instruments),
            dict(header.resume),
            hold_secs=header.hold_secs,
            repair_max_ids=header.repair_max_ids,
            lenient=header.lenient,
        )
        self._conversations: dict[int, Conversation] = {}

    def play(self, line: Line, out: Batch) -> None:
        """Raises ConfigError if the line makes no sense on this tape."""
        if line.kind == "know":
            for instrument in line.instruments:
                self._streams.catalogue.add(instrument)
        elif line.kind == "link" and line.route is not None:
            self._conversations[line.link] = self._dialect.converse(line.route, self._streams)
        elif (conversation := self._conversations.get(line.link)) is not None:
            self._call(conversation, line, out)
        else:
            raise ConfigError(f"the tape is damaged: {line.kind!r} on link {line.link}, unknown")

    def _call(self, conversation: Conversation, line: Line, out: Batch) -> None:
        match line.kind:
            case "in" | "answer":
                self._hear(conversation, line, out)
            case "tick":
                conversation.tick(line.at, out)
            case "open":
                conversation.open(line.at)
            case "want":
                conversation.want(frozenset(line.subscriptions), line.at, out)
            case "resync":
                conversation.resync(line.subscriptions[0], line.text, line.at, out)
            case "lost":
                conversation.lost(line.text, line.at, out)
            case kind:
                raise ConfigError(f"the tape says {kind!r}, which this tapewatch does not know")

    def _hear(self, conversation: Conversation, line: Line, out: Batch) -> None:
        raw = line.payload()
        try:
            if line.fetch is None:
                conversation.decode(raw, line.at, out)
            else:
                conversation.answer(line.fetch, Answer(line.status, raw), line.at, out)
        except Exception as error:  # noqa: BLE001 - as it was when it was recorded
            stage = "decode" if line.fetch is None else "answer"
            out.append(unreadable(self._dialect.name, stage, error, raw, line.at))


def events(tape: TapeReader, dialect: Dialect) -> Iterator[Batch]:
    """Give what the recorded feed gave, in the same order. The tape is open."""
    return (batch for _, batch in timed(tape, dialect))


class ReplayFeed:
    """A Feed that ends with its tape. `speed` 1 is as it was, None as fast as it goes."""

    def __init__(self, tape: TapeReader, dialect: Dialect, speed: float | None = None) -> None:
        self.name = dialect.name
        self.counters = Counters()
        self._tape = tape
        self._dialect = dialect
        self._speed = speed
        self._status = LinkStatus(self.name, f"replay of {tape.path.name}", url=str(tape.path))

    async def run(self, outlet: Outlet) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._status.state = LinkState.STREAMING
        for number, (at, batch) in enumerate(timed(self._tape, self._dialect)):
            if self._speed:
                due = began + (at - self._tape.header.at) / SECOND / self._speed
                await asyncio.sleep(max(0.0, due - loop.time()))
            elif number % _BREATH_BATCHES == 0:
                await asyncio.sleep(0)
            if not outlet.offer(batch):
                await outlet.publish(batch)
            self._status.last_data = at
            self.counters.sent += len(batch)
            self.counters.last_ts = batch[-1].ts
        self._status.state, self._status.error = LinkState.CLOSED, self._tape.torn

    async def want(self, subscriptions: frozenset[Subscription]) -> None:
        """Change nothing: what is on the tape was decided when it was made."""

    async def resync(self, inst: InstrumentId, reason: str) -> None:
        """Change nothing: nobody is there who could be asked for a snapshot."""

    def status(self) -> list[LinkStatus]:
        return [self._status]


def timed(tape: TapeReader, dialect: Dialect) -> Iterator[tuple[Micros, Batch]]:
    """Give batches as the recorded feed did, with the time of each."""
    return ((part.at, part.batch) for part in _parts(tape, dialect))


def together(tapes: Iterable[tuple[TapeReader, Dialect]]) -> Iterator[tuple[Micros, Batch]]:
    """Play tapes of several feeds of one time, in the order in which their batches came.

    Tapes of one process are in the very order; of several, in that of their clocks.
    """
    playing = [_parts(tape, dialect) for tape, dialect in tapes]
    return ((part.at, part.batch) for part in merge(*playing, key=_order))


class _Part(NamedTuple):
    at: Micros
    number: int  # among the batches of all feeds of the process that recorded; 0: not known
    batch: Batch


def _order(part: _Part) -> tuple[Micros, int]:
    return part.at, part.number


def _parts(tape: TapeReader, dialect: Dialect) -> Iterator[_Part]:
    """Cut where a batch was handed over.

    A tape that does not tell is cut where time moves on: a read has one receive time.
    """
    player = Player(tape.header, dialect)
    at, lines, is_marked = tape.header.at, 0, tape.header.marked
    batch: Batch = []
    for line in tape:
        is_out = line.kind == "out"
        if batch and (is_out or (not is_marked and (line.at != at or lines >= _MAX_LINES))):
            yield _Part(line.at if is_out else at, line.link if is_out else 0, batch)
            batch, lines = [], 0
        at = line.at
        lines += 1
        if not is_out:
            player.play(line, batch)
    if batch:
        yield _Part(at, 0, batch)
