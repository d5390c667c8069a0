"""Log lines for people (console) and for machines (JSON).

A log call names an event in snake_case and gives fields:
`log.warning("link_lost", extra={"fields": {"venue": "binance"}})`.
Console: `2026-11-21 08:00:00 [WARNING] tapewatch.wire.session: link_lost venue=binance`.
WARNING: something was recovered. ERROR: data was lost or a person is needed.
"""

import logging
import os
import sys
from typing import Any, TextIO

import msgspec

_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


def set_up(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send all records of tapewatch to `stream` (stderr), in `console` or `json` form."""
    target = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(Json() if form == "json" else Console(colour=_wants_colour(target)))
    root = logging.getLogger("tapewatch")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False


def _wants_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


class Console(logging.Formatter):
    """`YYYY-MM-DD HH:MM:SS [LEVEL] logger.name: message`, coloured on a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._colour = colour

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = super().formatMessage(record)
        fields = _fields(record)
        if fields:
            line += " " + " ".join(f"{key}={_plain(value)}" for key, value in fields.items())
        if not self._colour:
            return line
        level = f"[{record.levelname}]"
        return line.replace(level, f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m", 1)


class Json(logging.Formatter):
    """One object a line: time, level, logger, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update(_fields(record))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()

    def converter(self, seconds: float | None) -> Any:
        """UTC, whatever the machine's zone."""
        import time

        return time.gmtime(seconds)


def _plain(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text or not text else text
