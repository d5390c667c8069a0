"""`tapewatch alerts list`, `history` and `why`: what became of alerts, read from the delivery log.

It is read from the data folder, so it works whether tapewatch runs or not.
"""

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Parameter

from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.model.events import AlertState, Micros
from tapewatch.model.times import iso, parse_time

DataDir = Annotated[Path, Parameter(env_var="DATA_DIR")]
Flag = Annotated[bool, Parameter(negative="")]
T = TypeVar("T")

_EMPTY = 5
_SEARCHED = 10_000


def list_alerts(
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    limit: int = 50,
    json: Flag = False,
    fail_empty: Flag = False,
    data_dir: DataDir = Path("data"),
) -> int:
    """List the alerts that fire, newest first.

    Parameters
    ----------
    everything
        Those that are over, too.
    limit
        At most so many.
    json
        One JSON object a line instead of text.
    fail_empty
        Exit with 5 if there are none.
    data_dir
        Where tapewatch stores.
    """
    from msgspec.json import encode

    from tapewatch.stores import _alert_rows as rows

    found = _ask(data_dir, lambda base: rows.last_states(base, limit if everything else _SEARCHED))
    shown = [a for a in found if everything or a.state is AlertState.FIRING][:limit]
    for alert in shown:
        since = iso(alert.since or alert.ts)[:19].replace("T", " ")
        row = (
            f"{alert.state.value:<8} {alert.severity:<8} since {since}  {alert.text}  [{alert.id}]"
        )
        print(encode(alert).decode() if json else row)
    if not shown:
        print("no alert fires" if not everything else "no alerts", file=sys.stderr)
    return _EMPTY if fail_empty and not shown else 0


def history(
    *,
    from_: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "-24h",
    to: Annotated[str, Parameter(allow_leading_hyphen=True)] = "now",
    channel: str = "",
    limit: int = 50,
    json: Flag = False,
    fail_empty: Flag = False,
    data_dir: DataDir = Path("data"),
) -> int:
    """List the notices and what became of them, and the alerts that were not told, newest first.

    Parameters
    ----------
    from_
        Begin: -24h, 2026-11-20T14:00Z, or an epoch number.
    to
        End, likewise.
    channel
        Only this one.
    limit
        At most so many.
    json
        One JSON object a line instead of text.
    fail_empty
        Exit with 5 if there are none.
    data_dir
        Where tapewatch stores.
    """
    from msgspec.json import encode

    from tapewatch.stores import _alert_rows as rows

    now = Micros(time.time_ns() // 1000)
    try:
        since, until = parse_time(from_, now), parse_time(to, now)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    lines = _ask(data_dir, lambda base: rows.history(base, since, until, limit, channel))
    for line in lines:
        when = iso(line.at)[:19].replace("T", " ")
        tries = f" ({line.attempts} attempts)" if line.attempts > 1 else ""
        row = f"{when}  {line.channel:<10} {line.status + tries:<10} {line.what}: {line.said}"
        print(encode(line).decode() if json else row)
    if not lines:
        print("nothing was told", file=sys.stderr)
    return _EMPTY if fail_empty and not lines else 0


def why(alert: str, *, data_dir: DataDir = Path("data")) -> int:
    """Tell the whole story of one alert: why it fired, who was told, who was not and why.

    Parameters
    ----------
    alert
        Its id as `list` and `history` show it, or a part of it: then the newest that has it.
    data_dir
        Where tapewatch stores.
    """
    from tapewatch.rules.story import nearest, tell
    from tapewatch.stores import _alert_rows as rows

    known = _ask(data_dir, lambda base: rows.newest_ids(base, _SEARCHED))
    found = alert if alert in known else nearest(alert, known)
    if found is None:
        raise NotFound("alert", alert, tuple(known[:3]))
    print("\n".join([found, *tell(_ask(data_dir, lambda base: rows.story(base, found)))]))
    return 0


def _ask(data_dir: Path, question: Callable[[sqlite3.Connection], T]) -> T:
    from tapewatch.stores.alert_log import FILE, read

    if not (data_dir / FILE).exists():
        raise ConfigError(
            f"there is no {FILE} in {data_dir}: name the right folder with --data-dir, or no"
            " tapewatch has run there yet"
        )
    return read(data_dir, question)
