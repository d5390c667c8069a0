"""How complete the stored trades are: proven by their ids, per instrument and hour."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

_FOUND, _DAMAGED, _EMPTY = 1, 4, 5


def command(
    symbol: str | None = None,
    *,
    from_: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "-24h",
    to: Annotated[str, Parameter(allow_leading_hyphen=True)] = "now",
    data_dir: Path = Path("data"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Prove how complete the stored trades are, per instrument and hour.

    Ends with 0 if every numbered stream is complete, 1 if ids are absent, 4 if the ledger claims
    ids that are not on disk, 5 if nothing is stored.

    Parameters
    ----------
    symbol
        Any spelling; without it all that are stored.
    from_
        Begin: `-24h`, `2026-11-20T14:00Z`, or an epoch number.
    to
        End, likewise.
    data_dir
        Where the stored files are.
    json
        One JSON array, for programs.
    """
    import msgspec

    from tapewatch.analysis.completeness import lines
    from tapewatch.cli._span import span
    from tapewatch.runtime.verification import verify

    since, until = span(from_, to)
    if sys.stderr.isatty():
        print("reading ...", file=sys.stderr)
    streams = verify(data_dir, symbol, since, until)
    if json:
        print(msgspec.json.encode(streams).decode())
    elif streams:
        print("\n".join(lines(streams)))
    if not streams:
        print("no trades are stored there in that time: `tapewatch run` collects", file=sys.stderr)
        return _EMPTY
    if any(stream.damaged for stream in streams):
        print("the ledger claims ids that are not on disk: files are damaged", file=sys.stderr)
        return _DAMAGED
    return _FOUND if any(hour.absent for stream in streams for hour in stream.hours) else 0
