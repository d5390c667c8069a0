"""`tapewatch alerts list`, `history` and `why`: what became of alerts, read from the delivery log.

It is read from the data folder, so it works whether tapewatch runs or not.
"""

import sqlite3
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Parameter

from tapewatch.cli._span import span
from tapewatch.model.errors import ConfigError, NotFound
from tapewatch.model.events import Alert, AlertState
from tapewatch.model.times import iso

if TYPE_CHECKING:
    from tapewatch.rules.story import Line

DataDir = Annotated[Path, Parameter(env_var="DATA_DIR")]
Flag = Annotated[bool, Parameter(negative="")]
T = TypeVar("T")

_EMPTY = 5
_SEARCHED = 10_000


@Parameter(name="*")
@dataclass(frozen=True)
class Listing:
    """How it is listed.

    Parameters
    ----------
    limit
        At most so many.
    json
        One JSON object a line instead of text.
    fail_empty
        Exit with 5 if there are none.
    data_dir
        Where tapewatch stores.
    """

    limit: int = 50
    json: Flag = False
    fail_empty: Flag = False
    data_dir: DataDir = Path("data")

    def show(self, rows: Sequence[tuple[Any, str]], none: str) -> int:
        """Print each thing or its line, and give the exit code."""
        from msgspec.json import encode

        for each, row in rows:
            print(encode(each).decode() if self.json else row)
        if not rows:
            print(none, file=sys.stderr)
        return _EMPTY if self.fail_empty and not rows else 0


def list_alerts(
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    listing: Listing | None = None,
) -> int:
    """List the alerts that fire, newest first.

    Parameters
    ----------
    everything
        Those that are over, too.
    """
    from tapewatch.stores import _alert_rows as rows

    how = listing or Listing()
    most = how.limit if everything else _SEARCHED
    found = _ask(how.data_dir, lambda base: rows.last_states(base, most))
    shown = [a for a in found if everything or a.state is AlertState.FIRING][: how.limit]
    none = "no alert fires" if not everything else "no alerts"
    return how.show([(alert, _alert_row(alert)) for alert in shown], none)


def _alert_row(alert: Alert) -> str:
    since = iso(alert.since or alert.ts)[:19].replace("T", " ")
    return f"{alert.state.value:<9} {alert.severity:<8} since {since}  {alert.text}  [{alert.id}]"


def history(
    *,
    from_: Annotated[str, Parameter(name="--from", allow_leading_hyphen=True)] = "-24h",
    to: Annotated[str, Parameter(allow_leading_hyphen=True)] = "now",
    channel: str = "",
    listing: Listing | None = None,
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
    """
    from tapewatch.stores import _alert_rows as rows

    how = listing or Listing()
    since, until = span(from_, to)
    lines = _ask(how.data_dir, lambda base: rows.history(base, since, until, how.limit, channel))
    return how.show([(line, _line(line)) for line in lines], "nothing was told")


def _line(line: "Line") -> str:
    when = iso(line.at)[:19].replace("T", " ")
    tries = f" ({line.attempts} attempts)" if line.attempts > 1 else ""
    return f"{when}  {line.channel:<10} {line.status + tries:<10} {line.what}: {line.said}"


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
