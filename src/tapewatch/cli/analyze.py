"""A report on what is stored of one symbol: price, volume, volatility, and how complete it is."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def command(
    symbol: str | None = None,
    *,
    from_: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "-24h",
    to: Annotated[str, Parameter(allow_leading_hyphen=True)] = "now",
    data_dir: Path = Path("data"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Report on what is stored: prices, volume, volatility, and how complete it is.

    Parameters
    ----------
    symbol
        Any spelling; without it the first that is stored.
    from_
        Begin: `-24h`, `2026-11-20T14:00Z`, or an epoch number.
    to
        End, likewise.
    data_dir
        Where the stored files are.
    json
        One JSON object, for programs.
    """
    import asyncio

    import msgspec

    from tapewatch.cli._span import span
    from tapewatch.runtime.analysis import Report, analyse

    report = asyncio.run(analyse(data_dir, symbol, *span(from_, to)))
    if report is None:
        print(
            f"no minute candle is stored in {data_dir} for that time: `tapewatch run` collects, and "
            "the first is there when a minute is over",
            file=sys.stderr,
        )
        return 1
    assert isinstance(report, Report)
    if json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(report.lines()))
    return 0
