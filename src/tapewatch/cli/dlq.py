"""`tapewatch dlq`: look at the dead letters, what nobody understood.

To decode a letter again with today's code: `tapewatch dlq show ID --raw | tapewatch decode VENUE`.
"""

import base64
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from tapewatch.model.errors import ConfigError, NotFound

app = App(name="dlq", help="Look at the dead letters: what nobody understood.")

DataDir = Annotated[Path, Parameter(env_var="DATA_DIR")]

_FILE = re.compile(r"dlq_(\d{8}_\d{2})\.jsonl")
_EMPTY = 5


@app.command
def ls(
    *,
    limit: int = 50,
    json: Annotated[bool, Parameter(negative="")] = False,
    fail_empty: Annotated[bool, Parameter(negative="")] = False,
    data_dir: DataDir = Path("data"),
) -> int:
    """List them, newest first.

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
    shown = 0
    for name, letter in _newest_first(data_dir):
        if shown == limit:
            print(f"the newest {limit}; see more with --limit", file=sys.stderr)
            break
        shown += 1
        print(msgspec.json.encode({"id": name, **letter}).decode() if json else _row(name, letter))
    if not shown:
        print("no dead letters", file=sys.stderr)
    return _EMPTY if fail_empty and not shown else 0


@app.command
def show(
    letter: str,
    *,
    raw: Annotated[bool, Parameter(negative="")] = False,
    data_dir: DataDir = Path("data"),
) -> int:
    """Show one, whole.

    Parameters
    ----------
    letter
        Its id as `ls` shows it, such as 20250825_00:17.
    raw
        Only what came over the wire, byte for byte.
    data_dir
        Where tapewatch stores.
    """
    found = _find(data_dir, letter)
    if raw:
        payload = found.get("raw_payload", "")
        binary = found.get("encoding") == "base64"
        sys.stdout.buffer.write(base64.b64decode(payload) if binary else payload.encode())
        sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
    else:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    return 0


@app.command
def drop(
    hour: str | None = None,
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    data_dir: DataDir = Path("data"),
) -> int:
    """Delete the dead letters of one hour, or all.

    Parameters
    ----------
    hour
        As ids begin: 20250825_00.
    everything
        All hours.
    data_dir
        Where tapewatch stores.
    """
    files = dict(_files(data_dir))
    if everything:
        wanted = list(files)
    elif hour is None:
        raise ConfigError("say which hour (20250825_00), or --all")
    elif hour in files:
        wanted = [hour]
    else:
        raise NotFound("hour", hour, tuple(sorted(files, reverse=True)[:3]))
    for name in wanted:
        files[name].unlink()
    print(f"{len(wanted)} files deleted", file=sys.stderr)
    return 0


def _files(data_dir: Path) -> list[tuple[str, Path]]:
    """Hours and files, newest first."""
    found = [
        (match[1], path)
        for path in (data_dir / "dlq").glob("*.jsonl")
        if (match := _FILE.fullmatch(path.name))
    ]
    return sorted(found, reverse=True)


def _newest_first(data_dir: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for hour, path in _files(data_dir):
        lines = path.read_bytes().splitlines()
        for number in range(len(lines), 0, -1):
            yield f"{hour}:{number}", _read(lines[number - 1])


def _read(line: bytes) -> dict[str, Any]:
    """What a killed process left half written is shown as it is."""
    try:
        read = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {"raw_payload": line.decode(errors="replace"), "error": "torn line of this file"}
    return read if isinstance(read, dict) else {"raw_payload": str(read), "error": "not a letter"}


def _find(data_dir: Path, name: str) -> dict[str, Any]:
    hour, _, number = name.partition(":")
    path = dict(_files(data_dir)).get(hour)
    if path is not None and number.isdecimal():
        lines = path.read_bytes().splitlines()
        if 1 <= int(number) <= len(lines):
            return _read(lines[int(number) - 1])
    nearest = tuple(
        known for known, _ in zip((n for n, _ in _newest_first(data_dir)), "123", strict=False)
    )
    raise NotFound("dead letter", name, nearest)


def _row(name: str, letter: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(letter.get("ingestion_time_ms", 0) / 1000, UTC)
    where = f"{letter.get('source', '')}/{letter.get('stage', '')}".strip("/")
    payload = " ".join(str(letter.get("raw_payload", "")).split())
    short = payload if len(payload) <= 60 else payload[:59] + "…"
    return f"{name:<16} {moment:%Y-%m-%d %H:%M:%S}  {where:<18} {letter.get('error', '')}  {short}"
