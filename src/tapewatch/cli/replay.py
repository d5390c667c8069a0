"""Replay a tape: the events that it gave when it was recorded, again, byte for byte.

A folder is a recording of several venues: its tapes are played together, in the order in which
their batches came. Events go to stdout as JSON lines, each followed by what the processors derive from it; the
summary and the hashes go to stderr. `--verify` compares the hashes with those beside the tape.
"""

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.model.events import AnyEvent, Batch, Micros

if TYPE_CHECKING:  # importing these costs more than printing the help
    from tapewatch.ports import Dialect
    from tapewatch.wire.tape import TapeReader

_MISMATCH = 4
_WRITE_BYTES = 256 * 1024

Derive = Callable[[AnyEvent], Batch]  # what is said after an event, itself included


def command(
    file: Path,
    *,
    speed: float | None = None,
    verify: bool = False,
    seal: bool = False,
    derive: bool = True,
    config: Annotated[Path | None, Parameter(name=["--config", "-c"])] = None,
) -> int:
    """Give the events of a tape again.

    Parameters
    ----------
    file
        A tape made by `tapewatch record`, or a folder of tapes that were recorded at one time.
    speed
        1 is as fast as it was, 10 ten times as fast; without it, as fast as it goes.
    verify
        Compare with the hashes beside the tape; exit 4 if they differ.
    seal
        Write the hashes beside the tape, for a later `--verify`.
    derive
        Let the processors work: candles, metrics and alerts come between the events. What only a
        running process measures (how long a feed was silent, so `stale_feed`) is not among them.
    config
        A settings file whose detectors and rules are used; without it they are as they come.
    """
    from tapewatch.cli.record import hash_file, write_hashes
    from tapewatch.wire.tape import TapeReader

    if speed is not None and not speed > 0:
        raise ConfigError(f"--speed is {speed}; give a number above 0")
    expected = _expected(hash_file(file)) if verify else {}
    deriving = _deriving(config) if derive else _alone
    with ExitStack() as stack:
        tapes = [stack.enter_context(TapeReader(path)) for path in _tapes(file)]
        playing = _Playing(deriving, speed)
        playing.play(tapes)
        torn = [f"{tape.path.name}: {tape.torn}" for tape in tapes if tape.torn]
    hashes = playing.hashes(derived=derive)
    print(playing.summary(hashes), file=sys.stderr)
    for each in torn:
        print(f"warning: the tape is torn: {each}", file=sys.stderr)
    if seal:
        write_hashes(file, hashes)
    wrong = [name for name in expected if name in hashes and hashes[name] != expected[name]]
    for name in wrong:
        print(f"error: {name}: expected {expected[name]}, got {hashes[name]}", file=sys.stderr)
    return _MISMATCH if wrong else 0


class _Playing:
    """Writes and hashes: the events as recorded, and the whole of what was written."""

    def __init__(self, derive: Derive, speed: float | None) -> None:
        self._derive = derive
        self._speed = speed
        self._events = hashlib.sha256()
        self._output = hashlib.sha256()
        self._counts: Counter[str] = Counter()

    def play(self, tapes: "list[TapeReader]") -> None:
        from tapewatch.feeds.replay import together
        from tapewatch.model.codec import encode_json

        buffer = bytearray()
        began = min(tape.header.at for tape in tapes)
        for batch in self._paced(together((tape, _dialect(tape)) for tape in tapes), began):
            for event in batch:
                self._events.update(encode_json(event) + b"\n")
                for said in self._derive(event):
                    self._counts[str(type(said).__struct_config__.tag)] += 1
                    buffer += encode_json(said)
                    buffer += b"\n"
            if len(buffer) >= _WRITE_BYTES or self._speed:
                self._write(buffer)
        self._write(buffer)

    def hashes(self, *, derived: bool) -> dict[str, str]:
        found = {"events": self._events.hexdigest()}
        return {**found, "output": self._output.hexdigest()} if derived else found

    def summary(self, hashes: dict[str, str]) -> str:
        counts = [f"{kind} {count:,}" for kind, count in sorted(self._counts.items())]
        return "\n".join([*counts, *(f"sha256 of {name} {h}" for name, h in hashes.items())])

    def _paced(self, timed: Iterator[tuple[Micros, Batch]], began: Micros) -> Iterator[Batch]:
        start = time.monotonic()
        for at, batch in timed:
            if self._speed:
                due = start + (at - began) / 1e6 / self._speed
                time.sleep(max(0.0, due - time.monotonic()))
            yield batch

    def _write(self, buffer: bytearray) -> None:
        self._output.update(buffer)
        sys.stdout.buffer.write(buffer)
        sys.stdout.buffer.flush()
        buffer.clear()


def _alone(event: AnyEvent) -> Batch:
    return [event]


def _tapes(file: Path) -> list[Path]:
    if not file.is_dir():
        return [file]
    found = sorted([*file.glob("*.tape"), *file.glob("*.tape.gz")])
    if not found:
        raise ConfigError(f"there is no tape in the folder {file}")
    return found


def _deriving(config: Path | None) -> Derive:
    """Work as the running product does, event by event, so that batches make no difference."""
    from tapewatch.process.validate import validate
    from tapewatch.runtime import launch
    from tapewatch.runtime.rules_settings import with_usual_rules
    from tapewatch.stream.pipeline import Pipeline

    if config is None:
        pipeline = Pipeline(with_usual_rules(launch.processors_of({})))
    else:
        pipeline = Pipeline(launch.deriving_of(launch.load(config)))

    def derive(event: AnyEvent) -> Batch:
        sane, letters = validate([event])
        return [*sane, *letters, *pipeline.process(sane)]

    return derive


def _dialect(tape: "TapeReader") -> "Dialect":
    """Build the dialect that the tape was recorded with."""
    import msgspec

    from tapewatch.runtime import plugins

    header = tape.header
    try:
        plugin = plugins.load("venues", header.venue)
        settings = msgspec.convert(header.config, plugin.config)
        dialect: Dialect = plugin.build(header.venue, settings)
    except NotFound as error:
        raise ConfigError(
            f"{tape.path} is of a venue that this tapewatch lacks: {error}"
        ) from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{tape.path}: settings of another version: {error}") from error
    return dialect


def _expected(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"cannot read {path} ({error.strerror}): `tapewatch replay --seal` makes it"
        ) from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
